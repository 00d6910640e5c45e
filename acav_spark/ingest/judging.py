"""What executors make of rows of metadata: judged rows, and what is known beside them.

Rows that could not be read become failures here, one each.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from acav_spark.errors import MediaError
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.layouts import parse_moment
from acav_spark.ingest.metadata import BAD_ROW, FIELDS
from acav_spark.ingest.video_rows import RESULT, judge_rows
from acav_spark.rows import failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from acav_spark.ingest.video_rows import Rules

_FETCHED: Final = pa.timestamp("us", tz="UTC")
_BESIDE = pa.schema(
    [("source", pa.string()), ("region", pa.string()), ("fetched_at", _FETCHED)]
)
JUDGED: Final = pa.schema(
    [*RESULT, *(field for field in _BESIDE if field.name not in RESULT.names)]
)
"""What is returned for each row."""

_SHOWN_CHARS = 200
_MAX_YEAR_S = 253_370_764_800  # the year 9999, where dates end


def judge_beside(
    batches: Iterable[pa.RecordBatch], *, rules: Rules
) -> Iterable[pa.RecordBatch]:
    """Judge rows as ``acav_spark.ingest.reading`` gives them.

    Parameters
    ----------
    batches : iterable of RecordBatch
        Text: a column for each field, ``source``, ``fetched``, ``broken``, ``origin``.
    rules : Rules
        What a video has to satisfy.

    Yields
    ------
    RecordBatch
        Of the schema ``JUDGED``, a row for each, in the same order.
    """
    waiting: deque[pa.RecordBatch] = deque()

    def fields() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            waiting.append(batch)
            yield batch.select(list(FIELDS))

    mapping = {field: field for field in FIELDS}
    for judged in judge_rows(fields(), rules=rules, mapping=mapping):
        yield _joined(judged, _taken(waiting, judged.num_rows))


def _taken(waiting: deque[pa.RecordBatch], n_rows: int) -> pa.Table:
    """Take as many rows from the front as were judged."""
    parts = []
    while n_rows:
        batch = waiting.popleft()
        parts.append(batch.slice(0, n_rows))
        if batch.num_rows > n_rows:
            waiting.appendleft(batch.slice(n_rows))
        n_rows -= parts[-1].num_rows
    return pa.Table.from_batches(parts) if parts else _EMPTY


_EMPTY = pa.table({name: pa.array([], pa.string()) for name in (*FIELDS, "source")})


def _joined(judged: pa.RecordBatch, beside: pa.Table) -> pa.RecordBatch:
    columns = {name: judged.column(name) for name in judged.schema.names}
    columns["source"] = _array(beside, "source")
    if "region" not in columns:
        columns["region"] = pc.utf8_trim_whitespace(_array(beside, "region"))
    columns["fetched_at"] = _moments(_array(beside, "fetched"))
    broken = _array(beside, "broken")
    if broken.null_count < len(broken):
        columns |= _failures(columns, broken, _array(beside, "origin"))
    arrays = [columns[name] for name in JUDGED.names]
    return pa.RecordBatch.from_arrays(arrays, schema=JUDGED)


def _array(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    return table.column(name).combine_chunks()


def _moments(texts: pa.Array) -> pa.Array:
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), _FETCHED)
    # A list was fetched at one time or a few.
    encoded = texts.dictionary_encode()
    known = [_moment(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(known, _FETCHED).take(encoded.indices)


def _moment(text: str | None) -> dt.datetime | None:
    seconds = parse_moment(text)
    if seconds is None or not 0 <= seconds < _MAX_YEAR_S:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _failures(
    columns: dict[str, pa.Array], broken: pa.Array, origin: pa.Array
) -> dict[str, pa.Array]:
    """Return the outcome's columns, in which what could not be read is a failure."""
    outcome: dict[str, list[object]] = {
        name: columns[name].to_pylist()
        for name in ("item_id", "uri", "error_code", "message", "is_permanent")
    }
    places = zip(broken.to_pylist(), origin.to_pylist(), strict=True)
    for row, (text, file) in enumerate(places):
        if text is None:
            continue
        shown = text[:_SHOWN_CHARS]
        error = MediaError(BAD_ROW, f"{file}: a row that cannot be read: {shown!a}")
        values = {"item_id": video_id_from_uri(f"{file}\n{text}"), "uri": file or ""}
        for name, value in {**values, **failure(error)}.items():
            outcome[name][row] = value
    return {
        name: pa.array(values, JUDGED.field(name).type)
        for name, values in outcome.items()
    }
