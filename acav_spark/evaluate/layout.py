"""Results laid out as the paper's tables: a column for each data set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from acav_spark.evaluate.experiments import CURVES, PARTS, TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.evaluate.experiments import Part
    from acav_spark.evaluate.results import Summary


class ColumnHead(NamedTuple):
    """What a column of a table is about."""

    data_set: str
    negatives: str
    network: str

    @property
    def title(self) -> str:
        """Name of the data set, and how negatives were made where not the usual way."""
        name = self.data_set.replace("_", " ")
        return name if self.negatives == "whole" else f"{name}, negatives per layer"


@dataclass(frozen=True)
class RetrievalTable:
    """One table or figure.

    Parameters
    ----------
    part, title : str
        Which one, and its heading.
    columns : sequence of ColumnHead
        Data sets.
    rows : sequence of (str, sequence of Summary or None)
        Label of each line, and its result on each data set.
    """

    part: Part
    title: str
    columns: Sequence[ColumnHead]
    rows: Sequence[tuple[str, Sequence[Summary | None]]]

    @property
    def has_curves(self) -> bool:
        """Whether it is a figure of precision along the picks."""
        return self.part in CURVES

    def column(self, place: int) -> list[Summary]:
        """Return what was measured on one data set, in the order of the rows."""
        return [cell for _, cells in self.rows if (cell := cells[place]) is not None]


def layouts(summaries: Sequence[Summary]) -> list[RetrievalTable]:
    """Return the tables and figures of some results, in the order of the paper."""
    return [
        _layout(part, of_part)
        for part in PARTS
        if (of_part := [s for s in summaries if s.line.part == part])
    ]


def _layout(part: Part, summaries: Sequence[Summary]) -> RetrievalTable:
    columns = list(dict.fromkeys(_head(summary) for summary in summaries))
    places: dict[str, int] = {}
    cells: dict[tuple[str, ColumnHead], Summary] = {}
    for summary in summaries:
        label = summary.line.label
        places[label] = min(places.get(label, 1 << 30), summary.line.position)
        cells[label, _head(summary)] = summary
    labels = sorted(places, key=lambda label: (places[label], label))
    rows = [(label, [cells.get((label, c)) for c in columns]) for label in labels]
    return RetrievalTable(part, TITLES[part], columns, rows)


def _head(summary: Summary) -> ColumnHead:
    line = summary.line
    return ColumnHead(line.data_set, line.negatives, line.network)


def interval_text(summary: Summary) -> str:
    """Return mean and half width in per cent: ``87.3 ± 1.2``."""
    precision = summary.precision
    if math.isnan(precision.half_width):
        return f"{precision.mean:.1f}"
    return f"{precision.mean:.1f} ± {precision.half_width:.1f}"


def beside_text(summary: Summary) -> str:
    """Return what stands beside a result: the paper's number, and the diversity."""
    words = []
    if summary.paper_precision is not None:
        words.append(f"paper {summary.paper_precision:.1f}")
    covered = f"{100 * summary.covered:.0f} % of {summary.groups}"
    words.append(f"{covered}, effective {summary.effective_groups:.1f}")
    return "; ".join(words)
