"""What ``ingest_videos`` returns for a video, and the rules by which it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from acav_spark.ingest.categories import RegionalCategories
from acav_spark.ingest.filters import ExcludedWords, rejection
from acav_spark.rows import result_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acav_spark.media.sandbox import Limits
    from acav_spark.media.sources import SourceRules

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
    category_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    category_region: str = ""


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
        self.categories = RegionalCategories(
            rules.category_names, rules.category_region
        )

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
