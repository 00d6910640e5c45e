"""A plan for people, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from acav_spark.planning.plan import Plan
    from acav_spark.planning.prices import Hardware, Prices
    from acav_spark.planning.rates import Rates

_BYTES = (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def plan_json(plan: Plan) -> str:
    """Return a plan as JSON, totals included."""
    values = {
        **asdict(plan),
        "core_hours": plan.core_hours,
        "gpu_hours": plan.gpu_hours,
        "wall_hours": plan.wall_hours,
        "total_usd": plan.total_usd,
    }
    return json.dumps(values, indent=2)


def hours(value: float) -> str:
    """Return a time in the unit that suits it.

    Examples
    --------
    >>> hours(0.01), hours(0.5), hours(30.0), hours(1000.0)
    ('36 s', '30 min', '30 h', '42 days')
    """
    if value <= 0:
        return "0 s"
    if value < 1 / 60:
        return f"{value * 3600:.2g} s"
    if value < 1.995:
        return f"{value * 60:.0f} min" if value * 60 >= 10 else f"{value * 3600:.0f} s"
    if value < 100:
        return f"{value:.0f} h" if value >= 10 else f"{value:.1f} h"
    return f"{value / 24:,.0f} days" if value >= 240 else f"{value / 24:.1f} days"


def amount(value: float) -> str:
    """Return a count or a number of hours with three digits at least.

    Examples
    --------
    >>> amount(1234567.0), amount(12.34), amount(0.0123), amount(0.0)
    ('1,234,567', '12.3', '0.012', '0')
    """
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def size(n_bytes: float) -> str:
    """Return bytes in powers of ten.

    Examples
    --------
    >>> size(1.8e15), size(2.5e9), size(12)
    ('1.8 PB', '2.5 GB', '12 B')
    """
    for unit, factor in _BYTES:
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes:.0f} B"


def tables_of(plan: Plan) -> Iterator[Table]:
    """Yield what is printed of a plan: stages, tables, money."""
    from rich.table import Table

    stages = Table(title=None, box=None, header_style="bold", pad_edge=False)
    stages.add_column("stage")
    for name in ("items", "", "core-hours", "GPU-hours", "wall clock", "held by"):
        stages.add_column(name, justify="left" if name in ("", "held by") else "right")
    stages.add_column("chunks", justify="right")
    stages.add_column("on")
    stages.add_column("USD", justify="right")
    for stage in plan.stages:
        stages.add_row(
            *(stage.name, amount(stage.n_items), stage.unit),
            *(amount(stage.core_hours), amount(stage.gpu_hours)),
            *(hours(stage.wall_hours), stage.held_by, f"{stage.n_chunks:,}"),
            *(stage.pool, f"{stage.usd:,.2f}"),
        )
    stages.add_row(
        *("start and end", "", "", amount(plan.other_core_hours), ""),
        *(hours(plan.other_hours), "fixed", "", "", ""),
    )
    stages.add_row(
        *("all", "", "", amount(plan.core_hours), amount(plan.gpu_hours)),
        *(hours(plan.wall_hours), "", "", "", f"{plan.usd['machines']:,.2f}"),
        style="bold",
    )
    yield stages
    tables = Table(box=None, header_style="bold", pad_edge=False)
    tables.add_column("table")
    tables.add_column("rows", justify="right")
    tables.add_column("bytes", justify="right")
    for table in plan.tables:
        tables.add_row(table.name, amount(table.n_rows), size(table.n_bytes))
    total = sum(table.n_bytes for table in plan.tables)
    tables.add_row("all", "", size(total), style="bold")
    tables.add_row("(videos)", amount(plan.n_accepted), size(plan.video_bytes))
    yield tables
    money = Table(box=None, header_style="bold", pad_edge=False)
    money.add_column("for")
    money.add_column("USD", justify="right")
    for name, usd in plan.usd.items():
        money.add_row(name, f"{usd:,.2f}")
    money.add_row("all", f"{plan.total_usd:,.2f}", style="bold")
    yield money
    if plan.assumptions:
        told = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("assumption", "value", "from", "change by"):
            told.add_column(name, overflow="fold")
        for one in plan.assumptions:
            told.add_row(one.name, one.value, one.source, one.change)
        yield told


def funnel_line(plan: Plan) -> str:
    """Return the funnel in one line."""
    return (
        f"{plan.n_videos:,.0f} videos, {plan.n_accepted:,.0f} accepted, "
        f"{plan.n_clips:,.0f} clips, {plan.n_selected:,.0f} selected, "
        f"{plan.n_clusters:,} clusters a view"
    )


def basis_lines(rates: Rates, hardware: Hardware, prices: Prices) -> Iterator[str]:
    """Yield what a plan rests on: rates, machines, prices."""
    yield (
        f"Rates: {rates.machine}, {rates.cores} cores, {rates.date}, "
        f"{rates.n_videos} videos of {rates.video_s:.0f} s"
    )
    for pool in hardware.pools.values():
        gpus = f", {pool.gpus} GPUs" if pool.gpus else ""
        yield (
            f"Pool {pool.name}: {pool.n_nodes} x {pool.node_name}, {pool.cores:,} cores"
            f"{gpus}, {pool.bytes_per_s / 1e9:,.3g} GB/s, "
            f"{pool.usd_per_hour:,.2f} USD an hour"
        )
    yield f"Prices: {prices.date}, {prices.source}"
