"""The figures of the report, from plain values; each returns an ``svg`` element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.report import figure as fig
from acav_spark.report.wording import count, information, one_line, share, step_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from acav_spark.report.model import (
        ClusterSizes,
        Correspondence,
        EpochCurve,
        FunnelStep,
        ScoreProgress,
        SeedResult,
        SelectionProgress,
    )

MAX_POINTS = 300
SERIES = fig.SERIES
WIDTH = 500
# Lengths of dashes and gaps, one style for every eight series.
DASHES = ((), (5.0, 3.0), (1.5, 2.0), (6.0, 2.0, 1.5, 2.0))


def funnel_chart(steps: Sequence[FunnelStep]) -> str:
    """Return the funnel: one horizontal bar for each step, its count beside it."""
    with fig.drawing(WIDTH, 38 * len(steps) + 12) as drawn:
        axes = drawn.add_subplot()
        largest = max([step.n for step in steps], default=0) or 1
        units = list(dict.fromkeys(step.unit for step in steps))
        colours = (fig.NEUTRAL, fig.ACCENT, fig.CONTRAST)
        for i, step in enumerate(steps):
            # With one unit all bars are one colour, the page's own.
            colour = colours[units.index(step.unit) % 3] if units[1:] else fig.ACCENT
            bar = axes.barh(i, step.n, height=0.62, color=colour)
            bar[0].set_gid(f"mark-{i}")
            before = steps[i - 1] if i else None
            kept = step_share(
                step.n,
                before.n if before else None,
                same_unit=before is not None and before.unit == step.unit,
            )
            words = " ".join([count(step.n), step.unit]).strip()
            axes.annotate(
                f"{one_line(words, 30)} · {kept}" if kept else one_line(words, 30),
                (step.n, i),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(
            range(len(steps)), [one_line(step.label, 26) for step in steps], fontsize=11
        )
        # Room on the right for the words of the longest bar.
        axes.set_xlim(0, 1.62 * largest)
        axes.set_ylim(len(steps) - 0.5, -0.5)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        fig.quiet_axes(axes, grid="none")
        label = "Funnel: " + "; ".join(
            f"{one_line(step.label, 40)} {count(step.n)}" for step in steps
        )
        return fig.inline_svg(drawn, "funnel", label=label)


def cluster_sizes_chart(
    sizes: ClusterSizes, name: str, *, is_large: bool = False
) -> str:
    """Return sizes of clusters, largest of the population first, as shares of clips.

    Shares, since a selection is smaller than its population by design; what tells is
    whether the selected clips are spread more evenly. Beyond ``MAX_POINTS`` clusters
    a step is the mean of neighbours in this order.
    """
    order = np.argsort(-sizes.population, kind="stable")
    width, height = (WIDTH, 230) if is_large else (240, 150)
    with fig.drawing(width, height) as drawn:
        axes = drawn.add_subplot()
        _steps(axes, sizes.population[order], fill=True)
        if sizes.selected.sum() > 0:
            _steps(axes, sizes.selected[order], fill=False)
        axes.set_xlim(0, max(1, order.size))
        axes.set_ylim(0, None)
        axes.locator_params(axis="y", nbins=5 if is_large else 3)
        axes.locator_params(axis="x", nbins=6 if is_large else 4, integer=True)
        if is_large:
            axes.set_xlabel("clusters, largest first")
            axes.set_ylabel("share of clips (%)")
        fig.quiet_axes(axes)
        label = (
            f"Cluster sizes of {one_line(sizes.view, 60)}: {order.size} clusters, "
            f"{count(int(sizes.population.sum()))} clips, "
            f"{count(int(sizes.selected.sum()))} selected"
        )
        return fig.inline_svg(drawn, name, label=label)


def objective_chart(progress: SelectionProgress) -> str:
    """Return the objective in nats against the number of clips selected."""
    with fig.drawing(WIDTH, 230) as drawn:
        axes = drawn.add_subplot()
        ranks, values, _, _ = _binned(progress.ranks, progress.objectives)
        (line,) = axes.plot(
            ranks, values, color=fig.ACCENT, linewidth=2, marker=_dot(ranks)
        )
        line.set_gid("mark-objective")
        _along_selection(axes, progress, "objective (nats)")
        last = float(progress.objectives[-1]) if progress.objectives.size else None
        label = f"Objective along the selection, {information(last)} at the end"
        return fig.inline_svg(drawn, "objective", label=label)


def gain_chart(progress: SelectionProgress) -> str:
    """Return the gain of picks in millinats: mean, and range, of neighbours."""
    with fig.drawing(WIDTH, 230) as drawn:
        axes = drawn.add_subplot()
        ranks, mean, low, high = _binned(progress.ranks, 1000 * progress.gains)
        axes.axhline(0, color=fig.MUTED, linewidth=0.8)
        axes.fill_between(ranks, low, high, color=fig.ACCENT_SOFT, linewidth=0)
        (line,) = axes.plot(
            ranks, mean, color=fig.ACCENT, linewidth=1.5, marker=_dot(ranks)
        )
        line.set_gid("mark-gain")
        _along_selection(axes, progress, "gain of a pick (millinats)")
        label = "Gain of the picks along the selection, in millinats"
        return fig.inline_svg(drawn, "gain", label=label)


def score_chart(progress: ScoreProgress) -> str:
    """Return the score of picks against their rank: mean, and range, of neighbours."""
    with fig.drawing(WIDTH, 230) as drawn:
        axes = drawn.add_subplot()
        ranks, mean, low, high = _binned(progress.ranks, progress.scores)
        axes.fill_between(ranks, low, high, color=fig.ACCENT_SOFT, linewidth=0)
        (line,) = axes.plot(
            ranks, mean, color=fig.ACCENT, linewidth=1.5, marker=_dot(ranks)
        )
        line.set_gid("mark-score")
        _along_selection(axes, progress, "score of a pick")
        return fig.inline_svg(drawn, "score", label="Score of the picks by their rank")


def inertia_chart(epochs: Sequence[EpochCurve]) -> str:
    """Return the inertia of every view after each epoch, relative to the first."""
    with fig.drawing(WIDTH, 250) as drawn:
        axes = drawn.add_subplot()
        for i, curve in enumerate(epochs):
            inertia = np.asarray(curve.inertia, dtype=np.float64)
            first = inertia[0] if inertia.size and inertia[0] > 0 else 1.0
            x, y, _, _ = _binned(np.arange(1, inertia.size + 1), 100 * inertia / first)
            (line,) = axes.plot(
                x,
                y,
                color=fig.SERIES[i % 8],
                dashes=DASHES[i // 8 % 4],
                linewidth=1.6,
                marker=_dot(x),
            )
            line.set_gid(f"mark-{i}")
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel("inertia (% of the first epoch's)")
        fig.quiet_axes(axes)
        label = f"Inertia of k-means after each epoch, {len(epochs)} views"
        return fig.inline_svg(drawn, "inertia", label=label)


def precision_chart(result: Correspondence) -> str:
    """Return bars of precision: selected, best pair of layers, random; every seed."""
    rows: list[tuple[str, SeedResult | Correspondence]]
    rows = [(f"seed {seed.seed}", seed) for seed in result.seeds]
    rows = rows or [("this run", result)]
    kinds = [
        ("selected", fig.ACCENT, [r.selected for _, r in rows]),
        ("best_single", fig.CONTRAST, [r.best_single for _, r in rows]),
        ("random", fig.NEUTRAL, [r.random for _, r in rows]),
    ]
    with fig.drawing(WIDTH, 250) as drawn:
        axes = drawn.add_subplot()
        for j, (kind, colour, values) in enumerate(kinds):
            places = [i + 0.28 * (j - 1) for i in range(len(rows))]
            bars = axes.bar(places, values, width=0.26, color=colour)
            for i, bar in enumerate(bars):
                bar.set_gid(f"mark-{kind}-{i}")
            if len(rows) <= 8:
                _write_values(axes, places, values)
        if np.isfinite(result.base_rate):
            base = axes.axhline(
                result.base_rate, color=fig.INK, linewidth=1, dashes=(4, 3)
            )
            base.set_gid("mark-base")
        axes.set_xticks(range(len(rows)), [name for name, _ in rows])
        axes.set_xlim(-0.6, len(rows) - 0.4)
        axes.set_ylim(0, 1.08)
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.set_ylabel("share that corresponds")
        fig.quiet_axes(axes)
        label = (
            f"Share of clips that correspond, {len(rows)} seeds; "
            f"base rate {share(result.base_rate)}"
        )
        return fig.inline_svg(drawn, "precision", label=label)


def _write_values(axes: Axes, places: Sequence[float], values: Sequence[float]) -> None:
    """Write each share above its bar, as ``.84``."""
    for place, value in zip(places, values, strict=True):
        if np.isfinite(value):
            axes.annotate(
                f"{value:.2f}".removeprefix("0"),
                (place, value),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=fig.MUTED,
            )


def _steps(axes: Axes, counts: NDArray[np.int64], *, fill: bool) -> None:
    """Draw counts in the given order as shares in per cent."""
    shares = 100 * counts / max(1, int(counts.sum()))
    edges = np.linspace(0, shares.size, min(shares.size, MAX_POINTS) + 1).astype(int)
    if edges.size < 2:
        return
    means = np.add.reduceat(shares, edges[:-1]) / np.diff(edges)
    if fill:
        patch = axes.stairs(means, edges, fill=True, color=fig.NEUTRAL)
        patch.set_gid("mark-population")
    else:
        patch = axes.stairs(
            means, edges, baseline=None, color=fig.ACCENT, linewidth=1.8
        )
        patch.set_gid("mark-selected")


def _dot(x: NDArray[np.float64]) -> str:
    """Return a marker where there is but one point, which no line would show."""
    return "o" if x.size == 1 else ""


def _along_selection(
    axes: Axes, progress: SelectionProgress | ScoreProgress, label: str
) -> None:
    """Set what figures along the selection share."""
    axes.set_xlim(0, max(1, int(progress.ranks[-1])) if progress.ranks.size else 1)
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.locator_params(axis="y", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: count(round(value)))
    axes.set_xlabel("clips selected")
    axes.set_ylabel(label)
    fig.quiet_axes(axes)


def _binned(
    x: NDArray[np.int64], y: NDArray[np.float64]
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
]:
    """Return mean place, mean, minimum and maximum of at most MAX_POINTS groups."""
    keep = np.isfinite(y)
    places, values = x[keep].astype(np.float64), y[keep]
    if values.size == 0:
        return places, values, values, values
    starts = np.arange(min(values.size, MAX_POINTS)) * values.size
    starts //= starts.size
    sizes = np.diff(np.append(starts, values.size))
    return (
        np.add.reduceat(places, starts) / sizes,
        np.add.reduceat(values, starts) / sizes,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )
