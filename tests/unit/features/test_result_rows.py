"""Vectors as Arrow rows: fp16, failures in their place, batches bounded in bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.errors import MediaError
from acav_spark.features import result_rows
from acav_spark.features.board import Times
from acav_spark.features.extraction import Extracted, Item
from acav_spark.features.result_rows import extracted_batches, extracted_schema
from acav_spark.features.vectors import decode_fp16


def result(number: int, *layers: list[float], error: str = "") -> Extracted:
    item = Item(str(number), f"{number}.mp4", 0.0, 1.0, ["a"])
    vectors = tuple(np.array(layer, np.float32) for layer in layers)
    return Extracted(item, "a", vectors, MediaError(error, "why") if error else None)


def test_rows_hold_fp16_vectors_and_the_times_of_what_was_computed_together() -> None:
    groups = [
        ([result(0, [1.0, -2.5], [3.0]), result(1, [0.1, 0], [4])], Times(1.0, 2, 3)),
        ([result(2, error="no_frames")], Times(0.5)),
    ]
    (batch,) = extracted_batches(groups, extracted_schema(3))
    rows = batch.to_pylist()
    assert [row["item_id"] for row in rows] == ["0", "1", "2"]
    assert [row["uri"] for row in rows] == ["0.mp4", "1.mp4", "2.mp4"]
    assert {row["scope"] for row in rows} == {"a"}
    np.testing.assert_array_equal(decode_fp16([rows[0]["layer_1"]], 2), [[1.0, -2.5]])
    expected = np.array([[0.1, 0]], np.float16).astype(np.float32)
    np.testing.assert_array_equal(decode_fp16([rows[1]["layer_1"]], 2), expected)
    assert rows[1]["layer_2"] == np.array([4], "<f2").tobytes()
    assert rows[0]["layer_3"] is None
    assert [row["error_code"] for row in rows] == [None, None, "no_frames"]
    assert [row["is_permanent"] for row in rows] == [None, None, True]
    assert rows[2]["layer_1"] is None
    assert [row["compute_s"] for row in rows] == [1.0, None, 0.5]
    assert [row["wait_s"] for row in rows] == [2.0, None, 0.0]
    assert [row["decode_s"] for row in rows] == [3.0, None, 0.0]


def test_a_vector_that_fp16_cannot_hold_fails_and_its_neighbours_do_not() -> None:
    nan, large = float("nan"), 65520.0  # rounds to infinity; 65504 is the largest
    group = [
        result(0, [1.0], [2.0]),
        result(1, [1.0], [large]),
        result(2, [nan], [2.0]),
        result(3, [65504.0], [5.0]),
    ]
    (batch,) = extracted_batches([(group, Times())], extracted_schema(2))
    rows = batch.to_pylist()
    assert [row["error_code"] for row in rows] == [
        *(None, "vector_overflow", "non_finite_vector", None)
    ]
    # Nothing of a clip that failed is written.
    assert [row["layer_1"] is None for row in rows] == [False, True, True, False]
    assert [row["layer_2"] is None for row in rows] == [False, True, True, False]
    assert rows[3]["layer_2"] == np.array([5], "<f2").tobytes()


@given(
    sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=30),
    bound=st.integers(300, 5000),
)
def test_batches_are_bounded_in_bytes(sizes: list[int], bound: int) -> None:
    before = result_rows.MAX_BATCH_BYTES
    result_rows.MAX_BATCH_BYTES = bound  # type: ignore[misc]
    try:
        groups = [
            ([result(i, [float(i)] * size)], Times()) for i, size in enumerate(sizes)
        ]
        batches = list(extracted_batches(groups, extracted_schema(1)))
    finally:
        result_rows.MAX_BATCH_BYTES = before  # type: ignore[misc]
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [len(row["layer_1"]) for row in rows] == [2 * size for size in sizes]
    for batch in batches:
        n_bytes = sum(len(value.as_py()) for value in batch["layer_1"])
        assert n_bytes <= bound or len(batch) == 1


def test_no_results_give_no_batch() -> None:
    assert list(extracted_batches([], extracted_schema(1))) == []
