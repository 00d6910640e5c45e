"""Retrieval results in the warehouse: what is done, written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acav_spark.evaluate.layout import RetrievalTable, layouts
from acav_spark.evaluate.results import (
    CurvePoint,
    RetrievalResult,
    line_of,
    summaries,
)
from acav_spark.tables import table_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyspark.sql import Row

    from acav_spark.tables.warehouse import Warehouse

RESULTS, CURVES = "retrieval_results", "retrieval_curves"
_LINE = ("experiment", "data_set", "negatives", "network", "label", "run")
# What is written together: all results of a data set in one run.
_TOGETHER = ("data_set", "negatives", "network", "run")


def gather_retrieval(warehouse: Warehouse) -> list[RetrievalTable]:
    """Return the tables and figures of all results, for the report."""
    return layouts(summaries(read_results(warehouse)))


def read_results(warehouse: Warehouse) -> list[RetrievalResult]:
    """Return all results with their curves: some thousand rows."""
    if not warehouse.exists(RESULTS):
        return []
    curves: dict[tuple[object, ...], list[CurvePoint]] = {}
    for row in warehouse.read(CURVES).collect():
        point = CurvePoint(row["n_selected"], row["precision"])
        curves.setdefault(_curve_key(row), []).append(point)
    return [
        _result(row, curves.get(_curve_key(row), []))
        for row in warehouse.read(RESULTS).collect()
    ]


def write_results(
    warehouse: Warehouse,
    results: Sequence[RetrievalResult],
    run_id: str,
    *,
    known: Iterable[RetrievalResult] = (),
) -> None:
    """Put results in the place of those of the same line and run.

    Parameters
    ----------
    warehouse : Warehouse
        Where to.
    results : sequence of RetrievalResult
        Of one data set in one run.
    run_id : str
        The execution that they are of.
    known : iterable of RetrievalResult
        All results that are there: those of the same data set and run stay.

    Notes
    -----
    All results of a data set and run are replaced by one commit, which takes old
    curves with them; merges of so few rows take several times as long. Curves are
    written first, and belong to the result of their hash: a result that is there has
    its curve.
    """
    if not results:
        return
    first = _columns(results[0])
    lines = {(line_of(result)._replace(position=0), result.run) for result in results}
    kept = [
        old
        for old in known
        if all(_columns(old)[name] == first[name] for name in _TOGETHER)
        and (line_of(old)._replace(position=0), old.run) not in lines
    ]
    rows = [{**_columns(r), "run_id": run_id} for r in results]
    rows += [_columns(old) for old in kept]
    points = [
        {**row, "n_selected": point.n_selected, "precision": point.precision}
        for row, result in zip(rows, [*results, *kept], strict=True)
        for point in result.curve
    ]
    where = " AND ".join(f"{name} = {_literal(first[name])}" for name in _TOGETHER)
    for table, values in ((CURVES, points), (RESULTS, rows)):
        names = table_named(table).column_names
        frame = warehouse.spark.createDataFrame(
            [tuple(row[name] for name in names) for row in values],
            table_named(table).ddl,
        )
        warehouse.replace(table, frame, where)


def _literal(value: object) -> str:
    """Return a number or text in SQL."""
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _curve_key(row: Row) -> tuple[object, ...]:
    return (*(row[name] for name in _LINE), row["stage_hash"])


def _columns(result: RetrievalResult) -> dict[str, Any]:
    """Return a result by column; ``part`` is the column ``experiment``."""
    values = dict(vars(result))
    values.pop("curve")
    return {"experiment": values.pop("part"), **values}


def _result(row: Row, curve: list[CurvePoint]) -> RetrievalResult:
    values = row.asDict()
    points = tuple(sorted(curve, key=lambda point: point.n_selected))
    return RetrievalResult(part=values.pop("experiment"), curve=points, **values)
