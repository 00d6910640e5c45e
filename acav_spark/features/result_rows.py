"""Extracted vectors as Arrow rows, in batches bounded in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from acav_spark.errors import MediaError
from acav_spark.features.vectors import FP16, encode_fp16
from acav_spark.rows import failure, result_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

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
    columns: dict[str, list[object]] = {name: [] for name in schema.names}
    n_rows = n_bytes = 0
    for results, times in extracted:
        for place, row in enumerate(_rows(results)):
            if place == 0:
                row |= {name: getattr(times, name) for name in TIMES}
            size = _ROW_BYTES + sum(
                len(value) for value in row.values() if isinstance(value, bytes)
            )
            is_full = n_bytes + size > MAX_BATCH_BYTES or n_rows >= MAX_BATCH_ROWS
            if n_rows and is_full:
                yield pa.RecordBatch.from_pydict(columns, schema)
                columns = {name: [] for name in schema.names}
                n_rows = n_bytes = 0
            for name, values in columns.items():
                values.append(row.get(name))
            n_rows += 1
            n_bytes += size
    if n_rows:
        yield pa.RecordBatch.from_pydict(columns, schema)


def _rows(results: list[Extracted]) -> Iterator[dict[str, object]]:
    """Return results as rows; vectors of a layer are converted together."""
    good = [one.layers for one in results if one.error is None]
    layers = [_halves(vectors) for vectors in zip(*good, strict=True)]
    encoded = iter(zip(*layers, strict=True))
    for one in results:
        row: dict[str, object] = {
            "item_id": one.item.item_id,
            "uri": one.item.uri,
            "scope": one.extractor,
        }
        error = one.error
        if error is None:
            halves = next(encoded)
            error = next((v for v in halves if isinstance(v, MediaError)), None)
            row |= {f"layer_{i}": half for i, half in enumerate(halves, start=1)}
        if error is not None:
            row |= dict.fromkeys(f"layer_{i}" for i in range(1, len(layers) + 1))
            row |= failure(error)
        yield row


def _halves(vectors: Sequence[NDArray[np.float32]]) -> list[bytes | MediaError]:
    """Return vectors of one layer as fp16 bytes, or what is wrong with them."""
    with np.errstate(over="ignore"):  # told vector by vector below
        halves = np.stack(vectors).astype(FP16)
    if np.isfinite(halves).all():
        return [half.tobytes() for half in halves]
    return [_half(vector) for vector in vectors]


def _half(vector: NDArray[np.float32]) -> bytes | MediaError:
    try:
        return encode_fp16(vector)
    except MediaError as error:
        return error
