"""A fit on a cluster of processes, one of which is killed; run as a program.

``python cluster_fit.py ROOT`` fits the planted features of ``ROOT/warehouse`` on two
executors, each a process. In the second epoch a task kills the executor that it runs
on, and ``ROOT/report.json`` says what became of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import psutil
from curation import SPARK
from planted_features import IN_EPOCHS, LOOKS, SMALL_SHARDS, make_features_context

from acav_spark.clustering import epochs_job, job
from acav_spark.clustering.epochs_job import DistributedFit
from acav_spark.clustering.fit_tasks import pass_over_shards
from acav_spark.session import get_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.clustering.fit_tasks import LayerPlan

KILLED_EPOCH = 2
ONE_EXTRACTOR = f"features.extractors=[{{name: '{LOOKS}'}}]"
CLUSTER = {
    "spark.master": "local-cluster[2,1,1024]",
    "spark.executor.memory": "1g",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    # The first job waits for both executors.
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
    # The status store tells of an event once it has come.
    "spark.ui.liveUpdate.period": "0",
    # Several batches a shard: the executor dies between two of them.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
}


def is_executor(process: psutil.Process) -> bool:
    """Return whether a process is the JVM of an executor."""
    try:
        # The launcher's command line names it as well, and is not one itself.
        return any("CoarseGrainedExecutorBackend" in a for a in process.cmdline())
    except psutil.Error:
        return False


def executors_below(process: psutil.Process) -> list[int]:
    """Return the executors that a driver has started."""
    return sorted(p.pid for p in process.children(recursive=True) if is_executor(p))


def killing_pass(
    batches: Iterable[pa.RecordBatch], *, plans: Mapping[int, LayerPlan], marker: str
) -> Iterator[pa.RecordBatch]:
    """Pass over shards; the first task to come kills its executor between batches."""
    yield from pass_over_shards(_killing(batches, Path(marker)), plans=plans)


def _killing(
    batches: Iterable[pa.RecordBatch], marker: Path
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        # Asked for more, when what was given is passed over.
        _kill_once(marker)


def _kill_once(marker: Path) -> None:
    try:
        file = marker.open("x")
    except FileExistsError:
        return
    (executor,) = [p for p in psutil.Process().parents() if is_executor(p)][:1]
    with file:
        file.write(str(executor.pid))
    os.kill(executor.pid, signal.SIGKILL)


def cached_blocks(spark: SparkSession) -> dict[str, list[str]]:
    """Return the executors that hold each block of what was cached last."""
    rdds = spark.sparkContext._jsc.sc().statusStore().rddList(True)
    newest = max((rdds.apply(i) for i in range(rdds.size())), key=lambda r: r.id())
    blocks = newest.partitions().get()
    found: dict[str, list[str]] = {}
    for block in (blocks.apply(i) for i in range(blocks.size())):
        holders = block.executors()
        found[block.blockName()] = [holders.apply(i) for i in range(holders.size())]
    return found


def lost_executors(spark: SparkSession) -> list[str]:
    """Return the ids of executors that are gone."""
    # Those that are gone stay listed, with those that are there.
    every = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    rows = [every.apply(i) for i in range(every.size())]
    return [row.id() for row in rows if not row.isActive()]


def main(root: Path) -> None:
    """Fit, with a kill, and write the report; what is patched stays so."""
    for name, value in {**SMALL_SHARDS, **IN_EPOCHS}.items():
        module, constant = name.rsplit(".", 1)
        mock.patch.object(sys.modules[module], constant, value).start()
    spark = get_session(
        _settings(root), app_name="acav_spark tests of a killed executor"
    )
    report: dict[str, Any] = {}
    ours = partial(killing_pass, marker=str(root / "killed"))
    epoch = DistributedFit._epoch

    def watched(fit: DistributedFit, passed: DataFrame) -> None:
        if len(fit._seconds) + 1 != KILLED_EPOCH:
            epoch(fit, passed)
            return
        report["executors"] = executors_below(psutil.Process())
        report["blocks_before"] = cached_blocks(spark)
        with mock.patch.object(epochs_job, "pass_over_shards", ours):
            epoch(fit, passed)
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        report["blocks_after"] = cached_blocks(spark)
        report["lost"] = lost_executors(spark)

    mock.patch.object(DistributedFit, "_epoch", watched).start()
    context = make_features_context(spark, root / "warehouse", ONE_EXTRACTOR)
    job.fit_centroids(context)
    books = context.warehouse.read("codebooks").orderBy("view_position").collect()
    report["fingerprints"] = [row["fingerprint"] for row in books]
    report["killed"] = int((root / "killed").read_text())
    report["alive"] = executors_below(psutil.Process())
    spark.stop()
    (root / "report.json").write_text(json.dumps(report), encoding="utf-8")


def _settings(root: Path) -> dict[str, str]:
    return {
        **SPARK,
        **CLUSTER,
        "spark.local.dir": str(root / "local"),
        "spark.sql.warehouse.dir": str(root / "spark-warehouse"),
        "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
    }


if __name__ == "__main__":
    # Not as ``__main__``: workers import functions from the module that they name.
    import cluster_fit

    cluster_fit.main(Path(sys.argv[1]))
