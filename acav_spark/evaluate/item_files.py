"""Reads the files of CIFAR-10, MNIST and the Free Spoken Digit Dataset.

Each reader lists what a file has and decodes what is asked for; nothing is unpacked to
a disk. CIFAR-10's Python version is a pickle and is not read.
"""

from __future__ import annotations

import gzip
import io
import math
import tarfile
import wave
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from scipy.signal import resample_poly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CIFAR10_CLASSES: Final = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""In the publisher's order, by which a class has its number."""

SOUND_RATE_HZ: Final = 16_000
"""What sounds are resampled to: the rate that the networks for sound take."""

_CIFAR_SHAPE = (3, 32, 32)
_CIFAR_RECORD_BYTES = 1 + math.prod(_CIFAR_SHAPE)
_IDX_BYTES = b"\0\0\x08"  # a file of bytes; the number of dimensions follows


@dataclass(frozen=True, eq=False)
class Listing:
    """What a file has.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_items,)
        Class of each item, from 0.
    pictures : callable, optional
        From rows to RGB pictures, uint8 of shape (n_rows, height, width, 3).
    sounds : callable, optional
        From rows to mono float32 in [-1, 1] at ``SOUND_RATE_HZ``.
    """

    labels: NDArray[np.int64]
    pictures: Callable[[NDArray[np.int64]], NDArray[np.uint8]] | None = None
    sounds: Callable[[NDArray[np.int64]], tuple[NDArray[np.float32], ...]] | None = None


def read_cifar10_binary(paths: Sequence[Path]) -> Listing:
    """Return the training pictures of the publisher's binary archive, in its order.

    A record is a byte of label and 1,024 bytes each of red, green and blue.

    Raises
    ------
    ValueError
        If a part is no whole number of records.
    """
    parts = [
        content
        for name, content in _members(paths[0])
        if name.startswith("data_batch_") and name.endswith(".bin")
    ]
    joined = b"".join(parts)
    if not joined or len(joined) % _CIFAR_RECORD_BYTES:
        msg = (
            f"{paths[0].name}: expected records of {_CIFAR_RECORD_BYTES} bytes, got "
            f"{len(joined)} bytes."
        )
        raise ValueError(msg)
    records = np.frombuffer(joined, np.uint8).reshape(-1, _CIFAR_RECORD_BYTES)

    def pictures(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        planes = records[rows, 1:].reshape(-1, *_CIFAR_SHAPE)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))

    return Listing(records[:, 0].astype(np.int64), pictures)


def read_cifar10_jpeg(paths: Sequence[Path]) -> Listing:
    """Return the training pictures of an archive of JPEGs, ``train/CLASS/N.jpg``.

    Raises
    ------
    ValueError
        If there is another class, or a picture cannot be decoded.
    """
    found = sorted(
        (PurePosixPath(name).parts[-2:], content)
        for name, content in _members(paths[0], within="/train/")
        if name.endswith(".jpg")
    )
    labels = [CIFAR10_CLASSES.index(parts[0]) for parts, _ in found]

    def pictures(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([_decoded_jpeg(*found[row]) for row in rows])

    return Listing(np.array(labels, np.int64), pictures)


def read_mnist_npz(paths: Sequence[Path]) -> Listing:
    """Return the pictures ``x`` and labels ``y`` of a file of NumPy."""
    with np.load(paths[0], allow_pickle=False) as arrays:
        grey, labels = arrays["x"], arrays["y"]
    return _mnist(grey, labels)


def read_mnist_idx(paths: Sequence[Path]) -> Listing:
    """Return the publisher's pictures and labels, two gzipped IDX files in this order.

    Raises
    ------
    ValueError
        If a file is not what its head says.
    """
    grey, labels = (_idx(path) for path in paths)
    return _mnist(grey, labels)


def read_fsdd(paths: Sequence[Path]) -> Listing:
    """Return the recordings of the archive, ``recordings/DIGIT_SPEAKER_N.wav``."""
    found = sorted(
        (PurePosixPath(name).name, content)
        for name, content in _members(paths[0], within="/recordings/")
        if name.endswith(".wav")
    )
    labels = [int(name.partition("_")[0]) for name, _ in found]

    def sounds(rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], ...]:
        return tuple(_decoded_wav(*found[row]) for row in rows)

    return Listing(np.array(labels, np.int64), sounds=sounds)


def _members(path: Path, within: str = "") -> list[tuple[str, bytes]]:
    """Return names and contents of an archive's files whose name has ``within``."""
    with tarfile.open(path, "r|*") as archive:
        return [
            (
                PurePosixPath(member.name).name if not within else member.name,
                file.read(),
            )
            for member in archive
            if within in member.name
            and member.isfile()
            and (file := archive.extractfile(member)) is not None
        ]


def _decoded_jpeg(parts: tuple[str, ...], content: bytes) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        msg = f"{'/'.join(parts)}: expected a JPEG, got what cannot be decoded."
        raise ValueError(msg)
    return np.asarray(decoded, np.uint8)


def _decoded_wav(name: str, content: bytes) -> NDArray[np.float32]:
    with wave.open(io.BytesIO(content)) as sound:
        if sound.getnchannels() != 1 or sound.getsampwidth() != 2:
            msg = f"{name}: expected mono of 16 bits, got {sound.getparams()}."
            raise ValueError(msg)
        rate_hz = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    common = math.gcd(SOUND_RATE_HZ, rate_hz)
    resampled = resample_poly(
        samples.astype(np.float64) / 2**15, SOUND_RATE_HZ // common, rate_hz // common
    )
    return np.asarray(np.clip(resampled, -1.0, 1.0), np.float32)


def _mnist(grey: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Listing:
    if len(grey) != len(labels):
        msg = f"mnist: expected a label a picture, got {len(labels)} for {len(grey)}."
        raise ValueError(msg)

    def pictures(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.repeat(grey[rows][..., None], 3, axis=3)

    return Listing(labels.astype(np.int64), pictures)


def _idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file: kind, dimensions, lengths, then the numbers."""
    content = gzip.decompress(path.read_bytes())
    n_dimensions = content[3] if content[:3] == _IDX_BYTES and len(content) > 3 else 0
    head = 4 + 4 * n_dimensions
    shape = tuple(np.frombuffer(content[4:head], ">u4").tolist())
    if not n_dimensions or math.prod(shape) != len(content) - head:
        msg = (
            f"{path.name}: expected an IDX file of bytes, got {len(content)} bytes "
            f"that begin with {content[:4]!r}."
        )
        raise ValueError(msg)
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
