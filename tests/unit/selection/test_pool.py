"""Batches are random, distinct, of open rows only, and can be drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.selection import at_most
from acav_spark.selection.kernels import draw
from acav_spark.selection.limits import Constraints, no_groups
from acav_spark.selection.pool import CandidatePool, DrawnAhead

if TYPE_CHECKING:
    from acav_spark.selection.kernels.draw import Groups

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mixed(state: int) -> int:
    """SplitMix64's output function in Python's integers."""
    z = state & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_the_generator_is_split_mix_64() -> None:
    # First numbers of seed 1234567 in the reference implementation.
    state, found = 1234567, []
    for _ in range(3):
        state = (state + GOLDEN) & MASK
        found.append(int(draw.mixed(np.uint64(state))))
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_a_batch_is_what_the_stream_says() -> None:
    n, size, seed, batch = 1_000, 50, 99, 3
    state = mixed(mixed(seed + GOLDEN) + (batch + 1) * GOLDEN)
    expected: list[int] = []
    while len(expected) < size:
        state = (state + GOLDEN) & MASK
        bits = mixed(state)
        place = ((bits >> 32) * n + (((bits & 0xFFFFFFFF) * n) >> 32)) >> 32
        if place not in expected:
            expected.append(place)
    pool = CandidatePool(n, seed, no_groups(n))
    assert pool.draw(size, batch).tolist() == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 200), st.integers(1, 60), st.integers(0, 2**70), st.integers(0, 9)
)
def test_batches_are_distinct_rows_that_are_not_selected(
    n_clips: int, size: int, seed: int, n_kept: int
) -> None:
    pool = CandidatePool(n_clips, seed, no_groups(n_clips))
    selected: set[int] = set()
    for batch in range(12):
        rows = pool.draw(size, batch).tolist()
        assert len(set(rows)) == len(rows) == min(size, n_clips - len(selected))
        assert not selected & set(rows)
        kept = np.arange(min(n_kept, len(rows)))
        pool.keep(kept)
        selected |= {rows[i] for i in kept.tolist()}


@pytest.mark.parametrize("size", [20, 700])
def test_every_row_is_drawn_equally_often(size: int) -> None:
    # By rejection, and by the shuffle of what is small.
    n_clips, n_batches = 1_000, 3_000
    counts = np.zeros(n_clips)
    pool = CandidatePool(n_clips, 4, no_groups(n_clips))
    for batch in range(n_batches):
        counts[pool.draw(size, batch)] += 1
        pool.keep(np.empty(0, dtype=np.int64))
    expected = n_batches * size / n_clips
    deviation = np.sqrt(expected * (1 - size / n_clips))
    assert np.abs(counts - expected).max() < 5 * deviation


def test_rows_that_are_excluded_are_never_drawn() -> None:
    excluded = np.arange(0, 500, 2)
    pool = CandidatePool(500, 1, no_groups(500), excluded=excluded)
    for batch in range(20):
        assert (pool.draw(40, batch) % 2 == 1).all()
        pool.keep(np.empty(0, dtype=np.int64))


def groups_of(codes: np.ndarray, n: int) -> Groups:
    limits = (at_most(n, codes),)
    none = np.empty(0, dtype=np.int64)
    return Constraints(len(codes), 1, limits, none, none).groups()


def test_rows_of_a_full_group_are_never_drawn() -> None:
    codes = np.arange(600) % 3
    groups = groups_of(codes, 5)
    pool = CandidatePool(600, 1, groups)
    groups.left[1] = 0
    for batch in range(30):
        rows = pool.draw(30, batch)
        assert len(rows) == 30
        assert (rows % 3 != 1).all()
        pool.keep(np.empty(0, dtype=np.int64))


def test_a_pool_without_open_rows_gives_none() -> None:
    groups = groups_of(np.zeros(50, dtype=int), 1)
    pool = CandidatePool(50, 1, groups)
    groups.left[:] = 0
    assert len(pool.draw(10, 0)) == 0


@pytest.mark.parametrize("n_clips", [37, 400, 5_000])
def test_a_pool_made_again_after_a_break_draws_the_same(n_clips: int) -> None:
    codes = np.random.default_rng(n_clips).integers(n_clips // 3, size=n_clips)
    groups = groups_of(codes, 2)
    pool = CandidatePool(n_clips, 8, groups)
    history: list[tuple[int, int]] = []
    selected: list[int] = []
    batches: list[list[int]] = []
    for batch in range(40):
        rows = pool.draw(30, batch)
        batches.append(rows.tolist())
        history.append((len(selected), pool.listed_at))
        kept: list[int] = []
        for position, row in enumerate(rows.tolist()):
            if len(kept) < 9 and groups.left[codes_of(codes)[row]] > 0:
                groups.left[codes_of(codes)[row]] -= 1
                kept.append(position)
        pool.keep(np.array(kept, dtype=np.int64))
        selected += rows[kept].tolist()
    assert pool.listed_at >= 0 or n_clips == 5_000
    for batch in (1, 7, 20, 39):
        n_selected, listed_at = history[batch]
        listed_at = history[batch - 1][1]
        fresh_groups = groups_of(codes, 2)
        fresh = CandidatePool(n_clips, 8, fresh_groups)
        chosen = np.array(selected[:n_selected], dtype=np.int64)
        listed = max(listed_at, 0)
        np.subtract.at(fresh_groups.left, codes_of(codes)[chosen[:listed]], 1)
        fresh.select(chosen[:listed])
        if listed_at >= 0:
            fresh.list_anew()
        np.subtract.at(fresh_groups.left, codes_of(codes)[chosen[listed:]], 1)
        fresh.select(chosen[listed:])
        assert fresh.draw(30, batch).tolist() == batches[batch]


def codes_of(groups: np.ndarray) -> np.ndarray:
    """Return the places that ``at_most`` gives the groups: by first occurrence."""
    return np.asarray(at_most(1, groups).codes)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(40, 400),
    st.integers(1, 25),
    st.integers(0, 2**70),
    st.integers(0, 8),
    st.sampled_from([2, 400]),
)
def test_a_batch_drawn_ahead_is_the_one_that_is_drawn_afterwards(
    n_clips: int, size: int, seed: int, n_kept: int, limit: int
) -> None:
    groups, plain_groups = (groups_of(np.arange(n_clips) // 5, limit) for _ in "ab")
    pool = CandidatePool(n_clips, seed, groups)
    plain = CandidatePool(n_clips, seed, plain_groups)
    ahead: DrawnAhead | None = None
    for batch in range(12):
        expected = plain.draw(size, batch)
        ghosts = None if ahead is None else pool.settle(ahead)
        if ahead is None or ghosts is None:
            rows, positions = pool.draw(size, batch), np.arange(len(expected))
        else:
            rows = ahead.rows
            positions = np.delete(np.arange(len(rows)), ghosts)
        assert rows[positions].tolist() == expected.tolist()
        n = min(n_kept, len(expected))
        ahead = pool.draw_ahead(size, batch + 1, n)
        kept = np.arange(len(expected))[::-1][:n]
        # Limits as high as the number of clips stand for none.
        is_open = [draw.is_open(row, plain_groups) for row in expected[kept]]
        kept = kept[np.array(is_open, dtype=bool)]
        for one in (groups, plain_groups):
            np.subtract.at(one.left, one.of_row[0, expected[kept]], 1)
        pool.keep(positions[kept])
        plain.keep(kept)
