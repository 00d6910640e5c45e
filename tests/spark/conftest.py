"""A clean session for every test, and copies of the curated warehouse."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

import pytest
from curation import MakeContext, settings_for

from acav_spark import cli
from acav_spark.context import StageContext
from acav_spark.tables import TABLES
from acav_spark.tables.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from command_line import Acav
    from pyspark.sql import SparkSession


@pytest.fixture(autouse=True)
def _clean_session(spark: SparkSession) -> Iterator[None]:
    yield
    spark.catalog.clearCache()
    for name in [*(table.name for table in TABLES), *VIEWS]:
        spark.catalog.dropTempView(name)


@pytest.fixture
def make_context(spark: SparkSession, tmp_path: Path, videos: Path) -> MakeContext:
    """Make contexts on a warehouse of the test's own."""

    def make(
        *more: str,
        root: Path | None = None,
        inputs: Path | str = videos,
        is_refit: bool = False,
    ) -> StageContext:
        config = settings_for(root or tmp_path / "warehouse", inputs, *more)
        return StageContext(spark, config, is_refit=is_refit)

    return make


@pytest.fixture
def curated_copy(curated_root: Path, tmp_path: Path) -> Path:
    """A copy of that warehouse, to be written to."""
    target = tmp_path / "copied"
    shutil.copytree(curated_root, target)
    return target


@pytest.fixture
def acav(
    spark: SparkSession,  # noqa: ARG001 - commands adopt the running session
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Acav:
    """Run a command; return its exit status, output and messages."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        status = 0
        capsys.readouterr()
        try:
            cli.main(list(arguments))
        except SystemExit as leave:
            status = int(leave.code or 0)
        finally:
            # The handler's stream is the test's, and ends with it.
            logger = logging.getLogger("acav_spark")
            logger.handlers.clear()
            logger.propagate = True
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
