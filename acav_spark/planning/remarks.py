"""What a plan makes one look at: settings that leave machines idle, and memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from acav_spark.planning.stages import ROWWISE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from acav_spark.planning.prices import Hardware
    from acav_spark.planning.rates import Rates
    from acav_spark.planning.stages import StageWork
    from acav_spark.planning.workload import Settings, Workload

# Commits and the wait for the longest item may take such a part of a chunk's time.
_WASTE = 0.1
# Memory that selection takes beside the clips, in bytes.
_SELECTION_BYTES = 0.7e9


def remarks_on(
    workload: Workload,
    settings: Settings,
    rates: Rates,
    hardware: Hardware,
    works: Sequence[StageWork],
) -> Iterator[str]:
    """Yield what is worth a look, one line each."""
    sizes = [
        size
        for work in works
        if (size := _useful_chunk(work, rates, hardware)) > settings.chunk_size
    ]
    if sizes:
        yield (
            f"execution.chunk_size is {settings.chunk_size:,}: cores wait for the "
            "longest item and the commit of every chunk. With "
            f"execution.chunk_size={_round_up(max(sizes))} that is a tenth of the time."
        )
    driver = hardware.pool("driver")
    needed = 2.0 * settings.n_views * workload.n_clips + _SELECTION_BYTES
    available = driver.node.memory_gb * 1e9
    if settings.engine == "driver" and available and needed > 0.8 * available:
        yield (
            f"select_clips needs {needed / 1e9:.1f} GB of memory in one process, a "
            f"{driver.node_name} has {available / 1e9:.0f}: take a larger machine, or "
            "selection.engine=broadcast."
        )
    unknown = [
        extractor.name
        for extractor in settings.extractors
        if extractor.name not in rates.extractors and extractor.gmac_per_clip is None
    ]
    if unknown:
        yield (
            f"{', '.join(unknown)}: neither measured nor known, counted as nothing. "
            "Run: acav plan --calibrate"
        )
    if rates.contention > 1.15:
        yield (
            "The rates were measured beside other work, where a second of processor "
            f"time took {rates.contention:.2f} s. On rented machines it is taken to "
            "take one, and what is fixed that much less; measure again on a quiet one."
        )


def _useful_chunk(work: StageWork, rates: Rates, hardware: Hardware) -> int:
    """Return the items of a chunk of which a tenth of the time is waiting."""
    if work.name not in ROWWISE or work.n_items <= 0 or work.n_chunks == 1:
        return 0
    pool = hardware.pool(work.pool)
    item_s = max(
        work.item_core_s / (pool.cores * pool.node.core_speed),
        work.gpu_s / work.n_items / pool.gpus if pool.gpus else 0.0,
    )
    waiting_s = rates.stage(work.name).chunk_s / rates.contention
    waiting_s += work.longest_core_s
    n_items = min(waiting_s / _WASTE / max(item_s, 1e-12), work.n_items)
    return math.ceil(n_items / work.chunk_factor)


def _round_up(n: int) -> int:
    """Return the next number with one digit: 234 -> 300."""
    unit = int(10 ** (len(str(n)) - 1))
    return math.ceil(n / unit) * unit
