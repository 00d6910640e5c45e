"""The retrieval experiments of section 4: which are run, on what, in which order."""

from __future__ import annotations

import importlib.util
import logging
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from acav_spark.errors import ConfigError, DependencyError
from acav_spark.evaluate import data_sets
from acav_spark.evaluate.experiments import PARTS, cells_of
from acav_spark.evaluate.methods import METHODS
from acav_spark.evaluate.protocol import evaluate
from acav_spark.progress import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from acav_spark.evaluate.data_sets import DataSource
    from acav_spark.evaluate.experiments import Cell
    from acav_spark.evaluate.results import RetrievalResult
    from acav_spark.progress import Reporter

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RetrievalOptions:
    """What is to be run.

    Parameters
    ----------
    source : DataSource
        Where data sets come from, and how many runs.
    sets : sequence of str
        Names of data sets; empty for all that there is data for.
    methods : sequence of str
        Names of methods; empty for all.
    parts : sequence of str
        Tables and figures; empty for all.
    n_processes : int, default 1
        Runs of a data set that are computed at once, each in a process of its own; it
        changes no result. A script needs ``if __name__ == "__main__"`` for it.

    Raises
    ------
    ConfigError
        If a name is unknown, nothing is left to run, or a set's data are missing.
    DependencyError
        If a network needs torch, and it is not there.
    """

    source: DataSource
    sets: Sequence[str] = ()
    methods: Sequence[str] = ()
    parts: Sequence[str] = ()
    n_processes: int = 1
    _plan: dict[str, list[Cell]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for option, given, known in (
            ("--methods", self.methods, tuple(METHODS)),
            ("--parts", self.parts, PARTS),
            ("--sets", self.sets, data_sets.DATA_SETS),
        ):
            unknown = [name for name in given if name not in known]
            if unknown:
                msg = f"{option}: expected some of {', '.join(known)}; got {unknown}."
                raise ConfigError(msg)
        for option, number in (
            ("--runs", self.source.n_runs),
            ("--processes", self.n_processes),
        ):
            if number < 1:
                msg = f"{option}: expected at least 1, got {number}."
                raise ConfigError(msg)
        is_quick = self.source.is_quick
        usual = (
            [data_sets.MADE, data_sets.MADE_IDS]
            if is_quick
            else data_sets.available(self.source.data)
        )
        plan: dict[str, list[Cell]] = {}
        for name in self.sets or usual:
            cells = [
                cell
                for part in PARTS
                if not self.parts or part in self.parts
                for cell in cells_of(part, name, self.methods or None)
            ]
            if cells:
                data_sets.check(name, self.source)
                plan[name] = cells
        if not plan:
            msg = (
                f"--parts: expected a part that is made on a chosen set, got parts "
                f"{list(self.parts or PARTS)} and sets {list(self.sets or usual)}."
            )
            raise ConfigError(msg)
        object.__setattr__(self, "_plan", plan)
        self._require_torch()

    @property
    def plan(self) -> dict[str, list[Cell]]:
        """What is run on each data set."""
        return self._plan

    def _require_torch(self) -> None:
        """Refuse what needs torch where it is missing, before hours are spent."""
        needed = [n for n in self.plan if n not in (data_sets.MADE, data_sets.MADE_IDS)]
        if needed and importlib.util.find_spec("torch") is None:
            msg = (
                f"evaluate: expected torch for the networks of {', '.join(needed)}; it "
                "is not installed. Install it with: pip install 'acav_spark[models]', "
                "or choose made sets by --sets."
            )
            raise DependencyError(msg)


def run_retrieval(
    options: RetrievalOptions,
    *,
    known: Iterable[RetrievalResult] = (),
    store: Callable[[Sequence[RetrievalResult]], None] | None = None,
    reporter: Reporter | None = None,
) -> list[RetrievalResult]:
    """Run retrieval experiments and return their results.

    Parameters
    ----------
    options : RetrievalOptions
        What is to be run.
    known : iterable of RetrievalResult
        Results of earlier runs; those of the same pairs, vectors, method and settings
        are not computed again.
    store : callable, optional
        Given the results of each data set and run as soon as they are there.
    reporter : Reporter, optional
        Who is told about the progress.

    Returns
    -------
    list of RetrievalResult
        All results of the plan, those that were known included.

    Examples
    --------
    >>> from pathlib import Path
    >>> from acav_spark.evaluate.data_sets import DataSource
    >>> quick = DataSource(data=None, cache=Path("cache"), n_runs=2, is_quick=True)
    >>> options = RetrievalOptions(source=quick, sets=["made"], parts=["table2"])
    >>> results = run_retrieval(options)
    >>> len(results)  # eight pairings in two runs
    16
    """
    done: dict[str, RetrievalResult] = {}
    for result in known:
        # Of one result in several places, the one with a curve serves all.
        if result.curve or result.stage_hash not in done:
            done[result.stage_hash] = result
    reporter = reporter or SilentReporter()
    results: list[RetrievalResult] = []
    for name, cells in options.plan.items():
        reporter.start(name, len(cells) * options.source.n_runs, "results")
        n_done = 0

        def told() -> None:
            nonlocal n_done
            n_done += 1
            reporter.at(n_done)

        for of_run in _runs(name, cells, options, done, told):
            _logger.info("done set=%s n=%d", name, len(of_run))
            if store is not None:
                store(of_run)
            results += of_run
        reporter.finish()
    return results


def _runs(
    name: str,
    cells: Sequence[Cell],
    options: RetrievalOptions,
    done: Mapping[str, RetrievalResult],
    told: Callable[[], None],
) -> Iterator[list[RetrievalResult]]:
    """Yield the results of each run of a data set, in order."""
    source = options.source
    if options.n_processes == 1:
        for problem in data_sets.problems(name, source):
            yield evaluate(problem, cells, done=done, progress=told)
        return
    # What all runs share and is computed once, features, is kept afterwards.
    next(data_sets.problems(name, source))
    # A forked process would share the driver's connection to the JVM.
    pool = ProcessPoolExecutor(options.n_processes, mp_context=get_context("spawn"))
    try:
        for future in [
            pool.submit(_run_apart, name, source, run, cells, done)
            for run in range(source.n_runs)
        ]:
            results = future.result()
            for _ in cells:
                told()
            yield results
    finally:
        pool.shutdown(cancel_futures=True)


def _run_apart(
    name: str,
    source: DataSource,
    run: int,
    cells: Sequence[Cell],
    done: Mapping[str, RetrievalResult],
) -> list[RetrievalResult]:
    """Return the results of one run, computed by one core."""
    problem = next(islice(data_sets.problems(name, source), run, None))
    with threadpool_limits(1):
        return evaluate(problem, cells, done=done)
