"""Selection in lanes: every choice, from a brute force of the whole algorithm."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from oracle import Problem, random_problem, scores

from acav_spark.selection import (
    ContingencyTables,
    at_most,
    batch_greedy,
    combination,
    replay,
)
from acav_spark.selection.kernels import draw
from acav_spark.selection.lane_batches import picker_of, take_chain, wrapped
from acav_spark.selection.lane_rounds import LanesInProgress
from acav_spark.selection.lane_settings import LaneSettings
from acav_spark.selection.lanes import lane_greedy
from acav_spark.selection.limits import Constraints, no_groups
from acav_spark.selection.picker import ExactPicker

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from acav_spark.selection import Selection
    from acav_spark.selection.kernels.draw import Groups
    from acav_spark.selection.lane_batches import LaneRows
    from acav_spark.selection.lane_rounds import RoundPicks


def brute_force(problem: Problem, settings: LaneSettings) -> list[int]:
    """Return the choices in lanes, from lists of rows and recounts."""
    n, n_lanes = len(problem.ids), min(settings.n_lanes, len(problem.ids))
    cuts = [lane * n // n_lanes for lane in range(n_lanes + 1)]
    shortest = min(b - a for a, b in pairwise(cuts))
    b = min(settings.batch_size, shortest)
    s = max(1, settings.per_batch * b // settings.batch_size)
    # A queue of a lane: rows yet to be read, in order; those passed over go to its end.
    queues = []
    for lane in range(n_lanes):
        rows = list(range(cuts[lane], cuts[lane + 1]))
        start = int(draw.stream_of(np.uint64(settings.seed), np.uint64(lane)))
        queues.append(rows[start % len(rows) :] + rows[: start % len(rows)])
    chosen: list[int] = []
    turn = 0
    while len(chosen) < problem.n_select:
        depth = int(settings.max_round_growth * len(chosen)) // (n_lanes * s)
        if depth >= 1 and n_lanes > 1:
            plan = [
                [lane] * min(depth, max(len(queues[lane]) // b, 1))
                for lane in range(n_lanes)
                if queues[lane]
            ]
        else:
            n_wanted = problem.n_select - len(chosen)
            if n_lanes > 1:
                enough = math.ceil(n_lanes * s / settings.max_round_growth)
                n_wanted = min(n_wanted, max(enough - len(chosen), 1))
            visits = {i: max(len(q) // b, 1) if q else 0 for i, q in enumerate(queues)}
            chain: list[int] = []
            while n_wanted > 0 and any(visits.values()) and len(chain) < 256:
                if visits[turn]:
                    visits[turn] -= 1
                    chain.append(turn)
                    n_wanted -= s
                turn = (turn + 1) % n_lanes
            plan = [chain]
        found = []
        for chain in plan:
            own: list[int] = []
            passed: dict[int, list[int]] = {}
            for lane in chain:
                batch, queues[lane] = queues[lane][:b], queues[lane][b:]
                own_of_batch: list[int] = []
                while len(own_of_batch) < min(s, len(batch)):
                    left = [row for row in batch if row not in own_of_batch]
                    values = scores(problem, chosen + own, left)
                    own_of_batch.append(left[int(np.argmax(values))])
                    own.append(own_of_batch[-1])
                passed.setdefault(lane, []).extend(
                    row for row in batch if row not in own_of_batch
                )
            for lane, rows in passed.items():
                queues[lane] += rows
            found.append(own)
        for rank in range(max(len(own) for own in found)):
            chosen += [own[rank] for own in found if rank < len(own)]
    return chosen[: problem.n_select]


def settings_of(problem: Problem, seed: int) -> LaneSettings:
    generator = np.random.default_rng(seed)
    return LaneSettings(
        n_lanes=int(generator.integers(1, 9)),
        batch_size=problem.batch_size,
        per_batch=problem.per_batch,
        max_round_growth=float(generator.uniform(0.2, 1.0)),
        seed=seed,
    )


def selected(problem: Problem, settings: LaneSettings, **more: object) -> Selection:
    return lane_greedy(
        problem.ids,
        problem.n_select,
        n_clusters=problem.sizes,
        pairs=problem.pairs,
        **asdict(settings),
        **more,  # type: ignore[arg-type]  # passed on as given
    )


def reader_of(ids: NDArray[np.int64], n_lanes: int) -> LaneRows:
    cuts = [lane * len(ids) // n_lanes for lane in range(n_lanes + 1)]

    def read(lane: int, start: int, n_rows: int) -> NDArray[np.integer]:
        return wrapped(ids[cuts[lane] : cuts[lane + 1]], start, n_rows)

    return read


@pytest.mark.parametrize("first_seed", range(0, 200, 20))
def test_every_choice_is_that_of_a_brute_force(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 20):
        problem = random_problem(seed)
        settings = settings_of(problem, seed)
        found = selected(problem, settings).indices.tolist()
        assert found == brute_force(problem, settings), (seed, settings)


def planted(n_clips: int, n_clusters: int, n_views: int = 6) -> NDArray[np.int64]:
    generator = np.random.default_rng(8)
    latent = generator.integers(n_clusters, size=(n_clips, 1))
    noise = generator.integers(n_clusters, size=(n_clips, n_views))
    is_shown = generator.random((n_clips, n_views)) < 0.5
    return np.where(is_shown, latent, noise)


WIDE = LaneSettings(n_lanes=64, batch_size=250, per_batch=12, max_round_growth=0.5)
PAIRS = combination(6)


@pytest.fixture(scope="module")
def ids() -> NDArray[np.int64]:
    return planted(40_000, 20)


@pytest.fixture(scope="module")
def found(ids: NDArray[np.int64]) -> Selection:
    return lane_greedy(ids, 12_000, n_clusters=20, pairs=PAIRS, **asdict(WIDE))


def test_64_lanes_reach_the_objective_of_sequential_choices(
    ids: NDArray[np.int64], found: Selection
) -> None:
    sequential = batch_greedy(
        ids, 12_000, n_clusters=20, pairs=PAIRS, batch_size=250, per_batch=12
    )
    assert found.objective > 0.99 * sequential.objective
    assert len(np.unique(found.batches)) > 8


def test_gains_objectives_and_tables_are_those_of_the_sequence(
    ids: NDArray[np.int64], found: Selection
) -> None:
    expected = replay(ids, found.indices, n_clusters=20, pairs=PAIRS)
    np.testing.assert_array_equal(found.gains, expected.gains)
    np.testing.assert_array_equal(found.objectives, expected.objectives)
    np.testing.assert_array_equal(found.tables.counters, expected.tables.counters)


def test_weights_shape_scores_as_in_the_replay(ids: NDArray[np.int64]) -> None:
    weights = np.linspace(1, 3, len(PAIRS))
    few = lane_greedy(
        ids[:3000], 900, n_clusters=20, pairs=PAIRS, weights=weights, **asdict(WIDE)
    )
    expected = replay(
        ids[:3000], few.indices, n_clusters=20, pairs=PAIRS, weights=weights
    )
    np.testing.assert_array_equal(few.gains, expected.gains)


def test_a_smaller_selection_is_a_prefix(
    ids: NDArray[np.int64], found: Selection
) -> None:
    for n_select in (1, 700, 4001, 11_999):
        shorter = lane_greedy(ids, n_select, n_clusters=20, pairs=PAIRS, **asdict(WIDE))
        np.testing.assert_array_equal(shorter.indices, found.indices[:n_select])
        np.testing.assert_array_equal(shorter.gains, found.gains[:n_select])


def test_all_clips_can_be_selected_each_once(ids: NDArray[np.int64]) -> None:
    every = lane_greedy(ids[:5003], 5003, n_clusters=20, pairs=PAIRS, **asdict(WIDE))
    np.testing.assert_array_equal(np.sort(every.indices), np.arange(5003))


def test_excluded_clips_are_never_picked(ids: NDArray[np.int64]) -> None:
    exclude = np.arange(0, 3000, 2)
    rest = lane_greedy(
        ids[:3000],
        1500,
        n_clusters=20,
        pairs=PAIRS,
        exclude=exclude,
        **asdict(WIDE),
    )
    np.testing.assert_array_equal(np.sort(rest.indices), np.arange(1, 3000, 2))
    with pytest.raises(ValueError, match="expected at most 1500"):
        lane_greedy(ids[:3000], 1501, n_clusters=20, pairs=PAIRS, exclude=exclude)


@pytest.mark.parametrize("n_lanes", [1, 7, 64])
def test_limits_are_kept_across_lanes(ids: NDArray[np.int64], n_lanes: int) -> None:
    # Clips of a video lie in all lanes, which do not see each other.
    part = ids[:9_000]
    videos = np.random.default_rng(3).integers(1_500, size=len(part))
    channels = videos % 10
    limits = [at_most(1, videos, name="video"), at_most(140, channels, name="channel")]
    settings = asdict(replace(WIDE, n_lanes=n_lanes))
    n_select = int(np.minimum(np.bincount(channels[np.unique(videos)]), 140).sum())
    found = lane_greedy(
        part, n_select, n_clusters=20, pairs=PAIRS, limits=limits, **settings
    )
    assert np.bincount(videos[found.indices]).max() == 1
    assert np.bincount(channels[found.indices]).max() <= 140
    free = lane_greedy(part, n_select, n_clusters=20, pairs=PAIRS, **settings)
    assert np.bincount(videos[free.indices]).max() > 1
    again = replay(part, found.indices, n_clusters=20, pairs=PAIRS)
    np.testing.assert_array_equal(found.gains, again.gains)
    np.testing.assert_array_equal(found.tables.counters, again.tables.counters)


@pytest.mark.parametrize("seed", range(12))
def test_all_that_one_limit_allows_can_be_selected(
    ids: NDArray[np.int64], seed: int
) -> None:
    # Seven of eight lanes hold one video, so that one lane gives all others.
    part = ids[seed * 400 : seed * 400 + 400]
    videos = np.maximum(np.arange(400) - 349, 0)
    found = lane_greedy(
        part,
        51,
        n_clusters=20,
        pairs=PAIRS,
        limits=[at_most(1, videos)],
        **asdict(replace(WIDE, n_lanes=8, batch_size=20, per_batch=4, seed=seed)),
    )
    assert sorted(videos[found.indices]) == sorted(set(videos.tolist()))


def test_limits_that_allow_too_few_together_are_named(
    ids: NDArray[np.int64],
) -> None:
    rows, columns = np.arange(900) // 30, np.arange(900) % 30
    columns[rows > 0] = 0
    limits = [at_most(20, rows, name="video"), at_most(300, columns, name="channel")]
    with pytest.raises(ValueError, match=r"all together do not.*video, channel"):
        lane_greedy(
            ids[:900], 325, n_clusters=20, pairs=PAIRS, limits=limits, **asdict(WIDE)
        )


def test_resumed_with_limits_it_goes_on_alike(ids: NDArray[np.int64]) -> None:
    part = ids[:9_000]
    videos = np.random.default_rng(3).integers(4_000, size=len(part))
    none = np.empty(0, dtype=np.int64)
    read = reader_of(part, 64)

    def fresh() -> LanesInProgress:
        limits = (at_most(1, videos, name="video"),)
        groups = Constraints(len(part), 3_000, limits, none, none).groups()
        return in_progress(len(part), 3_000, groups)

    whole = run(fresh(), read)
    assert len(whole) > 4
    for n_before in (1, len(whole) // 2, len(whole) - 1):
        first = fresh()
        rounds = run(first, read, n_before)
        second = fresh()
        second.resume(
            [(picks.rows, picks.scores) for picks in rounds], first.position, read
        )
        rounds += run(second, read)
        np.testing.assert_array_equal(
            np.concatenate([picks.rows for picks in rounds]),
            np.concatenate([picks.rows for picks in whole]),
        )


def in_progress(
    n_clips: int, n_select: int, groups: Groups | None = None
) -> LanesInProgress:
    empty = ContingencyTables.empty(PAIRS, n_clusters=20, n_views=6)
    return LanesInProgress(n_clips, empty, n_select, settings=WIDE, groups=groups)


def run(
    lanes: LanesInProgress, read: LaneRows, n_rounds: int | None = None
) -> list[RoundPicks]:
    rounds: list[RoundPicks] = []
    while len(rounds) != n_rounds and (chains := lanes.next_round()):
        picker = picker_of(lanes.tables, chains, None)
        # Chains come back in any order.
        results = [take_chain(picker, chain, read) for chain in chains]
        rounds.append(lanes.merge(chains, results[::-1]))
    return rounds


def test_resumed_after_any_round_it_goes_on_alike(
    ids: NDArray[np.int64], found: Selection
) -> None:
    read = reader_of(ids, 64)
    n_rounds = int(found.batches[-1]) + 1
    for n_before in (1, 2, n_rounds // 2, n_rounds - 1):
        first = in_progress(len(ids), 12_000)
        rounds = run(first, read, n_before)
        second = in_progress(len(ids), 12_000)
        second.resume(
            [(picks.rows, picks.scores) for picks in rounds], first.position, read
        )
        rounds += run(second, read)
        np.testing.assert_array_equal(
            np.concatenate([picks.rows for picks in rounds]), found.indices
        )
        np.testing.assert_array_equal(
            np.concatenate([picks.objectives for picks in rounds]), found.objectives
        )
        np.testing.assert_array_equal(second.tables.counters, found.tables.counters)


def test_no_lane_misses_more_picks_than_allowed(ids: NDArray[np.int64]) -> None:
    rounds = run(in_progress(len(ids), 12_000), reader_of(ids, 64))
    staleness = [picks.staleness for picks in rounds]
    assert staleness[0] == 0
    assert 0.4 < max(staleness) < 0.5
    # What the largest round's chains did not see, over what was picked before it.
    sizes = [len(picks.rows) for picks in rounds]
    at = int(np.argmax(staleness))
    assert max(staleness) == pytest.approx(sizes[at] * 63 / 64 / sum(sizes[:at]))


def test_a_round_reads_its_batches_and_nothing_else(ids: NDArray[np.int64]) -> None:
    read, n_read = reader_of(ids, 64), 0

    def counting(lane: int, start: int, n_rows: int) -> NDArray[np.integer]:
        nonlocal n_read
        n_read += n_rows
        return read(lane, start, n_rows)

    lanes = in_progress(len(ids), 12_000)
    run(lanes, counting, 1)
    n_batches = lanes.n_done // 12
    assert n_read == 250 * n_batches


def test_results_of_other_chains_are_refused(ids: NDArray[np.int64]) -> None:
    lanes = in_progress(len(ids), 12_000)
    read = reader_of(ids, 64)
    run(lanes, read, 1)
    chains = lanes.next_round()
    picker = picker_of(lanes.tables, chains, None)
    results = [take_chain(picker, chain, read) for chain in chains]
    with pytest.raises(RuntimeError, match="expected"):
        lanes.merge(chains, results[:-1])
    twice = [*results[:-1], results[0]._replace(number=results[-1].number)]
    with pytest.raises(RuntimeError, match="not picked"):
        lanes.merge(chains, twice)


@pytest.mark.parametrize("units", [0, 700])
def test_a_picker_forgets_as_if_it_had_not_taken(
    ids: NDArray[np.int64], units: int
) -> None:
    tables = ContingencyTables.from_assignments(ids[:20_000], PAIRS, n_clusters=20)
    prior = tables.counters * units if units else None
    picker = ExactPicker(tables, prior=prior, batch_size=2000, n_expected=500)
    before = state_of(picker)
    rest = ids[20_000:]
    rows = np.arange(2000)
    first = picker.take_best(rest, rows, 500, no_groups(len(rest)))
    assert any(
        not np.array_equal(a, b) for a, b in zip(before, state_of(picker), strict=True)
    )
    picker.forget(rest[first.positions])
    for a, b in zip(before, state_of(picker), strict=True):
        np.testing.assert_array_equal(a, b)
    again = picker.take_best(rest, rows, 500, no_groups(len(rest)))
    np.testing.assert_array_equal(again.positions, first.positions)
    np.testing.assert_array_equal(again.scores, first.scores)


def state_of(picker: ExactPicker) -> list[NDArray[np.generic]]:
    """Return copies of all that choices of a batch depend on."""
    parts = [picker._counts_used, picker._own]
    found: list[NDArray[np.generic]] = [picker._codes.of_cell.copy()]
    for counts in parts:
        found += [counts.cells.copy(), counts.margins.copy()]
        found.append(counts.margin_terms.copy())
    return found


def test_codes_of_large_counts_bound_them() -> None:
    tables = ContingencyTables.empty([(0, 1)], n_clusters=3, n_views=2)
    tables.counters[:9] = [0, 1, 63, 64, 70_000, 65_535, 65_536, 10**8, 3]
    picker = ExactPicker(tables, batch_size=4, n_expected=1)
    cells, codes = picker._counts_used.cells, picker._codes
    limits = codes.limit[codes.of_cell[: len(cells)]]
    assert (limits >= cells).all()
    below = codes.limit[np.maximum(codes.of_cell[: len(cells)].astype(int) - 1, 0)]
    assert ((below < cells) | (cells == 0)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_lanes": 0}, "n_lanes: expected an integer of at least 1, got 0"),
        ({"per_batch": 251}, "per_batch: expected at most batch_size"),
        ({"max_round_growth": 0.0}, r"max_round_growth: expected a share in \(0, 1\]"),
        ({"max_round_growth": 1.5}, r"max_round_growth: expected a share in \(0, 1\]"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LaneSettings(**{**asdict(WIDE), **change})


def test_weights_too_steep_for_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="choices in lanes are by exact integers"):
        lane_greedy(
            planted(50, 3, 3),
            5,
            n_clusters=3,
            pairs=combination(3),
            weights=[1.0, 1e-4, 1.0],
        )


def test_progress_is_told_after_each_round(ids: NDArray[np.int64]) -> None:
    told: list[tuple[int, int]] = []
    tell: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731 - one line
    picks = lane_greedy(
        ids[:3000], 900, n_clusters=20, pairs=PAIRS, progress=tell, **asdict(WIDE)
    )
    ends = np.flatnonzero(np.diff(picks.batches, append=-1))
    assert told == [(int(end) + 1, 900) for end in ends]
