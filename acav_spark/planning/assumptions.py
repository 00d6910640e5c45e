"""What a plan rests on that was not measured: told with its value and its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.planning.networks import CORE_GFLOPS, NETWORKS
from acav_spark.planning.storage_bytes import bytes_per_row
from acav_spark.planning.workload import Assumption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.planning.prices import Hardware
    from acav_spark.planning.rates import Rates
    from acav_spark.planning.workload import Settings

_OWN_TABLES = ("features", "centroids")


def rate_assumptions(rates: Rates) -> list[Assumption]:
    """Return the rates that were not measured on the machine of the others."""
    values = rates.model_dump()
    return [
        Assumption(
            name,
            f"{values[name]:.3g}" if isinstance(values[name], float) else "as in file",
            "not measured with the other rates: benchmarks/README.md, or a guess",
            f"{name} in a file of --rates",
        )
        for name in rates.not_measured
    ]


def hardware_assumptions(hardware: Hardware) -> list[Assumption]:
    """Return what is assumed of rented machines and of storage."""
    told = [
        Assumption(
            f"speed of a core of {pool.node_name}",
            f"{pool.node.core_speed:g} of the rates' machine",
            "not measured there",
            "core_speed of the node in the prices",
        )
        for pool in hardware.pools.values()
        if pool.usd_per_hour > 0
    ]
    if told:
        told.append(
            Assumption(
                "videos and tables are kept",
                f"{hardware.storage_months:g} months",
                "the file of hardware",
                "storage_months, store_videos",
            )
        )
    return told


def size_assumptions(settings: Settings, rates: Rates) -> list[Assumption]:
    """Return the bytes of rows that no warehouse has told."""
    widths = bytes_per_row(settings, rates.bytes_per_row)
    text = ", ".join(
        f"{name} {width:.0f}"
        for name, width in widths.items()
        if name not in rates.bytes_per_row and name not in _OWN_TABLES
    )
    source = "reckoned from the columns; vectors and centroids by their lengths"
    change = "bytes_per_row in the rates, --from-warehouse"
    return [Assumption("bytes of a row", text, source, change)] if text else []


def network_assumptions(
    settings: Settings, measured: Sequence[str], tflops: float, gpu_share: float
) -> list[Assumption]:
    """Return what is assumed of networks whose rate was not measured.

    Parameters
    ----------
    settings : Settings
        With the extractors.
    measured : sequence of str
        Extractors whose time on a core was measured.
    tflops, gpu_share : float
        Peak of the accelerator, 0 without one, and the share of it that is reached.
    """
    on_gpu = [
        e
        for e in settings.extractors
        if e.gmac_per_clip is not None and e.wants_gpu and tflops > 0
    ]
    on_core = [
        e
        for e in settings.extractors
        if e.gmac_per_clip is not None and e not in on_gpu and e.name not in measured
    ]
    told = [
        Assumption(
            f"operations of {e.name}",
            f"{e.gmac_per_clip:.4g} GMAC a clip of 10 s",
            NETWORKS[e.name].source,
            "planning/networks.py",
        )
        for e in [*on_gpu, *on_core]
    ]
    if on_gpu:
        told.append(
            Assumption(
                "share of the GPU's peak that is reached",
                f"{gpu_share:g} of {tflops:g} Tflop/s",
                "SlowFast on an H100, benchmarks/results/gpu.json: 0.06, compiled 0.1",
                "--gpu-share, gpu_tflops in the prices",
            )
        )
    if on_core:
        told.append(
            Assumption(
                "speed of networks on a core",
                f"{CORE_GFLOPS:g} Gflop/s",
                "a stated figure, not measured",
                "acav plan --calibrate",
            )
        )
    return told
