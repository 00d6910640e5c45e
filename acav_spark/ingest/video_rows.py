"""What executors do for ``ingest_videos``: probe files, or read rows of metadata."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.metadata import normalise_row
from acav_spark.ingest.rules import RESULT, Judge, Rules
from acav_spark.ingest.video_columns import column_plan, judged_columns
from acav_spark.media.isolated import probe_isolated
from acav_spark.media.sandbox import shared_sandbox
from acav_spark.media.sources import open_source
from acav_spark.media.uri import require_scheme, without_user
from acav_spark.rows import failure, record_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from acav_spark.ingest.batch_words import BatchMatcher

__all__ = ["RESULT", "Rules", "judge_rows", "probe_batches"]

_FEW_ROWS = 500


def probe_batches(
    batches: Iterable[pa.RecordBatch], *, rules: Rules
) -> Iterable[pa.RecordBatch]:
    """Probe the files of each batch in the sandbox of this worker."""
    judge = Judge(rules)
    for batch in batches:
        for item in batch.to_pylist():
            yield record_batch([_probed(item, judge)], RESULT)


def _probed(item: Mapping[str, str], judge: Judge) -> dict[str, object]:
    rules = judge.rules
    row: dict[str, object] = {"item_id": item["item_id"], "uri": item["uri"]}
    try:
        if item["problem"]:
            raise MediaError(item["problem"], item["uri"])
        with open_source(item["uri"], rules.sources) as source:
            facts = probe_isolated(shared_sandbox(rules.limits), source)
    except MediaError as error:
        return {**row, **failure(error)}
    title = source.stem.encode("utf-8", "replace").decode("utf-8")
    row.update({**asdict(facts), "title": title})
    return {**row, **judge.reject_fields(row)}


def judge_rows(
    batches: Iterable[pa.RecordBatch], *, rules: Rules, mapping: Mapping[str, str]
) -> Iterable[pa.RecordBatch]:
    """Normalise rows of metadata and judge them.

    Column by column where that pays and the columns' types allow; the results are those
    of ``judged_row`` of each row.
    """
    judge = Judge(rules)
    matcher: BatchMatcher | None = None
    for batch in batches:
        columns = column_plan(batch.schema, mapping)
        # Few rows are done before the compiled loop is loaded.
        if columns is None or (matcher is None and batch.num_rows < _FEW_ROWS):
            rows = [judged_row(raw, mapping, judge) for raw in batch.to_pylist()]
            yield record_batch(rows, RESULT)
            continue
        if matcher is None:
            matcher = batch_matcher(judge)
        yield judged_batch(batch, columns, mapping, judge, matcher)


def batch_matcher(judge: Judge) -> BatchMatcher:
    """Return what finds a judge's words in columns; loads compiled code."""
    from acav_spark.ingest.batch_words import BatchMatcher

    return BatchMatcher(judge.words.matcher)


def judged_batch(
    batch: pa.RecordBatch,
    columns: Mapping[str, str],
    mapping: Mapping[str, str],
    judge: Judge,
    matcher: BatchMatcher,
) -> pa.RecordBatch:
    """Return the results of a batch whose columns have a plan."""

    def row_of(row: int) -> dict[str, object]:
        return judged_row(batch.slice(row, 1).to_pylist()[0], mapping, judge)

    return judged_columns(batch, columns, judge, matcher, row_of)


def judged_row(
    raw: Mapping[str, object], mapping: Mapping[str, str], judge: Judge
) -> dict[str, object]:
    """Return the fields of ``RESULT`` of one row of metadata."""
    try:
        fields = asdict(normalise_row(raw, mapping))
        require_scheme(str(fields["uri"]), judge.rules.sources.allowed_schemes)
    except MediaError as error:
        uri = str(raw.get(mapping.get("uri", "")) or "")
        item_id = video_id_from_uri(uri or repr(sorted(raw.items(), key=str)))
        return {"item_id": item_id, "uri": without_user(uri), **failure(error)}
    fields["item_id"] = fields.pop("video_id")
    return {**fields, **judge.reject_fields(fields)}
