"""Gathers what the report shows from the tables of a warehouse."""

from __future__ import annotations

import datetime as dt
import logging
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from acav_spark._version import __version__
from acav_spark.chunks import decoding_limits, source_rules
from acav_spark.config import redacted, to_yaml
from acav_spark.cutting.job import media_of_clips
from acav_spark.errors import MediaError
from acav_spark.evaluate.results_job import gather_retrieval
from acav_spark.media.isolated import poster_isolated, waveform_envelope_isolated
from acav_spark.media.sandbox import Sandbox
from acav_spark.media.sources import open_source
from acav_spark.report.cards import N_BINS, POSTER_SIDE
from acav_spark.report.counts_job import gather_counts
from acav_spark.report.film_job import gather_strips
from acav_spark.report.model import (
    ClipCard,
    ClusterSizes,
    EpochCurve,
    ReportData,
    ScoreProgress,
    SelectionProgress,
    StageRun,
    TableInfo,
)
from acav_spark.report.render import render_report
from acav_spark.selection.job import current_name
from acav_spark.storage import Folder
from acav_spark.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import Row

    from acav_spark.context import StageContext

REPORT_FILE = "report.html"
_logger = logging.getLogger(__name__)

# Points of a curve that a page can show; a longer selection is thinned out evenly.
_MAX_POINTS = 2000


def write_report(context: StageContext, output: str = "") -> str:
    """Write the HTML report of a warehouse and return where it is.

    Reads all tables, and decodes the clips of the contact sheets in a sandbox. Through
    the driver go counts, at most 2000 points of the selection, and the cards.
    """
    page = render_report(gather_report(context))
    if output:
        folder_name, _, name = output.rpartition("/")
        folder = Folder(folder_name or ("/" if output.startswith("/") else "."))
    else:
        folder, name = context.folder, REPORT_FILE
    folder.write_text(name, page)
    _logger.info("wrote report bytes=%d uri=%s/%s", len(page), folder.uri, name)
    return f"{folder.uri}/{name}"


def gather_report(context: StageContext) -> ReportData:
    """Return everything that the report shows."""
    funnel, rejections, failures = gather_counts(context)
    name = current_name(context, context.config.selection.name)
    first, last, others = _cards(context, name)
    from acav_spark.demo.job import gather_correspondence

    runs = context.warehouse.read("runs").orderBy(F.desc("run_id")).limit(50).collect()
    return ReportData(
        title="Curation report",
        subtitle=f"selection {name} of {context.config.storage.root}",
        created_at=dt.datetime.now(dt.UTC),
        code_version=__version__,
        run_ids=[row["run_id"] for row in runs],
        funnel=funnel,
        rejections=rejections,
        failures=failures,
        first=first,
        last=last,
        not_selected=others,
        cluster_sizes=_cluster_sizes(context, name),
        progress=gather_progress(context, name),
        epochs=_epochs(context),
        correspondence=gather_correspondence(context, name),
        strips=gather_strips(context, name),
        retrieval=gather_retrieval(context.warehouse),
        stage_runs=[_stage_run(row) for row in reversed(runs)],
        config_yaml=to_yaml(redacted(context.config)),
        tables=_tables(context),
    )


def _stage_run(row: Row) -> StageRun:
    return StageRun(
        stage=row["stage"] + (f" {row['scope']}" if row["scope"] else ""),
        status=row["status"],
        started_at=row["started_at"].replace(tzinfo=dt.UTC),
        seconds=row["seconds"],
        n_in=row["n_in"] or 0,
        n_out=row["n_out"] or 0,
        n_failed=row["n_failed"] or 0,
        n_rejected=row["n_rejected"] or 0,
        run_id=row["run_id"],
        code_version=row["code_version"],
        config_hash=row["config_hash"],
    )


def _tables(context: StageContext) -> list[TableInfo]:
    warehouse = context.warehouse
    return [
        TableInfo(
            table.name,
            warehouse.read(table.name).count(),
            warehouse.version(table.name),
            table.comment,
        )
        for table in TABLES
        if warehouse.exists(table.name)
    ]


