from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from acav_spark.selection import (
    View,
    batch_greedy,
    bipartite,
    combination,
    diagonal,
    extend,
    objective,
    pairs_for,
    random_selection,
    replay,
    resolve_size,
)
from acav_spark.selection._validation import MAX_PAIRS

GOOD = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (
            [[0, 1], [0, 5], [1, -1], [0, 0]],
            r"from 0 to 1 in view 1, got 2 of 4 outside \(clip 1: 5, clip 2: -1\)",
        ),
        (np.full((9, 2), 7, np.uint8), r"9 of 9 outside \(clip 0: 7, .*clip 4: 7\)"),
        (np.full((1, 2), 2**63, np.uint64), "9223372036854775808"),
        (np.zeros((0, 2), int), r"at least one clip.*\(0, 2\)"),
        (np.zeros((3, 0), int), r"one view, got shape \(3, 0\)"),
        (np.zeros(3, int), r"\(n_clips, n_views\).*\(3,\)"),
        (np.zeros((3, 2)), "integer type, got float64"),
        (np.zeros((3, 2), bool), "integer type, got bool"),
        (np.zeros((3, 1), int), "at least two views, got 1"),
    ],
)
def test_assignments_that_cannot_be_used_are_refused(
    assignments: ArrayLike, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        batch_greedy(assignments, 1, n_clusters=2, pairs=[(0, 1)])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_select": 5}, "at most 4, the number of clips there are, got 5"),
        ({"n_select": 0}, "n_select: expected an integer of at least 1, got 0"),
        ({"n_select": 2.0}, r"n_select: expected an integer.* got 2\.0"),
        ({"n_select": True}, "n_select: expected an integer.* got True"),
        ({"n_clusters": 0}, "n_clusters: expected an integer of at least 1, got 0"),
        ({"n_clusters": [2]}, "each of the 2 views, got 1"),
        ({"n_clusters": (2, 1)}, "from 0 to 0 in view 1"),
        ({"n_clusters": "2"}, "n_clusters"),
        ({"pairs": []}, f"from 1 to {MAX_PAIRS} pairs, got 0"),
        ({"pairs": [(1, 1)]}, r"two different views in a pair, got \(1, 1\)"),
        ({"pairs": [(0, 2)]}, r"views from 0 to 1, got \(0, 2\)"),
        ({"pairs": [(0, -1)]}, "pairs: expected an integer of at least 0, got -1"),
        ({"pairs": [(0, 1), (1, 0)]}, r"each pair once, got \(1, 0\) twice"),
        ({"pairs": [(0, 1, 1)]}, r"two views in each pair, got \(0, 1, 1\)"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1, got 0"),
        ({"per_batch": 0}, "per_batch: expected an integer of at least 1, got 0"),
        (
            {"batch_size": 10, "per_batch": 11},
            r"per_batch: expected at most batch_size \(10\), got 11",
        ),
        ({"seed": -1}, "seed: expected an integer of at least 0, got -1"),
        ({"seed": 0.5}, r"seed: expected an integer.* got 0\.5"),
        ({"seed": "x"}, "seed: expected an integer.* got 'x'"),
    ],
)
def test_arguments_out_of_range_are_refused(
    changed: dict[str, Any], words: str
) -> None:
    arguments: dict[str, Any] = {"n_select": 2, "n_clusters": 2, "pairs": [(0, 1)]}
    arguments |= changed
    with pytest.raises(ValueError, match=words):
        batch_greedy(GOOD, arguments.pop("n_select"), **arguments)


def test_more_pairs_than_scores_can_hold_are_refused() -> None:
    n_views = 40
    with pytest.raises(ValueError, match="got 780"):
        batch_greedy(
            np.zeros((2, n_views), int), 1, n_clusters=1, pairs=combination(n_views)
        )


