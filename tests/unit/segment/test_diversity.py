from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.segment import choose_diverse
from acav_spark.segment import diversity as diversity_module

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _total(similarity: NDArray[np.float64], chosen: list[int]) -> float:
    symmetric = (similarity + similarity.T) / 2
    return float(sum(symmetric[i, j] for i, j in combinations(chosen, 2)))


def _random_similarity(seed: int, n_items: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed).random((n_items, n_items))
    return np.asarray((random + random.T) / 2, dtype=np.float64)


def test_the_least_alike_are_chosen() -> None:
    similarity = np.array(
        [
            [1.0, 0.9, 0.1, 0.8],
            [0.9, 1.0, 0.7, 0.2],
            [0.1, 0.7, 1.0, 0.3],
            [0.8, 0.2, 0.3, 1.0],
        ]
    )
    assert choose_diverse(similarity, 2) == [0, 2]  # 0.1
    assert choose_diverse(similarity, 3) == [0, 2, 3]  # 0.1 + 0.8 + 0.3; next is 1.2
    assert choose_diverse(similarity, 1) == [0]


def test_all_are_chosen_when_there_are_no_more() -> None:
    assert choose_diverse(np.ones((3, 3)), 3) == [0, 1, 2]
    assert choose_diverse(np.ones((3, 3)), 10) == [0, 1, 2]
    assert choose_diverse(np.ones((0, 0)), 3) == []
    assert choose_diverse(np.ones((3, 3)), 0) == []


def test_ties_go_to_the_lowest_indices() -> None:
    assert choose_diverse(np.ones((6, 6)), 3) == [0, 1, 2]
    noise = np.random.default_rng(1).random((6, 6)) * 1e-13
    assert choose_diverse(np.ones((6, 6)) + noise, 3) == [0, 1, 2]


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 5))
def test_the_choice_is_that_of_trying_everything(
    seed: int, n_items: int, n_choose: int
) -> None:
    similarity = _random_similarity(seed, n_items)
    chosen = choose_diverse(similarity, n_choose)
    n_chosen = min(n_choose, n_items)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == n_chosen
    least = min(
        _total(similarity, list(c)) for c in combinations(range(n_items), n_chosen)
    )
    assert _total(similarity, chosen) == pytest.approx(least, abs=1e-8)


@given(st.integers(0, 2**32), st.integers(4, 12), st.integers(2, 5))
def test_local_search_ends_where_no_exchange_helps(
    seed: int, n_items: int, n_choose: int
) -> None:
    similarity = _random_similarity(seed, n_items)
    n_choose = min(n_choose, n_items - 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(diversity_module, "_MAX_COMBINATIONS", 0)
        chosen = choose_diverse(similarity, n_choose)
    assert len(set(chosen)) == n_choose
    total = _total(similarity, chosen)
    for out in chosen:
        for into in set(range(n_items)) - set(chosen):
            exchanged = sorted({*chosen, into} - {out})
            assert total <= _total(similarity, exchanged) + 1e-8


def test_many_items_are_chosen_from_in_good_time_and_well() -> None:
    similarity = _random_similarity(5, 200)
    chosen = choose_diverse(similarity, 20)
    chance = [
        _total(
            similarity, [int(i) for i in np.random.default_rng(s).permutation(200)[:20]]
        )
        for s in range(50)
    ]
    assert _total(similarity, chosen) < min(chance)
    assert choose_diverse(similarity, 20) == chosen


@pytest.mark.parametrize(
    ("similarity", "n_choose"),
    [(np.ones((2, 3)), 1), (np.ones((2, 2)), -1), (np.full((2, 2), np.nan), 1)],
)
def test_impossible_questions_are_refused(
    similarity: NDArray[np.float64], n_choose: int
) -> None:
    with pytest.raises(ValueError, match="similarity"):
        choose_diverse(similarity, n_choose)
