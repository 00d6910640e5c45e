from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acav_spark.errors import MediaError
from acav_spark.features.vectors import decode_fp16, encode_fp16

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALVES = hnp.arrays(
    np.float16,
    st.integers(1, 40),
    elements=st.floats(width=16, allow_nan=False, allow_infinity=False),
)


@given(HALVES)
def test_a_vector_of_halves_comes_back_exactly(halves: NDArray[np.float16]) -> None:
    vector = halves.astype(np.float32)

    decoded = decode_fp16([encode_fp16(vector)], len(vector))

    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, vector[np.newaxis])


@given(st.floats(-60000, 60000))
def test_a_number_comes_back_within_half_precision(number: float) -> None:
    decoded = decode_fp16([encode_fp16(np.array([number]))], 1)

    # 11 significant bits; below 2**-14 the steps are 2**-24.
    assert decoded[0, 0] == pytest.approx(number, rel=2.0**-11, abs=2.0**-25)


def test_bytes_are_little_endian() -> None:
    assert encode_fp16(np.array([1.0, -2.0], dtype=np.float32)) == b"\x00\x3c\x00\xc0"


def test_the_largest_half_is_kept_and_more_overflows() -> None:
    assert decode_fp16([encode_fp16(np.array([65504.0]))], 1)[0, 0] == 65504.0
    with pytest.raises(MediaError, match="65504") as caught:
        encode_fp16(np.array([1.0, -65520.0]))
    assert caught.value.code == "vector_overflow"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(MediaError, match="number 1") as caught:
        encode_fp16(np.array([0.0, bad]))
    assert caught.value.code == "non_finite_vector"


def test_a_matrix_is_no_vector() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        encode_fp16(np.zeros((2, 2)))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_slice_of_an_arrow_array_is_read_in_its_order(kind: pa.DataType) -> None:
    vectors = np.arange(30, dtype=np.float32).reshape(10, 3)
    array = pa.array([encode_fp16(vector) for vector in vectors], kind)

    np.testing.assert_array_equal(decode_fp16(array.slice(4, 5), 3), vectors[4:9])


def test_no_vectors_give_an_empty_matrix() -> None:
    assert decode_fp16([], 7).shape == (0, 7)
    assert decode_fp16(pa.array([], pa.binary()), 7).shape == (0, 7)


def test_vectors_of_another_length_are_refused_even_if_the_sum_fits() -> None:
    uneven = [encode_fp16(np.zeros(n)) for n in (2, 4)]
    with pytest.raises(ValueError, match="2 of 2 with other lengths"):
        decode_fp16(uneven, 3)
    with pytest.raises(ValueError, match="2 of 2 with other lengths"):
        decode_fp16(pa.array(uneven, pa.binary()), 3)


def test_a_missing_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2"):
        decode_fp16(pa.array([b"\x00\x00", None], pa.binary()), 1)
