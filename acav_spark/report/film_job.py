"""Gathers film strips from the tables, and their frames from the videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.chunks import decoding_limits, source_rules
from acav_spark.errors import MediaError
from acav_spark.media.isolated import poster_isolated
from acav_spark.media.sandbox import Sandbox
from acav_spark.media.sources import open_source
from acav_spark.report.film import FRAME_SIDE, FilmStrip, StripClip, frame_times

if TYPE_CHECKING:
    from pyspark.sql import Row

    from acav_spark.context import StageContext


def gather_strips(context: StageContext, selection: str) -> list[FilmStrip]:
    """Return strips of some segmented videos, drawn by a hash of their ids.

    Frames are decoded in a sandbox; a video that is gone has a strip without any.
    """
    read = context.warehouse.read
    segmented = (
        read("segmentations")
        .join(read("videos").select("video_id", "uri", "title"), "video_id")
        .where("duration_s > 0")
        .orderBy(F.xxhash64("video_id"), "video_id")
        .limit(context.config.report.n_film_strips)
        .collect()
    )
    if not segmented:
        return []
    ranks = (
        read("selections")
        .where(F.col("selection") == selection)
        .select("clip_id", "rank")
    )
    clips = (
        read("clips")
        .where(F.col("video_id").isin([row["video_id"] for row in segmented]))
        .join(ranks, "clip_id", "left")
        .orderBy("video_id", "start_s")
        .select("clip_id", "video_id", "start_s", "end_s", "rank")
        .collect()
    )
    of_video: dict[str, list[StripClip]] = {}
    for row in clips:
        clip = StripClip(row["clip_id"], row["start_s"], row["end_s"], row["rank"])
        of_video.setdefault(row["video_id"], []).append(clip)
    with Sandbox(decoding_limits(context.config)) as sandbox:
        return [
            _strip(context, sandbox, row, of_video.get(row["video_id"], []))
            for row in segmented
        ]


def _strip(
    context: StageContext, sandbox: Sandbox, row: Row, clips: list[StripClip]
) -> FilmStrip:
    times = frame_times(row["duration_s"])
    frames: list[bytes | None] = []
    note = ""
    try:
        with open_source(row["uri"], source_rules(context.config)) as source:
            for time_s in times:
                # One by one: those before an error stay.
                jpeg = poster_isolated(sandbox, source, time_s, FRAME_SIDE)
                frames.append(jpeg)
    except MediaError as error:
        frames += [None] * (len(times) - len(frames))
        note = f"{error.code}: not every frame could be decoded again"
    length_s = context.config.segmentation.clip_duration_s
    # Tables of earlier versions do not have them.
    starts_s = row.asDict().get("candidate_starts_s")
    return FilmStrip(
        row["video_id"],
        row["uri"],
        row["title"] or "",
        row["duration_s"],
        row["rule"],
        row["shot_starts_s"] or [],
        # The one candidate of a video that is a little short is all of it.
        [
            (start_s, min(start_s + length_s, row["duration_s"]))
            for start_s in starts_s or []
        ],
        clips,
        frames,
        note,
    )
