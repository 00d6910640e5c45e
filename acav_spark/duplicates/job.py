"""``find_duplicates``: of videos that show the same, one stays accepted.

Not a part of the paper. Clips that may be copies are found by MinHash bands over their
coarse signatures, compared, and their videos grouped.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.config import Config, section_hash
from acav_spark.duplicates.banding import MinHashBands, n_bands_for, without_flat
from acav_spark.duplicates.components import connected_groups
from acav_spark.duplicates.verification import paired_similarity
from acav_spark.errors import StageError
from acav_spark.ingest.filters import NEAR_DUPLICATE
from acav_spark.runs import StageResult
from acav_spark.segment.signature_matching import best_alignment, is_match
from acav_spark.selection.job import to_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyspark.sql import DataFrame, Row

    from acav_spark.config.models import DuplicatesConfig
    from acav_spark.context import StageContext

    _Decide = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]

STAGE: Final = "find_duplicates"
# Links between videos that the driver joins to groups: some 2 GB.
MAX_LINKS: Final = 20_000_000
_READ: Final = ("videos", "segmentations", "clips")
_IS_MARKED: Final = f"reject_reason = '{NEAR_DUPLICATE}'"
_CHANGED: Final = ["status", "reject_reason", "duplicate_of"]
_PAIR: Final = "first STRING, second STRING"

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
        return StageResult(STAGE, is_unchanged=True, message=message)
    last = _last_run(context)
    config, is_release = _settled(context, last)
    the_hash = stage_hash(config)
    is_same = last is not None and last["stage_hash"] == the_hash
    if is_same and last["metrics"].items() >= _versions(context).items():
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


def links_between(clips: DataFrame, settings: DuplicatesConfig) -> DataFrame:
    """Return the pairs of videos that show the same.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id``, ``video_id``, ``signature`` and ``fine_signature``.
    settings : DuplicatesConfig
        Thresholds and bands.

    Returns
    -------
    DataFrame
        ``first`` and ``second``, ids of videos, each pair once.
    """
    clips = clips.where("length(signature) > 0")
    pairs = _candidates(clips, settings)
    copies = _verified(pairs, clips, "signature", partial(_alike, settings=settings))
    fine = clips.where("length(fine_signature) > 0")
    if not fine.isEmpty():
        key = ["first", "second"]
        is_fine = fine.select("clip_id", F.lit(True).alias("is_fine"))
        ends = [is_fine.toDF(end, f"{end}_fine") for end in key]
        marked = copies.join(ends[0], "first", "left").join(ends[1], "second", "left")
        surely = F.col("first_fine") & F.col("second_fine")
        both = marked.where(surely).select(*key)
        coarse = marked.where(~F.coalesce(surely, F.lit(False))).select(*key)
        copies = coarse.union(_verified(both, fine, "fine_signature", _same))
    return _linked(copies, clips, settings.min_matching_share)


def _candidates(clips: DataFrame, settings: DuplicatesConfig) -> DataFrame:
    """Return pairs of clips that share a bucket, each once.

    However many clips share a bucket, each is paired with the next few only: its pairs
    grow with the clips, not with their square, and copies still make a chain.
    """
    buckets = clips.select("clip_id", "signature").mapInArrow(
        partial(
            _bucketed,
            n_bands=n_bands_for(
                settings.band_similarity, settings.band_recall, settings.band_rows
            ),
            n_rows=settings.band_rows,
            seed=settings.seed,
        ),
        "clip_id STRING, bucket LONG, place LONG",
    )
    following = (
        Window.partitionBy("bucket")
        .orderBy("place", "clip_id")
        .rowsBetween(1, settings.max_bucket_pairs)
    )
    return (
        buckets.select("clip_id", F.collect_list("clip_id").over(following).alias("o"))
        .select("clip_id", F.explode("o").alias("other"))
        .select(
            F.least("clip_id", "other").alias("first"),
            F.greatest("clip_id", "other").alias("second"),
        )
        .distinct()
    )


def _bucketed(
    batches: Iterable[pa.RecordBatch], *, n_bands: int, n_rows: int, seed: int
) -> Iterable[pa.RecordBatch]:
    bands = MinHashBands(n_bands=n_bands, n_rows=n_rows, seed=seed)
    for batch in batches:
        hashed = [bands.keys(coarse) for coarse in batch["signature"].to_pylist()]
        n_keys = [len(keys) for keys, _ in hashed]
        rows = pa.array(np.repeat(np.arange(len(n_keys)), n_keys))
        empty = np.empty(0, dtype=np.int64)
        yield pa.RecordBatch.from_arrays(
            [
                batch["clip_id"].take(rows),
                pa.array(np.concatenate([empty, *(keys for keys, _ in hashed)])),
                pa.array(np.concatenate([empty, *(places for _, places in hashed)])),
            ],
            ["clip_id", "bucket", "place"],
        )


def _verified(
    pairs: DataFrame, clips: DataFrame, column: str, decide: _Decide
) -> DataFrame:
    """Return the pairs, of two videos each, whose signatures agree."""
    ends = [
        clips.select(
            F.col("clip_id").alias(end),
            F.col("video_id").alias(f"{end}_video"),
            F.col(column).alias(f"{end}_signature"),
        )
        for end in ("first", "second")
    ]
    return (
        pairs.join(ends[0], "first")
        .join(ends[1], "second")
        .where("first_video != second_video")
        .select("first", "second", "first_signature", "second_signature")
        .mapInArrow(decide, _PAIR)
    )


def _alike(
    batches: Iterable[pa.RecordBatch], *, settings: DuplicatesConfig
) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        first, second = (
            [without_flat(coarse) for coarse in batch[f"{end}_signature"].to_pylist()]
            for end in ("first", "second")
        )
        is_alike = paired_similarity(first, second) >= settings.min_similarity
        yield batch.select(["first", "second"]).filter(pa.array(is_alike))


def _same(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        is_same = [
            is_match(best_alignment(first, second))
            for first, second in zip(
                batch["first_signature"].to_pylist(),
                batch["second_signature"].to_pylist(),
                strict=True,
            )
        ]
        yield batch.select(["first", "second"]).filter(pa.array(is_same, pa.bool_()))


def _linked(copies: DataFrame, clips: DataFrame, min_share: float) -> DataFrame:
    """Return the pairs of videos of which enough clips are copies."""
    n_clips = clips.groupBy("video_id").agg(F.count("*").alias("n"))
    owners = (
        clips.select("clip_id", "video_id")
        .join(n_clips, "video_id")
        .select("clip_id", "video_id", "n")
    )
    a, b = (
        owners.toDF(*(f"{end}_{name}" for name in ("clip", "video", "n")))
        for end in ("a", "b")
    )
    # Each pair both ways, so that a pair of videos has one order.
    both = copies.select(
        F.inline(
            F.array(
                *(
                    F.struct(F.col(a).alias("a_clip"), F.col(b).alias("b_clip"))
                    for a, b in (("first", "second"), ("second", "first"))
                )
            )
        )
    )
    counted = (
        both.join(a, "a_clip")
        .join(b, "b_clip")
        .where("a_video < b_video")
        .groupBy("a_video", "b_video", "a_n", "b_n")
        .agg(
            F.countDistinct("a_clip").alias("a_same"),
            F.countDistinct("b_clip").alias("b_same"),
        )
    )
    share = F.least("a_same", "b_same") / F.least("a_n", "b_n")
    return counted.where(share >= min_share).select(
        F.col("a_video").alias("first"), F.col("b_video").alias("second")
    )


def _judged(
    context: StageContext, settings: DuplicatesConfig, *, is_release: bool
) -> dict[str, float]:
    """Write which videos are duplicates, and which are no more; return counts."""
    videos = context.warehouse.read("videos")
    accepted = videos.where("status = 'accepted'").select("video_id")
    clips = (
        context.warehouse.read("clips")
        .join(accepted, "video_id", "semi")
        .select("clip_id", "video_id", "signature", "fine_signature")
    )
    n_videos = clips.select("video_id").distinct().count()
    groups, n_links = _groups(context, links_between(clips, settings))
    marks = _marks(context, groups).persist()
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
    for frame in (changes, marks):
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


def _groups(context: StageContext, links: DataFrame) -> tuple[DataFrame, int]:
    """Return the hash of each linked video and that of its group; count the links."""
    hashed = links.select(
        F.xxhash64("first").alias("first"), F.xxhash64("second").alias("second")
    )
    ends = to_arrow(hashed.limit(MAX_LINKS + 1))
    if ends.num_rows > MAX_LINKS:
        msg = (
            f"{STAGE}: expected at most {MAX_LINKS} pairs of videos that show the "
            "same, got more. Raise duplicates.min_similarity or "
            "duplicates.min_matching_share, or lower duplicates.max_bucket_pairs."
        )
        raise StageError(msg)
    ids, groups = connected_groups(ends["first"].to_numpy(), ends["second"].to_numpy())
    table = pa.table({"id": ids, "group": groups})
    is_arrow = hasattr(links, "toArrow")  # Spark 3.5 takes pandas only
    frame = context.spark.createDataFrame(
        table if is_arrow else table.to_pandas(), "id LONG, group LONG"
    )
    return frame, ends.num_rows


def _marks(context: StageContext, groups: DataFrame) -> DataFrame:
    """Return each video that goes, and the one of its group that is kept."""
    read = context.warehouse.read
    pixels = (
        read("clips")
        .groupBy("video_id")
        .agg(F.max(F.col("width").cast("long") * F.col("height")).alias("n_pixels"))
    )
    durations = read("segmentations").select("video_id", "duration_s")
    by_quality = Window.partitionBy("group").orderBy(
        # Copies differ by some frames; then the larger picture is worth more.
        F.round("duration_s").desc_nulls_last(),
        F.col("n_pixels").desc_nulls_last(),
        "video_id",
    )
    return (
        pixels.withColumn("id", F.xxhash64("video_id"))
        .join(groups, "id")
        .join(durations, "video_id", "left")
        .withColumn("kept", F.first("video_id").over(by_quality))
        .where("video_id != kept")
        .select("video_id", "kept")
    )


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
