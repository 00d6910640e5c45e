"""``segment_clips``: fills ``clips`` and ``segmentations`` from accepted videos.

Paper, section 3.2, Clip Segmentation: shot boundaries, then up to three clips that are
little alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.chunks import (
    RowwiseStage,
    compute_pending,
    decoding_limits,
    pending_items,
    source_rules,
)
from acav_spark.config import section_hash
from acav_spark.errors import MediaError
from acav_spark.failures import retire
from acav_spark.ingest.ids import clip_id
from acav_spark.media.sandbox import Limits, shared_sandbox
from acav_spark.media.sources import SourceRules, open_source
from acav_spark.rows import (
    failure,
    payload_names,
    record_batch,
    result_schema,
    spark_schema,
)
from acav_spark.runs import StageResult
from acav_spark.segment.clips import cut_plan
from acav_spark.segment.isolated import measure_video_isolated
from acav_spark.segment.types import ClipLimits
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    from pyspark.sql import DataFrame

    from acav_spark.config.models import Config
    from acav_spark.context import StageContext

STAGE = "segment_clips"

_CLIP = pa.struct(
    [
        ("clip_id", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("shot_index", pa.int32()),
        ("crosses_cut", pa.bool_()),
        ("silence_fraction", pa.float64()),
        ("stillness_fraction", pa.float64()),
        ("black_fraction", pa.float64()),
        ("flat_fraction", pa.float64()),
        ("tone_fraction", pa.float64()),
        ("clipped_fraction", pa.float64()),
        ("missing_audio_fraction", pa.float64()),
        ("n_dropped_frames", pa.int32()),
        ("dropped_fraction", pa.float64()),
        ("signature", pa.binary()),
        ("stretch_elements", pa.binary()),
        ("audio_fingerprint", pa.binary()),
        ("fine_signature", pa.binary()),
    ]
)
_RESULT = result_schema(
    ("n_shots", pa.int32()),
    ("n_candidates", pa.int32()),
    ("n_clips", pa.int32()),
    ("rule", pa.string()),
    ("shot_starts_s", pa.list_(pa.float64())),
    ("candidate_starts_s", pa.list_(pa.float64())),
    ("duration_s", pa.float64()),
    ("n_frames", pa.int64()),
    ("n_bad_packets", pa.int64()),
    ("clips", pa.list_(_CLIP)),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("frame_rate", pa.float64()),
    ("sample_rate_hz", pa.int32()),
    ("audio_offset_s", pa.float64()),
)


@dataclass(frozen=True)
class _Rules:
    """What the executors need to cut a video."""

    clip_duration_s: float
    max_clips: int
    shot_threshold: float
    clip_limits: ClipLimits
    store_fine_signature: bool
    sources: SourceRules
    limits: Limits


def segment_clips(context: StageContext) -> StageResult:
    """Fill ``clips``, and one row of ``segmentations`` for each accepted video.

    Reads ``videos``; fills ``clips`` (key clip_id), ``segmentations`` (key video_id)
    and ``failures``. A rerun looks only at accepted videos that are neither segmented
    nor failed for good; clips of videos that are gone or rejected now are deleted.

    Raises
    ------
    StageError
        If rows were made under other settings, or too many items failed.
    """
    config = settle(
        context,
        stage=STAGE,
        table="segmentations",
        stage_hash_of=stage_hash,
        section="segmentation",
        dependants=(
            ("clips", "video_id IS NOT NULL"),  # the others were imported
            ("failures", f"stage = '{STAGE}'"),
        ),
    )
    accepted = context.warehouse.read("videos").where("status = 'accepted'")
    tables = ("clips", "segmentations")
    n_retired = retire(context, STAGE, accepted.select("video_id"), tables)
    the_hash = stage_hash(config)

    def finish(totals: Counter[str]) -> StageResult:
        return StageResult(
            STAGE,
            n_in=totals["n_items"],
            n_out=totals["n_clips"],
            n_failed=totals["n_failed"],
            metrics={
                "n_videos": totals["n_items"] - totals["n_failed"],
                "n_retired": n_retired,
            },
        )

    stage = RowwiseStage(
        name=STAGE,
        unit="videos",
        inputs=("videos",),
        run_hash=the_hash,
        hashes={"": the_hash},
        process=partial(_segment_all, rules=_rules(config)),
        write=partial(_write, context, the_hash=the_hash),
        finish=finish,
        counted={"n_clips": F.sum("n_clips")},
    )
    items = accepted.select(F.col("video_id").alias("item_id"), "uri", "duration_s")
    pending = pending_items(
        context, STAGE, items, table="segmentations", key={"item_id": "video_id"}
    )
    return compute_pending(context, stage, pending, config)


def stage_hash(config: Config) -> str:
    """Return the hash of what shapes the rows of ``clips``."""
    settings = config.segmentation.model_dump(mode="json")
    # How clips are written to files is cut_clips' matter.
    found = {k: v for k, v in settings.items() if not k.startswith("cut")}
    return section_hash(STAGE, found)


def _rules(config: Config) -> _Rules:
    cut = config.segmentation
    return _Rules(
        clip_duration_s=cut.clip_duration_s,
        max_clips=cut.max_clips_per_video,
        shot_threshold=cut.shot_threshold,
        clip_limits=ClipLimits(
            **{limit.name: getattr(cut, limit.name) for limit in fields(ClipLimits)}
        ),
        store_fine_signature=cut.store_fine_signature,
        sources=source_rules(config),
        limits=decoding_limits(config),
    )


def _write(
    context: StageContext, good: DataFrame, run_id: str, *, the_hash: str
) -> None:
    """Write clips, then segmentations, whose rows say that a video is done."""
    marks = (F.lit(the_hash).alias("stage_hash"), F.lit(run_id).alias("run_id"))
    clips = good.select(
        F.col("item_id").alias("video_id"),
        *("width", "height", "frame_rate", "sample_rate_hz", "audio_offset_s"),
        F.inline("clips"),
    )
    context.warehouse.insert("clips", clips.select("*", *marks))
    names = payload_names(_RESULT)[:9]
    context.warehouse.insert(
        "segmentations",
        good.select(F.col("item_id").alias("video_id"), *names, *marks),
    )


def _segment_all(items: DataFrame, *, rules: _Rules) -> DataFrame:
    return items.mapInArrow(
        partial(_segment_batches, rules=rules), spark_schema(_RESULT)
    )


def _segment_batches(
    batches: Iterable[pa.RecordBatch], *, rules: _Rules
) -> Iterable[pa.RecordBatch]:
    """Segment the videos of each batch in the sandbox of this worker."""
    for batch in batches:
        for item in batch.to_pylist():
            yield record_batch([_segmented(item, rules)], _RESULT)


def _segmented(item: Mapping[str, Any], rules: _Rules) -> dict[str, object]:
    row: dict[str, object] = {"item_id": item["item_id"], "uri": item["uri"]}
    try:
        with open_source(item["uri"], rules.sources) as source:
            measured = measure_video_isolated(
                shared_sandbox(rules.limits),
                source,
                rules.shot_threshold,
                keep_elements=rules.store_fine_signature,
            )
        plan = cut_plan(
            measured,
            clip_duration_s=rules.clip_duration_s,
            max_clips=rules.max_clips,
            limits=rules.clip_limits,
            duration_s=item["duration_s"],
        )
    except MediaError as error:
        return {**row, **failure(error)}
    clips = [
        {**asdict(clip), "clip_id": clip_id(item["item_id"], clip.start_s, clip.end_s)}
        for clip in plan.clips
    ]
    return {
        **row,
        "n_shots": plan.n_shots,
        "n_candidates": plan.n_candidates,
        "n_clips": len(clips),
        "rule": plan.rule,
        "shot_starts_s": [shot.start_s for shot in measured.shots],
        "candidate_starts_s": list(plan.candidate_starts_s),
        "duration_s": measured.duration_s,
        "n_frames": measured.n_frames,
        "n_bad_packets": measured.n_bad_packets,
        "clips": clips,
        "width": measured.width,
        "height": measured.height,
        "frame_rate": measured.frame_rate,
        "sample_rate_hz": measured.sample_rate_hz,
        "audio_offset_s": measured.audio_offset_s,
    }
