"""Rows of metadata normalised and judged column by column.

The same results as ``normalise_row`` and ``rejection`` give row by row, many times as
fast: columns stay in Arrow's memory. What a column has few different values of is
looked up once for each of them; and rows that are refused, or whose ids are odd, are
handed to those functions as they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from acav_spark.errors import MediaError
from acav_spark.ingest.arrow_text import with_values
from acav_spark.ingest.durations import parse_duration
from acav_spark.ingest.filters import EXCLUDED_CATEGORY, Rejection, duration_reason
from acav_spark.ingest.ids import video_id_from_uri, youtube_id, youtube_url
from acav_spark.ingest.metadata import FIELDS, known_columns, normalise_row
from acav_spark.ingest.rules import RESULT
from acav_spark.ingest.tag_columns import tag_lists
from acav_spark.media.uri import require_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from acav_spark.ingest.batch_words import BatchMatcher
    from acav_spark.ingest.rules import Judge

_OWN_WAYS: Final = ("video_id", "uri", "category", "tags", "duration_s")
_TEXTS: Final = tuple(field for field in FIELDS if field not in _OWN_WAYS)
# Texts of so many bytes cannot be too long, whatever their characters.
_SAFE_BYTES: Final = {"video_id": 200, "uri": 8_192}
_SAFE_TEXT_BYTES: Final = 100_000
_CONTROL: Final = r"[\x00-\x1f\x7f]"
_ID: Final = r"[A-Za-z0-9_-]{11}"
_WATCH: Final = rf"\Ahttps://www\.youtube\.com/watch\?v=(?P<id>{_ID})\z"

Fields = dict[str, pa.Array]


def column_plan(schema: pa.Schema, mapping: Mapping[str, str]) -> dict[str, str] | None:
    """Return the column of each field, or None where a column needs rows.

    Columns are taken as a whole if they hold text, and ids of categories, durations or
    lists of tags also as numbers and lists.
    """
    columns = known_columns(schema.names, mapping)
    for field, column in columns.items():
        kind = schema.field(column).type
        is_fit = pa.types.is_string(kind) or (
            (field == "duration_s" and _is_number(kind))
            or (field == "category" and pa.types.is_integer(kind))
            or (field == "tags" and kind == pa.list_(pa.string()))
        )
        if not is_fit:
            return None
    return columns


def judged_columns(
    batch: pa.RecordBatch,
    columns: Mapping[str, str],
    judge: Judge,
    matcher: BatchMatcher,
    row_of: Callable[[int], Mapping[str, object]],
) -> pa.RecordBatch:
    """Return the results of a batch of metadata; see ``judge_rows``.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Metadata.
    columns : mapping of str to str
        From ``column_plan``.
    judge : Judge
        The rules.
    matcher : BatchMatcher
        Of the judge's words.
    row_of : callable
        The result of one row by its number, for rows that columns are not for.
    """
    odd = np.zeros(batch.num_rows, np.bool_)
    raw = {field: batch.column(column) for field, column in columns.items()}
    fields = _normalised(raw, batch.num_rows, odd)
    is_watch = _with_addresses(fields, odd)
    _require_schemes(fields["uri"], is_watch, judge.rules.sources.allowed_schemes, odd)
    arrays = {_result_name(field): array for field, array in fields.items()}
    arrays |= _judged(fields, is_watch, judge, matcher, odd)
    replaced = {row: row_of(row) for row in map(int, np.flatnonzero(odd))}
    return pa.RecordBatch.from_arrays(
        [
            with_values(
                arrays.get(field.name, pa.nulls(batch.num_rows, field.type)),
                {row: values.get(field.name) for row, values in replaced.items()},
            )
            for field in RESULT
        ],
        schema=RESULT,
    )


def _normalised(
    raw: Mapping[str, pa.Array], n_rows: int, odd: NDArray[np.bool_]
) -> Fields:
    """Return the fields of all rows as ``normalise_row`` does, but for odd ones.

    Ids and URIs are as the metadata has them; ``_with_addresses`` completes them.
    """
    fields: Fields = {
        field: _stripped(field, raw[field], odd)
        for field in ("video_id", "uri", *_TEXTS)
        if field in raw
    }
    for field in ("video_id", "uri"):
        if field in raw:
            _mark(odd, pc.match_substring_regex(raw[field], _CONTROL))
    ways = {"category": _categories, "tags": tag_lists, "duration_s": _durations}
    fields |= {
        field: way(raw[field], odd) for field, way in ways.items() if field in raw
    }
    for field in FIELDS:
        if field not in fields:
            kind = RESULT.field(_result_name(field)).type if field != "region" else None
            fields[field] = pa.nulls(n_rows, kind or pa.string())
    if "tags" not in raw:
        fields["tags"] = tag_lists(pa.nulls(n_rows, pa.string()), odd)
    return fields


def _stripped(field: str, column: pa.Array, odd: NDArray[np.bool_]) -> pa.Array:
    """Return text without spaces around it; rows of very long text are odd."""
    limit = _SAFE_BYTES.get(field, _SAFE_TEXT_BYTES)
    _mark(odd, pc.greater(pc.binary_length(column), limit))
    column = pc.utf8_trim_whitespace(column)
    is_empty = pc.equal(pc.binary_length(column), 0)
    return pc.if_else(is_empty, None, column) if pc.any(is_empty).as_py() else column


def _categories(column: pa.Array, odd: NDArray[np.bool_]) -> pa.Array:
    def known(value: object) -> str | None:
        return normalise_row({"uri": "x", "category": value}, {}).category

    return _looked_up(column, known, pa.string(), odd)


def _durations(column: pa.Array, odd: NDArray[np.bool_]) -> pa.Array:
    return _looked_up(column, parse_duration, pa.float64(), odd)


def _looked_up(
    column: pa.Array,
    known: Callable[[object], object],
    kind: pa.DataType,
    odd: NDArray[np.bool_],
) -> pa.Array:
    """Return what a function makes of each value; rows that it refuses are odd."""
    encoded = column.dictionary_encode()
    found: list[object] = []
    refused: list[bool] = []
    for value in encoded.dictionary.to_pylist():
        try:
            found.append(known(value))
            refused.append(False)
        except MediaError:
            found.append(None)
            refused.append(True)
    if any(refused):
        _mark(odd, pa.array(refused).take(encoded.indices))
    return pa.array(found, kind).take(encoded.indices)


def _with_addresses(fields: Fields, odd: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Complete ids and URIs; return which URIs are those of ``youtube_url``.

    Rows that have neither a URI nor an id of YouTube's are odd.
    """
    ids, uris = fields["video_id"], fields["uri"]
    without = pc.is_null(uris)
    is_watch = np.zeros(len(uris), np.bool_)
    if uris.null_count < len(uris):
        watched = pc.struct_field(pc.extract_regex(uris, _WATCH), "id")
        is_watch = _numpy(pc.is_valid(watched))
        ids = pc.coalesce(ids, watched)
        lacking = _numpy(pc.is_null(ids)) & ~_numpy(without) & ~odd
        given = {row: uris[row].as_py() for row in map(int, np.flatnonzero(lacking))}
        ids = with_values(
            ids,
            {r: youtube_id(uri) or video_id_from_uri(uri) for r, uri in given.items()},
        )
    if uris.null_count:
        is_id = pc.match_substring_regex(ids, rf"\A{_ID}\z").fill_null(False)
        _mark(odd, pc.and_not(without, is_id))
        made = pc.binary_join_element_wise(youtube_url(""), ids, "")
        is_watch |= _numpy(pc.and_(without, is_id))
        uris = pc.if_else(without, made, uris) if len(uris) > uris.null_count else made
    fields["video_id"], fields["uri"] = ids, uris
    return is_watch


