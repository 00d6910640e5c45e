"""The page: one HTML file with its pictures, figures and styles inside.

Everything that came from outside (titles, URIs, messages) is escaped by the template
engine, and the page forbids itself scripts and any load over a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import DependencyError
from acav_spark.evaluate import layout
from acav_spark.report import cards, charts, film, wording
from acav_spark.report.model import ScoreProgress, SelectionProgress
from acav_spark.report.retrieval import page_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment
    from numpy.typing import NDArray

    from acav_spark.evaluate.layout import RetrievalTable
    from acav_spark.report.model import (
        ClipCard,
        ClusterSizes,
        EpochCurve,
        FunnelStep,
        ReportData,
    )

MAX_CONFIG_CHARACTERS = 100_000
_INSTALL = "Install it with: pip install 'acav_spark[report]'"


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page."""

    value: str
    label: str
    note: str = ""
    unit: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class FunnelRow:
    """One step of the funnel with its share of the step before."""

    step: FunnelStep
    kept: str


@dataclass(frozen=True)
class Sheet:
    """One contact sheet."""

    anchor: str
    heading: str
    about: str
    nothing: str
    cards: Sequence[ClipCard]


@dataclass(frozen=True)
class SizesPanel:
    """One view's cluster sizes: figure and numbers."""

    sizes: ClusterSizes
    figure: str
    effective: str
    effective_selected: str


@dataclass(frozen=True)
class FitRow:
    """One view's fit; the colour and dashes are those of its line."""

    curve: EpochCurve
    colour: int
    dashes: str
    first: str
    last: str
    n_used: str


@dataclass(frozen=True)
class RetrievalPanel:
    """One table of the retrieval experiments, and a figure for each data set."""

    table: RetrievalTable
    figures: Sequence[str]


def render_report(data: ReportData) -> str:
    """Return the report as one HTML page that needs nothing but itself.

    Parameters
    ----------
    data : ReportData
        What the page shows. Parts that are empty say that they are not there yet.

    Returns
    -------
    str
        HTML, encodable as UTF-8; the same data always gives the same text.

    Raises
    ------
    DependencyError
        If jinja2 or matplotlib is missing.
    """
    large, small = _sizes_panels(data.cluster_sizes)
    along = data.progress if data.progress and data.progress.ranks.size else None
    progress = along if isinstance(along, SelectionProgress) else None
    scored = along if isinstance(along, ScoreProgress) else None
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            style=files("acav_spark.report").joinpath("report.css").read_text("utf-8"),
            words=wording,
            tiles=_tiles(data),
            funnel_rows=_funnel_rows(data.funnel),
            funnel_figure=charts.funnel_chart(data.funnel) if data.funnel else "",
            precision_figure=(
                charts.precision_chart(data.correspondence)
                if data.correspondence
                else ""
            ),
            sheets=_sheets(data),
            progress=progress,
            objective_figure=charts.objective_chart(progress) if progress else "",
            gain_figure=charts.gain_chart(progress) if progress else "",
            scored=scored,
            score_figure=charts.score_chart(scored) if scored else "",
            large_sizes=large,
            small_sizes=small,
            has_selected_sizes=any(s.selected.sum() > 0 for s in data.cluster_sizes),
            fit_rows=_fit_rows(data.epochs),
            inertia_figure=charts.inertia_chart(data.epochs) if data.epochs else "",
            retrieval=_retrieval(data.retrieval),
            config=wording.printable(data.config_yaml[:MAX_CONFIG_CHARACTERS]),
            is_config_cut=len(data.config_yaml) > MAX_CONFIG_CHARACTERS,
        )
    )
    return wording.printable(html)


