"""One row for each item that is imported: its vectors, or what is wrong with it."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from acav_spark.errors import MediaError
from acav_spark.rows import OUTCOME, failure, result_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acav_spark.imports.vectors import EncodedLayer

MISSING_ID: Final = "missing_id"
"""Failure code: a row has no id."""

DUPLICATE_ID: Final = "duplicate_id"
"""Failure code: rows of one id differ, and none of them is known to be right."""

BAD_TIMES: Final = "bad_times"
"""Failure code: start and end are no stretch of time, or of nothing that has an uri."""

BROKEN_SHARD: Final = "broken_shard"
"""Failure code: a tar file ends too early, or is none; what came before is used."""

# Longer ids are names of something else, such as data URIs.
_MAX_ID = 1024


def schema_of(n_layers: int) -> pa.Schema:
    """Return the schema of rows with so many layers: outcome, times, vectors."""
    layers = [(f"layer_{i}", pa.binary()) for i in range(1, n_layers + 1)]
    return result_schema(("start_s", pa.float64()), ("end_s", pa.float64()), *layers)


def checked_batch(
    ids: Sequence[str | None],
    layers: Sequence[EncodedLayer],
    *,
    uris: pa.Array | None = None,
    starts_s: Sequence[float | None] | None = None,
    ends_s: Sequence[float | None] | None = None,
    problems: Mapping[int, MediaError] | None = None,
) -> pa.RecordBatch:
    """Return items with their outcome.

    Parameters
    ----------
    ids : sequence of str or None, shape (n_rows,)
        Their ids.
    layers : sequence of EncodedLayer
        Their vectors, early layer first.
    uris, starts_s, ends_s : optional
        Where they are, and from when to when.
    problems : mapping of int to MediaError, optional
        What is known to be wrong already, by row.

    Returns
    -------
    RecordBatch
        Of ``schema_of(len(layers))``. Of an item with several problems the first is
        told: id, what is known already, layers in order, times.
    """
    found = dict(_time_problems(starts_s, ends_s, uris, len(ids)))
    for number, layer in reversed(list(enumerate(layers, start=1))):
        for row, problem in layer.problems.items():
            found[row] = MediaError(problem.code, f"layer {number}: {problem.message}")
    found.update(problems or {})
    keys: list[str] = []
    for row, name in enumerate(ids):
        if name and len(name) <= _MAX_ID:
            keys.append(name)
            continue
        digest = hashlib.blake2b(digest_size=8)
        digest.update((name or "").encode())
        for layer in layers:
            digest.update(layer.vectors[row].as_py() or b"")
        keys.append(f"(no id) {digest.hexdigest()}")
        got = f"an id of {len(name)} characters" if name else "no id"
        rule = f"expected an id of 1 to {_MAX_ID} characters, got {got}"
        found[row] = MediaError(MISSING_ID, rule)
    schema = schema_of(len(layers))
    n_rows = len(keys)
    columns: list[pa.Array] = [
        pa.array(keys, pa.string()),
        pa.nulls(n_rows, pa.string()) if uris is None else uris.cast(pa.string()),
        *_outcome(found, n_rows),
        pa.array(starts_s or [None] * n_rows, pa.float64()),
        pa.array(ends_s or [None] * n_rows, pa.float64()),
        *[layer.vectors for layer in layers],
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _outcome(found: Mapping[int, MediaError], n_rows: int) -> list[pa.Array]:
    """Return the columns of ``OUTCOME`` after id and uri."""
    fields = OUTCOME[2:]
    if not found:
        return [pa.nulls(n_rows, field.type) for field in fields]
    rows = [failure(found[row]) if row in found else {} for row in range(n_rows)]
    return [pa.array([row.get(f.name) for row in rows], f.type) for f in fields]


def _time_problems(
    starts_s: Sequence[float | None] | None,
    ends_s: Sequence[float | None] | None,
    uris: pa.Array | None,
    n_rows: int,
) -> list[tuple[int, MediaError]]:
    """Return rows whose times are no stretch: both or neither, in order, of an uri.

    What has times is decoded by extractors and for the report.
    """
    if starts_s is None or ends_s is None:
        return []
    found = []
    for row in range(n_rows):
        start, end = starts_s[row], ends_s[row]
        if start is None and end is None:
            continue
        if (
            start is None
            or end is None
            or not (0 <= start < end and math.isfinite(end))
        ):
            rule = f"expected 0 <= start < end in seconds, got {start} and {end}"
            found.append((row, MediaError(BAD_TIMES, rule)))
        elif uris is None or not uris[row].is_valid:
            rule = "expected an uri beside start and end, got none"
            found.append((row, MediaError(BAD_TIMES, rule)))
    return found