def _require_schemes(
    uris: pa.Array,
    is_watch: NDArray[np.bool_],
    allowed: Sequence[str],
    odd: NDArray[np.bool_],
) -> None:
    """Add rows whose URI is refused to the odd ones."""
    checked = ~odd if "https" not in allowed else ~odd & ~is_watch
    for row in map(int, np.flatnonzero(checked)):
        try:
            require_scheme(uris[row].as_py(), allowed)
        except MediaError:
            odd[row] = True


def _judged(
    fields: Fields,
    is_watch: NDArray[np.bool_],
    judge: Judge,
    matcher: BatchMatcher,
    odd: NDArray[np.bool_],
) -> dict[str, pa.Array]:
    """Return reasons and details of all rows; of odd ones they mean nothing."""
    rules = judge.rules
    # Places in a list of all outcomes; the first of them is to be accepted.
    outcomes: list[Rejection | None] = [None]
    places = np.zeros(len(odd), np.int32)
    if fields["duration_s"].null_count < len(odd):
        encoded = fields["duration_s"].dictionary_encode()
        reasons = [
            duration_reason(seconds, rules.min_duration_s, rules.max_duration_s)
            for seconds in encoded.dictionary.to_pylist()
        ]
        found = pa.array([_place(outcomes, reason, None) for reason in reasons])
        places[:] = found.take(encoded.indices).fill_null(0).to_numpy(False)
    if rules.excluded_categories:
        _exclude_categories(fields, is_watch, judge, odd, outcomes, places)
    if judge.words.rejections:
        texts = [fields[name] for name in ("title", "description", "tags")]
        words = matcher.find(texts, (places == 0) & ~odd)
        is_found = words >= 0
        places[is_found] = words[is_found] + len(outcomes)
        outcomes += judge.words.rejections
    taken = pa.array(places)
    return {
        "reject_reason": pa.array(
            [outcome and outcome.reason for outcome in outcomes], pa.string()
        ).take(taken),
        "reject_detail": pa.array(
            [outcome and outcome.detail for outcome in outcomes], pa.string()
        ).take(taken),
    }


