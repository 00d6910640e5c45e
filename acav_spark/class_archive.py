"""An archive of the classes that Spark and Delta load, from which JVMs start sooner.

A local session loads some 16,000 classes, and every command starts a session. The JVM
can write the classes of one run in their internal form into a file, which later JVMs
map into memory (class data sharing, JEP 310 and JEP 350). The JVM itself checks that
the archive fits its version, its class path and the dates of the jars, and else starts
as without one.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from acav_spark.errors import DependencyError
from acav_spark.java import java_description

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from pyspark.sql import SparkSession

_logger = logging.getLogger(__name__)

# An archive that does not fit is no reason for a message; its user cannot mend it.
_SILENT = "-Xlog:cds*=off"


def existing(folder: Path) -> Path | None:
    """Return the archive for this Java and this Spark in a folder; None if missing."""
    archive = _archive(folder)
    return archive if archive.is_file() else None


def options_to_read(folder: Path) -> list[str]:
    """Return the JVM's options to start from the archive in a folder, if there."""
    archive = existing(folder)
    if archive is None:
        return []
    # Spark splits the options at spaces outside of quotes.
    return [f'"-XX:SharedArchiveFile={archive}"', _SILENT]


def make(folder: Path) -> None:
    """Write the archive for this Java and this Spark into a folder, once.

    A child process runs a session on small tables; its JVM writes the archive when it
    ends: some 40 seconds and 190 MB.

    Raises
    ------
    DependencyError
        If the session failed, with the end of what it said.
    """
    archive = _archive(folder)
    # A JVM whose own classes are not shared cannot share more.
    if archive.is_file() or "sharing" not in java_description():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for former in folder.glob("classes-*.jsa"):
        former.unlink()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        written = Path(scratch) / archive.name
        command = [sys.executable, "-m", __name__, str(written)]
        done = subprocess.run(  # noqa: S603 - this module itself
            command, capture_output=True, text=True, check=False, cwd=scratch
        )
        if done.returncode:
            msg = (
                "Spark: expected a session to read and write small tables, got exit "
                f"status {done.returncode}. Its last lines:\n"
                f"{done.stdout[-1000:]}{done.stderr[-2000:]}"
            )
            raise DependencyError(msg)
        if written.is_file():
            written.replace(archive)
        else:
            _logger.warning("this Java wrote no class archive; sessions start slowly")


def _archive(folder: Path) -> Path:
    """Return the archive's file, by all that it depends on."""
    import pyspark

    parts = [java_description(), pyspark.__version__, str(Path(pyspark.__file__))]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return folder / f"classes-{digest[:16]}.jsa"


def _use_classes(written: Path) -> None:
    """Do what a curation does with Spark, on tiny tables, and await the JVM's end."""
    from pyspark import SparkContext

    from acav_spark.session import get_session

    options = (
        f'"-XX:ArchiveClassesAtExit={written}" {_SILENT} '
        "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
    )
    session = get_session(
        {
            "spark.master": "local[2,4]",
            "spark.driver.extraJavaOptions": options,
            "spark.sql.codegen.wholeStage": "false",
        }
    )
    _use_tables(session, Path.cwd())
    gateway = SparkContext._gateway
    session.stop()
    if gateway is not None:
        gateway.shutdown()
        # The JVM ends with its input, and writes the archive then.
        gateway.proc.stdin.close()
        gateway.proc.wait()


def _use_tables(session: SparkSession, folder: Path) -> None:
    from delta.tables import DeltaTable
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    table = str(folder / "table")
    (
        DeltaTable.createIfNotExists(session)
        .location(table)
        .addColumn("id", "bigint", nullable=False, comment="key")
        .addColumn("name", "string")
        .addColumn("values", "array<float>")
        .property("delta.constraints.id_is_positive", "id >= 0")
        .partitionedBy("name")
        .execute()
    )
    rows = session.range(20).select(
        "id",
        F.sha2(F.col("id").cast("string"), 256).substr(1, 1).alias("name"),
        F.array(F.col("id").cast("float")).alias("values"),
    )
    rows.write.format("delta").mode("append").save(table)
    delta = DeltaTable.forPath(session, table)
    merge = delta.alias("t").merge(rows.alias("s"), "t.id = s.id AND t.name = s.name")
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    delta.delete("id = 3")
    writer = rows.where("id = 4").write.format("delta").mode("overwrite")
    writer.option("replaceWhere", "id = 4").save(table)
    read = session.read.format("delta").load(table)
    mapped = read.mapInArrow(_same, read.schema).persist()
    places = Window.partitionBy("name").orderBy("id")
    mapped.join(read.groupBy("name").agg(F.count("*").alias("n")), "name").withColumn(
        "place", F.row_number().over(places)
    ).orderBy("id").collect()
    read.join(mapped, "id", "left_anti").createOrReplaceTempView("missing")
    session.sql("SELECT count(DISTINCT name), max(id) FROM missing").collect()
    frame = session.createDataFrame([(1, "a", [0.5])], read.schema)
    frame.join(F.broadcast(read), "id", "left").toArrow()
    for kind in ("parquet", "csv", "json"):
        mapped.select("id", "name").write.format(kind).save(str(folder / kind))
        session.read.schema("id long, name string").format(kind).load(
            str(folder / kind)
        ).count()


def _same(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    yield from batches


if __name__ == "__main__":
    _use_classes(Path(sys.argv[1]))
