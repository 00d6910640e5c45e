"""What tables hold, in a form that two warehouses can be compared by."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from acav_spark.tables import TABLES

if TYPE_CHECKING:
    from acav_spark.tables.warehouse import Warehouse

# When and by which run a row was written, how often it was tried and how long it took
# may differ.
_ASIDE = {"run_id", "attempts", "seconds"}

COMPARED = (
    "videos",
    "segmentations",
    "clips",
    "features",
    "codebooks",
    "centroids",
    "epochs",
    "assignments",
    "packed",
    "selections",
    "contingency",
    "failures",
)


def contents(warehouse: Warehouse, table: str) -> Counter[tuple[object, ...]]:
    """Return the rows of a table with their multiplicity, whatever their order."""
    rows = warehouse.read(table)
    names = sorted(set(rows.columns) - _ASIDE)
    return Counter(
        tuple(_plain(value) for value in row) for row in rows.select(*names).collect()
    )


def all_contents(warehouse: Warehouse) -> dict[str, Counter[tuple[object, ...]]]:
    """Return the rows of every table that a result consists of."""
    return {table: contents(warehouse, table) for table in COMPARED}


class Counted(NamedTuple):
    """Rows of a table, different keys among them, and the runs that wrote them."""

    n_rows: int
    n_keys: int
    run_ids: frozenset[str]


def counted(warehouse: Warehouse) -> dict[str, Counted]:
    """Count every table of a warehouse, each in one pass."""
    found = {}
    for table in TABLES:
        counts = (
            "count(*)",
            f"count(DISTINCT struct({', '.join(table.key)}))",
            "collect_set(run_id)",
        )
        (row,) = warehouse.read(table.name).selectExpr(*counts).collect()
        found[table.name] = Counted(row[0], row[1], frozenset(row[2]))
    return found


def versions(warehouse: Warehouse) -> dict[str, int]:
    """Return the Delta version of every table: the same where nothing was written."""
    return {table.name: warehouse.version(table.name) for table in TABLES}


def _plain(value: object) -> object:
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return value
