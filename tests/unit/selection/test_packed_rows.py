"""Packed rows in an array: each exactly once, in its place, whatever their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acav_spark.selection import ContingencyTables
from acav_spark.selection.packed_rows import (
    PackedRows,
    PackedRowsError,
    cluster_type,
    file_rows,
    located,
    read_columns,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZES = (5, 300)


def batch_of(rows: list[int], ids: NDArray[np.int64]) -> pa.RecordBatch:
    clusters = pa.array([ids[row].tolist() for row in rows], pa.list_(pa.int32()))
    return pa.RecordBatch.from_arrays(
        [pa.array(rows, pa.int64()), clusters], ["row_number", "clusters"]
    )


@pytest.fixture
def ids(rng: np.random.Generator) -> NDArray[np.int64]:
    return np.stack([rng.integers(size, size=9) for size in SIZES], axis=1)


def test_rows_find_their_places(ids: NDArray[np.int64]) -> None:
    rows = PackedRows(9, SIZES)
    for part in ([5, 3, 8], [0, 1, 2], [7, 4, 6]):
        rows.add(batch_of(part, ids))
    rows.finish()
    np.testing.assert_array_equal(rows.assignments, ids)
    assert rows.assignments.dtype == np.uint16
    assert rows.row_numbers is None


def test_kept_rows_stand_in_rising_order_and_others_are_counted(
    ids: NDArray[np.int64],
) -> None:
    kept = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1], dtype=bool)
    tables = ContingencyTables.empty([(0, 1)], n_clusters=SIZES, n_views=2)
    rows = PackedRows(9, SIZES, kept=kept, counted=~kept, tables=tables)
    for part in ([5, 3, 8, 0], [1, 2, 7, 4, 6]):
        rows.add(batch_of(part, ids))
    rows.finish()
    np.testing.assert_array_equal(rows.assignments, ids[kept])
    assert rows.row_numbers is not None
    assert rows.row_numbers.tolist() == [0, 2, 3, 6, 8]
    expected = ContingencyTables.from_assignments(
        ids[~kept], [(0, 1)], n_clusters=SIZES
    )
    np.testing.assert_array_equal(tables.counters, expected.counters)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([[0, 1, 2, 3]], r"got 4 rows, 5 numbers missing \(\[4, 5, 6, 7, 8\]\)"),
        ([[0, 1], [1, 2]], r"some twice \(\[1\]\)"),
        ([[0, 1, 2, 3, 4, 5, 6, 7, 7]], r"got 9 rows, 1 numbers missing \(\[8\]\)"),
    ],
)
def test_missing_and_doubled_rows_are_refused(
    ids: NDArray[np.int64], parts: list[list[int]], words: str
) -> None:
    rows = PackedRows(9, SIZES)

    def gather() -> None:
        for part in parts:
            rows.add(batch_of(part, ids))
        rows.finish()

    with pytest.raises(PackedRowsError, match=words):
        gather()


def test_a_row_number_out_of_range_is_refused(ids: NDArray[np.int64]) -> None:
    with pytest.raises(PackedRowsError, match=r"1 outside \(\[8\]\)"):
        PackedRows(8, SIZES).add(batch_of([7, 8], ids))


def test_ids_out_of_range_are_told_by_view_and_row(ids: NDArray[np.int64]) -> None:
    ids[2, 1], ids[6, 1] = -1, 300
    rows = PackedRows(9, SIZES)
    rows.add(batch_of(list(range(9)), ids))
    with pytest.raises(PackedRowsError) as caught:
        rows.finish()
    assert "from 0 to 299 in view 1, got 2 of 9" in str(caught.value)
    assert "row 2: -1, row 6: 300" in str(caught.value)
    assert caught.value.rows == [2, 6]


@pytest.mark.parametrize(
    "clusters", [[[1, 2], [3]], [[1, 2], None], [[1, 2], [1, None]]]
)
def test_a_row_of_another_number_of_views_is_refused(
    clusters: list[list[int | None] | None],
) -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([0, 1]), pa.array(clusters, pa.list_(pa.int32()))],
        ["row_number", "clusters"],
    )
    with pytest.raises(PackedRowsError, match="expected 2 cluster ids in every row"):
        PackedRows(2, SIZES).add(batch)


def test_ids_beyond_two_bytes_have_four() -> None:
    assert cluster_type((10, 1 << 16)) is np.uint16
    assert cluster_type((10, (1 << 16) + 1)) is np.uint32


def test_files_that_spark_names_are_found_and_read(
    tmp_path: Path, ids: NDArray[np.int64]
) -> None:
    folder = tmp_path / "a b%20 ü#1"
    folder.mkdir()
    batch = batch_of(list(range(9)), ids)
    pq.write_table(pa.Table.from_batches([batch]), folder / "part.parquet")
    uri = (folder / "part.parquet").as_uri()
    assert "%2520" in uri
    assert located(uri)[1] == str(folder / "part.parquet")
    assert file_rows(uri, ["row_number", "clusters"]) == 9
    assert file_rows(uri, ["row_number", "col-1234"]) is None
    (read,) = read_columns([uri], ["row_number", "clusters"])
    assert read["clusters"].to_pylist() == ids.tolist()


def test_files_of_an_object_store_keep_their_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "acav_spark.selection.packed_rows._store",
        lambda *of: asked.append(of),
    )
    assert located("s3a://bucket/a%20b/part.parquet")[1] == "bucket/a b/part.parquet"
    assert asked == [("s3", "bucket")]
