"""Metadata of every known layout as one DataFrame of plain columns of text."""

from __future__ import annotations

import functools
import logging
import re
from typing import TYPE_CHECKING, Final

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F
from pyspark.sql import types as T

from acav_spark.errors import ConfigError
from acav_spark.ingest.layouts import layout_of_record
from acav_spark.ingest.metadata import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

    from acav_spark.ingest.layouts import Layout
    from acav_spark.ingest.sources import Source

BROKEN: Final = "broken"
"""Text of a row that cannot be read; empty in all others."""

ASIDE: Final = ("source", "fetched", BROKEN, "origin")
"""Columns beside those of the fields, all text."""

_CORRUPT = "_corrupt_record"
_ORIGIN = "_file"
_LISTS = ("tags", "category")
# Spark reads few charsets; this one is Latin-1 but for the bytes 80 to 9F.
_CHARSETS = {"windows-1252": "ISO-8859-1"}
_BYTES = [bytes([byte]) for byte in range(0x80, 0xA0)]
_NAMED = [b for b in _BYTES if b.decode("cp1252", "ignore")]
_CP1252 = (b"".join(_NAMED).decode("latin-1"), b"".join(_NAMED).decode("cp1252"))
_logger = logging.getLogger(__name__)


def read_metadata(
    spark: SparkSession, sources: Sequence[Source], mapping: Mapping[str, str]
) -> DataFrame:
    """Return the rows of all sources: a column for each field, and ``ASIDE``.

    Parameters
    ----------
    spark : SparkSession
        Session.
    sources : sequence of Source
        What is read, at least one; none of media.
    mapping : mapping of str to str
        Columns or paths that the user named, by field.

    Returns
    -------
    DataFrame
        Text everywhere; lists as JSON. A row that cannot be read is there with its
        text in ``broken`` and the file in ``origin``, which all others lack.

    Raises
    ------
    ConfigError
        If a table or folder is not there, or has no column that is needed.
    """
    frames = [_read(spark, source, mapping) for source in sources]
    return functools.reduce(lambda one, other: one.unionByName(other), frames)


def _read(spark: SparkSession, source: Source, mapping: Mapping[str, str]) -> DataFrame:
    readers = {
        "json": _read_json,
        "csv": _read_csv,
        "url_json": _read_url_json,
        "uris": _read_uris,
    }
    if source.format in readers:
        raw, columns = readers[source.format](spark, source)
        layout = source.layout
    else:
        raw, layout, columns = _read_typed(spark, source, mapping)
    _logger.info(
        "reading metadata layout=%s format=%s files=%d region=%s columns=%s",
        layout.name,
        source.format,
        len(source.files),
        source.region,
        {field: paths[0] for field, paths in layout.fields},
    )
    values = {
        field: F.coalesce(*[columns[p] for p in paths if p in columns])
        for field, paths in layout.fields
        if any(path in columns for path in paths)
    }
    if source.region and "region" not in values:
        values["region"] = F.lit(source.region)
    if "category" in values:
        values["category"] = _plain_category(values["category"])
    fetched = [columns[path] for path in layout.fetched if path in columns]
    beside = {
        "source": F.lit(layout.name),
        "fetched": F.coalesce(*fetched) if fetched else F.lit(None),
        BROKEN: columns[_CORRUPT],
        # Said of those rows alone: it is longer than much that is read.
        "origin": F.when(columns[_CORRUPT].isNotNull(), columns[_ORIGIN]),
    }
    chosen = {field: values.get(field, F.lit(None)) for field in FIELDS} | beside
    return raw.select(*[c.cast("string").alias(name) for name, c in chosen.items()])


def _read_json(
    spark: SparkSession, source: Source
) -> tuple[DataFrame, dict[str, Column]]:
    sniffed = source.sniffed
    raw = (
        spark.read.schema(_json_schema(source.layout))
        .option("columnNameOfCorruptRecord", _CORRUPT)
        .option("multiLine", sniffed is not None and sniffed.is_whole)
        .json(list(source.files))
    )
    return _records(raw.select("*", _file().alias(_ORIGIN)), source.layout)


