"""What executors do for ``ingest_videos``: probe files, or read rows of metadata."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from acav_spark.errors import MediaError
from acav_spark.ingest.categories import YOUTUBE_CATEGORIES, CategoryNames
from acav_spark.ingest.filters import ExcludedWords, rejection
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.metadata import normalise_row
from acav_spark.media.isolated import probe_isolated
from acav_spark.media.sandbox import Limits, shared_sandbox
from acav_spark.media.sources import SourceRules, open_source
from acav_spark.media.uri import require_scheme, without_user
from acav_spark.rows import failure, record_batch, result_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESULT = result_schema(
    ("title", pa.string()),
    ("description", pa.string()),
    ("channel_id", pa.string()),
    ("category", pa.string()),
    ("tags", pa.list_(pa.string())),
    ("licence", pa.string()),
    ("duration_s", pa.float64()),
    ("language", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("frame_rate", pa.float64()),
    ("sample_rate_hz", pa.int32()),
    ("size_bytes", pa.int64()),
    ("content_sha256", pa.string()),
    ("reject_reason", pa.string()),
    ("reject_detail", pa.string()),
)
"""What is returned for each video."""


@dataclass(frozen=True)
class Rules:
    """What the executors need to judge a video."""

    min_duration_s: float
    max_duration_s: float
    excluded_categories: tuple[str, ...]
    excluded_keywords: tuple[str, ...]
    sources: SourceRules
    limits: Limits
    excluded_topics: tuple[tuple[str, tuple[str, ...]], ...] = ()
    category_names: tuple[tuple[str, str], ...] = ()


class Judge:
    """Judges videos by rules; made once in a worker, since its automaton costs time.

    Parameters
    ----------
    rules : Rules
        What is asked of a video.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.words = ExcludedWords(rules.excluded_keywords, rules.excluded_topics)
        known = (*YOUTUBE_CATEGORIES.items(), *rules.category_names)
        self.categories = CategoryNames(known)

    def reject_fields(self, fields: Mapping[str, object]) -> dict[str, str | None]:
        """Return ``reject_reason`` and ``reject_detail`` of a video."""
        found = rejection(
            fields,
            min_duration_s=self.rules.min_duration_s,
            max_duration_s=self.rules.max_duration_s,
            excluded_categories=self.rules.excluded_categories,
            excluded_words=self.words,
            categories=self.categories,
        )
        reason, detail = (None, None) if found is None else found
        return {"reject_reason": reason, "reject_detail": detail}


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
    """Normalise rows of metadata and judge them."""
    judge = Judge(rules)
    for batch in batches:
        rows = [judged_row(raw, mapping, judge) for raw in batch.to_pylist()]
        yield record_batch(rows, RESULT)


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
