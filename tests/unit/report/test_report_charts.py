"""Figures from data by hand."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest

from acav_spark.report import (
    ClusterSizes,
    Correspondence,
    EpochCurve,
    FunnelStep,
    ScoreProgress,
    SeedResult,
    SelectionProgress,
)
from acav_spark.report.charts import (
    MAX_POINTS,
    cluster_sizes_chart,
    funnel_chart,
    gain_chart,
    inertia_chart,
    objective_chart,
    precision_chart,
    score_chart,
)


def marks(svg: str) -> list[str]:
    return re.findall(r'id="\w+-mark-([\w-]+)"', svg)


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def path_of(svg: str, mark: str) -> list[tuple[float, float]]:
    """Return the points of the first path inside a marked group."""
    begin = svg.index(f'mark-{mark}"')
    path = re.search(r' d="([^"]*)"', svg[begin:])
    assert path is not None
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", path[1])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def extent(points: list[tuple[float, float]], axis: int) -> float:
    values = [point[axis] for point in points]
    return max(values) - min(values)


def progress(n: int) -> SelectionProgress:
    gains = np.full(n, 0.001)
    return SelectionProgress(np.arange(1, n + 1), gains, np.cumsum(gains))


def test_funnel_has_a_bar_for_each_step_as_long_as_its_count() -> None:
    steps = [FunnelStep("found", 200), FunnelStep("kept", 100), FunnelStep("none", 0)]

    svg = funnel_chart(steps)

    assert marks(svg) == ["0", "1", "2"]
    lengths = [extent(path_of(svg, str(i)), 0) for i in range(3)]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.05)
    assert lengths[2] == 0
    assert {"found", "kept", "200", "100 · 50.0 %", "0 · 0.0 %"} <= set(texts(svg))


def test_funnel_shows_no_share_across_units() -> None:
    steps = [FunnelStep("found", 10, unit="videos"), FunnelStep("cut", 5, unit="clips")]

    assert "5 clips" in texts(funnel_chart(steps))


def test_funnel_of_nothing_found_is_drawn() -> None:
    assert marks(funnel_chart([FunnelStep("found", 0)])) == ["0"]


def test_cluster_sizes_fall_from_left_to_right() -> None:
    population = np.array([10, 40, 20, 30], dtype=np.int64)
    svg = cluster_sizes_chart(
        ClusterSizes("v", "visual", population, population // 10), "sizes"
    )

    assert marks(svg) == ["population", "selected"]
    points = path_of(svg, "selected")
    heights = [y for _, y in points]
    # Down on the page is up in SVG's y, and shares fall.
    assert heights == sorted(heights)
    assert len({round(y, 3) for y in heights}) == 4


def test_cluster_sizes_without_selection_show_the_population() -> None:
    none = np.zeros(0, dtype=np.int64)
    svg = cluster_sizes_chart(ClusterSizes("v", "visual", np.arange(5), none), "sizes")

    assert marks(svg) == ["population"]


def test_cluster_sizes_of_large_codebooks_are_binned() -> None:
    sizes = np.arange(2000, 0, -1)

    svg = cluster_sizes_chart(ClusterSizes("v", "visual", sizes, sizes), "sizes")

    assert len(path_of(svg, "selected")) <= 2 * MAX_POINTS + 2


def test_large_panels_label_their_axes() -> None:
    sizes = ClusterSizes("v", "visual", np.arange(5), np.arange(5))

    labels = texts(cluster_sizes_chart(sizes, "sizes", is_large=True))

    assert {"clusters, largest first", "share of clips (%)"} <= set(labels)


def test_figures_along_the_selection_name_their_units() -> None:
    assert "objective (nats)" in texts(objective_chart(progress(5)))
    assert "gain of a pick (millinats)" in texts(gain_chart(progress(5)))


def test_scores_fall_along_their_ranks() -> None:
    svg = score_chart(ScoreProgress(np.arange(1, 51), -np.arange(50.0), "similarity"))

    points = path_of(svg, "score")
    assert points[0][1] < points[-1][1]
    assert points[0][0] < points[-1][0]
    assert "score of a pick" in texts(svg)


def test_the_objective_rises_with_equal_gains() -> None:
    points = path_of(objective_chart(progress(50)), "objective")

    assert points[0][1] > points[-1][1]
    assert points[0][0] < points[-1][0]


def test_long_selections_are_thinned() -> None:
    svg = gain_chart(progress(100_000))

    assert len(path_of(svg, "gain")) <= MAX_POINTS
    assert len(svg) < 60_000
    assert "100,000" in texts(svg)


def test_a_gain_that_is_no_number_is_passed_over() -> None:
    values = np.array([np.nan, 0.1, 0.2])
    svg = gain_chart(SelectionProgress(np.arange(1, 4), values, values))

    assert len(path_of(svg, "gain")) == 2
    assert "nan" not in svg


def test_inertia_has_a_line_for_each_view_relative_to_the_first_epoch() -> None:
    curves = [
        EpochCurve("a", [200.0, 100.0], [4, 4], 4),
        EpochCurve("b", [2.0, 1.0], [4, 4], 4),
        EpochCurve("c", [0.0, 0.0], [1, 1], 4),
        EpochCurve("d", [], [], 4),
    ]

    svg = inertia_chart(curves)

    assert marks(svg)[:3] == ["0", "1", "2"]
    assert path_of(svg, "0") == path_of(svg, "1")
    assert {"epoch", "inertia (% of the first epoch's)"} <= set(texts(svg))


def test_precision_has_three_bars_for_each_of_five_seeds() -> None:
    seeds = [SeedResult(s, 0.9, 0.45, 0.6, "a x b") for s in range(5)]

    svg = precision_chart(Correspondence(10, 0.5, 0.9, 0.45, 0.6, "a x b", seeds))

    assert len(marks(svg)) == 3 * 5 + 1
    assert [t for t in texts(svg) if t.startswith("seed")] == [
        f"seed {s}" for s in range(5)
    ]
    selected = extent(path_of(svg, "selected-0"), 1)
    assert selected == pytest.approx(2 * extent(path_of(svg, "random-0"), 1), abs=0.05)
    assert texts(svg).count(".90") == 5


def test_precision_without_seeds_shows_this_run() -> None:
    svg = precision_chart(Correspondence(0, np.nan, np.nan, 0.5, 1.0, ""))

    assert "this run" in texts(svg)
    assert "base" not in marks(svg)
    assert "nan" not in texts(svg)


def test_figures_take_the_colours_and_font_of_the_page() -> None:
    svg = funnel_chart([FunnelStep("found", 3)])

    assert "var(--accent)" in svg
    assert "font-family" not in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg)


def test_names_are_never_read_as_formulas_or_markup() -> None:
    svg = funnel_chart([FunnelStep("$\\frac{1}$</text><b>", 3)])

    assert "$\\frac{1}$&lt;/text&gt;&lt;b&gt;" in svg
    assert "<b>" not in svg


def test_names_in_scripts_without_a_measuring_font_are_drawn() -> None:
    name = "\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{DEVANAGARI LETTER KA}"

    assert name in texts(funnel_chart([FunnelStep(name, 3)]))


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(mpl.rcParams)

    funnel_chart([FunnelStep("found", 3)])

    assert dict(mpl.rcParams) == before


def test_progress_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        SelectionProgress(np.arange(3), np.zeros(3), np.zeros(2))


def test_cluster_sizes_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'v'.*of one shape"):
        ClusterSizes("v", "visual", np.arange(3), np.arange(2))
