"""Retrieval results in the warehouse: what is done, written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.evaluate.results import CurvePoint, RetrievalResult
from acav_spark.tables import table_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Row

    from acav_spark.tables.warehouse import Warehouse

RESULTS, CURVES = "retrieval_results", "retrieval_curves"
_LINE = ("experiment", "data_set", "negatives", "network", "label", "run")


def read_results(warehouse: Warehouse) -> list[RetrievalResult]:
    """Return all results with their curves: some thousand rows."""
    curves: dict[tuple[object, ...], list[CurvePoint]] = {}
    for row in warehouse.read(CURVES).orderBy("n_selected").collect():
        key = (*(row[name] for name in _LINE), row["result_hash"])
        point = CurvePoint(row["n_selected"], row["precision"])
        curves.setdefault(key, []).append(point)
    return [
        _result(row, curves.get((*(row[n] for n in _LINE), row["result_hash"]), []))
        for row in warehouse.read(RESULTS).collect()
    ]


def write_results(
    warehouse: Warehouse, results: Iterable[RetrievalResult], run_id: str
) -> None:
    """Put results in the place of those of the same line and run.

    Curves are written first: a result that is there has its curve.
    """
    rows = list(results)
    points = [
        {
            **_columns(result),
            "n_selected": point.n_selected,
            "precision": point.precision,
            "run_id": run_id,
        }
        for result in rows
        for point in result.curve
    ]
    _upsert(warehouse, CURVES, points)
    _upsert(warehouse, RESULTS, [{**_columns(r), "run_id": run_id} for r in rows])


def delete_lines(warehouse: Warehouse, results: Iterable[RetrievalResult]) -> None:
    """Delete what there is of the lines and runs of some results.

    A curve may have had other places, which an upsert would leave. Results go first:
    a curve without its result is not read.
    """
    lines = sorted({tuple(_columns(r)[name] for name in _LINE) for r in results})
    schema = ", ".join(
        f"{name} {'INT' if name == 'run' else 'STRING'}" for name in _LINE
    )
    keys = warehouse.spark.createDataFrame(lines, schema)
    warehouse.delete_keys(RESULTS, keys)
    warehouse.delete_keys(CURVES, keys)


def _upsert(warehouse: Warehouse, name: str, rows: list[dict[str, object]]) -> None:
    table = table_named(name)
    if rows:
        values = [tuple(row[column] for column in table.column_names) for row in rows]
        warehouse.upsert(name, warehouse.spark.createDataFrame(values, table.ddl))


def _columns(result: RetrievalResult) -> dict[str, object]:
    """Return a result by column; ``part`` is the column ``experiment``."""
    values = dict(vars(result))
    values.pop("curve")
    return {"experiment": values.pop("part"), **values}


def _result(row: Row, curve: list[CurvePoint]) -> RetrievalResult:
    values = row.asDict()
    values.pop("run_id")
    return RetrievalResult(
        part=values.pop("experiment"), curve=tuple(curve), **values
    )
