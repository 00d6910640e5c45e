"""Figures of the retrieval experiments, for the page and as PNG files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from acav_spark.evaluate.layout import interval_text, layouts
from acav_spark.report import figure as fig
from acav_spark.report.wording import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from acav_spark.evaluate.layout import RetrievalTable
    from acav_spark.evaluate.results import Summary

_WIDTH = 500
_ROW = 22
# One style for every eight curves.
_DASHES: tuple[tuple[float, ...], ...] = ((), (5.0, 3.0), (1.5, 2.0))


def figure_files(summaries: Sequence[Summary]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of a PNG file for each table or figure and data set."""
    for table in layouts(summaries):
        for place, head in enumerate(table.columns):
            suffix = "" if head.negatives == "whole" else f"_{head.negatives}"
            with fig.drawing(_WIDTH, height_of(table, place)) as drawn:
                draw(drawn, table, place)
                drawn.suptitle(
                    f"{table.title}\n{head.title} ({one_line(head.network, 60)})",
                    fontsize=11,
                )
                yield f"{table.part}_{head.data_set}{suffix}.png", fig.png(drawn)


def page_figure(table: RetrievalTable, place: int) -> str:
    """Return the figure of a table on one data set as an ``svg`` element."""
    with fig.drawing(_WIDTH, height_of(table, place)) as drawn:
        draw(drawn, table, place)
        head = table.columns[place]
        label = f"{table.title}, {head.title}: " + "; ".join(
            f"{summary.line.label} {interval_text(summary)}"
            for summary in table.column(place)
        )
        name = f"retrieval-{table.part}-{place}"
        return fig.inline_svg(drawn, name, label=one_line(label, 2000))


def height_of(table: RetrievalTable, place: int) -> int:
    """Return the height of a figure in CSS pixels."""
    if table.has_curves:
        return 300
    return 70 + _ROW * len(table.column(place))


def draw(drawn: Figure, table: RetrievalTable, place: int) -> None:
    """Draw curves of a figure, or dots of a table, on one data set."""
    summaries = table.column(place)
    if not table.has_curves:
        _draw_dots(drawn.add_subplot(), summaries)
        return
    panels = _panels(summaries)
    means = [i.mean for summary in summaries for _, i in summary.curve]
    for number, (heading, curves) in enumerate(panels):
        axes = drawn.add_subplot(1, len(panels), number + 1)
        _draw_curves(axes, curves, heading)
        if means:
            axes.set_ylim(max(0.0, min(means) - 5), min(102.0, max(means) + 5))
        if number:
            axes.set_ylabel("")
            axes.set_yticklabels([])


def _panels(
    summaries: Sequence[Summary],
) -> list[tuple[str, list[tuple[str, Summary]]]]:
    """Return headings with curves: one panel for each b where there are several."""
    panels: dict[str, list[tuple[str, Summary]]] = {}
    for summary in summaries:
        batch, _, picks = summary.line.label.partition(", ")
        panels.setdefault(batch if picks else "", []).append((picks, summary))
    if len(panels) < 2 or "" in panels:
        return [("", [(summary.line.label, summary) for summary in summaries])]
    return list(panels.items())


def _draw_dots(axes: Axes, summaries: Sequence[Summary]) -> None:
    """Draw a dot with its interval for each line, the paper's number as a diamond."""
    for place, summary in enumerate(summaries):
        precision = summary.precision
        if not math.isnan(precision.half_width):
            axes.plot(
                [precision.low, precision.high], [place, place], color=fig.ACCENT, lw=2
            )
        (dot,) = axes.plot(precision.mean, place, "o", color=fig.ACCENT, ms=6)
        dot.set_gid(f"mark-{place}")
        if summary.paper_precision is not None:
            axes.plot(summary.paper_precision, place, "D", color=fig.CONTRAST, ms=5)
    labels = [one_line(summary.line.label, 34) for summary in summaries]
    axes.set_yticks(range(len(summaries)), labels)
    axes.set_ylim(len(summaries) - 0.4, -0.6)
    axes.set_xlabel("precision (%); diamonds: the paper's")
    fig.quiet_axes(axes, grid="x")


def _draw_curves(
    axes: Axes, curves: Sequence[tuple[str, Summary]], heading: str
) -> None:
    """Draw mean and band of each curve against the number of picks."""
    for place, (label, summary) in enumerate(curves):
        picks = [n for n, _ in summary.curve]
        intervals = [interval for _, interval in summary.curve]
        colour = fig.SERIES[place % len(fig.SERIES)]
        if intervals and not math.isnan(intervals[0].half_width):
            axes.fill_between(
                picks,
                [interval.low for interval in intervals],
                [interval.high for interval in intervals],
                color=colour,
                alpha=0.12,
                linewidth=0,
            )
        (line,) = axes.plot(
            picks,
            [interval.mean for interval in intervals],
            color=colour,
            dashes=_DASHES[place // len(fig.SERIES) % len(_DASHES)],
            linewidth=1.6,
            label=one_line(label, 30),
        )
        line.set_gid(f"mark-{summary.line.position}")
    if heading:
        axes.set_title(heading, fontsize=11)
    axes.locator_params(axis="x", nbins=3 if heading else 6, integer=True)
    axes.xaxis.set_major_formatter(lambda value, _: count(round(value)))
    axes.set_xlabel("pairs selected")
    axes.set_ylabel("precision (%)")
    axes.legend(fontsize=9)
    fig.quiet_axes(axes)
