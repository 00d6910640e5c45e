"""Take apart what a stage took: its items' work, its chunks, and what is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.planning.rates import StageRate
from acav_spark.planning.stages import ROWWISE, all_work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acav_spark.planning.rates import Rates
    from acav_spark.planning.stages import StageWork
    from acav_spark.planning.workload import Settings, Workload


@dataclass(frozen=True)
class StageTimes:
    """What a stage took in a run.

    Parameters
    ----------
    wall_s, core_s : float
        The whole stage.
    chunks : tuple of (float, float, float)
        Of each chunk: wall clock, processor time, items done after it.
    """

    wall_s: float
    core_s: float
    chunks: tuple[tuple[float, float, float], ...] = ()


def stage_rates(
    times: Mapping[str, StageTimes],
    workload: Workload,
    settings: Settings,
    rates: Rates,
) -> dict[str, StageRate]:
    """Return what stages cost apart from their items.

    Parameters
    ----------
    times : mapping of str to StageTimes
        By stage.
    workload, settings
        What was run.
    rates : Rates
        With the costs of items; of their ``stages`` those chunks count on that were
        not measured.

    Returns
    -------
    dict of str to StageRate
        Of the stages that a plan has: cutting and importing are in none.
    """
    works = {work.name: work for work in all_work(workload, settings, rates)}
    return {
        name: _rate(works[name], taken, rates)
        for name, taken in times.items()
        if name in works
    }


def _rate(work: StageWork, times: StageTimes, rates: Rates) -> StageRate:
    """Return the fixed part: what is left when items' work is subtracted.

    Items' work counts on the wall by the cores that share it. A stage of several
    chunks counts without all but the first.
    """
    cores = min(rates.cores, work.max_cores or rates.cores)
    shared = cores * rates.efficiency if cores > 1 else 1.0
    wall_of_work = work.core_s * rates.contention / shared
    if work.name not in ROWWISE or len(times.chunks) < 2:
        return StageRate(
            fixed_s=max(0.0, times.wall_s - wall_of_work),
            fixed_core_s=max(0.0, times.core_s - work.core_s),
            chunk_s=rates.stage(work.name).chunk_s,
            chunk_core_s=rates.stage(work.name).chunk_core_s,
        )
    n_items = max(1.0, times.chunks[-1][2])
    wall, core = [], []
    before = times.chunks[0][2]
    for wall_s, core_s, done in times.chunks[1:]:
        share = (done - before) / n_items
        before = done
        wall.append(max(0.0, wall_s - share * wall_of_work))
        core.append(max(0.0, core_s - share * work.core_s))
    # The last is the warmest; a median of few would take one that still warms up.
    chunk_s, chunk_core_s = min(wall), min(core)
    later_wall, later_core = sum(wall), sum(core)
    return StageRate(
        fixed_s=max(0.0, times.wall_s - wall_of_work - later_wall),
        fixed_core_s=max(0.0, times.core_s - work.core_s - later_core),
        chunk_s=chunk_s,
        chunk_core_s=chunk_core_s,
    )
