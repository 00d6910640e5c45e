"""Constraints are kept exactly, and refused clearly when they cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.selection import (
    Limit,
    at_most,
    batch_greedy,
    combination,
    extend,
    greedy,
    quotas,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS = combination(4)


@pytest.fixture
def ids(rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(8, size=(900, 4))


def chosen(ids: NDArray[np.int64], n_select: int, **options: object) -> list[int]:
    selection = batch_greedy(
        ids,
        n_select,
        n_clusters=8,
        pairs=PAIRS,
        batch_size=100,
        per_batch=20,
        **options,  # type: ignore[arg-type]  # options of the function
    )
    indices: list[int] = selection.indices.tolist()
    return indices


def test_no_group_gives_more_than_its_limit(
    ids: NDArray[np.int64], rng: np.random.Generator
) -> None:
    videos = rng.integers(250, size=900)
    found = chosen(ids, 240, limits=[at_most(1, videos, name="video")])
    assert np.bincount(videos[found]).max() == 1
    # Without the limit the same selection takes several of a video.
    assert np.bincount(videos[chosen(ids, 240)]).max() > 1


def test_all_that_a_limit_allows_can_be_selected(ids: NDArray[np.int64]) -> None:
    videos = np.arange(900) // 3
    found = chosen(ids, 600, limits=[at_most(2, videos)])
    assert (np.bincount(videos[found]) == 2).all()


def test_groups_may_be_named_by_text(ids: NDArray[np.int64]) -> None:
    channels = np.array(["news", "music", "sport"])[np.arange(900) % 3]
    found = chosen(ids, 30, limits=[at_most(10, channels)])
    names, counts = np.unique(channels[found], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "news": 10,
        "music": 10,
        "sport": 10,
    }


def test_quotas_are_counts_or_shares_of_the_selection(
    ids: NDArray[np.int64],
) -> None:
    categories = np.array(["a", "b", "c"])[np.arange(900) % 3]
    limit = quotas({"a": 0.29, "b": 7}, categories, 100, name="category")
    found = chosen(ids, 100, limits=[limit])
    counts = {name: int((categories[found] == name).sum()) for name in "abc"}
    # 0.29 of 100 is 29, though 0.29 * 100 is a little less in floating point.
    assert counts == {"a": 29, "b": 7, "c": 64}


def test_a_quota_of_zero_keeps_a_value_out(ids: NDArray[np.int64]) -> None:
    languages = np.array(["en", "und"])[np.arange(900) % 2]
    limit = quotas({"und": 0}, languages, 300)
    assert (languages[chosen(ids, 300, limits=[limit])] == "en").all()


def test_included_rows_come_first_and_excluded_ones_never(
    ids: NDArray[np.int64],
) -> None:
    excluded = np.arange(100, 800)
    found = chosen(ids, 150, include=[850, 3, 40], exclude=excluded)
    assert found[:3] == [3, 40, 850]
    assert len(set(found)) == 150
    assert not set(found) & set(excluded.tolist())


def test_included_rows_have_batch_minus_one_and_count_in_gains(
    ids: NDArray[np.int64],
) -> None:
    selection = batch_greedy(
        ids, 20, n_clusters=8, pairs=PAIRS, include=[5, 6, 7], batch_size=50,
        per_batch=5,
    )  # fmt: skip
    assert selection.batches[:4].tolist() == [-1, -1, -1, 0]
    assert selection.tables.n_clips == 20
    assert selection.gains.sum() == pytest.approx(selection.objective, abs=1e-12)


def test_included_rows_use_up_their_groups(ids: NDArray[np.int64]) -> None:
    videos = np.arange(900) // 2
    found = chosen(ids, 60, include=[10, 20], limits=[at_most(1, videos)])
    assert 11 not in found
    assert 21 not in found


def test_all_rows_may_be_included(ids: NDArray[np.int64]) -> None:
    assert chosen(ids[:20], 20, include=np.arange(20)) == list(range(20))


def test_limits_hold_in_every_way_to_select(ids: NDArray[np.int64]) -> None:
    videos = np.arange(900) % 70
    limits = [at_most(1, videos)]
    whole = greedy(ids, 70, n_clusters=8, pairs=PAIRS, limits=limits)
    more = extend(whole, ids, 70, limits=limits, batch_size=100, per_batch=30)
    released = chosen(ids, 70, limits=limits, mode="released")
    steep = chosen(ids, 70, limits=limits, weights=[1, 1, 1, 1, 1, 1e9])
    for found in (whole.indices, more.indices, released, steep):
        assert sorted(videos[found].tolist()) == list(range(70))


def test_two_limits_hold_together(ids: NDArray[np.int64]) -> None:
    videos, channels = np.arange(900) // 3, np.arange(900) // 90
    limits = [at_most(1, videos), at_most(12, channels, name="channel")]
    found = chosen(ids, 120, limits=limits)
    assert np.bincount(videos[found]).max() == 1
    assert np.bincount(channels[found]).tolist() == [12] * 10


@pytest.mark.parametrize(
    ("options", "telling"),
    [
        (
            {"limits": [at_most(1, np.arange(900) % 40, name="video")]},
            "at most 40, which the limit by video allow, got 100",
        ),
        (
            {"limits": [quotas({"x": 3}, np.full(900, "x"), 100, name="language")]},
            "at most 3, which the limit by language allow",
        ),
        ({"exclude": np.arange(850)}, "at most 50, which rows that must stay out"),
        ({"include": [4], "exclude": [4, 5]}, "no row in both, got 1"),
        ({"include": np.arange(101)}, r"at most n_select \(100\) rows, got 101"),
        ({"include": [900]}, "from 0 to 899"),
        ({"exclude": [-1]}, "from 0 to 899"),
        ({"include": [0.5]}, "integer type"),
        (
            {
                "include": [0, 1],
                "limits": [at_most(1, np.arange(900) // 2, name="video")],
            },
            "got 2 rows of video .*0.*, which may give 1",
        ),
        ({"limits": [at_most(1, np.arange(10))]}, "one group for each of 900 clips"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused_before_work_starts(
    ids: NDArray[np.int64], options: dict[str, object], telling: str
) -> None:
    with pytest.raises(ValueError, match=telling):
        chosen(ids, 100, **options)


def test_limits_that_only_together_allow_too_few_are_named(
    ids: NDArray[np.int64],
) -> None:
    # 30 videos of 30 clips; all but those of the first are in one channel. Alone the
    # limits allow 600 and 329 clips, together 300 and the first video's 20.
    rows, columns = np.arange(900) // 30, np.arange(900) % 30
    columns[rows > 0] = 0
    limits: list[Limit] = [
        at_most(20, rows, name="video"),
        at_most(300, columns, name="channel"),
    ]
    with pytest.raises(ValueError, match=r"all together do not.*video, channel"):
        chosen(ids, 325, limits=limits)


@pytest.mark.parametrize(
    ("bound", "telling"),
    [(1.0, r"share in \(0, 1\)"), (-0.5, "share"), (-1, "at least 0"), ("5", "'5'")],
)
def test_bounds_that_mean_nothing_are_refused(bound: object, telling: str) -> None:
    with pytest.raises(ValueError, match=telling):
        quotas({"a": bound}, ["a", "b"], 10)  # type: ignore[dict-item]  # on purpose


def test_quotas_of_values_that_no_clip_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"values that clips have, got \['c'\]"):
        quotas({"c": 3}, ["a", "b"], 10)


@pytest.mark.parametrize("n", [0, -1, 1.5, True])
def test_a_limit_below_one_is_refused(n: object) -> None:
    with pytest.raises(ValueError, match="an integer of at least 1"):
        at_most(n, [1, 2])  # type: ignore[arg-type]  # on purpose
