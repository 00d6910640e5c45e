"""What a running local session was started from."""

from __future__ import annotations

import sys
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
