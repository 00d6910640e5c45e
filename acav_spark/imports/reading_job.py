"""Sources of vectors as DataFrames: every row checked, its vectors fp16.

Parquet and Delta are read by Spark, .npy by blocks of rows, tar files one a task.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql import types as T

from acav_spark.errors import ConfigError, MediaError
from acav_spark.imports.arrays import ArrayFile, ids_of_array, ids_of_lines
from acav_spark.imports.checking import checked_batch, schema_of
from acav_spark.imports.shards import Sample, samples_of, vector_of
from acav_spark.imports.sources import TABLE_PREFIX, Block, Source, find_blocks
from acav_spark.imports.vectors import (
    MISSING_VECTOR,
    EncodedLayer,
    encode_array,
    encode_column,
)
from acav_spark.rows import failure, record_batch, spark_schema
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

    from acav_spark.config.importing import ImportedConfig

# Rows of a batch that goes back to Spark: some 4 MB of wide vectors.
_BATCH_ROWS = 2048
_NUMBERS = (T.FloatType, T.DoubleType, T.IntegralType, T.DecimalType)


@dataclass(frozen=True)
class Reading:
    """A source that can be read, again and again alike.

    Parameters
    ----------
    rows : DataFrame
        Of ``checking.schema_of``.
    layers : tuple of str
        Their names, early to late.
    dimensions : tuple of int or None
        Their lengths, where the source says them.
    """

    rows: DataFrame
    layers: tuple[str, ...]
    dimensions: tuple[int, ...] | None = None


def read_source(
    spark: SparkSession, source: Source, options: ImportedConfig
) -> Reading:
    """Return a source's rows.

    Raises
    ------
    ConfigError
        If it cannot be read, or lacks what is named.
    """
    if source.format == "npy":
        return _read_arrays(spark, source, options)
    if source.format == "webdataset":
        return _read_shards(spark, source, options)
    return _read_table(spark, source, options)


def _read_arrays(
    spark: SparkSession, source: Source, options: ImportedConfig
) -> Reading:
    _refuse_columns(options, source.format)
    blocks, layers, dimensions = find_blocks(source, options.ids_uris)
    if not blocks:
        msg = f"import: expected rows, found none in {', '.join(source.uris)}."
        raise ConfigError(msg)
    schema = schema_of(len(layers))
    numbers = spark.range(len(blocks), numPartitions=len(blocks))

    # Spark reads the hints of a plain function, and fails on a partial one.
    def read(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                yield from _block_rows(blocks[number])

    rows = numbers.mapInArrow(read, spark_schema(schema))
    return Reading(rows, layers, dimensions)


def _block_rows(block: Block) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a block."""
    if isinstance(block.ids, ArrayFile):
        ids = ids_of_array(block.ids, block.first, block.n_rows)
    else:
        ids = ids_of_lines(*block.ids)
    whole = [array.vectors(block.first, block.n_rows) for array in block.arrays]
    if whole[0].ndim == 3:
        whole = [whole[0][:, layer] for layer in range(whole[0].shape[1])]
    for first in range(0, block.n_rows, _BATCH_ROWS):
        end = min(first + _BATCH_ROWS, block.n_rows)
        layers = [encode_array(values[first:end]) for values in whole]
        yield checked_batch(ids[first:end], layers)


def _read_shards(
    spark: SparkSession, source: Source, options: ImportedConfig
) -> Reading:
    _refuse_columns(options, source.format)
    shards = spark.createDataFrame([(uri,) for uri in source.uris], "uri STRING")
    schema = schema_of(len(source.layers))
    process = partial(_shard_batches, endings=source.layers, schema=schema)
    rows = shards.repartition(len(source.uris), "uri").mapInArrow(
        process, spark_schema(schema)
    )
    return Reading(rows, source.layers)


def _shard_batches(
    batches: Iterable[pa.RecordBatch], *, endings: tuple[str, ...], schema: pa.Schema
) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        for uri in batch["uri"].to_pylist():
            waiting: list[Sample] = []
            with Folder(uri).open() as stream:
                for found in samples_of(stream, endings):
                    if isinstance(found, MediaError):
                        broken = {"item_id": uri, "uri": uri, **failure(found)}
                        yield record_batch([broken], schema)
                        continue
                    waiting.append(found)
                    if len(waiting) == _BATCH_ROWS:
                        yield _sample_rows(waiting, endings)
                        waiting = []
            if waiting:
                yield _sample_rows(waiting, endings)


def _sample_rows(samples: Sequence[Sample], endings: Sequence[str]) -> pa.RecordBatch:
    """Return samples with the vectors of their members."""
    problems = {i: s.problem for i, s in enumerate(samples) if s.problem is not None}
    layers = []
    for ending in endings:
        vectors: list[object] = []
        for row, sample in enumerate(samples):
            values = None
            try:
                if ending in sample.members:
                    values = vector_of(sample.members[ending])
                else:
                    message = f"there is no member .{ending}"
                    problems.setdefault(row, MediaError(MISSING_VECTOR, message))
            except MediaError as error:
                named = MediaError(error.code, f"{ending}: {error.message}")
                problems.setdefault(row, named)
            vectors.append(None if values is None else values.astype(np.float64))
        layers.append(encode_column(pa.array(vectors, pa.list_(pa.float64()))))
    return checked_batch([s.key for s in samples], layers, problems=problems)


