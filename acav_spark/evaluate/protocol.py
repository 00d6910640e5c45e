"""The protocol of section 4.1: rank the test half, take the best half, count."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.evaluate.clusterings import ClusteringSettings
from acav_spark.evaluate.diversity import selection_diversity
from acav_spark.evaluate.experiments import CURVES
from acav_spark.evaluate.methods import METHODS
from acav_spark.evaluate.results import CurvePoint, RetrievalResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from acav_spark.evaluate.experiments import Cell
    from acav_spark.evaluate.problem import Problem

# Counts up when results of the same settings become others.
_VERSION: Final = 1
_CURVE_POINTS: Final = 100
_logger = logging.getLogger(__name__)


def evaluate(
    problem: Problem,
    cells: Sequence[Cell],
    *,
    done: Mapping[str, RetrievalResult] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[RetrievalResult]:
    """Return the result of every cell on a problem.

    Parameters
    ----------
    problem : Problem
        Data set and run.
    cells : sequence of Cell
        What to run. Cells of the same method and settings are run once.
    done : mapping of str to RetrievalResult, optional
        Results by hash that need not be computed again.
    progress : callable
        Called after each cell.

    Raises
    ------
    ValueError
        If a method picks other pairs than it should.

    Notes
    -----
    The share of pairs that is picked is the problem's: half of them (section 4.1).
    """
    known = dict(done or {})
    results = []
    for position, cell in enumerate(cells):
        reason = METHODS[cell.method].missing(problem)
        if reason:
            _logger.info("left out %s set=%s: %s", cell.label, problem.name, reason)
        else:
            key = result_hash(problem, cell)
            found = known.get(key)
            if found is None or (cell.part in CURVES and not found.curve):
                found = _measured(problem, cell, key)
                known[key] = found
                _logger.info(
                    "measured set=%s run=%d label=%s precision=%.4f seconds=%.1f",
                    *(problem.name, problem.run, cell.label),
                    *(found.precision, found.seconds),
                )
            results.append(_placed(found, cell, position))
        progress()
    return results


def result_hash(problem: Problem, cell: Cell) -> str:
    """Return the hash of what shapes a result: pairs, vectors, method, settings."""
    text = f"{_VERSION} {problem.fingerprint} {problem.run} {_settings(problem, cell)}"
    return hashlib.sha256(f"{cell.method} {text}".encode()).hexdigest()[:16]


def _settings(problem: Problem, cell: Cell) -> str:
    shaping = METHODS[cell.method].settings(cell.settings, problem)
    return json.dumps(shaping, sort_keys=True)


def _placed(found: RetrievalResult, cell: Cell, position: int) -> RetrievalResult:
    """Return a result in its place of a table; curves belong to figures alone."""
    paper = cell.paper_precision
    return replace(
        found,
        part=cell.part,
        position=position,
        label=cell.label,
        paper_precision=None if paper is None else paper / 100,
        curve=found.curve if cell.part in CURVES else (),
    )


def _measured(problem: Problem, cell: Cell, key: str) -> RetrievalResult:
    n_select = max(1, int(len(problem) * problem.selected_share))
    method = METHODS[cell.method]
    # Clusterings are shared, so that whoever comes first does not pay for them.
    method.prepare(problem, cell.settings)
    started = time.process_time()
    picks = method.rank(problem, n_select, cell.settings)
    seconds = time.process_time() - started
    _check(picks, n_select, len(problem), method.name)
    is_right = problem.is_positive[picks]
    groups, numbers = _groups(problem)
    diversity = selection_diversity(numbers, problem.is_positive, picks)
    return RetrievalResult(
        part=cell.part,
        position=0,
        label=cell.label,
        data_set=problem.name,
        negatives=problem.negatives,
        network=problem.network,
        method=method.name,
        settings=_settings(problem, cell),
        run=problem.run,
        n_pairs=len(problem),
        n_positive=int(problem.is_positive.sum()),
        n_selected=n_select,
        precision=float(is_right.mean()),
        groups=groups,
        n_groups_positive=diversity.positives.n_groups,
        n_groups_covered=diversity.selected_positives.n_groups,
        entropy_nats=diversity.selected_positives.entropy,
        paper_precision=None,
        seconds=seconds,
        stage_hash=key,
        curve=_curve(is_right),
    )


def _check(picks: NDArray[np.int64], n_select: int, n_pairs: int, method: str) -> None:
    is_sound = len(picks) == n_select == len(np.unique(picks))
    if not is_sound or picks.min() < 0 or picks.max() >= n_pairs:
        msg = (
            f"{method}: expected {n_select} different pairs below {n_pairs}, got "
            f"{len(picks)} picks, {len(np.unique(picks))} of them different."
        )
        raise ValueError(msg)


def _curve(is_right: NDArray[np.bool_]) -> tuple[CurvePoint, ...]:
    """Return the precision of the first picks at up to 100 even places."""
    n = len(is_right)
    places = np.unique(
        np.linspace(n / _CURVE_POINTS, n, _CURVE_POINTS).astype(np.int64)
    )
    places = places[places > 0]
    shares = np.cumsum(is_right)[places - 1] / places
    return tuple(
        CurvePoint(int(place), float(share))
        for place, share in zip(places, shares, strict=True)
    )


def _groups(problem: Problem) -> tuple[str, NDArray[np.integer]]:
    """Return what diversity is counted by: classes, or clusters where none are known.

    Clusters are those of the first side's last layer under the usual settings.
    """
    if not (problem.classes < 0).any():
        return "classes", problem.classes
    ids = problem.ids(ClusteringSettings(problem.n_classes))
    return "clusters", ids[:, problem.n_layers - 1]
