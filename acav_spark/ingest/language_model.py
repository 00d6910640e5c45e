"""Brings the model that names languages onto a machine, and checks that it is that."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import importlib.util
import logging
import os
import tempfile
import urllib.request
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError, DependencyError
from acav_spark.ingest.language import NOT_INSTALLED, UNKNOWN, LanguageIdentifier

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL_URL: Final = (
    "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz"
)
"""Where fastText's compressed model of 176 languages is published (CC-BY-SA 3.0)."""

_SWITCH_OFF = (
    "To keep videos of every language: --set ingest.language.cumulative_ratio=null "
    "--set ingest.language.keep=[]."
)
_TIMEOUT_S = 60
# The uncompressed model has 131 MB.
_MAX_BYTES = 2**30
_SCHEMES = ("http://", "https://")
_logger = logging.getLogger(__name__)


def check_model(
    model: str, sha256: str, cache_dir: str, languages: Sequence[str] = ()
) -> None:
    """Check that languages can be named on this machine; fetches the model.

    Parameters
    ----------
    model : str
        Path or URL.
    sha256 : str
        Of the file, 64 hexadecimal digits.
    cache_dir : str
        Where fetched models are; empty: a folder among temporary files.
    languages : sequence of str
        Codes that the model must have, or ``und``.

    Raises
    ------
    ConfigError
        If no model is named, it is not to be had, its SHA-256 is another one, or it
        lacks a language.
    DependencyError
        If fastText is not installed.
    """
    if importlib.util.find_spec("fasttext") is None:
        raise DependencyError(NOT_INSTALLED)
    known = load_identifier(model, sha256, cache_dir).languages
    unknown = sorted(set(languages) - known - {UNKNOWN})
    if unknown:
        msg = (
            f"ingest.language.keep: expected languages of {model} or {UNKNOWN}, got "
            f"{unknown[:5]}. It knows {', '.join(sorted(known))}."
        )
        raise ConfigError(msg)


@lru_cache(maxsize=1)
def load_identifier(model: str, sha256: str, cache_dir: str) -> LanguageIdentifier:
    """Return the identifier of a model, which a process loads once."""
    return LanguageIdentifier(str(model_file(model, sha256, cache_dir)))


def model_file(model: str, sha256: str, cache_dir: str = "") -> Path:
    """Return the file of a model, checked; a URL is fetched once on a machine.

    Raises
    ------
    ConfigError
        If no model is named, it is not to be had, or its SHA-256 is another one.
    """
    if not model:
        msg = (
            "ingest.language.model: expected fastText's lid.176.ftz, which names the "
            "languages, got nothing. Give its place (licence CC-BY-SA 3.0), or that of "
            f"a copy: --set ingest.language.model={MODEL_URL}. {_SWITCH_OFF}"
        )
        raise ConfigError(msg)
    if model.startswith(_SCHEMES):
        return _fetched(model, sha256, _cache(cache_dir))
    path = Path(model.removeprefix("file://"))
    if not path.is_file():
        msg = (
            f"ingest.language.model: expected a file, got {model!r}, which is not "
            f"there. It is published at {MODEL_URL}; a cluster needs it on every "
            f"machine, or a URL. {_SWITCH_OFF}"
        )
        raise ConfigError(msg)
    _require_hash(path, sha256, model)
    return path


def _cache(cache_dir: str) -> Path:
    if cache_dir:
        return Path(cache_dir)
    return Path(tempfile.gettempdir()) / f"acav_spark-{os.getuid()}"


def _fetched(url: str, sha256: str, cache: Path) -> Path:
    """Return where a URL's file is kept; of several processes one fetches it."""
    target = cache / f"{sha256}.ftz"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.with_name(f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists() or _sha256(target) != sha256:
                _fetch(url, sha256, target)
    except (OSError, http.client.HTTPException) as error:
        msg = (
            f"ingest.language.model: expected to fetch {url} into {cache}, got "
            f"{type(error).__name__}: {error}. Fetch it by hand and give its path. "
            f"{_SWITCH_OFF}"
        )
        raise ConfigError(msg) from error
    return target


def _fetch(url: str, sha256: str, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    n_bytes = 0
    # The caller has seen that it is http or https.
    answer = urllib.request.urlopen(url, timeout=_TIMEOUT_S)  # noqa: S310 - http(s)
    try:
        with answer, part.open("wb") as file:
            while block := answer.read(2**20):
                n_bytes += len(block)
                if n_bytes > _MAX_BYTES:
                    msg = f"more than {_MAX_BYTES} bytes"
                    raise OSError(msg)
                file.write(block)
        _require_hash(part, sha256, url)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    _logger.info("fetched model url=%s bytes=%d file=%s", url, n_bytes, target)


def _require_hash(path: Path, sha256: str, model: str) -> None:
    found = _sha256(path)
    if found != sha256:
        msg = (
            f"ingest.language.sha256: expected {sha256}, got {found}, the SHA-256 of "
            f"{model}. If that is the model you mean, set ingest.language.sha256 to it."
        )
        raise ConfigError(msg)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
