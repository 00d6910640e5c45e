"""The driver engine: the core's picks, under every rule, from whatever files."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from contents import contents
from delta.tables import DeltaTable
from packed_tables import (
    N_CLIPS,
    N_CLUSTERS,
    MakePacked,
    clip_name,
    make_packed_context,
    planted_ids,
    write_packed,
)
from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.selection import (
    ContingencyTables,
    Selection,
    batch_greedy,
    combination,
    gain_by_pair,
    greedy,
    mixture_ranking,
    objective,
)
from acav_spark.selection.explaining import explain_gains
from acav_spark.selection.job import problem_of, select_clips
from acav_spark.selection.population import (
    clusters_of,
    count_clips,
    write_population,
)
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import Row, SparkSession

    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult
    from acav_spark.selection.in_progress import Mode

N_SELECT = 200
PAIRS = combination(4)


@pytest.fixture(scope="module")
def packed_root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of packed clips, in a folder of awkward name; only to be copied."""
    root = tmp_path_factory.mktemp("packed") / "ware house 100%25 ü"
    make_packed_context(spark, root)
    return root


@pytest.fixture(scope="module")
def make_shared(
    spark: SparkSession, packed_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> MakePacked:
    """Make contexts on one copy for all: each test writes another name, or nothing."""
    root = tmp_path_factory.mktemp("shared") / packed_root.name
    shutil.copytree(packed_root, root)

    def make(*more: str) -> StageContext:
        return make_packed_context(spark, root, *more)

    return make


@pytest.fixture
def make_packed(spark: SparkSession, tmp_path: Path, packed_root: Path) -> MakePacked:
    """Make contexts on a copy of that warehouse."""
    root = tmp_path / packed_root.name
    shutil.copytree(packed_root, root)

    def make(*more: str) -> StageContext:
        return make_packed_context(spark, root, *more)

    return make


@pytest.fixture(scope="module")
def selected(
    spark: SparkSession, packed_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StageContext, StageResult]:
    """A copy on which the driver engine has selected; not to be written to."""
    root = tmp_path_factory.mktemp("selected") / packed_root.name
    shutil.copytree(packed_root, root)
    context = make_packed_context(spark, root)
    return context, select_clips(context)


def core(mode: Mode = "paper") -> Selection:
    """Return what the core selects from the same clips."""
    return batch_greedy(
        planted_ids(),
        N_SELECT,
        n_clusters=N_CLUSTERS,
        pairs=PAIRS,
        batch_size=60,
        per_batch=9,
        mode=mode,
    )


def picks_of(context: StageContext, name: str = "main") -> list[Row]:
    rows = context.warehouse.read("selections").where(f"selection = '{name}'")
    return rows.orderBy("rank").collect()


def ids_of(picks: list[Row]) -> list[str]:
    return [row["clip_id"] for row in picks]


def names(rows: NDArray[np.int64]) -> list[str]:
    return [clip_name(row) for row in rows.tolist()]


def assert_stored(
    context: StageContext, selection: str, tables: ContingencyTables
) -> None:
    """Compare the cells of a selection with tables, cell by cell."""
    context.warehouse.register_views()
    cells = context.spark.table("contingency_cells")
    found = {
        (r["view_a"], r["view_b"], r["cluster_a"], r["cluster_b"]): r["n_clips"]
        for r in cells.where(f"selection = '{selection}'").collect()
    }
    for first, second in PAIRS:
        table = tables.table(first, second)
        for i, j in np.argwhere(table).tolist():
            assert found.pop((first, second, i, j)) == table[i, j]
    assert not found


def test_the_driver_engine_writes_the_picks_of_the_core(
    selected: tuple[StageContext, StageResult],
) -> None:
    context, result = selected
    expected = core()

    picks = picks_of(context)
    assert ids_of(picks) == names(expected.indices)
    assert [row["rank"] for row in picks] == list(range(1, N_SELECT + 1))
    np.testing.assert_array_equal([r["gain"] for r in picks], expected.gains)
    np.testing.assert_array_equal([r["objective"] for r in picks], expected.objectives)
    assert [row["batch"] for row in picks] == expected.batches.tolist()
    assert {row["lane"] for row in picks} == {None}
    assert_stored(context, "main", expected.tables)
    assert result.metrics["objective"] == pytest.approx(expected.objective, abs=1e-12)
    assert not (context.folder.list("_selecting"))
    assert select_clips(context).is_unchanged


def test_the_broadcast_engine_stages_and_writes_alike(make_packed: MakePacked) -> None:
    out = [clip_name(row) for row in range(100, 200)]
    context = make_packed(
        "selection.engine=broadcast",
        "selection.n_lanes=4",
        f"selection.must_exclude={out}",
    )

    result = select_clips(context)

    picks = picks_of(context)
    assert len(set(ids_of(picks))) == N_SELECT
    assert not set(ids_of(picks)) & set(out)
    assert {row["lane"] for row in picks} == {0, 1, 2, 3}
    rows = {clip_name(row): row for row in range(N_CLIPS)}
    chosen = planted_ids()[[rows[clip] for clip in ids_of(picks)]]
    recounted = objective(chosen, PAIRS, n_clusters=N_CLUSTERS)
    assert recounted == pytest.approx(picks[-1]["objective"], abs=1e-9)
    assert result.metrics["objective"] == pytest.approx(picks[-1]["objective"])
    assert context.warehouse.read("selections").count() == N_SELECT
    limited = make_packed(
        "selection.name=limited",
        "selection.engine=broadcast",
        "selection.max_per_group={video_id: 1}",
    )
    select_clips(limited)
    read = limited.warehouse.read
    videos = (
        read("selections")
        .where("selection = 'limited'")
        .join(read("clips").select("clip_id", "video_id"), "clip_id")
    )
    assert videos.count() == videos.select("video_id").distinct().count() == N_SELECT


def test_stored_selections_and_the_population_are_counted_where_they_are(
    selected: tuple[StageContext, StageResult], spark: SparkSession, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(selected[0].folder.path, root)
    context = make_packed_context(spark, root)
    expected = core()
    packed = context.warehouse.read("packed").where("clustering = 'main'")
    problem = problem_of(context, context.config, N_CLIPS, 0, N_SELECT)

    counted = count_clips(clusters_of(context, "main", packed), problem)

    np.testing.assert_array_equal(counted.counters, expected.tables.counters)
    first = count_clips(clusters_of(context, "main", packed, 20), problem)
    shorter = expected.first(20, planted_ids())
    np.testing.assert_array_equal(first.counters, shorter.tables.counters)
    population = ContingencyTables.from_assignments(
        planted_ids(), PAIRS, n_clusters=N_CLUSTERS
    )
    assert_stored(context, "population:main", population)
    stored = contents(context.warehouse, "contingency")
    context.warehouse.delete("contingency", "selection = 'population:main'")

    assert write_population(context, "main", packed, problem)

    assert contents(context.warehouse, "contingency") == stored, "executors count alike"


def test_explained_gains_are_those_at_the_moment_of_choice_or_after_the_end(
    selected: tuple[StageContext, StageResult],
) -> None:
    context, _ = selected
    picks = picks_of(context)
    expected = core()

    (chosen,) = explain_gains(context, picks[41]["clip_id"])

    assert (chosen.rank, chosen.n_counted) == (42, 41)
    assert chosen.total == pytest.approx(picks[41]["gain"], abs=1e-12)
    before = expected.first(41, planted_ids()).tables
    row = int(expected.indices[41])
    np.testing.assert_allclose(
        [gain for _, _, gain in chosen.by_pair],
        gain_by_pair(before, planted_ids()[row]),
        atol=1e-12,
    )
    assert chosen.by_pair[0][:2] == ("extractor_0 layer 1", "extractor_0 layer 2")
    left = min(set(range(N_CLIPS)) - set(expected.indices.tolist()))
    (rejected,) = explain_gains(context, clip_name(left))
    assert (rejected.rank, rejected.n_counted) == (None, N_SELECT)
    np.testing.assert_allclose(
        [gain for _, _, gain in rejected.by_pair],
        gain_by_pair(expected.tables, planted_ids()[left]),
        atol=1e-12,
    )


def test_broken_off_in_a_batch_it_goes_on_from_the_staged_picks(
    make_packed: MakePacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acav_spark.selection.staging._SECONDS_PER_FILE", 0.0)
    context = make_packed()
    expected = names(core().indices)

    def broken(_: object, done: float) -> None:
        if done > 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(context.reporter), "at", broken)
        with pytest.raises(KeyboardInterrupt):
            select_clips(context)
    assert context.folder.list("_selecting/main/picks")
    assert context.warehouse.read("selections").count() == 0

    made: list[int] = []
    monkeypatch.setattr(
        type(context.reporter), "at", lambda _, done: made.append(int(done))
    )
    select_clips(context)

    assert made[0] > 80, "it began anew"
    assert ids_of(picks_of(context)) == expected


def test_files_and_partitions_do_not_change_the_picks(make_packed: MakePacked) -> None:
    context = make_packed()
    expected = names(core().indices)
    for n_partitions in (2, 7):
        write_packed(context, planted_ids(), n_partitions)
        name = f"parts-{n_partitions}-x"
        select_clips(make_packed(f"selection.name={name}"))
        assert ids_of(picks_of(context, name)) == expected


def test_rows_deleted_by_vectors_and_renamed_columns_are_read_through_spark(
    make_packed: MakePacked, spark: SparkSession
) -> None:
    context = make_packed()
    table = f"delta.`{context.warehouse.path('packed')}`"
    spark.sql(
        f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = true)"
    )
    last = N_CLIPS - 40
    DeltaTable.forPath(spark, context.warehouse.path("packed")).delete(
        f"row_number >= {last}"
    )
    expected = batch_greedy(
        planted_ids()[:last],
        N_SELECT,
        n_clusters=N_CLUSTERS,
        pairs=PAIRS,
        batch_size=60,
        per_batch=9,
    )

    select_clips(context)

    assert ids_of(picks_of(context)) == names(expected.indices)


@pytest.mark.parametrize("method", ["released", "greedy", "pmi", "mixture", "random"])
def test_other_methods_select_as_many_distinct_clips(
    make_shared: MakePacked, method: str
) -> None:
    settings = (f"selection.method={method}", f"selection.name={method}")
    context = make_shared(*settings)

    select_clips(context)

    picks = ids_of(picks_of(context, method))
    assert len(set(picks)) == N_SELECT
    ids = planted_ids()
    if method == "released":
        assert picks == names(core(mode="released").indices)
    if method == "greedy":
        found = greedy(ids, N_SELECT, n_clusters=N_CLUSTERS, pairs=PAIRS)
        assert picks == names(found.indices)
    if method == "mixture":
        ranked = mixture_ranking(ids, N_SELECT, n_clusters=N_CLUSTERS, pairs=PAIRS)
        assert picks == names(ranked)
    if method == "pmi":
        planted = {
            clip_name(r) for r in np.flatnonzero((ids == ids[:, :1]).all(1)).tolist()
        }
        assert set(picks[:100]) <= planted


def test_a_prior_and_weights_reach_the_core(make_packed: MakePacked) -> None:
    context = make_packed(
        "selection.prior=0.5",
        "selection.weights=linear(0.5)",
        "selection.pairing=[[0, 2], [1, 3], [0, 3]]",
    )
    pairs = [(0, 2), (1, 3), (0, 3)]
    slopes = {(0, 2): 0.75, (1, 3): 1.25, (0, 3): (0.75 * 1.25) ** 0.5}
    expected = batch_greedy(
        planted_ids(),
        N_SELECT,
        n_clusters=N_CLUSTERS,
        pairs=pairs,
        batch_size=60,
        per_batch=9,
        prior=0.5,
        weights=[slopes[pair] for pair in pairs],
    )

    select_clips(context)

    assert ids_of(picks_of(context)) == names(expected.indices)


def test_every_restriction_is_kept_exactly(make_packed: MakePacked) -> None:
    into = [clip_name(row) for row in (3, 77)]
    out = [clip_name(row) for row in range(100, 200)]
    context = make_packed(
        "selection.size=45",
        "selection.where=\"duration_s > 6 AND language = 'en'\"",
        "selection.max_per_group={video_id: 1, channel_id: 4}",
        "selection.quotas={category: {Music: 10%, Sports: 18}}",
        f"selection.must_include={into}",
        f"selection.must_exclude={out}",
    )

    select_clips(context)

    picks = picks_of(context)
    assert len(picks) == 45
    assert set(ids_of(picks)[:2]) == set(into)
    assert [row["batch"] for row in picks[:2]] == [-1, -1]
    assert not set(ids_of(picks)) & set(out)
    rows = {clip_name(row): row for row in range(N_CLIPS)}
    chosen = [rows[clip] for clip in ids_of(picks)]
    n_videos = N_CLIPS // 3
    videos = [row % n_videos for row in chosen]
    assert all(row % 10 > 1 for row in chosen)
    assert all(video % 2 for video in videos)
    assert max(Counter(videos).values()) == 1
    channels = Counter(video % 17 for video in videos if video % 20)
    assert max(channels.values()) <= 4
    kinds = Counter(video % 3 for video in videos)
    assert kinds[0] == 4
    assert kinds[1] <= 18
    # What is left to People shows that the quotas did bind.
    assert kinds[2] >= 23


def test_limits_hold_over_an_extended_selection(make_packed: MakePacked) -> None:
    limits = ("selection.max_per_group={video_id: 1}", 'selection.where="true"')
    short = make_packed("selection.size=50", *limits)
    select_clips(short)
    first = ids_of(picks_of(short))
    longer = make_packed("selection.size=150", *limits)

    select_clips(longer)

    picks = picks_of(longer)
    assert ids_of(picks)[:50] == first
    assert [row["rank"] for row in picks] == list(range(1, 151))
    rows = {clip_name(row): row for row in range(N_CLIPS)}
    videos = Counter(rows[clip] % (N_CLIPS // 3) for clip in ids_of(picks))
    assert max(videos.values()) == 1
    totals = {
        row["selection"]: row["n"]
        for row in longer.warehouse.read("contingency")
        .where("view_a = 0 AND view_b = 1")
        .select("selection", F.explode("n_clips").alias("n_clips"))
        .groupBy("selection")
        .agg(F.sum("n_clips").alias("n"))
        .collect()
    }
    assert totals == {"main": 150, "population:main": N_CLIPS}
    smaller = make_packed("selection.size=20", *limits)
    assert "first 20 by rank" in select_clips(smaller).message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["where=\"colour = 'red'\""], "expected an SQL condition over"),
        (["where=duration_s"], "selection.where: expected"),
        (['where="duration_s > 1000"'], "clips that may be selected, got none"),
        (["max_per_group={uploader: 1}"], "limits by columns of clips or videos"),
        (["max_per_group={licence: 1}"], "expected clips with a licence, got none"),
        (["max_per_group={channel_id: 1}"], "the limit by channel_id"),
        (["quotas={category: {Musik: 5}}"], r"got \['Musik'\]. There are \['Music'"),
        (["must_include=[nobody]"], "expected clips that have clusters, got 1 others"),
        (["must_include=/no/such/file.parquet"], "a file or a query that begins"),
        (
            ["must_include=[clip-000000]", "must_exclude=[clip-000000]"],
            r"expected no clip in both, got 1 \(clip-000000\)",
        ),
        (
            ["must_include=[clip-000000]", "where=\"language = 'en'\""],
            "satisfy selection.where, got 1 that do not",
        ),
        (["pairing=[[0, 9]]"], "expected views from 0 to 3"),
        (["weights=[1.0, 2.0, 3.0]"], "one number for each of 2 layers"),
        (["size=601"], "at most 600, the number of clips there are"),
    ],
)
def test_wrong_rules_end_before_anything_is_written(
    make_shared: MakePacked, options: list[str], words: str
) -> None:
    settings = [f"selection.{option}" for option in options]
    context = make_shared("selection.name=wrong", *settings)
    with pytest.raises(StageError, match=words):
        select_clips(context)
    for table in ("selections", "contingency"):
        assert context.warehouse.read(table).where("selection = 'wrong'").isEmpty()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "UPDATE {} SET clusters = array(0, -3, 0, 0) WHERE row_number IN (5, 9)",
            rf"view 1, got 2 of 600 outside .*row 5 is {clip_name(5)}",
        ),
        (
            "UPDATE {} SET clusters = array(0, 0, 6, 0) WHERE row_number = 8",
            "from 0 to 5 in view 2, got 1 of 600",
        ),
        (
            "UPDATE {} SET clusters = array(0, 0) WHERE row_number = 8",
            r"expected 4 cluster ids in every row, .*\[8\]",
        ),
        (
            "UPDATE {} SET clip_id = 'twice' WHERE row_number IN (8, 300)",
            r"each clip once, got 1 clips more than once \(\['twice'\]\)",
        ),
        ("DELETE FROM {} WHERE row_number = 8", "expected row numbers from 0 to 598"),
        (
            "UPDATE {} SET row_number = 7 WHERE row_number = 8",
            "expected each row number from 0 to 599 once",
        ),
    ],
)
def test_packed_rows_that_cannot_be_are_refused(
    make_packed: MakePacked, spark: SparkSession, statement: str, words: str
) -> None:
    context = make_packed()
    spark.sql(statement.format(f"delta.`{context.warehouse.path('packed')}`"))
    with pytest.raises(StageError, match=words):
        select_clips(context)
    assert context.warehouse.read("selections").count() == 0


