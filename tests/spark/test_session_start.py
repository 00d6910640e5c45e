"""What a running local session was started from."""

from __future__ import annotations

import gc
import sys
import zipimport
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acav_spark.session import class_archive_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory map in /proc")
def test_the_jvm_of_a_session_has_mapped_the_archive_of_classes(
    spark: SparkSession,
) -> None:
    archive = class_archive_file()
    if archive is None:
        pytest.skip("no archive of classes; 'make setup' writes it")
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    pid = jvm.java.lang.ProcessHandle.current().pid()
    assert archive.name in Path(f"/proc/{pid}/maps").read_text()


def test_workers_read_no_archives_of_spark_for_every_task(spark: SparkSession) -> None:
    def seen(_: int) -> tuple[list[str], int]:
        archives = [
            path
            for path, importer in sys.path_importer_cache.items()
            if isinstance(importer, zipimport.zipimporter)
        ]
        return archives, gc.get_freeze_count()

    ((archives, n_frozen),) = spark.sparkContext.parallelize([0], 1).map(seen).collect()
    assert archives == []
    # What the daemon imported is left out of the collections after each task.
    assert n_frozen > 10_000
