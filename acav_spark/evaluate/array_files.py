"""Named arrays in a file that is there as a whole, or not at all."""

from __future__ import annotations

import logging
import os
import secrets
import zipfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_logger = logging.getLogger(__name__)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays of numbers or text under their names; the folder is made.

    Two writers of the same file do not meet: the last one's stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]] | None:
    """Return what ``write_arrays`` wrote; None if there is no file, or a broken one.

    A broken one is told in the log: whoever asks makes it anew.
    """
    try:
        # Opened here: of a broken file, numpy leaves its own open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored.items())
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        _logger.warning("not readable, made anew: file=%s error=%s", path, error)
        return None