def _read_url_json(
    spark: SparkSession, source: Source
) -> tuple[DataFrame, dict[str, Column]]:
    schema = _json_schema(source.layout)
    parts = F.split("value", "\t", 2)
    # Without a tab there is no object, which from_json would take for an empty one.
    text = F.coalesce(F.get(parts, F.lit(1)), F.lit(""))
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE"}
    parsed = F.from_json(text, schema, options)
    lines = (
        spark.read.text(list(source.files))
        .where(F.trim("value") != "")
        .select(
            F.trim(F.get(parts, F.lit(0))).alias("_key"),
            parsed.alias("parsed"),
            (F.trim(text) != "").alias("has_object"),
            "value",
            _file().alias(_ORIGIN),
        )
    )
    corrupt = F.col(f"parsed.{_CORRUPT}")
    is_broken = F.col("parsed").isNull() | corrupt.isNotNull() | ~F.col("has_object")
    raw = lines.select(
        "_key",
        _ORIGIN,
        *[F.col(f"parsed.{name}") for name in schema.names if name != _CORRUPT],
        F.when(is_broken, F.col("value")).alias(_CORRUPT),
    )
    frame, columns = _records(raw, source.layout)
    return frame, columns | _keyed("_key")


def _read_uris(
    spark: SparkSession, source: Source
) -> tuple[DataFrame, dict[str, Column]]:
    value = F.trim("value")
    raw = (
        spark.read.text(list(source.files))
        .where((value != "") & ~value.startswith("#"))
        .select(value.alias("_key"), _file().alias(_ORIGIN))
    )
    nothing = F.lit(None).cast("string")
    return raw, {**_keyed("_key"), _CORRUPT: nothing, _ORIGIN: F.col(_ORIGIN)}


def _keyed(name: str) -> dict[str, Column]:
    """Return what a column holds that is a URI or a YouTube id."""
    is_id = F.col(name).rlike("^[A-Za-z0-9_-]{11}$")
    return {
        "video_id": F.when(is_id, F.col(name)),
        "uri": F.when(~is_id, F.col(name)),
    }


def _read_csv(
    spark: SparkSession, source: Source
) -> tuple[DataFrame, dict[str, Column]]:
    sniffed = source.sniffed
    if sniffed is None:
        msg = "a CSV is read after its header"
        raise ValueError(msg)
    # By position: headers hold dots, quotes and what else people write.
    names = [f"c{position}" for position in range(len(sniffed.header))]
    schema = T.StructType(
        [T.StructField(name, T.StringType()) for name in [*names, _CORRUPT]]
    )
    raw = (
        spark.read.schema(schema)
        .option("columnNameOfCorruptRecord", _CORRUPT)
        .option("header", True)
        .option("multiLine", True)
        .option("escape", '"')
        .option("sep", sniffed.delimiter)
        .option("encoding", _CHARSETS.get(sniffed.encoding, sniffed.encoding))
        .csv(list(source.files))
        .select("*", _file().alias(_ORIGIN))
    )
    columns = dict(zip(sniffed.header, map(F.col, names), strict=True))
    if sniffed.encoding == "windows-1252":
        columns = {name: F.translate(c, *_CP1252) for name, c in columns.items()}
    return raw, {**columns, _CORRUPT: F.col(_CORRUPT), _ORIGIN: F.col(_ORIGIN)}


def _read_typed(
    spark: SparkSession, source: Source, mapping: Mapping[str, str]
) -> tuple[DataFrame, Layout, dict[str, Column]]:
    """Read what has a schema of its own: Parquet, Delta, a table of the catalog."""
    try:
        if source.format == "table":
            raw = spark.read.table(source.files[0])
        elif source.format == "delta":
            raw = spark.read.format("delta").load(source.files[0])
        else:
            reader = spark.read.option("mergeSchema", True)
            if source.base:
                reader = reader.option("basePath", source.base)
            raw = reader.parquet(*source.files)
        schema = raw.schema
    except AnalysisException as error:
        msg = (
            f"input.uri: expected a {source.format} that Spark can read, got "
            f"{source.files[0]!r} ({str(error).splitlines()[0][:300]})."
        )
        raise ConfigError(msg) from error
    record: dict[str, object] = {
        f.name: {} if isinstance(f.dataType, T.StructType) else None for f in schema
    }
    try:
        layout = layout_of_record(record, mapping, name=source.format)
    except ConfigError as error:
        msg = f"input.uri: {source.files[0]}: {error}"
        raise ConfigError(msg) from error
    columns = {_CORRUPT: F.lit(None), _ORIGIN: F.lit(source.files[0])}
    for field, paths in [*layout.fields, ("fetched", layout.fetched)]:
        for path in paths:
            found = _typed(schema, path)
            if found is not None:
                columns[path] = _as_text(field, path, *found)
    return raw, layout, columns


