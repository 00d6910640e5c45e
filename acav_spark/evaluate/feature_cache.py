"""Keeps features in a folder, so that a second run reads what a first one computed."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import time
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.evaluate.array_files import write_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_logger = logging.getLogger(__name__)

_KEY = "key"
_N_HASH_DIGITS = 16


class FeatureCache:
    """A folder of ``npz`` files, one for each network and what it looked at.

    Parameters
    ----------
    folder : Path
        Made when the first features are written.

    Notes
    -----
    A file's name ends in a hash of its key, all that shapes the features, and the file
    holds the key. It gets its name when all of it is written, so that a process that is
    killed leaves nothing that looks like features; of two that compute the same, the
    later one's file stays. Arrays are float32; no pickle is read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str, key: Mapping[str, str]) -> Path:
        """Return where features of this name and key are."""
        digest = hashlib.sha256(_text(key).encode("utf-8")).hexdigest()
        return self._folder / f"{name}-{digest[:_N_HASH_DIGITS]}.npz"

    def has(self, name: str, key: Mapping[str, str]) -> bool:
        """Return whether there are features of this key."""
        return self.path(name, key).is_file()

    def layers(
        self,
        name: str,
        key: Mapping[str, str],
        compute: Callable[[], Sequence[NDArray[np.float32]]],
    ) -> tuple[NDArray[np.float32], ...]:
        """Return what is kept under a key; computed and kept if nothing is.

        Parameters
        ----------
        name : str
            For the file's name, such as ``cifar10_none_mobilenet_v2_tf``.
        key : mapping of str to str
            All that shapes the features: files, draw, transform, network, weights.
        compute : callable
            Gives a matrix (n_items, n_dimensions) for each layer.

        Raises
        ------
        ConfigError
            If a file cannot be read or has another key, or the folder cannot be
            written.
        """
        path = self.path(name, key)
        if path.is_file():
            return _read(path, key)
        # Before hours are spent on what cannot be kept.
        self._require_writable()
        started = time.monotonic()
        layers = tuple(np.asarray(layer, np.float32) for layer in compute())
        _write(path, key, layers)
        _logger.info(
            "kept features file=%s items=%d layers=%d seconds=%.0f",
            path.name,
            len(layers[0]) if layers else 0,
            len(layers),
            time.monotonic() - started,
        )
        return layers

    def _require_writable(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            msg = (
                f"cache: expected a folder that can be written as {self._folder}, got "
                f"{type(error).__name__}: {error}. Name another one."
            )
            raise ConfigError(msg) from error


def _text(key: Mapping[str, str]) -> str:
    return json.dumps(dict(key), sort_keys=True, ensure_ascii=True)


def _read(path: Path, key: Mapping[str, str]) -> tuple[NDArray[np.float32], ...]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = str(arrays[_KEY])
            n_layers = len(arrays.files) - 1
            layers = tuple(arrays[f"layer_{i + 1}"] for i in range(n_layers))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        msg = (
            f"cache: expected features in {path}, got {type(error).__name__}: {error}. "
            "Delete the file: its features are then computed again."
        )
        raise ConfigError(msg) from error
    if kept != _text(key) or any(layer.dtype != np.float32 for layer in layers):
        msg = (
            f"cache: expected features of {_text(key)} in {path}, got those of {kept}. "
            "Delete the file: its features are then computed again."
        )
        raise ConfigError(msg)
    return layers


def _write(
    path: Path, key: Mapping[str, str], layers: Sequence[NDArray[np.float32]]
) -> None:
    arrays: dict[str, NDArray[np.generic]] = {_KEY: np.array(_text(key))}
    arrays |= {f"layer_{i + 1}": layer for i, layer in enumerate(layers)}
    write_arrays(path, arrays)
