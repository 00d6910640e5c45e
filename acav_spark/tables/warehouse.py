"""The tables of one warehouse in Delta: the only place that writes them.

Writes go by the table's key, so that writing the same rows twice changes nothing.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING

from acav_spark.errors import TableError
from acav_spark.storage import Folder
from acav_spark.tables.catalog import FORMAT_VERSION, TABLES, table_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from delta.tables import DeltaTable, DeltaTableBuilder
    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.tables.schema import Column, Table

_logger = logging.getLogger(__name__)

# Commits of one driver are seconds apart, so that few attempts can meet another's.
_MAX_ATTEMPTS = 5


class Warehouse:
    """Reads and writes the tables below one root.

    Parameters
    ----------
    spark : SparkSession
        Session with Delta.
    root : str
        Folder or object-store prefix.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self._folder = Folder(root)
        self.root = self._folder.uri
        self._known: set[str] = set()
        self._is_complete: set[str] = set()

    def path(self, name: str) -> str:
        """Return where a table is."""
        return f"{self.root}/{table_named(name).name}"

    def exists(self, name: str) -> bool:
        """Return whether a table was ever written."""
        if name not in self._known:
            # A log without a commit is that of a table which is just being created.
            log = self._folder.list(f"{name}/_delta_log")
            if any(re.match(r"\d{20}\.(json|checkpoint)", entry) for entry in log):
                self._known.add(name)
        return name in self._known

    def read(self, name: str) -> DataFrame:
        """Return a table as it is now; without rows when it was never written.

        Columns that an earlier version's table does not have are there, and empty.
        """
        from pyspark.sql import functions as F

        if not self.exists(name):
            return self.spark.createDataFrame([], table_named(name).ddl)
        rows = self.spark.read.format("delta").load(self.path(name))
        missing = {
            column.name: F.lit(None).cast(column.type)
            for column in self._missing(name, rows.columns)
        }
        return rows.withColumns(missing) if missing else rows

    def version(self, name: str) -> int:
        """Return the Delta version of a table; -1 when it was never written."""
        # The names of the log's commits tell it, without a Spark job.
        commits = [
            int(entry.removesuffix(".json"))
            for entry in self._folder.list(f"{name}/_delta_log")
            if re.fullmatch(r"\d{20}\.json", entry)
        ]
        return max(commits, default=-1)

    def insert(self, name: str, rows: DataFrame) -> None:
        """Add the rows whose key is not there yet; one atomic commit."""
        self._ensure(name)
        if self.version(name) != 0 or not self._append_next(name, rows, 0):
            self._merge(name, rows, update=False)

    def upsert(self, name: str, rows: DataFrame) -> None:
        """Add rows, and overwrite those of the same key; one atomic commit."""
        self._merge(name, rows, update=True)

    def append(self, name: str, rows: DataFrame) -> None:
        """Add rows whose keys the caller knows to be new; one atomic commit."""
        self._ensure(name)
        started = time.monotonic()
        _conformed(name, rows).write.format("delta").mode("append").save(
            self.path(name)
        )
        self._log(name, "append", started)

    def replace(self, name: str, rows: DataFrame, where: str) -> None:
        """Put rows in the place of all that satisfy a condition; one atomic commit."""
        self._ensure(name)
        version = self.version(name)
        is_missing = version == 0 or self._at(name, version).where(where).isEmpty()
        if is_missing and self._append_next(name, rows, version):
            return
        started = time.monotonic()
        writer = _conformed(name, rows).write.format("delta").mode("overwrite")
        writer = writer.option("replaceWhere", where)
        _insist(partial(writer.save, self.path(name)), name)
        self._log(name, "replace", started)

    def delete(self, name: str, where: str) -> None:
        """Delete the rows that satisfy a condition."""
        if self.exists(name):
            _insist(partial(self._delta(name).delete, where), name)
            _logger.debug("deleted rows table=%s where=%s", name, where)

    def delete_keys(self, name: str, keys: DataFrame) -> None:
        """Delete the rows whose key, or part of it, is among ``keys``."""
        if self.exists(name):
            condition = " AND ".join(f"t.{c} = s.{c}" for c in keys.columns)
            merge = (
                self._delta(name)
                .alias("t")
                .merge(keys.distinct().alias("s"), condition)
            )
            _insist(merge.whenMatchedDelete().execute, name)

    def update(self, name: str, rows: DataFrame, columns: list[str]) -> None:
        """Overwrite some columns of rows that are there, by the table's key."""
        condition = " AND ".join(f"t.{c} = s.{c}" for c in table_named(name).key)
        merge = self._delta(name).alias("t").merge(rows.alias("s"), condition)
        merge = merge.whenMatchedUpdate(set={c: f"s.{c}" for c in columns})
        _insist(merge.execute, name)

    def register_views(self) -> list[str]:
        """Make every table, and the views for people, known to SQL by its name."""
        from acav_spark.tables.views import create_views

        for table in TABLES:
            self.read(table.name).createOrReplaceTempView(table.name)
        return create_views(self.spark, self.read("codebooks"))

    def _at(self, name: str, version: int) -> DataFrame:
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        return reader.load(self.path(name))

    def _append_next(self, name: str, rows: DataFrame, version: int) -> bool:
        """Append rows that were missing at a version; return whether that is sure.

        An append is several times cheaper than a merge, but does not look at what
        other drivers write meanwhile. Of two that saw the same version, Delta lets one
        write: the other's transaction is known already. It is sure that rows are there
        once if this append made the very next version.
        """
        started = time.monotonic()
        token = secrets.token_hex(16)
        options: dict[str, str | int] = {
            "txnAppId": f"acav_spark:{name}",
            "txnVersion": version,
            "userMetadata": token,
        }
        if table_named(name).evolves:
            options["mergeSchema"] = "true"
        writer = _conformed(name, rows).write.format("delta").mode("append")
        try:
            writer.options(**options).save(self.path(name))
        except _conflicts() as error:
            _logger.debug("lost a race table=%s error=%s", name, type(error).__name__)
            return False
        self._log(name, "append", started)
        # Delta says nothing when it skips a transaction that it knows.
        commit = f"{name}/_delta_log/{version + 1:020d}.json"
        return self._folder.exists(commit) and token in self._folder.read_text(commit)

    def _merge(self, name: str, rows: DataFrame, *, update: bool) -> None:
        table = table_named(name)
        self._ensure(name)
        started = time.monotonic()
        rows = _conformed(name, rows)
        condition = " AND ".join(f"t.{c} = s.{c}" for c in table.key)
        merge = self._delta(name).alias("t").merge(rows.alias("s"), condition)
        if table.evolves:
            merge = merge.withSchemaEvolution()
        if update:
            merge = merge.whenMatchedUpdateAll()
        _insist(merge.whenNotMatchedInsertAll().execute, name)
        self._log(name, "upsert" if update else "insert", started)

    def _delta(self, name: str) -> DeltaTable:
        from delta.tables import DeltaTable

        return DeltaTable.forPath(self.spark, self.path(name))

    def _ensure(self, name: str) -> None:
        """Create a table with its columns, constraints and comments, if missing."""
        if self.exists(name):
            self._complete(name)
            return
        from delta.tables import DeltaTable

        table = table_named(name)
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.path(name))
            .comment(table.comment)
            .property("acav.format_version", str(FORMAT_VERSION))
            .property("acav.key", ",".join(table.key))
        )
        for constraint, condition in table.constraints.items():
            builder = builder.property(f"delta.constraints.{constraint}", condition)
        if table.skip_by:
            columns = ",".join(table.skip_by)
            builder = builder.property("delta.dataSkippingStatsColumns", columns)
        for column in table.columns:
            builder = builder.addColumn(
                column.name,
                column.type,
                nullable=column.nullable,
                comment=column.comment,
            )
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        self._create(builder, name)
        self._known.add(name)
        self._is_complete.add(name)

    def _create(self, builder: DeltaTableBuilder, name: str) -> None:
        """Create a table, unless another driver does so at the same moment."""
        from pyspark.errors import AnalysisException

        try:
            _insist(builder.execute, name)
        except AnalysisException:
            # Delta saw the other's files, and not yet the commit that they belong to.
            if not self._folder.exists(f"{name}/_delta_log"):
                raise
            time.sleep(1)
            _insist(builder.execute, name)

    def _complete(self, name: str) -> None:
        """Add columns that an earlier version's table does not have; they are empty."""
        if name in self._is_complete:
            return
        found = self.spark.read.format("delta").load(self.path(name)).columns
        for column in self._missing(name, found):
            self.spark.sql(
                f"ALTER TABLE delta.`{self.path(name)}` ADD COLUMNS "
                f"({column.name} {column.type} COMMENT '{column.comment}')"
            )
            _logger.info("added a column table=%s column=%s", name, column.name)
        self._is_complete.add(name)

    @staticmethod
    def _missing(name: str, found: Sequence[str]) -> list[Column]:
        """Return the declared columns that a table does not have."""
        return [c for c in table_named(name).columns if c.name not in found]

    def _log(self, name: str, how: str, started: float) -> None:
        _logger.debug(
            "wrote table=%s how=%s seconds=%.2f", name, how, time.monotonic() - started
        )


