"""Settings of curations of small videos, as the tests of Spark use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from acav_spark.config import Config, load_config
from acav_spark.context import StageContext

if TYPE_CHECKING:
    from pathlib import Path

# The folder of small videos has so many that are good, and one that is broken.
N_VIDEOS = 8

# Many small jobs: compiling code for each would take most of the time. Tests are run
# side by side, each process with one task at a time.
SPARK = {
    "spark.master": "local[1,4]",
    "spark.driver.extraJavaOptions": (
        "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC "
        "-XX:NewRatio=1 -XX:MetaspaceSize=256m"
    ),
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    # Tables of some rows: one task reads Delta's log, no statistics of columns.
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.stats.collect": "false",
    # Delta would sum up a table after each commit, and write its log anew after each
    # tenth: a third of all time.
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
    "spark.databricks.delta.properties.defaults.checkpointInterval": "1000",
    # What is kept of former tests' tables and jobs would fill the memory.
    "spark.databricks.delta.delta.log.cacheSize": "40",
    "spark.sql.ui.retainedExecutions": "20",
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
}

SETTINGS = [
    "ingest.min_duration_s=1",
    "segmentation.clip_duration_s=2",
    "segmentation.max_clips_per_video=2",
    "clustering.n_clusters=4",
    "clustering.n_epochs=5",
    "selection.size=50%",
    "execution.n_partitions=2",
    "execution.max_failed_fraction=1.0",
    "report.n_cards=2",
]

MakeContext = Callable[..., StageContext]


def settings_for(root: Path, videos: Path | str, *more: str) -> Config:
    """Return a configuration for small videos."""
    places = [f'input.uri="{videos}"', f'storage.root="{root}"']
    return load_config(None, [*SETTINGS, *places, *more]).config
