"""Vectors of many rows in one cell: what an epoch reads again and again.

Spark moves a cached cell through the JVM, a socket and Arrow at the price of some
copies, but every row costs it ten microseconds, as much as a product with 500 centres.
So the rows of a shard are joined, in their order, to cells of some megabytes, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from acav_spark.features.vectors import fp16_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

# Bytes of a packed row.
_PACKED_BYTES = 2 << 20


def packed_schema(layers: Iterable[int]) -> pa.Schema:
    """Return the schema of packed rows: a shard, and a cell of vectors for a layer."""
    cells = [(f"layer_{layer}", pa.binary()) for layer in layers]
    return pa.schema([("shard", pa.int32()), ("n_rows", pa.int32()), *cells])


def packed(
    batches: Iterable[pa.RecordBatch], *, layers: Mapping[int, int]
) -> Iterator[pa.RecordBatch]:
    """Join vectors that follow each other in a shard.

    Parameters
    ----------
    batches : iterable of RecordBatch
        ``shard`` and a column of fp16 vectors for each layer; the rows of a shard one
        after another.
    layers : mapping of int to int
        Dimension by layer.

    Yields
    ------
    RecordBatch
        One row of ``packed_schema``, of one shard and at most some 2 MiB.
    """
    schema = packed_schema(layers)
    row_bytes = 2 * sum(layers.values())
    most = max(1, _PACKED_BYTES // row_bytes)
    held: list[pa.RecordBatch] = []
    n_held, current = 0, -1

    def joined() -> pa.RecordBatch:
        cells = {
            f"layer_{layer}": np.concatenate(
                [fp16_vectors(piece[f"layer_{layer}"], n) for piece in held]
            ).tobytes()
            for layer, n in layers.items()
        }
        row = {"shard": current, "n_rows": n_held, **cells}
        return pa.RecordBatch.from_pylist([row], schema)

    for shard, batch in by_shard(batches):
        if shard != current and n_held:
            yield joined()
            held, n_held = [], 0
        current, start = shard, 0
        while start < len(batch):
            piece = batch.slice(start, most - n_held)
            held.append(piece)
            n_held += len(piece)
            start += len(piece)
            if n_held == most:
                yield joined()
                held, n_held = [], 0
    if n_held:
        yield joined()


def unpacked(
    batches: Iterable[pa.RecordBatch], *, layers: Mapping[int, int]
) -> Iterator[tuple[int, dict[int, NDArray[np.float16]]]]:
    """Yield the shard of every packed row, and its matrices of halves by layer.

    Parameters
    ----------
    batches : iterable of RecordBatch
        As ``packed`` makes them; the rows of a shard one after another.
    layers : mapping of int to int
        Dimension of the layers wanted.
    """
    for batch in batches:
        shards = batch["shard"].to_numpy().tolist()
        n_rows = batch["n_rows"].to_numpy().tolist()
        for i, shard in enumerate(shards):
            yield (
                shard,
                {
                    layer: np.frombuffer(
                        batch[f"layer_{layer}"][i].as_buffer(), "<f2"
                    ).reshape(n_rows[i], dimension)
                    for layer, dimension in layers.items()
                },
            )


def by_shard(
    batches: Iterable[pa.RecordBatch],
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield pieces of one shard each, with its number."""
    for batch in batches:
        shards = batch["shard"].to_numpy()
        starts = np.flatnonzero(np.diff(shards, prepend=-1))
        if len(batch) == 0:
            continue
        for start, stop in zip(starts, [*starts[1:], len(shards)], strict=True):
            yield int(shards[start]), batch.slice(start, stop - start)