@pytest.mark.parametrize("engine", ["driver", "broadcast"])
def test_clips_packed_twice_are_refused_by_both_engines_before_work_starts(
    make_packed: MakePacked,
    spark: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
) -> None:
    context = make_packed(f"selection.engine={engine}", "selection.n_lanes=4")
    packed = f"delta.`{context.warehouse.path('packed')}`"
    statement = "UPDATE {} SET clip_id = 'twice' WHERE row_number IN (0, 599)"
    spark.sql(statement.format(packed))
    monkeypatch.setattr("acav_spark.selection.engines.read_restrictions", None)

    with pytest.raises(StageError, match=r"each clip once, .* \(\['twice'\]\)"):
        select_clips(context)
    assert context.warehouse.read("contingency").count() == 0


def test_different_clips_whose_hashes_meet_are_not_refused(
    make_packed: MakePacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "acav_spark.selection.candidates.have_distinct_hashes", lambda *_: False
    )
    context = make_packed()

    select_clips(context)

    assert ids_of(picks_of(context)) == names(core().indices)


@pytest.mark.parametrize(
    ("clusters_b", "n_clips", "words"),
    [
        ("array(1, 2)", "array(3)", "as_many_counts"),
        ("array(1, 2)", "array(3, 0)", "counts_positive"),
        ("array()", "array()", "counts_positive"),
    ],
)
def test_rows_of_contingency_that_cannot_be_are_refused(
    spark: SparkSession, tmp_path: Path, clusters_b: str, n_clips: str, words: str
) -> None:
    warehouse = Warehouse(spark, str(tmp_path))
    row = (
        "SELECT 'x' AS selection, 0 AS view_a, 1 AS view_b, 4 AS cluster_a, "
        f"{clusters_b} AS clusters_b, {n_clips} AS n_clips, "
        "'h' AS stage_hash, 'r' AS run_id"
    )
    with pytest.raises(Exception, match=words):
        warehouse.append("contingency", spark.sql(row))
    assert warehouse.read("contingency").count() == 0
