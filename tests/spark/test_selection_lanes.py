"""The engine ``broadcast``: agreement with the core whatever happens to executors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pytest
from lane_faults import KillingFiles

from acav_spark.errors import StageError
from acav_spark.selection import ContingencyTables, Selection, at_most, replay
from acav_spark.selection.lane_settings import LaneSettings
from acav_spark.selection.lanes import lane_greedy
from acav_spark.selection.lanes_job import select_in_lanes, select_on_executors
from acav_spark.selection.lanes_write_job import write_lanes
from acav_spark.selection.prior import pseudo_counts
from acav_spark.selection.problem import Problem
from acav_spark.selection.restrictions import Restrictions
from acav_spark.selection.staging import PickStaging
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.selection.lane_files import LaneFiles
    from acav_spark.selection.lanes_job import LaneOutcome

N_CLIPS, N_SELECT, N_CLUSTERS = 3001, 700, (7, 5, 6, 9)
PAIRS = [(0, 1), (0, 2), (1, 3), (2, 3)]
# All lanes pick at once from pick 96 on; rounds of several batches a lane follow.
SETTINGS = LaneSettings(
    n_lanes=8, batch_size=60, per_batch=6, max_round_growth=0.5, seed=5
)


class KilledError(Exception):
    """What stands for the end of the driver."""


@dataclass
class Result:
    """What ended up in the staging, and what was returned."""

    picks: pa.Table
    outcome: LaneOutcome


@pytest.fixture(scope="module")
def clusters() -> NDArray[np.int64]:
    generator = np.random.default_rng(3)
    latent = generator.integers(5, size=N_CLIPS)
    columns = [
        np.where(
            generator.random(N_CLIPS) < 0.5,
            latent % k,
            generator.integers(k, size=N_CLIPS),
        )
        for k in N_CLUSTERS
    ]
    return np.stack(columns, axis=1)


@pytest.fixture(scope="module")
def files(
    spark: SparkSession,
    clusters: NDArray[np.int64],
    tmp_path_factory: pytest.TempPathFactory,
) -> LaneFiles:
    return written(
        packed_of(spark, clusters), Folder(str(tmp_path_factory.mktemp("lanes")))
    )


@pytest.fixture(scope="module")
def expected(clusters: NDArray[np.int64]) -> Selection:
    return lane_greedy(
        clusters,
        N_SELECT,
        n_clusters=N_CLUSTERS,
        pairs=PAIRS,
        **asdict(SETTINGS),
    )


def packed_of(
    spark: SparkSession,
    clusters: NDArray[np.int64],
    rows: NDArray[np.int64] | None = None,
) -> DataFrame:
    """Return a packed table in no order."""
    numbers = np.arange(len(clusters)) if rows is None else rows
    order = np.random.default_rng(0).permutation(len(clusters))
    table = pa.table(
        {
            "row_number": pa.array(numbers[order], pa.int64()),
            "clusters": pa.array(clusters[order].tolist(), pa.list_(pa.int32())),
        }
    )
    return spark.createDataFrame(table).repartition(5)


def written(packed: DataFrame, folder: Folder, *, packing: str = "run 1") -> LaneFiles:
    return write_lanes(
        packed,
        folder,
        packing=packing,
        n_clips=N_CLIPS,
        n_lanes=SETTINGS.n_lanes,
        n_clusters=N_CLUSTERS,
    )


def selected(
    spark: SparkSession,
    files: LaneFiles,
    folder: Path,
    *,
    n_tasks: int = 3,
    progress: Callable[[int, int], None] | None = None,
    prior: NDArray[np.int64] | None = None,
) -> Result:
    staging = PickStaging(Folder(str(folder)), asdict(SETTINGS))
    outcome = select_in_lanes(
        spark,
        files,
        staging,
        before=empty_tables(),
        n_select=N_SELECT,
        settings=SETTINGS,
        prior=prior,
        n_tasks=n_tasks,
        progress=progress,
    )
    again = PickStaging(Folder(str(folder)), asdict(SETTINGS))
    return Result(pa.concat_tables(again.tables()), outcome)


def empty_tables() -> ContingencyTables:
    return ContingencyTables.empty(PAIRS, n_clusters=N_CLUSTERS, n_views=4)


def assert_is(result: Result, expected: Selection) -> None:
    picks = result.picks
    assert picks["rank"].to_pylist() == list(range(1, N_SELECT + 1))
    np.testing.assert_array_equal(picks["row_number"].to_numpy(), expected.indices)
    np.testing.assert_array_equal(picks["gain"].to_numpy(), expected.gains)
    np.testing.assert_array_equal(picks["objective"].to_numpy(), expected.objectives)
    np.testing.assert_array_equal(picks["batch"].to_numpy(), expected.batches)
    np.testing.assert_array_equal(
        result.outcome.tables.counters, expected.tables.counters
    )


def test_lanes_hold_the_packed_rows_in_their_order(
    files: LaneFiles, clusters: NDArray[np.int64]
) -> None:
    lanes = [files.read(lane, 0, files.size_of(lane)) for lane in range(8)]
    np.testing.assert_array_equal(np.concatenate(lanes), clusters)
    # Past its end a lane begins anew.
    last = files.size_of(0) - 1
    np.testing.assert_array_equal(files.read(0, last, 3), clusters[[last, 0, 1]])


@pytest.mark.parametrize("n_tasks", [2, 7, 64])
def test_executors_pick_what_the_core_picks_in_any_number_of_tasks(
    spark: SparkSession,
    files: LaneFiles,
    expected: Selection,
    tmp_path: Path,
    n_tasks: int,
) -> None:
    result = selected(spark, files, tmp_path, n_tasks=n_tasks)
    assert_is(result, expected)
    assert result.outcome.n_rounds == int(expected.batches[-1]) + 1
    assert 0 < result.outcome.staleness < SETTINGS.max_round_growth
    assert set(result.picks["lane"].to_pylist()) == set(range(8))


def test_a_prior_is_the_cores(
    spark: SparkSession,
    files: LaneFiles,
    clusters: NDArray[np.int64],
    tmp_path: Path,
) -> None:
    pseudo = pseudo_counts(0.3, None, empty_tables(), clusters)
    result = selected(spark, files, tmp_path, prior=pseudo)
    with_prior = lane_greedy(
        clusters,
        N_SELECT,
        n_clusters=N_CLUSTERS,
        pairs=PAIRS,
        prior=0.3,
        **asdict(SETTINGS),
    )
    assert_is(result, with_prior)


def staged(folder: Path) -> PickStaging:
    return PickStaging(Folder(str(folder)), {})


def problem_of(n_before: int = 0, prior: float = 0.0) -> Problem:
    return Problem(
        n_clips=N_CLIPS,
        n_before=n_before,
        n_select=n_before + 300,
        n_clusters=N_CLUSTERS,
        pairs=tuple(PAIRS),
        prior=prior,
    )


def test_clips_in_and_out_are_kept_and_former_ones_counted(
    spark: SparkSession,
    files: LaneFiles,
    clusters: NDArray[np.int64],
    tmp_path: Path,
) -> None:
    is_former = np.zeros(N_CLIPS, dtype=bool)
    is_former[5:105] = True
    allowed = np.arange(N_CLIPS) % 5 > 0
    include = np.array([7, 201, 3, 2999])
    include.sort()
    staging = staged(tmp_path)
    outcome = select_on_executors(
        spark,
        problem_of(n_before=100, prior=0.2),
        files,
        staging,
        settings=SETTINGS,
        rules=Restrictions(allowed=allowed, include=include),
        is_former=is_former,
    )
    picks = pa.concat_tables(staging.tables())
    rows = picks["row_number"].to_numpy()
    assert len(np.unique(rows)) == len(rows) == 300
    assert allowed[rows].all()
    assert not is_former[rows].any()
    # Row 7 is selected already.
    assert rows[:3].tolist() == [3, 201, 2999]
    assert picks["batch"].to_pylist()[:4] == [-1, -1, -1, 0]
    before = ContingencyTables.from_assignments(
        clusters[is_former], PAIRS, n_clusters=N_CLUSTERS
    )
    expected = replay(
        clusters, rows, n_clusters=N_CLUSTERS, pairs=PAIRS, previous=before
    )
    np.testing.assert_array_equal(picks["gain"].to_numpy(), expected.gains)
    np.testing.assert_array_equal(outcome.tables.counters, expected.tables.counters)


def test_the_population_of_a_prior_is_counted_by_executors(
    spark: SparkSession,
    files: LaneFiles,
    clusters: NDArray[np.int64],
    tmp_path: Path,
) -> None:
    staging = staged(tmp_path)
    allowed = np.arange(N_CLIPS) % 3 > 0
    select_on_executors(
        spark,
        problem_of(prior=0.4),
        files,
        staging,
        settings=SETTINGS,
        rules=Restrictions(allowed=allowed),
    )
    population = ContingencyTables.from_assignments(
        clusters[allowed], PAIRS, n_clusters=N_CLUSTERS
    )
    expected = lane_greedy(
        clusters,
        300,
        n_clusters=N_CLUSTERS,
        pairs=PAIRS,
        prior=0.4,
        population=population,
        exclude=np.flatnonzero(~allowed),
        **asdict(SETTINGS),
    )
    picks = pa.concat_tables(staging.tables())
    np.testing.assert_array_equal(picks["row_number"].to_numpy(), expected.indices)


def test_clips_that_must_be_in_may_be_all(
    spark: SparkSession, files: LaneFiles, tmp_path: Path
) -> None:
    staging = staged(tmp_path)
    outcome = select_on_executors(
        spark,
        problem_of(),
        files,
        staging,
        settings=SETTINGS,
        rules=Restrictions(include=np.arange(0, 600, 2)),
    )
    assert (staging.n_picks, outcome.n_rounds) == (300, 0)


def test_limits_are_kept_with_former_and_included_clips(
    spark: SparkSession, files: LaneFiles, tmp_path: Path
) -> None:
    videos = np.arange(N_CLIPS) // 3
    is_former = np.zeros(N_CLIPS, dtype=bool)
    is_former[0:300:3] = True
    limit = at_most(1, videos, name="video_id")
    staging = staged(tmp_path)
    select_on_executors(
        spark,
        problem_of(n_before=100),
        files,
        staging,
        settings=SETTINGS,
        rules=Restrictions(limits=[limit], include=np.array([1000, 2000])),
        is_former=is_former,
    )
    rows = pa.concat_tables(staging.tables())["row_number"].to_numpy()
    assert rows[:2].tolist() == [1000, 2000]
    counts = np.bincount(videos[np.concatenate([rows, np.flatnonzero(is_former)])])
    assert counts.max() == 1
    assert len(rows) == 300


def test_rules_that_cannot_be_kept_are_refused_before_work_starts(
    spark: SparkSession, files: LaneFiles, tmp_path: Path
) -> None:
    limit = at_most(2, np.arange(N_CLIPS) % 100, name="video_id")
    for rules, words in [
        (
            Restrictions(limits=[limit]),
            "at most 200 clips, which the limit by video_id",
        ),
        (Restrictions(allowed=np.zeros(N_CLIPS, dtype=bool)), "at most 0 clips"),
    ]:
        staging = staged(tmp_path)
        with pytest.raises((StageError, ValueError), match=words):
            select_on_executors(
                spark, problem_of(), files, staging, settings=SETTINGS, rules=rules
            )
        assert len(staging) == 0


def test_killed_after_any_round_and_started_again_ends_alike(
    spark: SparkSession, files: LaneFiles, expected: Selection, tmp_path: Path
) -> None:
    n_starts = n_rounds = 0

    def stop_at_every_third_round(done: int, total: int) -> None:
        nonlocal n_rounds
        n_rounds += 1
        if n_rounds == 3 and done < total:
            raise KilledError

    while True:
        n_rounds, n_starts = 0, n_starts + 1
        try:
            result = selected(
                spark, files, tmp_path, progress=stop_at_every_third_round
            )
            break
        except KilledError:
            continue
    assert n_starts >= 3
    assert_is(result, expected)
    assert 0 < result.outcome.staleness < SETTINGS.max_round_growth


def test_killed_before_a_round_is_committed_repeats_that_round_alone(
    spark: SparkSession,
    files: LaneFiles,
    expected: Selection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flush, n_flushed = PickStaging.flush, 0

    def cut_short(self: PickStaging, *args: object, **kwargs: object) -> None:
        nonlocal n_flushed
        n_flushed += 1
        if n_flushed == 4:
            # The picks are there, the state that counts them is not.
            monkeypatch.setattr(Folder, "write_text", _killed)
        flush(self, *args, **kwargs)  # type: ignore[arg-type]  # passed on as given

    with monkeypatch.context() as patched:
        patched.setattr(PickStaging, "flush", cut_short)
        with pytest.raises(KilledError):
            selected(spark, files, tmp_path)
    monkeypatch.undo()
    result = selected(spark, files, tmp_path)
    assert_is(result, expected)
    assert len(result.outcome.seconds) == result.outcome.n_rounds - 3


def _killed(*_: object) -> None:
    raise KilledError


def test_killed_python_workers_change_nothing(
    spark: SparkSession, files: LaneFiles, expected: Selection, tmp_path: Path
) -> None:
    reads = tmp_path / "reads"
    reads.mkdir()
    # In the first chain, and in later rounds of all lanes, in the midst of a task.
    killing = KillingFiles(**asdict(files), folder=str(reads), at=(2, 40, 61))
    result = selected(spark, killing, tmp_path / "staged")
    assert_is(result, expected)
    assert len(list(reads.iterdir())) > 61


def test_lanes_are_written_anew_when_the_packed_rows_change(
    spark: SparkSession, clusters: NDArray[np.int64], tmp_path: Path
) -> None:
    folder = Folder(str(tmp_path))
    files = written(packed_of(spark, clusters), folder)
    other = packed_of(spark, clusters[::-1])
    # The same packing is not read again.
    assert written(other, folder) == files
    np.testing.assert_array_equal(files.read(0, 0, 5), clusters[:5])
    written(other, folder, packing="run 2")
    np.testing.assert_array_equal(files.read(0, 0, 5), clusters[::-1][:5])


@pytest.mark.parametrize("wrong", [-1, 0, N_CLIPS])
def test_row_numbers_with_a_gap_are_refused_and_leave_no_lanes(
    spark: SparkSession, clusters: NDArray[np.int64], tmp_path: Path, wrong: int
) -> None:
    rows = np.arange(N_CLIPS)
    rows[17] = wrong
    folder = Folder(str(tmp_path))
    with pytest.raises(StageError, match=r"expected the row numbers 0 to 3000"):
        written(packed_of(spark, clusters, rows), folder)
    assert not folder.exists("manifest.json")


def test_a_session_without_broadcasts_is_refused(files: LaneFiles) -> None:
    class Connect:
        """A session of Spark Connect, as far as it goes."""

    staging = cast("PickStaging", None)
    with pytest.raises(StageError, match="Spark Connect"):
        select_in_lanes(
            cast("SparkSession", Connect()),
            files,
            staging,
            before=empty_tables(),
            n_select=5,
            settings=SETTINGS,
        )