def _read_table(
    spark: SparkSession, source: Source, options: ImportedConfig
) -> Reading:
    try:
        if source.uris[0].startswith(TABLE_PREFIX):
            raw = spark.read.table(source.uris[0].removeprefix(TABLE_PREFIX))
        elif source.format == "delta":
            raw = spark.read.format("delta").load(source.uris[0])
        else:
            raw = spark.read.parquet(*source.uris)
        kinds = {field.name: field.dataType for field in raw.schema}
    except PySparkException as error:
        msg = (
            f"import: expected {source.format} that Spark can read, got "
            f"{source.uris[0]!r} ({str(error).splitlines()[0][:300]}). Lists of half "
            "precision are not: write them as float32, or as bytes."
        )
        raise ConfigError(msg) from error
    if source.format == "delta" and len(source.uris) > 1:
        msg = f"import: expected one Delta table, got {len(source.uris)}."
        raise ConfigError(msg)
    layers = source.layers or _only_vectors(kinds, options)
    named = {
        "id_column": options.id_column,
        "uri_column": options.uri_column,
        "start_column": options.start_column,
        "end_column": options.end_column,
        **{f"layer {i}": name for i, name in enumerate(layers, start=1)},
    }
    missing = {k: n for k, n in named.items() if n and n not in kinds}
    if missing:
        msg = (
            f"import: {source.uris[0]!r}: expected the columns {missing}, got "
            f"{list(kinds)[:30]}. Name others, such as by --id-column."
        )
        raise ConfigError(msg)
    columns = [
        _text(options.id_column).alias("item_id"),
        _text(options.uri_column).alias("uri"),
        _seconds(options.start_column).alias("start_s"),
        _seconds(options.end_column).alias("end_s"),
        *[
            _vectors(source, name, kinds[name]).alias(f"layer_{i}")
            for i, name in enumerate(layers, start=1)
        ],
    ]
    schema = schema_of(len(layers))
    process = partial(
        _table_batches, n_layers=len(layers), binary_type=options.binary_type
    )
    rows = raw.select(*columns).mapInArrow(process, spark_schema(schema))
    return Reading(rows, tuple(layers))


def _table_batches(
    batches: Iterable[pa.RecordBatch], *, n_layers: int, binary_type: str
) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        layers: list[EncodedLayer] = [
            encode_column(batch[f"layer_{i}"], binary_type)
            for i in range(1, n_layers + 1)
        ]
        times = [batch[name] for name in ("start_s", "end_s")]
        has_times = any(column.null_count < len(batch) for column in times)
        yield checked_batch(
            batch["item_id"].to_pylist(),
            layers,
            uris=batch["uri"],
            starts_s=times[0].to_pylist() if has_times else None,
            ends_s=times[1].to_pylist() if has_times else None,
        )


def _only_vectors(kinds: dict[str, T.DataType], options: ImportedConfig) -> list[str]:
    """Return the only column that can hold vectors."""
    found = [
        name
        for name, kind in kinds.items()
        if name != options.id_column
        and (
            isinstance(kind, T.BinaryType)
            or (
                isinstance(kind, T.ArrayType) and isinstance(kind.elementType, _NUMBERS)
            )
        )
    ]
    if len(found) != 1:
        msg = (
            f"import: expected one column of vectors, lists of numbers or bytes, got "
            f"{found or 'none'} among {list(kinds)[:30]}. Name the layers, early to "
            "late, by --layer."
        )
        raise ConfigError(msg)
    return found


def _can_hold_vectors(kind: T.DataType) -> bool:
    is_list = isinstance(kind, T.ArrayType) and isinstance(kind.elementType, _NUMBERS)
    return is_list or isinstance(kind, T.BinaryType)


def _vectors(source: Source, name: str, kind: T.DataType) -> Column:
    column = F.col(f"`{name}`")
    if isinstance(kind, T.ArrayType) and isinstance(kind.elementType, T.DecimalType):
        return column.cast("array<double>")
    if _can_hold_vectors(kind):
        return column
    msg = (
        f"import: {source.uris[0]!r}: expected lists of numbers, or bytes, in column "
        f"{name!r}, got {kind.simpleString()}."
    )
    raise ConfigError(msg)


def _text(name: str) -> Column:
    return F.col(f"`{name}`").cast("string") if name else F.lit(None).cast("string")


def _seconds(name: str) -> Column:
    return F.col(f"`{name}`").cast("double") if name else F.lit(None).cast("double")


def _refuse_columns(options: ImportedConfig, kind: str) -> None:
    """Refuse options of columns for a source that has none."""
    named = [n for n in ("uri_column", "start_column") if getattr(options, n)]
    if named:
        msg = (
            f"import: expected no {', '.join(named)} for {kind}, which has no columns."
        )
        raise ConfigError(msg)