def test_extend_refuses_candidates_of_other_views() -> None:
    selection = batch_greedy(GOOD, 2, n_clusters=2, pairs=[(0, 1)])
    with pytest.raises(ValueError, match=r"2 views of the former selection, got 3"):
        extend(selection, np.zeros((3, 3), int), 1)
    with pytest.raises(ValueError, match="from 0 to 1 in view 0"):
        extend(selection, [[2, 0]], 1)
    with pytest.raises(ValueError, match="at most 1, the number of clips"):
        extend(selection, [[0, 0]], 2)


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([0, 4], "from 0 to 3, got values from 0 to 4"),
        ([-1, 2], "got values from -1 to 2"),
        ([0, 1, 0, 0], "each row once, got 2 of 4 again"),
        (np.empty(0, int), "at least one row number"),
        ([0.5], "integer type"),
    ],
)
def test_replay_refuses_rows_that_are_no_selection(
    indices: ArrayLike, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        replay(GOOD, indices, n_clusters=2, pairs=[(0, 1)])


def test_objective_checks_its_input_too() -> None:
    with pytest.raises(ValueError, match="two different views"):
        objective(GOOD, [(0, 0)], n_clusters=2)
    with pytest.raises(ValueError, match="from 0 to 0 in view 0"):
        objective(GOOD, [(0, 1)], n_clusters=1)


TEN = ["visual"] * 5 + ["audio"] * 5


def test_the_paper_has_five_twenty_five_and_forty_five_pairs() -> None:
    assert diagonal(TEN) == [(0, 5), (1, 6), (2, 7), (3, 8), (4, 9)]
    assert bipartite(TEN) == [(u, v) for u in range(5) for v in range(5, 10)]
    assert len(combination(10)) == 45
    assert len(set(combination(10))) == 45
    assert all(u < v for u, v in combination(10))


def test_diagonal_goes_by_the_given_layers() -> None:
    modalities = ["visual", "visual", "audio", "audio", "text"]
    assert diagonal(modalities, [4, 5, 5, 4, 1]) == [(0, 3), (1, 2)]


def test_pairs_by_name_follow_the_views() -> None:
    views = [
        View("slowfast", 1, "visual"),
        ("i3d", 1, "visual"),
        ("vggish", 1, "audio"),
        ("vggish", 2, "audio"),
    ]
    assert pairs_for("diagonal", views) == [(0, 2), (1, 2)]
    assert pairs_for("bipartite", views) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    assert pairs_for("combination", views) == combination(4)


def test_pairings_without_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least two modalities, got \['visual'\]"):
        bipartite(["visual", "visual"])
    with pytest.raises(ValueError, match="one layer in two modalities"):
        diagonal(["visual", "audio"], [1, 2])
    with pytest.raises(ValueError, match="one layer for each of 2 views, got 1"):
        diagonal(["visual", "audio"], [1])
    with pytest.raises(ValueError, match="n_views: expected an integer of at least 2"):
        combination(1)
    with pytest.raises(ValueError, match=r"expected one of .* got 'all'"):
        pairs_for("all", [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "n_clips", "expected"),
    [
        ("50%", 100, 50),
        ("50%", 7, 4),
        ("33%", 3, 1),
        ("0.1%", 10, 1),
        ("12.5 %", 8, 1),
        ("100%", 13, 13),
        # 0.07 * 100 is 7.000000000000001 in floating point.
        ("7%", 100, 7),
        (3, 10, 3),
        (10, 10, 10),
    ],
)
def test_sizes_are_counts_or_shares(
    size: int | str, n_clips: int, expected: int
) -> None:
    assert resolve_size(size, n_clips) == expected


def test_a_size_beyond_the_clips_is_refused_unless_fewer_are_allowed() -> None:
    with pytest.raises(ValueError, match=r"at most 7, .* got 8.*allow_fewer"):
        resolve_size(8, 7)
    assert resolve_size(8, 7, allow_fewer=True) == 7


@pytest.mark.parametrize(
    "size", ["0%", "101%", "half", "", "-5%", "50", "5%%", "nan%", 0, -3, 2.5, True]
)
def test_sizes_that_mean_nothing_are_refused(size: object) -> None:
    with pytest.raises(ValueError, match="size: expected"):
        resolve_size(size, 10)  # type: ignore[arg-type]


def test_nothing_can_be_selected_from_no_clip() -> None:
    with pytest.raises(ValueError, match="expected clips to select from, got 0"):
        resolve_size("50%", 0, allow_fewer=True)


def test_random_selections_are_distinct_rows_and_prefixes_of_each_other() -> None:
    longer = random_selection(50, 50, seed=2)
    assert sorted(longer.tolist()) == list(range(50))
    np.testing.assert_array_equal(random_selection(50, 20, seed=2), longer[:20])
    assert random_selection(50, 50, seed=3).tolist() != longer.tolist()
    with pytest.raises(ValueError, match="at most 50"):
        random_selection(50, 51)
