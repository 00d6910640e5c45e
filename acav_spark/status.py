"""What ``acav status``, ``show`` and ``sql`` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from rich.table import Table

from acav_spark.errors import ConfigError
from acav_spark.tables import TABLES
from acav_spark.tables.views import VIEWS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from acav_spark.context import StageContext


def tables_table(context: StageContext) -> Table:
    """Return the tables with their rows and Delta versions."""
    table = Table("table", "rows", "version", "what", box=None, header_style="bold")
    for declared in TABLES:
        if context.warehouse.exists(declared.name):
            n_rows = context.warehouse.read(declared.name).count()
            version = context.warehouse.version(declared.name)
            table.add_row(declared.name, f"{n_rows:,}", str(version), declared.comment)
    return table


def last_runs_table(context: StageContext, n_runs: int = 10) -> Table:
    """Return the last runs, latest last."""
    rows = (
        context.warehouse.read("runs")
        .orderBy("run_id", ascending=False)
        .limit(n_runs)
        .collect()
    )
    table = Table(
        *("stage", "status", "started (UTC)", "seconds", "in", "out", "failed"),
        box=None,
        header_style="bold",
    )
    for marker in context.ledger.running():
        table.caption = f"{marker['stage']} is running, or was killed, since "
        table.caption += marker["started_at"][:19]
    for row in reversed(rows):
        table.add_row(
            row["stage"],
            row["status"],
            f"{row['started_at']:%Y-%m-%d %H:%M:%S}",
            "" if row["seconds"] is None else f"{row['seconds']:.1f}",
            *(_text(row[name]) for name in ("n_in", "n_out", "n_failed")),
        )
    return table


def show_table(context: StageContext, name: str, limit: int) -> DataFrame:
    """Return the first rows of a table or view.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    known = [table.name for table in TABLES] + list(VIEWS)
    if name not in known:
        msg = f"show: expected one of {', '.join(known)}; got {name!r}."
        raise ConfigError(msg)
    context.warehouse.register_views()
    rows = context.spark.table(name)
    keys = next((list(t.key) for t in TABLES if t.name == name), [])
    order = keys or [c for c in ("selection", "rank") if c in rows.columns]
    return (rows.orderBy(*order) if order else rows).limit(limit)


def query_rows(context: StageContext, query: str, limit: int) -> DataFrame:
    """Return the first rows that a query gives.

    Raises
    ------
    ConfigError
        If the query is wrong; with Spark's reason in one line.
    """
    context.warehouse.register_views()
    try:
        return context.spark.sql(query).limit(limit)
    except PySparkException as error:
        reason = str(error).split("\n", 1)[0]
        names = ", ".join([table.name for table in TABLES] + list(VIEWS))
        msg = f"sql: {reason} Tables and views: {names}."
        raise ConfigError(msg) from error


def rows_of(rows: DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return column names, and rows as text."""
    return rows.columns, [[_text(value) for value in row] for row in rows.collect()]


def _text(value: object) -> str:
    """Return a value as people read it; binary by its length."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
