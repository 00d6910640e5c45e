"""Rows that row-wise stages return from executors: an outcome, then the payload.

The id travels in the same Arrow row as the payload, from the first read to the write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyspark.sql.types import StructType

    from acav_spark.errors import MediaError

OUTCOME = (
    pa.field("item_id", pa.string()),
    pa.field("uri", pa.string()),
    pa.field("error_code", pa.string()),
    pa.field("message", pa.string()),
    pa.field("is_permanent", pa.bool_()),
)
"""First fields of every result; error_code is empty on success."""


def result_schema(*payload: tuple[str, pa.DataType]) -> pa.Schema:
    """Return the schema of a stage's results: the outcome and the payload."""
    return pa.schema([*OUTCOME, *(pa.field(name, kind) for name, kind in payload)])


def payload_names(schema: pa.Schema) -> list[str]:
    """Return the names of the fields after the outcome."""
    return list(schema.names[len(OUTCOME) :])


def spark_schema(schema: pa.Schema) -> StructType:
    """Return the same schema for ``mapInArrow``."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def record_batch(
    rows: Iterable[Mapping[str, object]], schema: pa.Schema
) -> pa.RecordBatch:
    """Return rows as one batch; fields that a row lacks are empty."""
    return pa.RecordBatch.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema
    )


def failure(error: MediaError) -> dict[str, object]:
    """Return the outcome's fields of an item that failed."""
    return {
        "error_code": error.code,
        "message": error.message.replace("\x00", "?")[:2000],
        "is_permanent": error.is_permanent,
    }