def _typed(schema: T.StructType, path: str) -> tuple[Column, T.DataType] | None:
    """Return a path's column and type, or None where there is no such path."""
    if path in schema.names:
        return F.col(f"`{path}`"), schema[path].dataType
    column: Column | None = None
    kind: T.DataType = schema
    for name, index in re.findall(r"([^.\[]+)(?:\[([0-9]+)\])?", path):
        if not isinstance(kind, T.StructType) or name not in kind.names:
            return None
        column = F.col(f"`{name}`") if column is None else column.getField(name)
        kind = kind[name].dataType
        if index and isinstance(kind, T.ArrayType):
            column, kind = F.get(column, F.lit(int(index))), kind.elementType
    return (column, kind) if column is not None else None


def _as_text(field: str, path: str, column: Column, kind: T.DataType) -> Column:
    if isinstance(kind, T.ArrayType) and field in _LISTS:
        return F.to_json(column)
    if isinstance(kind, T.ArrayType | T.StructType | T.MapType | T.BooleanType):
        msg = (
            f"input.columns.{field}: expected a column of text or numbers, got "
            f"{path} of type {kind.simpleString()}. Name another, or a path inside it."
        )
        raise ConfigError(msg)
    if isinstance(kind, T.FloatType | T.DoubleType):
        # A column of whole numbers with gaps is one of floats, its gaps NaN.
        whole = F.when(column == F.floor(column), column.cast("bigint").cast("string"))
        text = F.coalesce(whole, column.cast("string"))
        return F.when(~F.isnan(column), text)
    return column.cast("string")


def _json_schema(layout: Layout) -> T.StructType:
    """Return a schema with text for every path, and for what cannot be read.

    Of a value that is no text Spark then gives the JSON, so that no type is wrong.
    """
    tree = _tree([_steps(path)[0] for path in layout.paths])
    record = _struct(tree)
    corrupt = T.StructField(_CORRUPT, T.StringType())
    inner = []
    if layout.container:
        inner = [T.StructField(layout.container, T.ArrayType(record))]
    return T.StructType([*record.fields, *inner, corrupt])


def _records(raw: DataFrame, layout: Layout) -> tuple[DataFrame, dict[str, Column]]:
    """Return records, those inside a container too, and the column of each path."""
    names = list(_tree([_steps(path)[0] for path in layout.paths]))
    record = F.struct(*names)
    kept = [name for name in raw.columns if name not in {*names, layout.container}]
    if layout.container:
        record = F.explode(F.coalesce(F.col(layout.container), F.array(record)))
    frame = raw.select(*kept, record.alias("record"))
    leaves = {_steps(path)[0] for path in layout.paths}
    columns = {name: F.col(name) for name in kept}
    for path in layout.paths:
        column = F.col("record")
        stem, rest = _steps(path)
        for other in leaves:
            # ``id`` may be text or an object: what is inside is looked up in its JSON.
            if stem[: len(other)] == other and len(other) < len(stem):
                rest = "".join(f".{name}" for name in stem[len(other) :]) + rest
                stem = other
        for name in stem:
            column = column.getField(name)
        columns[path] = F.get_json_object(column, f"${rest}") if rest else column
    return frame, columns


def _steps(path: str) -> tuple[tuple[str, ...], str]:
    """Return the names of a path up to its first index, and the rest of it."""
    stem, bracket, rest = path.partition("[")
    return tuple(stem.split(".")), bracket + rest


def _tree(leaves: Sequence[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    """Return what is below each first name; nothing where that is a leaf itself."""
    below: dict[str, list[tuple[str, ...]]] = {}
    ends = {leaf[0] for leaf in leaves if len(leaf) == 1}
    for leaf in leaves:
        inner = below.setdefault(leaf[0], [])
        if leaf[0] not in ends and leaf[1:] not in inner:
            inner.append(leaf[1:])
    return below


def _struct(tree: Mapping[str, Sequence[tuple[str, ...]]]) -> T.StructType:
    fields = [
        T.StructField(name, _struct(_tree(inner)) if inner else T.StringType())
        for name, inner in tree.items()
    ]
    return T.StructType(fields)


def _plain_category(column: Column) -> Column:
    """Return a category; of a list of them the first, of ``10.0`` the whole number."""
    first = F.when(column.startswith("["), F.get_json_object(column, "$[0]"))
    plain = F.coalesce(first, column)
    # Looking for a pattern costs more than all else that is done to a category.
    whole = F.regexp_replace(plain, r"^(\d+)\.0$", "$1")
    return F.when(plain.contains(".0"), whole).otherwise(plain)


def _file() -> Column:
    return F.col("_metadata.file_path")
