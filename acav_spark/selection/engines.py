"""From a problem to written rows, by either engine: read, choose, write."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.progress import Rate
from acav_spark.selection.candidates import (
    packed_files,
    require_distinct_clips,
    require_distinct_in_files,
)
from acav_spark.selection.driver import check_possible, select_on_driver
from acav_spark.selection.gathering import Former, former_rows, gather_candidates
from acav_spark.selection.lane_settings import LaneSettings
from acav_spark.selection.lanes_job import select_on_executors
from acav_spark.selection.lanes_write_job import write_lanes
from acav_spark.selection.population import write_population
from acav_spark.selection.restrictions import read_restrictions
from acav_spark.selection.staging import PickStaging
from acav_spark.selection.writing import (
    selection_marks,
    write_contingency,
    write_selection,
)
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

    from acav_spark.config.models import Config
    from acav_spark.context import OpenRun, StageContext
    from acav_spark.selection.candidates import PackedFiles
    from acav_spark.selection.contingency import ContingencyTables
    from acav_spark.selection.lanes_job import LaneOutcome
    from acav_spark.selection.problem import Problem
    from acav_spark.selection.restrictions import Restrictions

STAGE = "select_clips"
_logger = logging.getLogger(__name__)
_PICKS, _LANES = "_selecting", "_lanes"


def picks_folder(context: StageContext, name: str) -> Folder:
    """Return where a selection in progress keeps its picks."""
    return Folder(f"{context.folder.uri}/{_PICKS}/{name}")


def choose_and_write(
    context: StageContext,
    config: Config,
    problem: Problem,
    packed: DataFrame,
    name: str,
    run: OpenRun,
) -> dict[str, float]:
    """Choose clips, write ``contingency`` and ``selections``; return what to report.

    Parameters
    ----------
    context, config, run
        Of the stage.
    problem : Problem
        What is selected and how.
    packed : DataFrame
        Rows of the clustering.
    name : str
        Name of the selection.

    Returns
    -------
    dict of str to float
        ``objective`` in nats; in lanes ``n_rounds`` and ``staleness`` too.

    Raises
    ------
    StageError, ValueError
        If packed rows are not what they should be, or restrictions cannot be met.
    """
    chosen = config.selection
    folder = picks_folder(context, name)
    scratch = Folder(f"{folder.uri}/scratch")
    files = packed_files(packed)
    if chosen.engine == "driver":
        require_distinct_in_files(packed, files, scratch)
    else:
        require_distinct_clips(packed)
    former = Former.none()
    if problem.n_before:
        selected = context.warehouse.read("selections").where(f"selection = '{name}'")
        former = former_rows(selected, packed, problem, scratch)
    rules = read_restrictions(
        context, chosen, packed, problem.n_clips, problem.n_select, scratch
    )
    staging = PickStaging(
        Folder(f"{folder.uri}/picks"),
        problem.fingerprint(
            selection=name,
            stage_hash=run.run.stage_hash,
            packed=_packing(packed),
            rules=rules.digest(),
        ),
        n_before=problem.n_before,
    )
    metrics: dict[str, float] = {}
    context.reporter.start(STAGE, problem.n_new, "clips")
    try:
        if chosen.engine == "broadcast":
            outcome = _on_executors(
                context, config, problem, packed, staging, former, rules
            )
            tables = outcome.tables
            metrics = {"n_rounds": outcome.n_rounds, "staleness": outcome.staleness}
            write_population(context, config.clustering.name, packed, problem)
        else:
            tables = _on_driver(
                context, config, problem, packed, files, staging, former, rules, scratch
            )
    finally:
        context.reporter.finish()
    marks = selection_marks(name, stage_hash=run.run.stage_hash, run_id=run.run_id)
    write_contingency(context, name, tables, scratch, marks=marks)
    kind = {"method": chosen.method, "clustering": config.clustering.name}
    marks |= {column: F.lit(value) for column, value in kind.items()}
    write_selection(
        context,
        name,
        packed,
        staging,
        n_before=problem.n_before,
        marks=marks,
        scratch=scratch,
        files=files if chosen.engine == "driver" else None,
    )
    folder.delete(".")
    return {"objective": tables.objective(), **metrics}


def _on_driver(
    context: StageContext,
    config: Config,
    problem: Problem,
    packed: DataFrame,
    files: PackedFiles,
    staging: PickStaging,
    former: Former,
    rules: Restrictions,
    scratch: Folder,
) -> ContingencyTables:
    candidates = gather_candidates(packed, files, problem, former, rules, scratch)
    check_possible(problem, candidates)
    is_all = former.is_in is None and rules.allowed is None
    # Choosing takes one core, and no Spark: the population is written meanwhile.
    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(
            write_population,
            context,
            config.clustering.name,
            packed,
            problem,
            # Where all clips are in memory, they are counted there in seconds.
            counted=candidates.population if is_all else None,
        )
        started = time.monotonic()
        tables = select_on_driver(
            problem,
            candidates,
            staging,
            n_threads=config.selection.n_threads,
            progress=_progress(context, problem),
        )
        seconds = time.monotonic() - started
        _logger.info("chose n=%d seconds=%.1f", len(staging), seconds)
        writing.result()
    return tables


def _on_executors(
    context: StageContext,
    config: Config,
    problem: Problem,
    packed: DataFrame,
    staging: PickStaging,
    former: Former,
    rules: Restrictions,
) -> LaneOutcome:
    chosen = config.selection
    lanes = write_lanes(
        packed,
        Folder(f"{context.folder.uri}/{_LANES}/{config.clustering.name}"),
        packing=_packing(packed),
        n_clips=problem.n_clips,
        n_lanes=chosen.n_lanes,
        n_clusters=problem.n_clusters,
    )
    return select_on_executors(
        context.spark,
        problem,
        lanes,
        staging,
        settings=LaneSettings(
            n_lanes=chosen.n_lanes,
            batch_size=chosen.batch_size,
            per_batch=chosen.per_batch,
            max_round_growth=chosen.max_round_growth,
            seed=chosen.seed,
        ),
        rules=rules,
        is_former=former.is_in,
        progress=_progress(context, problem),
    )


def _packing(packed: DataFrame) -> str:
    """Return what changes whenever the packed rows of the clustering do."""
    first = packed.select("run_id").first()
    return "" if first is None else str(first["run_id"])


def _progress(context: StageContext, problem: Problem) -> Callable[[int], None]:
    rate = Rate(problem.n_new)
    told_at = 0.0

    def told(done: int) -> None:
        nonlocal told_at
        context.reporter.at(done)
        if done == 0:
            return
        # Batches are short: a line for each would fill the log.
        if time.monotonic() - told_at < 1 and done < problem.n_new:
            return
        told_at = time.monotonic()
        per_second, left = rate.at(done)
        _logger.info(
            "selected stage=%s done=%d/%d rate=%.0f/s left=%.0fs",
            *(STAGE, done, problem.n_new, per_second, left),
        )

    return told
