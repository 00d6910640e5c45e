"""What each stretch of a clip looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acav_spark.segment.signature import STRETCH_BYTES, SignatureMeter, coarse_signature
from acav_spark.segment.stretches import (
    FLAT_VALUE,
    N_BYTES,
    FrameSampler,
    packed_elements,
    stretch_elements,
    ternary_elements,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@given(hnp.arrays(np.int8, (3, 380), elements=st.integers(-1, 1)))
def test_elements_are_packed_and_unpacked(ternary: NDArray[np.int8]) -> None:
    packed = packed_elements(ternary)
    assert packed.shape == (3, 76)
    assert packed.max(initial=0) < 243
    np.testing.assert_array_equal(ternary_elements(packed), ternary)


def test_the_first_element_of_a_byte_is_the_least() -> None:
    ternary = np.zeros(380, dtype=np.int64)
    assert set(packed_elements(ternary).tolist()) == {FLAT_VALUE}
    ternary[5], ternary[9] = 1, -1
    assert packed_elements(ternary)[1] == FLAT_VALUE + 1 - 81


def test_a_stretch_looks_like_most_of_its_frames() -> None:
    # Of the frames at 0, 1 and 2 s two are above zero, of those from 3 s on none.
    times = np.arange(6, dtype=np.float64)
    ternary = np.zeros((6, 380), dtype=np.int64)
    ternary[:2, 0] = 1
    ternary[:1, 1] = 1
    ternary[:, 2] = -1
    ternary[0, 3], ternary[1, 3] = 1, -1
    packed = packed_elements(ternary)
    found = ternary_elements(
        np.frombuffer(stretch_elements(times, packed, 0.0, 6.0), np.uint8).reshape(
            -1, N_BYTES
        )
    )
    # Stretches begin at 0, 1.5 and 3 s; a third of the frames is no more than noise.
    assert found[:, :4].tolist() == [[1, 0, -1, 0], [0, 0, -1, 0], [0, 0, -1, 0]]
    assert not found[:, 4:].any()
    assert stretch_elements(times, packed, 6.0, 9.0) == b""


@given(st.floats(0.5, 30.0), st.floats(0.0, 5.0))
def test_there_are_as_many_stretches_as_in_the_coarse_signature(
    duration_s: float, start_s: float
) -> None:
    times = start_s + np.arange(0, duration_s, 0.25)
    elements = np.full((len(times), N_BYTES), 7, dtype=np.uint8)
    part = (start_s, start_s + duration_s)
    coarse = coarse_signature(times, elements[:, :5], *part)
    assert len(stretch_elements(times, elements, *part)) * STRETCH_BYTES == (
        len(coarse) * N_BYTES
    )


def test_a_frame_of_each_quarter_of_a_second_is_kept_whatever_the_batches() -> None:
    times = [0.0, 0.1, 0.26, 0.3, 0.9, 0.95, 1.0]
    elements = np.repeat(np.arange(7, dtype=np.uint8)[:, np.newaxis], 76, axis=1)
    is_evidence = np.array([True, True, True, True, False, True, True])
    for edge in range(1, 7):
        sampler = FrameSampler()
        sampler.add(times[:edge], elements[:edge], is_evidence[:edge])
        sampler.add(times[edge:], elements[edge:], is_evidence[edge:])
        # The frame at 0.9 s is flat: that quarter shows nothing.
        assert sampler.times_s.tolist() == [0.0, 0.26, 1.0]
        assert sampler.elements[:, 0].tolist() == [0, 2, 6]


def test_a_meter_samples_pictures_that_are_not_flat(rng: np.random.Generator) -> None:
    seen = rng.integers(0, 256, size=(64, 64), dtype=np.uint8)
    seen[:32] //= 4
    meter = SignatureMeter(keep_elements=True)
    for number in range(100):
        luma = seen if number < 50 else np.full((64, 64), 99, dtype=np.uint8)
        meter.add(number / 25, luma)
    times_s, elements = meter.samples
    assert times_s.tolist() == [0.0, 0.28, 0.52, 0.76, 1.0, 1.28, 1.52, 1.76]
    np.testing.assert_array_equal(elements, meter.elements[:8])
