"""What the retrieval experiments leave: a row for each result, and its summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from acav_spark.evaluate.statistics import Interval, mean_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class CurvePoint:
    """Share of pairs that belong together among the first ``n_selected`` picks."""

    n_selected: int
    precision: float


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """One method on one data set in one run; a row of ``retrieval_results``.

    Parameters
    ----------
    part, position, label : str, int, str
        Table or figure, place in it from 0, and what the line is called.
    data_set, negatives, network : str
        Where it was measured, and what made the vectors.
    method, settings : str
        Method, and what shaped its picks, as JSON.
    run : int
        Run, which seeds set, clustering and draws.
    n_pairs, n_positive, n_selected : int
        Pairs of the test half, those that belong together, and picks.
    precision : float
        Share of picks that belong together, 0 to 1.
    groups : str
        What diversity is counted by: ``classes``, or ``clusters`` of the first side's
        last layer where no classes are known.
    n_groups_positive, n_groups_covered : int
        Groups of the pairs that belong together, and those of them that were found.
    entropy_nats : float
        Entropy of groups among the picks that belong together.
    paper_precision : float, optional
        What the paper prints, 0 to 1.
    seconds : float
        Processor time of the method, without clustering.
    stage_hash : str
        Hash of everything that shapes the result.
    curve : tuple of CurvePoint
        Precision along the picks; empty where it is not asked for.
    run_id : str
        The execution that wrote it; empty before it is written.
    """

    part: str
    position: int
    label: str
    data_set: str
    negatives: str
    network: str
    method: str
    settings: str
    run: int
    n_pairs: int
    n_positive: int
    n_selected: int
    precision: float
    groups: str
    n_groups_positive: int
    n_groups_covered: int
    entropy_nats: float
    paper_precision: float | None
    seconds: float
    stage_hash: str
    curve: tuple[CurvePoint, ...] = field(default=(), repr=False)
    run_id: str = field(default="", compare=False)


class Line(NamedTuple):
    """What a line of a table or figure is about, whatever the run."""

    part: str
    data_set: str
    negatives: str
    network: str
    position: int
    label: str


@dataclass(frozen=True)
class Summary:
    """A line over all its runs, precision in per cent.

    Parameters
    ----------
    line : Line
        What it is about.
    precision : Interval
        Mean and 99 % interval over runs, in per cent.
    paper_precision : float, optional
        The paper's, in per cent.
    n_pairs : int
        Pairs of the test half.
    groups : str
        What diversity is counted by.
    covered : float
        Groups that were found, of those that could be, 0 to 1, in the mean.
    effective_groups : float
        Exponential of the entropy of the groups that were found, in the mean.
    curve : sequence of (int, Interval)
        Precision after so many picks; points that all runs have.
    """

    line: Line
    precision: Interval
    paper_precision: float | None
    n_pairs: int
    groups: str
    covered: float
    effective_groups: float
    curve: Sequence[tuple[int, Interval]] = ()


def line_of(result: RetrievalResult) -> Line:
    """Return what line a result belongs to."""
    return Line(
        result.part,
        result.data_set,
        result.negatives,
        result.network,
        result.position,
        result.label,
    )


def summaries(results: Iterable[RetrievalResult]) -> list[Summary]:
    """Return mean and interval of every line, ordered by part, set and position."""
    ordered = sorted(results, key=lambda result: (line_of(result), result.run))
    return [
        _summary(line, list(of_line)) for line, of_line in groupby(ordered, key=line_of)
    ]


def _summary(line: Line, runs: Sequence[RetrievalResult]) -> Summary:
    paper = runs[0].paper_precision
    return Summary(
        line,
        _per_cent([run.precision for run in runs]),
        None if paper is None else 100 * paper,
        runs[0].n_pairs,
        runs[0].groups,
        float(
            np.mean([r.n_groups_covered / max(1, r.n_groups_positive) for r in runs])
        ),
        float(np.mean(np.exp([run.entropy_nats for run in runs]))),
        _mean_curve(runs),
    )


def _per_cent(shares: Sequence[float]) -> Interval:
    return mean_interval([100 * share for share in shares])


def _mean_curve(runs: Sequence[RetrievalResult]) -> list[tuple[int, Interval]]:
    by_place: dict[int, list[float]] = {}
    for run in runs:
        for point in run.curve:
            by_place.setdefault(point.n_selected, []).append(point.precision)
    return [
        (place, _per_cent(shares))
        for place, shares in sorted(by_place.items())
        if len(shares) == len(runs)
    ]
