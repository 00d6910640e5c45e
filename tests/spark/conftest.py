"""One Spark session for all tests here, and one curated warehouse to copy from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from curation import N_VIDEOS, SPARK, MakeContext, settings_for
from samples import write_video

from acav_spark.context import StageContext
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.session import get_session
from acav_spark.tables import TABLES
from acav_spark.tables.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

_TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session with Delta, made for small data."""
    scratch = tmp_path_factory.mktemp("spark")
    # Python workers import the tests' own extractors.
    known = [str(_TESTS), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, known))
    session = get_session(
        {
            **SPARK,
            "spark.local.dir": str(scratch / "local"),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        },
        app_name="acav_spark tests",
    )
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def _clean_session(spark: SparkSession) -> Iterator[None]:
    yield
    spark.catalog.clearCache()
    for name in [*(table.name for table in TABLES), *VIEWS]:
        spark.catalog.dropTempView(name)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small videos; video 3 has a cut."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(N_VIDEOS):
        write_video(
            folder / f"video {number:02d}.mp4",
            number,
            cut_at_s=3.0 if number == 3 else None,
        )
    return folder


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


@pytest.fixture(scope="session")
def curated_root(
    spark: SparkSession, videos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A warehouse that the whole pipeline has filled; not to be written to."""
    root = tmp_path_factory.mktemp("curated") / "warehouse"
    run_stages(StageContext(spark, settings_for(root, videos)), stages_named([]))
    return root


@pytest.fixture
def curated_copy(curated_root: Path, tmp_path: Path) -> Path:
    """A copy of that warehouse, to be written to."""
    target = tmp_path / "copied"
    shutil.copytree(curated_root, target)
    return target
