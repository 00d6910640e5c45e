"""Files of the known data sets, made small, and the errors of broken ones."""

from __future__ import annotations

import gzip
import io
import tarfile
import wave
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from acav_spark.evaluate.item_files import (
    read_cifar10_binary,
    read_cifar10_jpeg,
    read_fsdd,
    read_mnist_idx,
    read_mnist_npz,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def record(label: int, picture: NDArray[np.uint8]) -> bytes:
    return bytes([label]) + picture.transpose(2, 0, 1).tobytes()


def wav(samples: NDArray[np.int16], rate_hz: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def idx(array: NDArray[np.uint8]) -> bytes:
    head = bytes([0, 0, 8, array.ndim])
    head += b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.tobytes())


def test_binary_pictures_of_cifar_are_read_in_their_order(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    pictures = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    first = record(3, pictures[0]) + record(9, pictures[1])
    path = archive(
        tmp_path / "c.tar.gz",
        {
            "cifar-10-batches-bin/data_batch_1.bin": first,
            "cifar-10-batches-bin/test_batch.bin": record(1, pictures[2]),
            "cifar-10-batches-bin/data_batch_2.bin": record(0, pictures[3]),
        },
    )

    listing = read_cifar10_binary([path])

    assert listing.labels.tolist() == [3, 9, 0]
    assert listing.pictures is not None
    found = listing.pictures(np.array([2, 0]))
    np.testing.assert_array_equal(found, pictures[[3, 0]])


def test_jpegs_of_cifar_have_the_publisher_s_numbers_of_classes(tmp_path: Path) -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 250
    encoded = cv2.imencode(".jpg", cv2.cvtColor(red, cv2.COLOR_RGB2BGR))[1].tobytes()
    path = archive(
        tmp_path / "c.tar.gz",
        {
            "c/train/truck/0000.jpg": encoded,
            "c/train/airplane/0001.jpg": b"no picture",
            "c/test/frog/0000.jpg": encoded,
            "c/README.md": b"text",
        },
    )

    listing = read_cifar10_jpeg([path])

    assert listing.labels.tolist() == [0, 9]
    assert listing.pictures is not None
    (found,) = listing.pictures(np.array([1]))
    np.testing.assert_allclose(found, red, atol=6)
    with pytest.raises(ValueError, match=r"airplane/0001.jpg: expected a JPEG"):
        listing.pictures(np.array([0]))


def test_mnist_is_the_same_from_both_forms(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    grey = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.array([5, 0, 4, 1, 9], np.uint8)
    np.savez(tmp_path / "m.npz", x=grey, y=labels)
    (tmp_path / "x.gz").write_bytes(idx(grey))
    (tmp_path / "y.gz").write_bytes(idx(labels))

    for listing in (
        read_mnist_npz([tmp_path / "m.npz"]),
        read_mnist_idx([tmp_path / "x.gz", tmp_path / "y.gz"]),
    ):
        assert listing.labels.tolist() == [5, 0, 4, 1, 9]
        assert listing.pictures is not None
        found = listing.pictures(np.array([4, 1]))
        assert found.shape == (2, 28, 28, 3)
        for channel in range(3):
            np.testing.assert_array_equal(found[..., channel], grey[[4, 1]])


def test_spoken_digits_are_resampled(tmp_path: Path) -> None:
    times = np.arange(4000) / 8000
    tone = np.round(2**14 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    path = archive(
        tmp_path / "f.tar.gz",
        {
            "fsdd/recordings/7_lucas_0.wav": wav(tone, 8000),
            "fsdd/recordings/0_anna_12.wav": wav(np.tile(tone, 2), 16_000),
            "fsdd/metadata.py": b"code, which nobody runs",
        },
    )

    listing = read_fsdd([path])

    assert listing.labels.tolist() == [0, 7]
    assert listing.sounds is not None
    kept, doubled = listing.sounds(np.array([0, 1]))
    np.testing.assert_allclose(kept, np.tile(tone, 2) / 2**15, atol=1e-6)
    assert doubled.dtype == np.float32
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16_000)
    np.testing.assert_allclose(doubled[200:-200], expected[200:-200], atol=2e-3)


def test_broken_files_are_told(tmp_path: Path) -> None:
    cut = archive(tmp_path / "c.tar.gz", {"x/data_batch_1.bin": bytes(3072)})
    with pytest.raises(ValueError, match="records of 3073 bytes, got 3072"):
        read_cifar10_binary([cut])
    np.savez(tmp_path / "m.npz", x=np.zeros((3, 28, 28), np.uint8), y=np.zeros(2, int))
    with pytest.raises(ValueError, match="a label a picture, got 2 for 3"):
        read_mnist_npz([tmp_path / "m.npz"])
    whole = gzip.decompress(idx(np.zeros((3, 2, 2), np.uint8)))
    for broken in (whole[:-1], whole[:3], b"", b"\0\0\x0d" + whole[3:]):
        (tmp_path / "x.gz").write_bytes(gzip.compress(broken))
        with pytest.raises(ValueError, match="expected an IDX file of bytes"):
            read_mnist_idx([tmp_path / "x.gz", tmp_path / "x.gz"])
    stereo = {"a/recordings/1_a_0.wav": wav(np.zeros(8, np.int16), 8000, channels=2)}
    listing = read_fsdd([archive(tmp_path / "f.tar.gz", stereo)])
    assert listing.sounds is not None
    with pytest.raises(ValueError, match=r"1_a_0\.wav: expected mono of 16 bits"):
        listing.sounds(np.array([0]))
