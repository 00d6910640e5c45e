"""Tables of the retrieval experiments as Markdown and for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from acav_spark.evaluate.layout import interval_text, layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.evaluate.layout import RetrievalTable
    from acav_spark.evaluate.results import Summary

_NONE = "\N{EN DASH}"


def markdown(summaries: Sequence[Summary]) -> str:
    """Return all tables as Markdown: a line for each result, its network named."""
    lines = [
        "# Retrieval experiments",
        "",
        "Precision in per cent; 99 % intervals.",
        "",
    ]
    for table in layouts(summaries):
        lines += [
            f"## {table.title}",
            "",
            "| data set | network | method | pairs | precision | paper | found | "
            "effective | runs |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for place, head in enumerate(table.columns):
            lines += [
                f"| {head.title} | {head.network} | {_cells(summary)} |"
                for summary in table.column(place)
            ]
        lines.append("")
    return "\n".join(lines)


def _cells(summary: Summary) -> str:
    return " | ".join(
        (
            summary.line.label,
            f"{summary.n_pairs:,}",
            interval_text(summary),
            _paper(summary),
            f"{100 * summary.covered:.0f} % of {summary.groups}",
            f"{summary.effective_groups:.1f}",
            str(summary.precision.n),
        )
    )


def _paper(summary: Summary) -> str:
    known = summary.paper_precision
    return _NONE if known is None else f"{known:.1f}"


def terminal_tables(summaries: Sequence[Summary]) -> list[Table]:
    """Return one table for each part and data set, to print on a terminal."""
    return [
        _terminal_table(table, place)
        for table in layouts(summaries)
        for place in range(len(table.columns))
    ]


def _terminal_table(table: RetrievalTable, place: int) -> Table:
    head = table.columns[place]
    drawn = Table(
        title=f"{table.title}\n{head.title} ({head.network})",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    drawn.add_column("method")
    for name in ("precision %", "paper", "found", "effective", "runs"):
        drawn.add_column(name, justify="right")
    for summary in table.column(place):
        drawn.add_row(
            summary.line.label,
            interval_text(summary),
            _paper(summary),
            f"{100 * summary.covered:.0f} % of {summary.groups}",
            f"{summary.effective_groups:.1f}",
            str(summary.precision.n),
        )
    return drawn
