"""The one place that makes, or adopts, a SparkSession."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from acav_spark import class_archive
from acav_spark.errors import DependencyError
from acav_spark.java import require_java

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

DELTA_PACKAGE = "io.delta:delta-spark_4.1_2.13:4.4.0"
"""Delta's artifact for Spark 4.1, as fetched by :func:`fetch_jars`."""

_logger = logging.getLogger(__name__)
_JARS = Path(sys.prefix) / "share" / "acav_spark"
# pyspark already has Hadoop's client, 60 MB of Delta's dependency tree.
_EXCLUDES = (
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
)
_DELTA_GROUPS = ("io.delta_", "io.unitycatalog_")
_QUIET = Path(__file__).with_name("log4j2-quiet.properties")


def is_launched_by_platform() -> bool:
    """Return whether spark-submit or a platform has set Spark up already."""
    return bool(
        os.environ.get("PYSPARK_GATEWAY_PORT")
        or os.environ.get("DATABRICKS_RUNTIME_VERSION")
    )


def local_jars() -> list[Path]:
    """Return Delta's jars beside this Python, or nothing when not fetched yet."""
    return sorted(
        jar
        for jar in (_JARS / "ivy" / "jars").glob("*.jar")
        if jar.name.startswith(_DELTA_GROUPS)
    )


def class_archive_file() -> Path | None:
    """Return the archive that sessions start from; None when it is not made yet."""
    return class_archive.existing(_JARS)


def get_session(
    settings: Mapping[str, str] | None = None, *, app_name: str = "acav_spark"
) -> SparkSession:
    """Return the session of the platform, or start a local one.

    Parameters
    ----------
    settings : mapping of str to str, optional
        Spark settings; ``spark.master`` defaults to all local cores with four attempts
        a task (one attempt is Spark's own default on ``local[*]``).
    app_name : str
        Name shown in the Spark UI.

    Raises
    ------
    DependencyError
        If pyspark or Java is missing; says how to install it.
    """
    require_pyspark()
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    builder = SparkSession.builder.appName(app_name)
    if is_launched_by_platform():
        for key, value in (settings or {}).items():
            builder = builder.config(key, value)
        return builder.getOrCreate()
    require_java()
    _prepare_environment()
    for key, value in _local_settings(settings or {}).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def _prepare_environment() -> None:
    """Set what the JVM and the Python workers inherit, before they start."""
    # A host whose name resolves elsewhere would keep executors from the driver.
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # One thread for each task: tasks are the parallelism, and sums in float32 would
    # depend on the number of threads.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _local_settings(given: Mapping[str, str]) -> dict[str, str]:
    """Return the given settings over those of a local master."""
    settings = {**_local_defaults(), **given}
    name = "spark.driver.extraJavaOptions"
    options = [
        f"-Dlog4j2.configurationFile={_QUIET.as_uri()}",
        *class_archive.options_to_read(_JARS),
        given.get(name, ""),
    ]
    settings[name] = " ".join(filter(None, options))
    return settings


def _local_defaults() -> dict[str, str]:
    defaults = {
        "spark.master": "local[*,4]",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "2g",
        "spark.python.daemon.module": "acav_spark.worker_daemon",
        # Between a JVM and its workers TCP waits 40 ms for acknowledgements.
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": (
            "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        ),
        # Delta computes its snapshot on 50 partitions by default.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.warehouse.dir": str(Path.cwd() / "spark-warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
    }
    jars = local_jars()
    if jars:
        defaults["spark.jars"] = ",".join(str(jar) for jar in jars)
    else:
        _logger.warning("Delta's jars are not fetched yet; Spark fetches them now")
        defaults["spark.jars.packages"] = DELTA_PACKAGE
        defaults["spark.jars.excludes"] = ",".join(_EXCLUDES)
    return defaults


def require_pyspark() -> None:
    """Check that pyspark can be imported.

    Raises
    ------
    DependencyError
        If it is missing.
    """
    try:
        import pyspark  # noqa: F401 - only whether it is there
    except ImportError as error:
        msg = "pyspark is missing. Install it with: pip install 'acav_spark[local]'"
        raise DependencyError(msg) from error


def prepare_local() -> None:
    """Fetch Delta's jars, and keep the JVM's classes, beside this Python, once.

    Later sessions start offline, and some five seconds sooner.
    """
    fetch_jars()
    class_archive.make(_JARS)


def fetch_jars() -> list[Path]:
    """Fetch Delta's jars beside this Python, once; later sessions start offline."""
    if not local_jars():
        from pyspark.sql import SparkSession

        require_java()
        _prepare_environment()
        session = (
            SparkSession.builder.master("local[1]")
            .config("spark.jars.ivy", str(_JARS / "ivy"))
            .config("spark.jars.packages", DELTA_PACKAGE)
            .config("spark.jars.excludes", ",".join(_EXCLUDES))
            .config("spark.ui.enabled", "false")
            .getOrCreate()
        )
        session.stop()
    return local_jars()
