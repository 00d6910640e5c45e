"""Fixtures of all tests, and what those with Spark share."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

# Tests run on machines that do other work: how long an example takes says nothing.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

_REPOSITORY = Path(__file__).resolve().parents[1]
_TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real clips and data sets; tests that need them skip where they are absent."""
    named = os.environ.get("ACAV_TEST_DATA")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; name it by ACAV_TEST_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts alike in every test."""
    return np.random.default_rng(20211017)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session with Delta, made for small data."""
    from curation import SPARK

    from acav_spark.session import get_session

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


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run of the tests share."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return folder / "common"


def _made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first worker to ask for it makes, for all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{folder.name}.done")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def videos(common_folder: Path) -> Path:
    """A folder of small videos and one broken file; video 3 has a cut.

    Not to be written to: other workers curate it at the same time.
    """
    from curation import N_VIDEOS
    from samples import write_video

    def make(folder: Path) -> None:
        for number in range(N_VIDEOS):
            write_video(
                folder / f"video {number:02d}.mp4",
                number,
                cut_at_s=3.0 if number == 3 else None,
            )
        (folder / "broken.mp4").write_bytes(b"\x00" * 5000)

    return _made_once(common_folder / "media" / "v", make)


@pytest.fixture(scope="module")
def add_video(videos: Path) -> Iterator[Callable[[str, int], str]]:
    """Add a video for one module; return an input of it and the shared ones."""
    from samples import write_video

    # A pattern knows sets of letters: the shared folder has one, every worker another.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    folder = videos.parent / chr(ord("A") + int(worker))
    folder.mkdir()

    def add(name: str, number: int) -> str:
        write_video(folder / name, number)
        return f"{videos.parent}/[{videos.name}{folder.name}]/*.mp4"

    yield add
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def curated_root(spark: SparkSession, videos: Path, common_folder: Path) -> Path:
    """A warehouse that the whole pipeline has filled; not to be written to."""
    from curation import settings_for

    from acav_spark.context import StageContext
    from acav_spark.pipeline import run_stages, stages_named

    def make(root: Path) -> None:
        run_stages(StageContext(spark, settings_for(root, videos)), stages_named([]))

    return _made_once(common_folder / "curated", make)
