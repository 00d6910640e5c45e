"""The retrieval experiments of section 4: which are run, on what, in which order."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acav_spark.errors import ConfigError, DependencyError
from acav_spark.evaluate import data_sets
from acav_spark.evaluate.experiments import PARTS, cells_of
from acav_spark.evaluate.methods import METHODS
from acav_spark.evaluate.protocol import evaluate
from acav_spark.progress import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
        if self.source.n_runs < 1:
            msg = f"--runs: expected at least 1, got {self.source.n_runs}."
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
        if result.curve or result.result_hash not in done:
            done[result.result_hash] = result
    reporter = reporter or SilentReporter()
    results: list[RetrievalResult] = []
    for name, cells in options.plan.items():
        reporter.start(name, len(cells) * options.source.n_runs, "results")
        n_done = 0

        def told() -> None:
            nonlocal n_done
            n_done += 1
            reporter.at(n_done)

        for problem in data_sets.problems(name, options.source):
            of_run = evaluate(problem, cells, done=done, progress=told)
            _logger.info("done set=%s run=%d n=%d", name, problem.run, len(of_run))
            if store is not None:
                store(of_run)
            results += of_run
        reporter.finish()
    return results