def _environment() -> Environment:
    """Return the template engine with escaping on and the project's wording."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        msg = f"report: expected jinja2, got {error}. {_INSTALL}"
        raise DependencyError(msg) from error
    environment = Environment(
        loader=PackageLoader("acav_spark", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clock=wording.clock,
        cluster_groups=cards.cluster_groups,
        count=wording.count,
        elapsed=wording.elapsed,
        beside=layout.beside_text,
        information=wording.information,
        interval=layout.interval_text,
        middle_cut=wording.middle_cut,
        moment=wording.moment,
        one_line=wording.one_line,
        poster_uri=cards.poster_uri,
        share=wording.share,
        stretches_path=film.stretches_path,
        ticks_path=film.ticks_path,
        waveform_path=cards.waveform_path,
    )
    return environment


def _tiles(data: ReportData) -> list[Tile]:
    """Return the numbers at the top: of the funnel, of the selection, of failures."""
    headline = [step for step in data.funnel if step.is_headline]
    if not headline:
        headline = list(data.funnel[:1]) + list(data.funnel[1:][-1:])
    tiles = [Tile(wording.count(s.n), s.label, s.unit) for s in headline]
    progress = data.progress
    if isinstance(progress, SelectionProgress) and progress.objectives.size:
        objective = wording.information(float(progress.objectives[-1]))
        value, _, unit = objective.partition(" ")
        tiles.append(Tile(value, "objective", "mutual information", unit))
    if data.correspondence is not None:
        result = data.correspondence
        note = f"of the selected; {wording.share(result.random)} at random"
        tiles.append(Tile(wording.share(result.selected), "correspond", note))
    if data.funnel:
        n_failed = sum(failure.n for failure in data.failures)
        note = "each with its reason" if n_failed else "nothing was lost"
        tiles.append(Tile(wording.count(n_failed), "failed", note, is_bad=n_failed > 0))
    return tiles


def _funnel_rows(steps: Sequence[FunnelStep]) -> list[FunnelRow]:
    """Return the steps with what share of the step before each one kept."""
    rows = []
    before: FunnelStep | None = None
    for step in steps:
        is_same = before is not None and before.unit == step.unit
        n_before = before.n if before else None
        rows.append(
            FunnelRow(step, wording.step_share(step.n, n_before, same_unit=is_same))
        )
        before = step
    return rows


def _retrieval(tables: Sequence[RetrievalTable]) -> list[RetrievalPanel]:
    """Return the tables and figures of the retrieval experiments."""
    return [
        RetrievalPanel(
            table, [page_figure(table, place) for place in range(len(table.columns))]
        )
        for table in tables
    ]


def _sheets(data: ReportData) -> list[Sheet]:
    """Return the three contact sheets."""
    not_yet = "No clip is selected yet. Run: acav run select_clips"
    return [
        Sheet(
            "first",
            "Selected first",
            "The clips that went in first, in the order of their ranks.",
            not_yet,
            data.first,
        ),
        Sheet(
            "last",
            "Selected last",
            "The clips that just made it.",
            not_yet,
            data.last,
        ),
        Sheet(
            "not-selected",
            "Not selected",
            "Clips that were candidates and stayed out.",
            "No clip to show here.",
            data.not_selected,
        ),
    ]


def _sizes_panels(
    sizes: Sequence[ClusterSizes],
) -> tuple[list[SizesPanel], list[SizesPanel]]:
    """Return panels of each modality's last view, large, and of the others, small."""
    last = {view.modality: i for i, view in enumerate(sizes)}
    large: list[SizesPanel] = []
    small: list[SizesPanel] = []
    for i, view in enumerate(sizes):
        is_large = last[view.modality] == i
        panel = SizesPanel(
            view,
            charts.cluster_sizes_chart(view, f"sizes-{i}", is_large=is_large),
            f"{_effective(view.population):.1f}",
            f"{_effective(view.selected):.1f}" if view.selected.sum() > 0 else "",
        )
        (large if is_large else small).append(panel)
    return large, small


def _effective(counts: NDArray[np.int64]) -> float:
    """Return the exponential of the entropy: clusters, were all equally large."""
    shares = counts[counts > 0] / max(1, int(counts.sum()))
    return float(np.exp(-(shares * np.log(shares)).sum())) if shares.size else 0.0


def _fit_rows(epochs: Sequence[EpochCurve]) -> list[FitRow]:
    """Return the table beside the inertia of k-means, which is its legend, too."""
    return [
        FitRow(
            curve,
            i % len(charts.SERIES),
            " ".join(f"{length:g}" for length in charts.DASHES[i // 8 % 4]),
            f"{curve.inertia[0]:.4g}" if len(curve.inertia) else wording.NOT_KNOWN,
            f"{curve.inertia[-1]:.4g}" if len(curve.inertia) else wording.NOT_KNOWN,
            wording.count(curve.n_used[-1]) if len(curve.n_used) else wording.NOT_KNOWN,
        )
        for i, curve in enumerate(epochs)
    ]
