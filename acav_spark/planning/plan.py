"""From work, rates, machines and prices to hours, bytes and dollars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.planning.makespan import expected_makespan
from acav_spark.planning.networks import GPU_SHARE
from acav_spark.planning.remarks import remarks_on
from acav_spark.planning.stages import StageWork, all_work, n_clusters_of
from acav_spark.planning.storage_bytes import table_bytes, table_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.planning.prices import Hardware, Pool, Prices
    from acav_spark.planning.rates import Rates
    from acav_spark.planning.workload import Assumption, Settings, Workload

_HOUR = 3600.0
# Tables that a chunk commits to, and files of a commit.
_WRITES_PER_CHUNK = 12
# Items whose order on cores is simulated rather than averaged.
_MAX_SIMULATED = 20_000


@dataclass(frozen=True)
class StageCost:
    """What a stage takes.

    Parameters
    ----------
    name, unit, n_items
        The stage, and its items.
    core_hours, gpu_hours : float
        Work: processor time of cores of the rates' machine, time of accelerators.
    wall_hours : float
        From its start to its end on its pool.
    held_by : str
        What sets the wall clock: ``cores``, ``GPUs``, ``network``, ``longest item``
        or ``fixed`` (commits, planning).
    pool : str
        Where it runs.
    n_chunks : int
        Parts that are committed one after another.
    usd : float
        Price of the pool for that time.
    """

    name: str
    unit: str
    n_items: float
    core_hours: float
    gpu_hours: float
    wall_hours: float
    held_by: str
    pool: str
    n_chunks: int
    usd: float


@dataclass(frozen=True)
class TableSize:
    """Rows and bytes of a table."""

    name: str
    n_rows: float
    n_bytes: float


@dataclass(frozen=True)
class Plan:
    """What curating some videos takes.

    Parameters
    ----------
    n_videos, n_accepted, n_clips, n_selected : float
        The funnel.
    n_clusters : int
        Of each view.
    stages : tuple of StageCost
        In the order of the data.
    tables : tuple of TableSize
        What grows with the input.
    video_bytes : float
        Of the accepted videos.
    other_hours : float
        Start and end of the command.
    other_core_hours : float
        The same in processor time.
    usd : dict of str to float
        ``machines``, ``storage``, ``requests``, ``traffic``.
    assumptions : tuple of Assumption
        All that was not measured on these videos.
    remarks : tuple of str
        What to look at, and what to change.
    """

    n_videos: float
    n_accepted: float
    n_clips: float
    n_selected: float
    n_clusters: int
    stages: tuple[StageCost, ...]
    tables: tuple[TableSize, ...]
    video_bytes: float
    other_hours: float
    other_core_hours: float
    usd: dict[str, float]
    assumptions: tuple[Assumption, ...]
    remarks: tuple[str, ...]

    @property
    def core_hours(self) -> float:
        """Processor time of everything."""
        return sum(stage.core_hours for stage in self.stages) + self.other_core_hours

    @property
    def gpu_hours(self) -> float:
        """Time of accelerators."""
        return sum(stage.gpu_hours for stage in self.stages)

    @property
    def wall_hours(self) -> float:
        """From start to end, one stage after another."""
        return sum(stage.wall_hours for stage in self.stages) + self.other_hours

    @property
    def total_usd(self) -> float:
        """Everything together."""
        return sum(self.usd.values())


def make_plan(
    workload: Workload,
    settings: Settings,
    rates: Rates,
    hardware: Hardware,
    prices: Prices,
    *,
    assumptions: Sequence[Assumption] = (),
    gpu_share: float = GPU_SHARE,
) -> Plan:
    """Return what curating the videos takes on this hardware, at these prices.

    Parameters
    ----------
    workload, settings, rates, hardware, prices
        The videos; the configuration; what items cost; what is rented; what it costs.
    assumptions : sequence of Assumption
        What is to be told beside.
    gpu_share : float
        Share of an accelerator's peak that networks reach, in (0, 1].

    Notes
    -----
    Wall clock of a stage: what is fixed, what each further chunk adds, and the largest
    of its work over its cores, over its accelerators, and of its bytes over the
    network, which overlap. Machines are rented from the start of a stage to its end,
    those of other pools not meanwhile.
    """
    gpu = hardware.pool("gpu")
    tflops = gpu.node.gpu_tflops if gpu.gpus else 0.0
    works = all_work(workload, settings, rates, gpu_tflops=tflops, gpu_share=gpu_share)
    stages = tuple(
        stage_cost(work, settings, rates, hardware.pool(work.pool)) for work in works
    )
    k = n_clusters_of(settings, workload.n_clips)
    sizes = table_bytes(workload, settings, k, rates.bytes_per_row)
    rows = table_rows(workload, settings, k)
    tables = tuple(TableSize(name, rows[name], n) for name, n in sizes.items())
    video_bytes = workload.n_accepted * workload.mean.n_bytes
    stored = sum(sizes.values()) + (video_bytes if hardware.store_videos else 0.0)
    n_writes = sum(stage.n_chunks for stage in stages) * _WRITES_PER_CHUNK
    n_reads = sum(work.n_reads for work in works)
    read = sum(work.bytes_read for work in works)
    usd = {
        "machines": sum(stage.usd for stage in stages),
        "storage": stored / 1e12 * hardware.storage_months * prices.usd_per_tb_month,
        "requests": n_reads / 1e6 * prices.usd_per_million_reads
        + n_writes / 1e6 * prices.usd_per_million_writes,
        "traffic": read / 1e12 * hardware.share_out * prices.usd_per_tb_out,
    }
    if not hardware.store_videos:
        usd["requests"] = 0.0
    return Plan(
        n_videos=workload.n_videos,
        n_accepted=workload.n_accepted,
        n_clips=workload.n_clips,
        n_selected=settings.n_selected(workload.n_clips),
        n_clusters=k,
        stages=stages,
        tables=tables,
        video_bytes=video_bytes,
        other_hours=(rates.start_s + rates.end_s) / _HOUR,
        other_core_hours=(rates.start_core_s + rates.end_core_s) / _HOUR,
        usd=usd,
        assumptions=tuple(assumptions),
        remarks=tuple(remarks_on(workload, settings, rates, hardware, works)),
    )


def stage_cost(
    work: StageWork, settings: Settings, rates: Rates, pool: Pool
) -> StageCost:
    """Return what a stage takes on a pool."""
    rate = rates.stage(work.name)
    speed = pool.node.core_speed / pool.contention
    parts = {
        "cores": _cores_s(work, settings, rates, pool) / speed,
        "GPUs": work.gpu_s / pool.gpus if pool.gpus else 0.0,
        "network": work.bytes_read / pool.bytes_per_s,
        # Of every chunk the other cores wait for the longest item.
        "longest item": work.n_chunks * work.longest_core_s / speed,
    }
    held_by = max(parts, key=lambda name: parts[name])
    work_s = parts[held_by]
    fixed_s = rate.fixed_s + (work.n_chunks - 1) * rate.chunk_s
    # What is fixed took longer where the rates were measured beside other work.
    fixed_s *= pool.contention / rates.contention
    wall_hours = (work_s + fixed_s) / _HOUR
    fixed_core_s = rate.fixed_core_s + (work.n_chunks - 1) * rate.chunk_core_s
    return StageCost(
        name=work.name,
        unit=work.unit,
        n_items=work.n_items,
        core_hours=(work.core_s + work.merge_core_s + fixed_core_s) / _HOUR,
        gpu_hours=work.gpu_s / _HOUR,
        wall_hours=wall_hours,
        held_by="fixed" if fixed_s >= work_s else held_by,
        pool=pool.name,
        n_chunks=work.n_chunks,
        usd=wall_hours * pool.usd_per_hour,
    )


def usable_cores(work: StageWork, rates: Rates, pool: Pool) -> float:
    """Return how many cores of the rates' machine a stage has for itself.

    Examples
    --------
    Two cores of which each has 0.9 of the speed of one alone count as 1.8.
    """
    n_cores = min(pool.cores, work.max_cores or pool.cores)
    return n_cores * rates.efficiency if n_cores > 1 else 1.0


def _cores_s(work: StageWork, settings: Settings, rates: Rates, pool: Pool) -> float:
    """Return the wall clock of a stage's work on the cores, at the rates' speed."""
    cores = usable_cores(work, rates, pool)
    merge_s = work.merge_core_s / cores
    n_known = len(work.items_core_s)
    if work.n_chunks == 1 and 0 < n_known <= _MAX_SIMULATED:
        n_cores = min(pool.cores, work.max_cores or pool.cores)
        makespan = expected_makespan(
            work.items_core_s,
            n_cores=n_cores,
            n_tasks=settings.n_partitions or 4 * n_cores,
        )
        # One core alone is faster: the last task runs beside none.
        longest = max(work.items_core_s)
        return max(makespan / (cores / n_cores), longest) if n_cores > 1 else makespan
    return work.core_s / cores + merge_s
