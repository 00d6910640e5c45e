"""Extracted vectors as Arrow rows, in batches bounded in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from acav_spark.errors import MediaError
from acav_spark.features.vectors import encode_fp16
from acav_spark.rows import failure, record_batch, result_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from acav_spark.features.board import Times
    from acav_spark.features.extraction import Extracted

# Spark reads a batch as a whole, and so does what comes after.
MAX_BATCH_BYTES: Final = 8 * 2**20
MAX_BATCH_ROWS: Final = 4096
# Beside its vectors a row has ids and an outcome.
_ROW_BYTES: Final = 200
TIMES: Final = ("compute_s", "wait_s", "decode_s")


def extracted_schema(n_layers: int) -> pa.Schema:
    """Return the schema of results of extractors with at most so many layers.

    The outcome, ``scope`` (the extractor), ``layer_1`` and so on, and the seconds of
    ``board.Times``, which are on the first row of what was computed together.
    """
    layers = [(f"layer_{i}", pa.binary()) for i in range(1, n_layers + 1)]
    times = [(name, pa.float64()) for name in TIMES]
    return result_schema(("scope", pa.string()), *layers, *times)


def extracted_batches(
    extracted: Iterable[tuple[list[Extracted], Times]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield results as record batches, each of some MB at most.

    Vectors become little-endian fp16; one that fp16 cannot hold becomes a failure. A
    row that is larger than a batch may be is a batch of its own.
    """
    rows: list[dict[str, object]] = []
    n_bytes = 0
    for results, times in extracted:
        for place, one in enumerate(results):
            row = _row(one)
            if place == 0:
                row |= {name: getattr(times, name) for name in TIMES}
            size = _ROW_BYTES + sum(
                len(value) for value in row.values() if isinstance(value, bytes)
            )
            if rows and (
                n_bytes + size > MAX_BATCH_BYTES or len(rows) >= MAX_BATCH_ROWS
            ):
                yield record_batch(rows, schema)
                rows, n_bytes = [], 0
            rows.append(row)
            n_bytes += size
    if rows:
        yield record_batch(rows, schema)


def _row(one: Extracted) -> dict[str, object]:
    row: dict[str, object] = {
        "item_id": one.item.item_id,
        "uri": one.item.uri,
        "scope": one.extractor,
    }
    if one.error is not None:
        return row | failure(one.error)
    try:
        layers = [encode_fp16(layer) for layer in one.layers]
    except MediaError as error:
        return row | failure(error)
    return row | {f"layer_{i}": layer for i, layer in enumerate(layers, start=1)}
