"""How much a selection covers: cases counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.evaluate.diversity import (
    Diversity,
    diversity,
    diversity_by_view,
    selection_diversity,
)


def test_equal_shares_have_the_logarithm_of_their_number() -> None:
    found = diversity([4, 9, 4, 9, 0, 0])
    assert (found.n_clips, found.n_groups) == (6, 3)
    assert found.entropy == pytest.approx(math.log(3))
    assert found.effective_number == pytest.approx(3)


def test_unequal_shares_count_for_fewer_groups() -> None:
    # Shares 1/2, 1/4, 1/4: entropy 3/2 log 2.
    found = diversity([1, 1, 2, 3])
    assert found.entropy == pytest.approx(1.5 * math.log(2))
    assert found.effective_number == pytest.approx(2**1.5)


def test_one_group_has_no_entropy_and_no_clips_no_group() -> None:
    assert diversity([7, 7]) == Diversity(2, 1, 0.0, 1.0)
    assert math.copysign(1, diversity([7, 7]).entropy) == 1
    assert diversity([]) == Diversity(0, 0, 0.0, 0.0)


def test_clips_of_unknown_group_are_not_counted() -> None:
    assert diversity([-1, 5, -1, 6]) == diversity([5, 6])
    assert diversity([-1, -1]) == Diversity(0, 0, 0.0, 0.0)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_neither_order_nor_names_matter(groups: list[int]) -> None:
    found = diversity(groups)
    shuffled = sorted(groups, key=lambda group: (group * 7) % 11)
    renamed = [100 - group for group in shuffled]
    assert diversity(renamed).entropy == pytest.approx(found.entropy)
    assert diversity(groups * 3).entropy == pytest.approx(found.entropy)
    assert 1 <= found.effective_number <= found.n_groups + 1e-9


def test_a_selection_is_split_into_all_and_what_is_right() -> None:
    classes = [0, 0, 1, 1, 2, 3]
    is_positive = [True, False, True, True, False, True]

    found = selection_diversity(classes, is_positive, [0, 1, 2, 3, 4])

    assert found.selected == diversity([0, 0, 1, 1, 2])
    assert found.selected_positives == diversity([0, 1, 1])
    assert found.positives == diversity([0, 1, 1, 3])
    assert found.selected_positives.n_groups == 2


def test_a_selection_that_is_all_wrong_covers_nothing() -> None:
    found = selection_diversity([0, 1], [True, False], [1])
    assert found.selected_positives == Diversity(0, 0, 0.0, 0.0)


def test_clusters_are_counted_by_view() -> None:
    assignments = np.array([[0, 0], [1, 0], [2, 0], [3, 1]], dtype=np.uint16)
    one, other = diversity_by_view(assignments, [0, 1, 2])
    assert (one.n_groups, other.n_groups) == (3, 1)
    assert one.effective_number == pytest.approx(3)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one group for each clip"):
        diversity([[1, 2]])
    with pytest.raises(ValueError, match=r"got \(2,\) and \(3,\)"):
        selection_diversity([0, 1], [True, False, True], [0])
