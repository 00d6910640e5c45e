"""Rows of ``contingency`` from tables, in blocks of whole rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.selection import ContingencyTables, combination
from acav_spark.selection.cells import TableRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = (5, 3, 7)
PAIRS = combination(3)


def counted(seed: int = 0, n_clips: int = 40) -> ContingencyTables:
    """Return tables of random clips, with empty cells and rows."""
    generator = np.random.default_rng(seed)
    ids = np.stack([generator.integers(k, size=n_clips) for k in SIZES], axis=1)
    ids[:, 0] = np.where(ids[:, 0] == 2, 1, ids[:, 0])
    return ContingencyTables.from_assignments(ids, PAIRS, n_clusters=SIZES)


def rows_of(tables: ContingencyTables) -> list[dict[str, object]]:
    rows = TableRows(tables)
    starts = rows.block_starts
    return [
        row
        for block in range(rows.n_blocks)
        for row in rows.batch(
            block, tables.counters[starts[block] : starts[block + 1]]
        ).to_pylist()
    ]


def by_hand(tables: ContingencyTables) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for first, second in tables.pairs:
        for cluster, counts in enumerate(tables.table(first, second)):
            met: NDArray[np.int64] = np.flatnonzero(counts)
            if len(met):
                rows.append(
                    {
                        "view_a": first,
                        "view_b": second,
                        "cluster_a": cluster,
                        "clusters_b": met.tolist(),
                        "n_clips": counts[met].tolist(),
                    }
                )
    return rows


@pytest.mark.parametrize("block", [1, 4, 8, 30, 1 << 20])
def test_every_row_of_the_tables_is_in_one_block_whatever_the_size_of_blocks(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acav_spark.selection.cells._BLOCK", block)
    tables = counted()

    assert rows_of(tables) == by_hand(tables)


def test_clusters_rise_and_counts_are_of_64_bits() -> None:
    tables = counted()
    tables.counters[0] = 1 << 40
    (batch,) = [TableRows(tables).batch(0, tables.counters)]

    assert batch.schema.field("n_clips").type.value_type == "int64"
    assert batch["n_clips"][0].as_py()[0] == 1 << 40
    for clusters in batch["clusters_b"].to_pylist():
        assert clusters == sorted(set(clusters))


def test_tables_of_no_clip_have_no_rows() -> None:
    tables = ContingencyTables.empty(PAIRS, n_clusters=SIZES, n_views=3)

    assert rows_of(tables) == []


def test_blocks_end_where_rows_do_and_cover_all_counters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("acav_spark.selection.cells._BLOCK", 8)
    tables = counted()
    rows = TableRows(tables)
    starts = rows.block_starts.tolist()

    assert starts[0] == 0
    assert starts[-1] == len(tables.counters)
    assert (np.diff(starts) > 0).all()
    assert rows.n_blocks > 3
    ends = {
        int(tables.offsets[pair]) + row * SIZES[v]
        for pair, (u, v) in enumerate(PAIRS)
        for row in range(SIZES[u])
    } | set(tables.offsets[len(PAIRS) :].tolist())
    assert set(starts) <= ends
