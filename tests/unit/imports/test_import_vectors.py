"""Columns and matrices of any kind of number become the fp16 of ``encode_fp16``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acav_spark.errors import MediaError
from acav_spark.features.vectors import encode_fp16
from acav_spark.imports import encode_array, encode_column
from acav_spark.imports.checking import (
    BAD_TIMES,
    MISSING_ID,
    checked_batch,
    schema_of,
)
from acav_spark.imports.vectors import MISSING_VECTOR, WRONG_LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Beyond what fp16 holds, and what is not finite.
NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, min_value=-1e5, max_value=1e5),
    st.sampled_from([np.nan, np.inf, -np.inf, 65504.0, 65519.0, 65520.0, 1e-8, -0.0]),
)
MATRICES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=NUMBERS
)
LISTS = st.lists(st.none() | st.lists(st.none() | NUMBERS, max_size=4), max_size=7)


def expected(vector: NDArray[np.float32]) -> bytes | tuple[str, str]:
    """Return what ``encode_fp16``, the oracle, makes of a vector."""
    if vector.size == 0:
        return MISSING_VECTOR, "there is no vector"
    try:
        return encode_fp16(vector)
    except MediaError as error:
        return error.code, ""


@given(MATRICES)
def test_rows_of_a_matrix_are_what_each_is_alone(matrix: NDArray[np.float32]) -> None:
    encoded = encode_array(matrix)
    for row, vector in enumerate(matrix):
        want = expected(vector)
        if isinstance(want, bytes):
            assert encoded.vectors[row].as_py() == want
            assert row not in encoded.problems
        else:
            assert encoded.vectors[row].as_py() is None
            assert encoded.problems[row].code == want[0]


@given(LISTS, st.sampled_from(["list", "large_list", "double"]))
def test_lists_are_what_each_is_alone(
    rows: list[list[float | None] | None], kind: str
) -> None:
    types = {
        "list": pa.list_(pa.float32()),
        "large_list": pa.large_list(pa.float32()),
        "double": pa.list_(pa.float64()),
    }
    whole = pa.array([[1.0], *rows, None], types[kind])
    encoded = encode_column(whole[1:-1])  # an array that begins inside its buffers
    assert len(encoded.vectors) == len(rows)
    for row, numbers in enumerate(rows):
        filled = [np.nan if x is None else x for x in numbers or []]
        want = expected(np.array(filled, np.float32))
        if isinstance(want, bytes):
            assert encoded.vectors[row].as_py() == want
        else:
            assert encoded.vectors[row].as_py() is None
            assert encoded.problems[row].code == want[0]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float16(), pa.float64()])
def test_numbers_of_every_type_are_taken(kind: pa.DataType) -> None:
    values = np.array([1, -2, 3, 4]).astype(kind.to_pandas_dtype())
    column = pa.FixedSizeListArray.from_arrays(pa.array(values, kind), 2)
    encoded = encode_column(column)
    assert not encoded.problems
    assert encoded.vectors.to_pylist() == [
        np.array([1, -2], "<f2").tobytes(),
        np.array([3, 4], "<f2").tobytes(),
    ]


def test_a_big_endian_matrix_is_turned() -> None:
    encoded = encode_array(np.array([[1.5, -2.0]], ">f4"))
    assert encoded.vectors.to_pylist() == [np.array([1.5, -2.0], "<f2").tobytes()]


def test_bytes_are_read_as_the_numbers_they_are_said_to_be() -> None:
    vector = np.array([1.5, -2.0], "<f4")
    column = pa.array([vector.tobytes(), None, b"", b"\x00" * 6], pa.binary())
    encoded = encode_column(column, "float32")
    assert encoded.vectors.to_pylist() == [encode_fp16(vector), None, None, None]
    codes = {row: problem.code for row, problem in encoded.problems.items()}
    assert codes == {1: MISSING_VECTOR, 2: MISSING_VECTOR, 3: WRONG_LENGTH}
    as_halves = encode_column(column[3:])
    assert as_halves.vectors.to_pylist() == [b"\x00" * 6]


@pytest.mark.parametrize(
    "column", [pa.array(["1 2"]), pa.array([[["a"]]]), pa.array([[True]])]
)
def test_a_column_of_something_else_is_refused(column: pa.Array) -> None:
    with pytest.raises(ValueError, match="lists of numbers, or binary, got"):
        encode_column(column)


def test_a_vector_alone_is_refused_as_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"two dimensions, got shape \(3,\)"):
        encode_array(np.zeros(3))


def test_an_item_tells_its_first_problem_and_keeps_its_place() -> None:
    early = encode_array(np.array([[1.0], [np.nan], [2.0], [3.0]]))
    late = encode_array(np.array([[1.0], [1e9], [1e9], [4.0]]))
    batch = checked_batch(
        ["a", "b", "c", "d"],
        [early, late],
        uris=pa.array(["u", None, None, "v"]),
        starts_s=[0.0, None, None, 5.0],
        ends_s=[2.0, None, None, 5.0],
    )
    assert batch.schema.equals(schema_of(2))
    rows = batch.to_pylist()
    assert [row["item_id"] for row in rows] == ["a", "b", "c", "d"]
    assert [row["error_code"] for row in rows] == [
        None,
        "non_finite_vector",
        "vector_overflow",
        BAD_TIMES,
    ]
    assert rows[1]["message"].startswith("layer 1: ")
    assert rows[2]["message"].startswith("layer 2: ")
    assert rows[0]["layer_2"] == np.array([1.0], "<f2").tobytes()
    assert (rows[0]["uri"], rows[0]["start_s"], rows[0]["end_s"]) == ("u", 0.0, 2.0)


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, 1.0), (1.0, None), (-1.0, 1.0), (2.0, 2.0), (0.0, np.inf), (np.nan, 1.0)],
)
def test_times_are_both_there_and_in_order(
    start: float | None, end: float | None
) -> None:
    layer = encode_array(np.ones((1, 1)))
    uris = pa.array(["u"])
    batch = checked_batch(["a"], [layer], uris=uris, starts_s=[start], ends_s=[end])
    assert batch["error_code"].to_pylist() == [BAD_TIMES]


def test_times_are_those_of_something_that_has_an_address() -> None:
    layer = encode_array(np.ones((3, 1)))
    times = {"starts_s": [1.0, 1.0, None], "ends_s": [2.0, 2.0, None]}
    uris = pa.array(["u", None, None])
    batch = checked_batch(["a", "b", "c"], [layer], uris=uris, **times)  # type: ignore[arg-type]  # by name
    assert batch["error_code"].to_pylist() == [None, BAD_TIMES, None]
    assert "expected an uri" in batch["message"][1].as_py()


def test_a_row_without_id_is_named_by_its_vector() -> None:
    layer = encode_array(np.array([[1.0], [2.0], [1.0], [3.0]]))
    batch = checked_batch([None, "", None, "x" * 1025], [layer])
    names = batch["item_id"].to_pylist()
    assert set(batch["error_code"].to_pylist()) == {MISSING_ID}
    assert names[0] == names[2]
    assert len(set(names)) == 3
    assert all(name.startswith("(no id) ") for name in names)
