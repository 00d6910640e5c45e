"""Counts what came in, went and was selected, for the report and ``acav status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.ingest.filters import EXCLUDED_TOPIC
from acav_spark.ingest.language_job import language_note
from acav_spark.report.model import FunnelStep, ReasonCount
from acav_spark.selection.job import current_name

if TYPE_CHECKING:
    from pyspark.sql import Column

    from acav_spark.context import StageContext

Counts = tuple[list[FunnelStep], list[ReasonCount], list[ReasonCount]]


def gather_counts(context: StageContext) -> Counts:
    """Return the funnel, the rejections by reason and the failures by code."""
    read = context.warehouse.read
    videos = read("videos")
    by_status = {
        r["status"]: r["count"] for r in videos.groupBy("status").count().collect()
    }
    failures = _failures(context)
    failed = {
        stage: sum(f.n for f in failures if f.stage == stage)
        for stage in {f.stage for f in failures}
    }
    n_videos = sum(by_status.values())
    n_failed = failed.get("ingest_videos", 0)
    notes = [f"{by_status.get('rejected', 0)} rejected, {n_failed} failed"]
    notes += filter(None, [language_note(videos)])
    from_videos = [
        FunnelStep("Found", n_videos + n_failed, "", "videos", is_headline=True),
        FunnelStep(
            "Accepted",
            by_status.get("accepted", 0),
            "; ".join(notes),
            "videos",
        ),
        FunnelStep(
            "Segmented",
            read("segmentations").count(),
            f"{failed.get('segment_clips', 0)} failed",
            "videos",
        ),
    ]
    (clips,) = (
        read("clips")
        .agg(
            F.count("*").alias("n"),
            F.count_if(F.col("video_id").isNull()).alias("n_imported"),
        )
        .collect()
    )
    n_broken = failed.get("import_features", 0)
    if clips["n_imported"] or n_broken:
        note = f"{clips['n_imported']} imported; {n_broken} rows of imports failed"
    else:
        note = ""
    label = "Cut or imported" if note else "Cut"
    steps = from_videos if n_videos + n_failed or not note else []
    steps.append(FunnelStep(label, clips["n"], note, "clips", is_headline=True))
    n_featured, note = _featured(context, failures)
    steps.append(FunnelStep("With features", n_featured, note, "clips"))
    name = current_name(context, context.config.selection.name)
    chosen = read("selections").where(F.col("selection") == name)
    clustered = read("packed").where(
        F.col("clustering") == context.config.clustering.name
    )
    steps.append(FunnelStep("Clustered", clustered.count(), "", "clips"))
    steps.append(
        FunnelStep(
            "Selected", chosen.count(), f"selection {name}", "clips", is_headline=True
        )
    )
    rejections = [
        ReasonCount("ingest_videos", r["reason"], r["n"], r["example"])
        for r in videos.where("status = 'rejected'")
        .groupBy(_rejected_for().alias("reason"))
        .agg(F.count("*").alias("n"), F.min("uri").alias("example"))
        .orderBy(F.desc("n"), "reason")
        .collect()
    ]
    return steps, rejections, failures


def _rejected_for() -> Column:
    """Return the reason of a rejected video, topics apart."""
    reason = F.col("reject_reason")
    topic = F.substring_index("reject_detail", ": ", 1)
    by_topic = F.concat(reason, F.lit(" ("), topic, F.lit(")"))
    return F.when(reason == EXCLUDED_TOPIC, by_topic).otherwise(reason)


def _failures(context: StageContext) -> list[ReasonCount]:
    rows = (
        context.warehouse.read("failures")
        .groupBy("stage", "scope", "error_code")
        .agg(F.count("*").alias("n"), F.min("uri").alias("example"))
        .orderBy("stage", F.desc("n"), "error_code", "scope")
        .collect()
    )
    return [
        ReasonCount(
            r["stage"],
            r["error_code"] + (f" ({r['scope']})" if r["scope"] else ""),
            r["n"],
            r["example"] or "",
        )
        for r in rows
    ]


def _featured(context: StageContext, failures: list[ReasonCount]) -> tuple[int, str]:
    """Return the clips that every extractor has, and how many failed by extractor."""
    names = [e.name for e in context.config.features.extractors]
    complete = (
        context.warehouse.read("features")
        .where(F.col("extractor").isin(names))
        .groupBy("clip_id")
        .count()
        .where(F.col("count") == len(names))
        .count()
    )
    failed = sum(f.n for f in failures if f.stage == "extract_features")
    return complete, f"{failed} failed" if failed else ""
