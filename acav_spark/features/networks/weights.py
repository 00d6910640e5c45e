"""Brings files of weights onto a machine: fetched once, locked, checked, cached.

``python -m acav_spark.features.networks.weights PLACE`` fetches a file and prints its
SHA-256, for a configuration that needs it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError, MediaError
from acav_spark.media.sources import LocalSource, SourceRules, open_source
from acav_spark.media.uri import scheme_of, shown_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acav_spark.features.networks.options import Weights

CACHE_VARIABLE: Final = "ACAV_WEIGHTS_CACHE"
"""Environment variable that names the folder of fetched weights."""

_BLOCK_BYTES: Final = 2**20
_MAX_BYTES: Final = 2 * 2**30
_logger = logging.getLogger(__name__)


def cache_folder(cache_dir: str = "") -> Path:
    """Return where fetched weights are kept.

    ``cache_dir``, else the environment variable ACAV_WEIGHTS_CACHE, else
    ``acav_spark/weights`` in the user's folder for caches.
    """
    named = cache_dir or os.environ.get(CACHE_VARIABLE, "")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base.startswith("/") else Path("~/.cache").expanduser()
    return home / "acav_spark" / "weights"


def weights_file(
    weights: Weights, *, cache_dir: str = "", allow_private_addresses: bool = False
) -> Path:
    """Return a file that has the SHA-256 that is expected.

    Parameters
    ----------
    weights : Weights
        Place and hash: a path, or a URL (``https``, ``s3``, ...).
    cache_dir : str
        As in ``cache_folder``.
    allow_private_addresses : bool
        As ``input.allow_private_addresses``.

    Raises
    ------
    ConfigError
        If the file is not to be had, or its hash is another one; both are named.

    Notes
    -----
    Of several processes on a machine one fetches, while the others wait for its lock.
    What was fetched gets its name when it is complete and right, so that a process
    that is killed leaves nothing that looks like weights.
    """
    if _is_local(weights.place):
        return _local_file(weights)
    folder = cache_folder(cache_dir)
    target = folder / weights.sha256
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder / f"{weights.sha256}.lock"):
            if not target.exists() or sha256_of(target) != weights.sha256:
                _fetch(weights, target, allow_private_addresses)
    except OSError as error:
        msg = (
            f"weights: expected a folder that can be written as {folder}, got "
            f"{type(error).__name__}: {error}. Set cache_dir or {CACHE_VARIABLE}."
        )
        raise ConfigError(msg) from error
    return target


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_local(place: str) -> bool:
    return scheme_of(place) == "file"


def _local_file(weights: Weights) -> Path:
    path = Path(weights.place.removeprefix("file://"))
    if not path.is_file():
        msg = (
            f"weights: expected a file, got {weights.place!r}, which is not there. "
            "Every worker needs it at that path; a URL is fetched by each machine once."
        )
        raise ConfigError(msg)
    _require_hash(path, weights)
    return path


def _require_hash(path: Path, weights: Weights) -> None:
    found = sha256_of(path)
    if found != weights.sha256:
        msg = (
            f"weights: expected SHA-256 {weights.sha256}, got {found} of "
            f"{shown_uri(weights.place)}. If that is the file you mean, set sha256 "
            "to it."
        )
        raise ConfigError(msg)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock of all processes of this machine; it ends with its holder."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(weights: Weights, target: Path, allow_private_addresses: bool) -> None:  # noqa: FBT001 - a private function with three values
    """Write the file under its name, once all of it is there and right."""
    # Only the holder of the lock writes here; what a killed one left is overwritten.
    part = target.with_name(f"{target.name}.part")
    n_bytes = 0
    try:
        with part.open("wb") as file:
            for block in _blocks(weights.place, allow_private_addresses):
                n_bytes += file.write(block)
            file.flush()
            os.fsync(file.fileno())
        _require_hash(part, weights)
        part.replace(target)
    except MediaError as error:
        msg = (
            f"weights: expected to fetch {shown_uri(weights.place)}, got {error}. "
            "Fetch it by other means and give its path."
        )
        raise ConfigError(msg) from error
    finally:
        part.unlink(missing_ok=True)
    _logger.info(
        "fetched weights url=%s bytes=%d file=%s",
        shown_uri(weights.place),
        n_bytes,
        target,
    )


def _blocks(place: str, allow_private_addresses: bool) -> Iterator[bytes]:  # noqa: FBT001 - a private function with two values
    """Yield the bytes of a remote file, by the client that checks its sources."""
    rules = SourceRules(
        allowed_schemes=(scheme_of(place),),
        allow_private_addresses=allow_private_addresses,
        max_bytes=_MAX_BYTES,
        total_s=3600.0,
    )
    with open_source(place, rules) as source:
        if isinstance(source, LocalSource):
            msg = f"place: expected a URL, got {place!r}."
            raise ValueError(msg)
        offset = 0
        while block := source.read(offset, _BLOCK_BYTES):
            offset += len(block)
            yield block


def main(arguments: list[str]) -> int:
    """Print the SHA-256 of each place; what is remote is fetched, and not kept."""
    try:
        for place in arguments:
            sys.stdout.write(f"{_digest(place)}  {place}\n")
    except (MediaError, OSError) as error:
        sys.stderr.write(f"weights: {error}\n")
        return 1
    return 0


def _digest(place: str) -> str:
    if _is_local(place):
        return sha256_of(Path(place.removeprefix("file://")))
    whole = hashlib.sha256()
    for block in _blocks(place, allow_private_addresses=False):
        whole.update(block)
    return whole.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