def _place(
    outcomes: list[Rejection | None], reason: str | None, detail: str | None
) -> int:
    """Return the place of an outcome, added where it is new."""
    outcome = None if reason is None else Rejection(reason, detail)
    if outcome not in outcomes:
        outcomes.append(outcome)
    return outcomes.index(outcome)


def _exclude_categories(
    fields: Fields,
    is_watch: NDArray[np.bool_],
    judge: Judge,
    odd: NDArray[np.bool_],
    outcomes: list[Rejection | None],
    places: NDArray[np.int32],
) -> None:
    """Write the outcome of rows whose category is excluded."""
    categories, regions = fields["category"], fields["region"]
    rows = np.flatnonzero(_numpy(pc.is_valid(categories)) & (places == 0) & ~odd)
    if not rows.size:
        return
    is_youtube = is_watch.copy()
    for row in map(int, rows[~is_watch[rows]]):
        is_youtube[row] = youtube_id(fields["uri"][row].as_py()) is not None
    # What a category is called depends on where the video is, and on the list's region.
    keys = _codes(categories) << 32 | _codes(regions) << 1 | is_youtube
    _, firsts, groups = np.unique(keys[rows], return_index=True, return_inverse=True)
    found = []
    for row in map(int, rows[firsts]):
        excluded = judge.categories.excluded(
            categories[row].as_py(),
            fields["uri"][row].as_py(),
            judge.rules.excluded_categories,
            regions[row].as_py() or "",
        )
        reason = None if excluded is None else EXCLUDED_CATEGORY
        found.append(_place(outcomes, reason, excluded))
    places[rows] = np.array(found, np.int32)[groups]


def _codes(column: pa.Array) -> NDArray[np.int64]:
    """Return a number for each value of a column, 0 for none."""
    indices = column.dictionary_encode().indices.cast(pa.int64()).fill_null(-1)
    return np.asarray(indices) + 1


def _mark(odd: NDArray[np.bool_], found: pa.Array) -> None:
    odd |= _numpy(found)


def _numpy(found: pa.Array) -> NDArray[np.bool_]:
    """Return booleans, of which missing ones are false."""
    plain: NDArray[np.bool_] = found.fill_null(False).to_numpy(zero_copy_only=False)
    return plain


def _result_name(field: str) -> str:
    return "item_id" if field == "video_id" else field


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
