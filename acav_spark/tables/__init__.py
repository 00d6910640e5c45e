"""Every table: columns, key, constraints, comments; and the only place that writes.

``schema`` and ``catalog`` are plain declarations; ``warehouse`` reads and writes Delta.
"""

from __future__ import annotations

from acav_spark.tables.catalog import TABLES, table_named
from acav_spark.tables.schema import Column, Table

__all__ = ["TABLES", "Column", "Table", "table_named"]