def _insist(write: Callable[[], object], name: str) -> None:
    """Write by key, again where another driver's commit came between."""
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        try:
            write()
        except _conflicts() as error:
            if attempt == _MAX_ATTEMPTS:
                msg = (
                    f"{name}: expected to write beside other drivers, but {attempt} "
                    "attempts met their commits. Run the same command again; it goes "
                    "on where this one stopped."
                )
                raise TableError(msg) from error
            time.sleep(random.uniform(0.5, 1.5) * attempt)  # noqa: S311 - no secret
        else:
            return


def _conflicts() -> tuple[type[Exception], ...]:
    """Return what Delta raises when another commit came between; it has no base."""
    from delta import exceptions as e

    return (
        e.ConcurrentAppendException,
        e.ConcurrentDeleteDeleteException,
        e.ConcurrentDeleteReadException,
        e.ConcurrentTransactionException,
        e.ConcurrentWriteException,
        e.DeltaConcurrentModificationException,
        e.MetadataChangedException,
        e.ProtocolChangedException,
    )


def _conformed(name: str, rows: DataFrame) -> DataFrame:
    """Return rows with the table's columns in its order; those left out are empty.

    Raises
    ------
    TableError
        If a column is missing, or one is there that the table does not have.
    """
    from pyspark.sql import functions as F

    table: Table = table_named(name)
    missing = [
        c.name for c in table.columns if not c.nullable and c.name not in rows.columns
    ]
    extra = [c for c in rows.columns if c not in table.column_names]
    if missing or (extra and not table.evolves):
        msg = (
            f"{name}: expected columns {table.column_names}, got {rows.columns}: "
            f"missing {missing}, unknown {extra}."
        )
        raise TableError(msg)
    known = [
        F.col(c.name).cast(c.type).alias(c.name)
        if c.name in rows.columns
        else F.lit(None).cast(c.type).alias(c.name)
        for c in table.columns
    ]
    return rows.select(*known, *extra)