def gather_progress(
    context: StageContext, name: str
) -> SelectionProgress | ScoreProgress | None:
    """Return gains or scores along a selection; None where it has no clip."""
    chosen = context.warehouse.read("selections").where(F.col("selection") == name)
    n_rows = chosen.count()
    if n_rows == 0:
        return None
    every = max(1, n_rows // _MAX_POINTS)
    rows = (
        chosen.where((F.col("rank") - 1) % every == 0)
        .orderBy("rank")
        .select("rank", "gain", "objective", "score", "method")
        .collect()
    )
    ranks = np.array([r["rank"] for r in rows], np.int64)
    if rows[0]["gain"] is None:
        scores = np.array([r["score"] for r in rows], np.float64)
        return ScoreProgress(ranks, scores, rows[0]["method"])
    return SelectionProgress(
        ranks,
        np.array([r["gain"] for r in rows], np.float64),
        np.array([r["objective"] for r in rows], np.float64),
    )


def _views(context: StageContext) -> list[Row]:
    return (
        context.warehouse.read("codebooks")
        .where(F.col("clustering") == context.config.clustering.name)
        .orderBy("view_position")
        .select("extractor", "layer", "modality", "n_clusters", "view_position")
        .collect()
    )


def _cluster_sizes(context: StageContext, name: str) -> list[ClusterSizes]:
    packed = context.warehouse.read("packed").where(
        F.col("clustering") == context.config.clustering.name
    )
    chosen = context.warehouse.read("selections").where(F.col("selection") == name)
    counts = (
        packed.join(
            chosen.select("clip_id", F.lit(1).alias("is_selected")), "clip_id", "left"
        )
        .select("is_selected", F.posexplode("clusters").alias("position", "cluster"))
        .groupBy("position", "cluster")
        .agg(F.count("*").alias("n"), F.count("is_selected").alias("n_selected"))
        .collect()
    )
    sizes = []
    for view in _views(context):
        population = np.zeros(view["n_clusters"], np.int64)
        selected = np.zeros(view["n_clusters"], np.int64)
        for row in counts:
            if row["position"] == view["view_position"]:
                population[row["cluster"]] = row["n"]
                selected[row["cluster"]] = row["n_selected"]
        label = f"{view['extractor']} layer {view['layer']}"
        sizes.append(ClusterSizes(label, view["modality"], population, selected))
    return sizes


def _epochs(context: StageContext) -> list[EpochCurve]:
    rows = (
        context.warehouse.read("epochs")
        .where(F.col("clustering") == context.config.clustering.name)
        .orderBy("epoch")
        .collect()
    )
    return [
        EpochCurve(
            f"{view['extractor']} layer {view['layer']}",
            [r["inertia"] for r in rows if _is_of(r, view)],
            [r["n_used"] for r in rows if _is_of(r, view)],
            view["n_clusters"],
        )
        for view in _views(context)
    ]


def _is_of(row: Row, view: Row) -> bool:
    same = row["extractor"] == view["extractor"] and row["layer"] == view["layer"]
    return bool(same)


def _cards(
    context: StageContext, name: str
) -> tuple[list[ClipCard], list[ClipCard], list[ClipCard]]:
    """Return cards of the clips selected first and last, and of clips left out."""
    n_cards = context.config.report.n_cards
    read = context.warehouse.read
    clips = (
        read("clips")
        .withColumnRenamed("uri", "clip_uri")
        .join(read("videos").select("video_id", "uri", "title"), "video_id", "left")
        .join(
            read("packed")
            .where(F.col("clustering") == context.config.clustering.name)
            .select("clip_id", "clusters"),
            "clip_id",
            "left",
        )
        .select(
            "clip_id",
            F.coalesce("uri", "clip_uri").alias("uri"),
            *("title", "start_s", "end_s", "clusters"),
        )
        .join(media_of_clips(context), "clip_id")
    )
    chosen = read("selections").where(F.col("selection") == name)
    picked = clips.join(chosen.select("clip_id", "rank", "gain"), "clip_id")
    others = clips.join(chosen, "clip_id", "left_anti").withColumns(
        {"rank": F.lit(None).cast("long"), "gain": F.lit(None).cast("double")}
    )
    first = picked.orderBy("rank").limit(n_cards).collect()
    last = picked.orderBy(F.desc("rank")).limit(n_cards).collect()[::-1]
    left = others.orderBy(F.xxhash64("clip_id")).limit(n_cards).collect()
    views = _views(context)
    with Sandbox(decoding_limits(context.config)) as sandbox:
        is_true = _truth(context)
        sources = source_rules(context.config)

        @cache
        def media(uri: str, start_s: float, end_s: float) -> tuple[bytes, np.ndarray]:
            middle = (start_s + end_s) / 2
            with open_source(uri, sources) as source:
                jpeg = poster_isolated(sandbox, source, middle, POSTER_SIDE // 2)
                lows_highs = waveform_envelope_isolated(
                    sandbox, source, start_s, end_s, N_BINS
                )
            return jpeg, np.abs(lows_highs).max(axis=1)

        def card(row: Row) -> ClipCard:
            poster, wave, note = None, None, ""
            try:
                if row["start_s"] is not None:
                    poster, wave = media(
                        row["media_uri"], row["media_start_s"], row["media_end_s"]
                    )
            except MediaError as error:
                note = f"{error.code}: the clip could not be decoded again"
            return ClipCard(
                row["clip_id"],
                row["uri"] or "",
                row["title"] or "",
                row["start_s"],
                row["end_s"],
                row["rank"],
                row["gain"],
                {
                    f"{view['extractor']} layer {view['layer']}": cluster
                    for view, cluster in zip(views, row["clusters"] or [], strict=False)
                },
                poster,
                wave,
                note,
                is_true.get(row["clip_id"]),
            )

        return (
            [card(row) for row in first],
            [card(row) for row in last],
            [card(row) for row in left],
        )


def _truth(context: StageContext) -> dict[str, bool]:
    from acav_spark.demo.job import true_correspondence

    return true_correspondence(context)
