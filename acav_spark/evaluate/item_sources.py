"""Labelled items of known data sets, drawn from files of a user's folder.

A file is read only if its SHA-256 is in the table here: what is decoded is what its
publisher made, byte for byte, and no media from outside, so no child process stands
around it.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.evaluate.hash_order import hash_order
from acav_spark.evaluate.item_files import (
    Listing,
    read_cifar10_binary,
    read_cifar10_jpeg,
    read_fsdd,
    read_mnist_idx,
    read_mnist_npz,
)
from acav_spark.features.networks.weights import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_logger = logging.getLogger(__name__)

N_CLASSES: Final = 10
"""Classes of each source."""

MIN_PER_CLASS: Final = 4
"""Two different items of a class in each half."""


@dataclass(frozen=True)
class KnownFiles:
    """Files that together hold a source.

    Parameters
    ----------
    sha256 : dict of str to str
        By file name, in the order that ``read`` takes them.
    read : callable
        From their paths to what they have.
    note : str
        What a reader of results has to know of them; empty if nothing.
    """

    sha256: dict[str, str]
    read: Callable[[Sequence[Path]], Listing]
    note: str = ""


ITEM_SOURCES: Final[dict[str, tuple[KnownFiles, ...]]] = {
    "cifar10": (
        KnownFiles(
            {
                "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d6"
                "8f9f25eb1ed8d9ddda3db29a59bca1dd"
            },
            read_cifar10_binary,
        ),
        KnownFiles(
            {
                "cifar10_jpg.tar.xz": "fe07b9ea77450d93aa710e47197c3b33"
                "a568c73ac4c1d2b2557a26a5dc957822"
            },
            read_cifar10_jpeg,
            note="lossy JPEG of quality 75, not the published pixels",
        ),
    ),
    "mnist": (
        KnownFiles(
            {
                "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea37026"
                "5605f56be210a4024d2ca8f203523609",
                "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cc"
                "a23d567ec52cac8be1a0730e8010255c",
            },
            read_mnist_idx,
        ),
        KnownFiles(
            {
                "mnist_train.npz": "11bf48d67d8e90b9d940549ce9565b49"
                "21ad2ec150e4491e0c670aeb165169a9"
            },
            read_mnist_npz,
        ),
    ),
    "fsdd": (
        KnownFiles(
            {
                "fsdd_recordings.tar.xz": "4a34c33b87dc15e3b81c5147d5f32599"
                "1b022a3b365ae62363729332e0f8a50b"
            },
            read_fsdd,
        ),
    ),
}
"""For each source the files that it is read from; the first that are there are it."""


@dataclass(frozen=True, eq=False)
class Items:
    """Items of one source that were drawn, class by class.

    Parameters
    ----------
    source : str
        Name of the data set, such as ``cifar10``.
    digest : str
        Of files and draw: the same digest, the same items.
    labels : ndarray of int64, shape (n_items,)
        Class of each item, from 0.
    pictures : ndarray of uint8, shape (n_items, height, width, 3), optional
        RGB.
    sounds : tuple of ndarray of float32, each of shape (n_samples,), optional
        Mono in [-1, 1], at 16 kHz.
    note : str
        What a reader of results has to know of the files; empty if nothing.
    """

    source: str
    digest: str
    labels: NDArray[np.int64]
    pictures: NDArray[np.uint8] | None = None
    sounds: tuple[NDArray[np.float32], ...] | None = None
    note: str = ""

    def __len__(self) -> int:
        return len(self.labels)


def find_files(source: str, data: Path) -> tuple[KnownFiles, list[Path]]:
    """Return the files of a folder that a source is read from, checked.

    Raises
    ------
    ConfigError
        If none are there, or one is not the file of that name that is known.
    """
    choices = ITEM_SOURCES[source]
    for known in choices:
        paths = [data / name for name in known.sha256]
        if not all(path.is_file() for path in paths):
            continue
        for path in paths:
            found = sha256_of(path)
            if found != known.sha256[path.name]:
                msg = (
                    f"{source}: expected SHA-256 {known.sha256[path.name]} of "
                    f"{path.name}, got {found}. Fetch the file again: only the "
                    "published one is read."
                )
                raise ConfigError(msg)
        if known.note:
            _logger.warning("source=%s files=%s: %s", source, paths[0].name, known.note)
        return known, paths
    wanted = "; or ".join(" and ".join(known.sha256) for known in choices)
    msg = (
        f"{source}: expected {wanted} in {data}, got no such file. Fetch what is "
        "missing into the folder."
    )
    raise ConfigError(msg)


def draw_items(source: str, data: Path, *, per_class: int, seed: int) -> Items:
    """Return items of a source, so many of each class or all that a class has.

    Parameters
    ----------
    source : str
        A key of ``ITEM_SOURCES``.
    data : Path
        Folder with its files.
    per_class : int
        Items of a class at most; of those that the training part has they are drawn by
        hash.
    seed : int
        Of the draw.

    Raises
    ------
    ConfigError
        If files are missing or others than known, or a class has fewer than four items.
    """
    known, paths = find_files(source, data)
    listing = known.read(paths)
    rows = _drawn_rows(listing.labels, source, per_class=per_class, seed=seed)
    words = [*known.sha256.values(), f"{per_class}", f"{seed}"]
    return Items(
        source,
        hashlib.sha256(" ".join(words).encode("ascii")).hexdigest(),
        listing.labels[rows],
        None if listing.pictures is None else listing.pictures(rows),
        None if listing.sounds is None else listing.sounds(rows),
        known.note,
    )


def _drawn_rows(
    labels: NDArray[np.int64], source: str, *, per_class: int, seed: int
) -> NDArray[np.int64]:
    """Return rows of the items that are taken, class by class, each in hash order."""
    if per_class < MIN_PER_CLASS:
        msg = f"per_class: expected {MIN_PER_CLASS} or more, got {per_class}."
        raise ConfigError(msg)
    drawn = []
    n_fewest = per_class
    for number in range(N_CLASSES):
        rows = np.flatnonzero(labels == number)
        if len(rows) < MIN_PER_CLASS:
            msg = (
                f"{source}: expected {MIN_PER_CLASS} items or more of class {number}, "
                f"got {len(rows)} of {len(labels)} items. Are the files whole?"
            )
            raise ConfigError(msg)
        n_fewest = min(n_fewest, len(rows))
        order = hash_order(len(rows), seed, f"{source}:{number}")
        drawn.append(rows[order[:per_class]])
    if n_fewest < per_class:
        _logger.warning(
            "fewer items than asked for: source=%s smallest_class=%d per_class=%d",
            source,
            n_fewest,
            per_class,
        )
    return np.concatenate(drawn)
