"""What executors do for ``ingest_videos``: probe files, or read rows of metadata."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from acav_spark.errors import MediaError
from acav_spark.ingest.filters import KeywordMatcher, reject_reason
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

    def reason(
        self, fields: Mapping[str, object], matcher: KeywordMatcher
    ) -> str | None:
        """Return why a video is rejected, or None."""
        return reject_reason(
            fields,
            min_duration_s=self.min_duration_s,
            max_duration_s=self.max_duration_s,
            excluded_categories=self.excluded_categories,
            keyword_matcher=matcher,
        )


def probe_batches(
    batches: Iterable[pa.RecordBatch], *, rules: Rules
) -> Iterable[pa.RecordBatch]:
    """Probe the files of each batch in the sandbox of this worker."""
    matcher = KeywordMatcher(rules.excluded_keywords)
    for batch in batches:
        for item in batch.to_pylist():
            yield record_batch([_probed(item, rules, matcher)], RESULT)


def _probed(
    item: Mapping[str, str], rules: Rules, matcher: KeywordMatcher
) -> dict[str, object]:
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
    return {**row, "reject_reason": rules.reason(row, matcher)}


def judge_rows(
    batches: Iterable[pa.RecordBatch], *, rules: Rules, mapping: Mapping[str, str]
) -> Iterable[pa.RecordBatch]:
    """Normalise rows of metadata and judge them."""
    matcher = KeywordMatcher(rules.excluded_keywords)
    for batch in batches:
        rows = []
        for raw in batch.to_pylist():
            try:
                fields = asdict(normalise_row(raw, mapping))
                require_scheme(str(fields["uri"]), rules.sources.allowed_schemes)
            except MediaError as error:
                uri = str(raw.get(mapping.get("uri", "")) or "")
                item_id = video_id_from_uri(uri or repr(sorted(raw.items(), key=str)))
                row = {"item_id": item_id, "uri": without_user(uri)}
                rows.append({**row, **failure(error)})
                continue
            fields["item_id"] = fields.pop("video_id")
            rows.append({**fields, "reject_reason": rules.reason(fields, matcher)})
        yield record_batch(rows, RESULT)
