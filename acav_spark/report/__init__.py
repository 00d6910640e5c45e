"""The report of a run: figures, contact sheets and tables in one file for a browser.

Plain values and arrays go in, HTML or a table for the terminal comes out. Pictures and
page need the extra ``report``; they are imported when something is rendered.
"""

from __future__ import annotations

from acav_spark.report.cards import peak_envelope, poster_jpeg
from acav_spark.report.film import FilmStrip, StripClip
from acav_spark.report.model import (
    ClipCard,
    ClusterSizes,
    Correspondence,
    EpochCurve,
    FunnelStep,
    ReasonCount,
    ReportData,
    ScoreProgress,
    SeedResult,
    SelectionProgress,
    StageRun,
    TableInfo,
)
from acav_spark.report.render import render_report
from acav_spark.report.text import funnel_table

__all__ = [
    "ClipCard",
    "ClusterSizes",
    "Correspondence",
    "EpochCurve",
    "FilmStrip",
    "FunnelStep",
    "ReasonCount",
    "ReportData",
    "ScoreProgress",
    "SeedResult",
    "SelectionProgress",
    "StageRun",
    "StripClip",
    "TableInfo",
    "funnel_table",
    "peak_envelope",
    "poster_jpeg",
    "render_report",
]
