"""``find_duplicates``: of videos that show the same, one stays accepted.

Not a part of the paper. Clips that may be copies are found by keys of picture and
sound, compared, and their videos grouped; each is compared with the one that stays.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from acav_spark.config import Config, section_hash
from acav_spark.duplicates.groups_job import verified_duplicates
from acav_spark.duplicates.links_job import EVIDENCE, links_between
from acav_spark.errors import StageError
from acav_spark.ingest.filters import NEAR_DUPLICATE
from acav_spark.runs import StageResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from acav_spark.config.segmenting import DuplicatesConfig
    from acav_spark.context import StageContext

STAGE: Final = "find_duplicates"
_READ: Final = ("videos", "segmentations", "clips")
_IS_MARKED: Final = f"reject_reason = '{NEAR_DUPLICATE}'"
_CHANGED: Final = ["status", "reject_reason", "duplicate_of"]

_logger = logging.getLogger(__name__)


def find_duplicates(context: StageContext) -> StageResult:
    """Reject all but one of the accepted videos that show the same.

    Reads ``videos``, ``segmentations`` and ``clips``; changes status, reject_reason and
    duplicate_of of ``videos``, and deletes the rows of rejected duplicates from
    ``clips`` and ``segmentations``, so that later stages retire theirs. Of a group the
    longest video stays, to the second; of these the one with the most pixels; of these
    the least video_id. Videos whose original is not accepted any more are accepted
    again; ``segment_clips`` then cuts them anew. A rerun does nothing while these
    tables and the settings are the same.

    Raises
    ------
    StageError
        If videos were marked under other settings and ``execution.on_change`` is
        ``error``, or there are more than ``MAX_LINKS`` links between videos.
    """
    if not context.config.duplicates.enabled:
        message = "off; on with duplicates.enabled=true"
        return StageResult(STAGE, is_unchanged=True, is_off=True, message=message)
    last = _last_run(context)
    config, is_release = _settled(context, last)
    the_hash = stage_hash(config)
    if (
        last is not None
        and last["stage_hash"] == the_hash
        and last["metrics"].items() >= _versions(context).items()
    ):
        return StageResult(STAGE, is_unchanged=True)
    with context.run(STAGE, the_hash, inputs=_READ, config=config) as run:
        counts = _judged(context, config.duplicates, is_release=is_release)
        _delete_cuts(context)
        n_released = int(counts["n_released"])
        message = (
            f"{n_released} accepted again: run segment_clips" if n_released else ""
        )
        run.result = StageResult(
            STAGE,
            n_in=int(counts["n_videos"]),
            n_out=int(counts["n_videos"] - counts["n_marked"]),
            n_rejected=int(counts["n_marked"]),
            metrics={**counts, **_versions(context)},
            message=message,
        )
    return run.result


def stage_hash(config: Config) -> str:
    """Return the hash of what decides which videos are duplicates."""
    settings = config.duplicates.model_dump(mode="json", exclude={"enabled"})
    return section_hash(STAGE, settings)


def _judged(
    context: StageContext, settings: DuplicatesConfig, *, is_release: bool
) -> dict[str, float]:
    """Write which videos are duplicates, and which are no more; return counts."""
    videos = context.warehouse.read("videos")
    accepted = videos.where("status = 'accepted'").select("video_id")
    clips = (
        context.warehouse.read("clips")
        .join(accepted, "video_id", "semi")
        .select("clip_id", "video_id", *EVIDENCE)
    )
    n_videos = clips.select("video_id").distinct().count()
    links = links_between(clips, settings).persist()
    n_links = links.count()
    marks = verified_duplicates(links, clips, _qualities(context), settings)
    rejected = F.lit("rejected").alias("status")
    reason = F.lit(NEAR_DUPLICATE).alias("reject_reason")
    marked = videos.where(_IS_MARKED).select("video_id", "duplicate_of")
    # A copy of a copy is one of the video that stays.
    moved = marked.join(
        marks.select(F.col("video_id").alias("duplicate_of"), F.col("kept")),
        "duplicate_of",
    ).select("video_id", F.col("kept").alias("duplicate_of"))
    lost = marked
    if not is_release:
        originals = accepted.select(F.col("video_id").alias("duplicate_of"))
        lost = marked.join(originals, "duplicate_of", "left_anti")
    else:
        moved = moved.limit(0)
    nothing = F.lit(None).cast("string")
    changes = (
        marks.select(
            "video_id",
            F.col("kept").alias("duplicate_of"),
            F.lit("new").alias("change"),
        )
        .union(moved.select("*", F.lit("moved").alias("change")))
        .select("*", rejected, reason)
        .union(
            lost.select(
                "video_id",
                nothing.alias("duplicate_of"),
                F.lit("lost").alias("change"),
                F.lit("accepted").alias("status"),
                nothing.alias("reject_reason"),
            )
        )
        .persist()
    )
    counted = {
        r["change"]: r["count"] for r in changes.groupBy("change").count().collect()
    }
    if counted:
        context.warehouse.update("videos", changes, _CHANGED)
    for frame in (changes, marks, links):
        frame.unpersist()
    n_marked, n_released = counted.get("new", 0), counted.get("lost", 0)
    _logger.info(
        "judged near-duplicates n_links=%d n_marked=%d n_released=%d",
        *(n_links, n_marked, n_released),
    )
    return {
        "n_videos": float(n_videos),
        "n_links": float(n_links),
        "n_marked": float(n_marked),
        "n_moved": float(counted.get("moved", 0)),
        "n_released": float(n_released),
    }


def _qualities(context: StageContext) -> DataFrame:
    """Return what decides which video of a group is kept."""
    read = context.warehouse.read
    pixels = (
        read("clips")
        .groupBy("video_id")
        .agg(F.max(F.col("width").cast("long") * F.col("height")).alias("n_pixels"))
    )
    durations = read("segmentations").select("video_id", "duration_s")
    return pixels.join(durations, "video_id", "left")


def _delete_cuts(context: StageContext) -> None:
    """Delete clips and segmentations of duplicates, also what a killed run left."""
    read = context.warehouse.read
    marked = read("videos").where(_IS_MARKED).select("video_id")
    for table in ("clips", "segmentations"):
        cut = read(table).select("video_id").distinct().join(marked, "video_id", "semi")
        if not cut.isEmpty():
            context.warehouse.delete_keys(table, cut)


def _versions(context: StageContext) -> dict[str, float]:
    return {f"{name}_version": float(context.warehouse.version(name)) for name in _READ}


def _last_run(context: StageContext) -> Row | None:
    """Return the last run that succeeded."""
    return (
        context.warehouse.read("runs")
        .where((F.col("stage") == STAGE) & (F.col("status") == "succeeded"))
        .orderBy(F.col("run_id").desc())
        .select("run_id", "stage_hash", "metrics")
        .first()
    )


def _settled(context: StageContext, last: Row | None) -> tuple[Config, bool]:
    """Return the settings to go by, and whether all former marks are taken back.

    Marks are not rows with a hash of their own, as ``settings.settle`` wants them.
    """
    config = context.config
    if last is None or last["stage_hash"] == stage_hash(config):
        return config, False
    n_marked = context.warehouse.read("videos").where(_IS_MARKED).count()
    choice = config.execution.on_change
    if n_marked == 0 or choice == "recompute":
        return config, True
    stored = context.ledger.config_of(last["run_id"])
    if choice == "keep" and stored is not None:
        merged = {**config.model_dump(mode="json"), "duplicates": stored["duplicates"]}
        context.config = Config.model_validate(merged)
        _logger.warning("kept the settings of the marks there stage=%s", STAGE)
        return context.config, False
    msg = (
        f"{STAGE}: {n_marked} videos were marked under other settings. Marks of both "
        "are never mixed. Choose --on-change keep (go on under the old settings), or "
        "--on-change recompute (accept them again, then run segment_clips and this "
        "stage)."
    )
    raise StageError(msg)
