from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.segment import SignatureMeter, similarity
from acav_spark.segment.signature import (
    FINE_FRAME,
    STRETCH_BYTES,
    coarse_signature,
    pairwise_similarity,
)
from acav_spark.segment.signature_elements import (
    FAMILIES,
    N_CELLS,
    N_ELEMENTS,
    Area,
    elements,
    family_elements,
)
from acav_spark.segment.stretches import N_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _picture(seed: int, width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """Return a picture of soft patches."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8)).astype(np.uint8)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, dtype=np.uint8)


def _elements_of(*pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the pictures' elements, 0 to 2, shape (n_pictures, 380)."""
    meter = SignatureMeter(keep_elements=True)
    for index, picture in enumerate(pictures):
        meter.add(index / 25, picture)
    digits = meter.elements[:, :, np.newaxis] // 3 ** np.arange(5) % 3
    return digits.reshape(len(pictures), -1).astype(np.int64)


def _mean(picture: NDArray[np.uint8], areas: tuple[tuple[int, Area], ...]) -> float:
    """Return the mean of luma over areas of cells, pixel by pixel."""
    height, width = picture.shape
    total = n_pixels = 0
    for sign, (left, top, right, bottom) in areas:
        rows = slice(top * height // N_CELLS, bottom * height // N_CELLS)
        columns = slice(left * width // N_CELLS, right * width // N_CELLS)
        area = picture[rows, columns]
        total += sign * int(area.sum(dtype=np.int64))
        n_pixels += sign * area.size
    return total / n_pixels


def _by_hand(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return a picture's elements by their definition."""
    levels = np.array(
        [_mean(picture, e.plus) - _mean(picture, e.minus) for e in elements()]
    )
    values = np.ones(N_ELEMENTS, dtype=np.int64)
    for family in FAMILIES:
        places = [i for i, e in enumerate(elements()) if e.family == family]
        size = np.abs(levels[places])
        threshold = np.sort(size)[len(places) // 3]
        above = size > threshold + 1e-9
        values[places] = 1 + above * np.sign(levels[places])
    return values


def test_there_are_380_elements_of_six_families_and_all_differ() -> None:
    assert len(set(elements())) == N_ELEMENTS == sum(FAMILIES.values())
    assert [len(places) for places in family_elements()] == list(FAMILIES.values())


def test_the_elements_are_those_that_were_drawn_first() -> None:
    # Another draw would make stored signatures incomparable with new ones.
    digest = hashlib.sha256(repr(elements()).encode()).hexdigest()
    assert digest.startswith("f59b7baef964c9d3")


@pytest.mark.parametrize("size", [(160, 96), (171, 101), (32, 32), (640, 360)])
def test_elements_are_the_differences_of_means_by_thirds(size: tuple[int, int]) -> None:
    pictures = [_picture(seed, *size) for seed in range(3)]
    for picture, got in zip(pictures, _elements_of(*pictures), strict=True):
        np.testing.assert_array_equal(got, _by_hand(picture))


def test_more_frames_than_a_batch_and_other_sizes_are_taken_in_order() -> None:
    sizes = [(160, 96), (64, 48)]
    pictures = [_picture(seed, *sizes[seed // 70]) for seed in range(140)]
    together = _elements_of(*pictures)
    for index in (0, 63, 64, 69, 70, 139):
        np.testing.assert_array_equal(together[index], _elements_of(pictures[index])[0])


def test_brightness_and_contrast_change_nothing() -> None:
    picture = _picture(1) // 2
    same = _elements_of(picture, picture + 40)
    np.testing.assert_array_equal(same[0], same[1])
    stretched = _elements_of(picture, picture * 2)
    np.testing.assert_array_equal(stretched[0], stretched[1])


def test_the_stride_of_a_picture_does_not_matter() -> None:
    picture = _picture(2)
    wide = np.full((96, 200), 255, dtype=np.uint8)
    wide[:, :160] = picture
    every_second = np.repeat(picture, 2, axis=1)[:, ::2]
    got = _elements_of(picture, wide[:, :160], every_second)
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], got[2])


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (31, 33), (500, 3)])
def test_tiny_pictures_have_signatures(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert _elements_of(picture).shape == (1, N_ELEMENTS)


def test_sums_of_huge_pictures_do_not_overflow() -> None:
    huge = np.full((4096, 2112), 255, dtype=np.uint8)
    huge[2048:, 1056:] = 250
    small = huge[::16, ::11]
    got = _elements_of(huge, np.ascontiguousarray(small))
    np.testing.assert_array_equal(got[0], got[1])


def test_flat_pictures_are_near_zero_everywhere_and_not_trusted() -> None:
    meter = SignatureMeter()
    for level in (0, 17, 255):
        meter.add(0.0, np.full((90, 161), level, dtype=np.uint8))
    meter.add(0.0, _picture(3))
    assert (meter.words[:3] == 121).all()
    assert list(meter.confidences[:3]) == [0, 0, 0]
    assert meter.confidences[3] > 60


@pytest.mark.parametrize(
    "luma",
    [
        np.zeros((4, 4), dtype=np.int16),
        np.zeros(4, dtype=np.uint8),
        np.zeros((0, 4), dtype=np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(luma: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="luma: expected uint8"):
        SignatureMeter().add(0.0, luma)


def test_fine_signatures_need_elements() -> None:
    meter = SignatureMeter()
    meter.add(0.0, _picture(0))
    with pytest.raises(ValueError, match="keep_elements"):
        meter.fine()
    assert meter.elements.shape == (0, N_BYTES)
    assert (SignatureMeter().coarse(), SignatureMeter(keep_elements=True).fine()) == (
        b"",
        b"",
    )


def test_a_meter_gives_the_signatures_of_all_its_frames() -> None:
    meter, fine = SignatureMeter(), SignatureMeter(keep_elements=True)
    for index in range(100):
        for one in (meter, fine):
            one.add(5.0 + index / 10, _picture(index))
    np.testing.assert_array_equal(fine.elements[:, :5], meter.words)
    frames = np.frombuffer(fine.fine(), FINE_FRAME)
    assert FINE_FRAME.itemsize == 81
    np.testing.assert_array_equal(frames["time_ms"], np.arange(100) * 100)
    np.testing.assert_array_equal(frames["elements"], fine.elements)
    # 9.9 s: five whole stretches and the end.
    assert len(meter.coarse()) == 6 * STRETCH_BYTES
    assert meter.coarse() == fine.coarse()


def _bits(coarse: bytes) -> set[tuple[int, int, int]]:
    """Return (stretch, word, value) of each bit that is set."""
    packed = np.frombuffer(coarse, np.uint8).reshape(-1, 5, 31)
    bits = np.unpackbits(packed, axis=-1, bitorder="little")
    return {(int(s), int(w), int(v)) for s, w, v in np.argwhere(bits)}


@given(
    n_frames=st.integers(1, 60),
    rate=st.sampled_from([2.0, 7.5, 29.97]),
    duration_s=st.floats(0.1, 20.0),
    start_s=st.floats(0.0, 10.0),
    seed=st.integers(0, 100),
)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_bags_hold_the_words_of_their_stretch(
    n_frames: int, rate: float, duration_s: float, start_s: float, seed: int
) -> None:
    words = np.random.default_rng(seed).integers(0, 243, (n_frames, 5)).astype(np.uint8)
    times = start_s - 1.0 + np.arange(n_frames) / rate
    inside = [
        i
        for i, time in enumerate(times)
        if start_s - 1e-6 <= time < start_s + duration_s - 1e-6
    ]
    coarse = coarse_signature(times, words, start_s, start_s + duration_s)
    if not inside:
        assert coarse == b""
        return
    n_stretches = len(coarse) // STRETCH_BYTES
    # Enough to cover the part, and not one more.
    assert (n_stretches - 1) * 1.5 + 3.0 >= duration_s - 1e-4
    assert n_stretches == 1 or (n_stretches - 2) * 1.5 + 3.0 < duration_s
    expected = {
        (stretch, word, int(words[i, word]))
        for i in inside
        for stretch in range(n_stretches)
        for word in range(5)
        if stretch * 1.5 <= times[i] - start_s + 1e-6 < stretch * 1.5 + 3.0
    }
    assert _bits(coarse) == expected


def test_similarity_is_jaccards_of_the_nearest_stretches() -> None:
    times = np.arange(4, dtype=np.float64)
    same = np.tile(np.array([[1], [2], [3], [4]], dtype=np.uint8), 5)
    half = same.copy()
    half[2:] += 100
    a = coarse_signature(times[:2], same[:2], 0.0, 3.0)
    b = coarse_signature(times, same, 0.0, 3.0)
    # Words 1 and 2 against 1, 2 and 3.
    assert similarity(a, b) == pytest.approx(2 / 3)
    c = coarse_signature(times, half, 0.0, 3.0)
    # 1, 2, 3 against 1, 2, 103.
    assert similarity(b, c) == pytest.approx(2 / 4)
    # Two stretches, the second with words 3 and 4 (at 2 and 3 s): the nearest of each.
    d = coarse_signature(times, same, 0.0, 4.5)
    assert similarity(a, d) == pytest.approx((2 / 3 + (2 / 3 + 0) / 2) / 2)


def test_similarity_is_symmetric_one_for_the_same_and_zero_for_nothing() -> None:
    rng = np.random.default_rng(7)
    times = np.arange(80) / 10
    signatures = [
        coarse_signature(
            times, rng.integers(0, 40, (80, 5)).astype(np.uint8), 0.0, end_s
        )
        for end_s in (2.0, 8.0, 5.0)
    ]
    matrix = pairwise_similarity([*signatures, b""])
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix)[:3], 1.0, rtol=1e-6)
    assert not matrix[3].any()
    assert ((matrix >= 0) & (matrix <= 1)).all()
    for i, j in ((0, 1), (2, 0), (1, 2)):
        expected = similarity(signatures[i], signatures[j])
        assert matrix[i, j] == pytest.approx(expected)
    assert pairwise_similarity([]).shape == (0, 0)
    assert pairwise_similarity([b"", b""]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_what_is_no_coarse_signature_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 155 bytes, got 154"):
        similarity(bytes(154), bytes(155))
