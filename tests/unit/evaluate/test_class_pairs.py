"""Pairs of labelled items: literal small cases, and what holds for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from acav_spark.errors import ConfigError
from acav_spark.evaluate.class_pairs import Pairs, class_pairs
from acav_spark.evaluate.hash_order import hash_order
from acav_spark.ingest.ids import stable_hash

if TYPE_CHECKING:
    from acav_spark.evaluate.retrieval_set import Negatives

Labels = NDArray[np.int64]


def labels_of(sizes: list[int], seed: int) -> Labels:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels).astype(np.int64)


def layered(pairs: Pairs) -> list[NDArray[np.generic]]:
    return [pairs.first, pairs.second, pairs.is_positive, pairs.classes]


def test_an_order_is_that_of_hashes() -> None:
    hashes = [stable_hash(7, f"classes:{i}") for i in range(100)]
    order = hash_order(100, 7, "classes")
    assert order.tolist() == sorted(range(100), key=hashes.__getitem__)
    assert order.tolist() != hash_order(100, 8, "classes").tolist()
    assert order.tolist() != hash_order(100, 7, "items").tolist()
    assert hash_order(0, 7, "classes").shape == (0,)


def test_the_same_draw_gives_the_same_pairs_everywhere() -> None:
    """Written down once: a change here changes every published result."""
    labels = np.repeat(np.arange(4), 4)

    train, test = class_pairs(labels, labels, is_same_pool=True, run=1, seed=0)

    for pairs, expected in ((train, LITERAL["train"]), (test, LITERAL["test"])):
        found = [
            (int(a), int(b), bool(p))
            for a, b, p in zip(
                pairs.first[:, 0], pairs.second[:, 0], pairs.is_positive, strict=True
            )
        ]
        assert found == expected


LITERAL: dict[str, list[tuple[int, int, bool]]] = {
    "train": [
        (4, 1, False),
        (0, 7, False),
        (1, 4, False),
        (8, 10, True),
        (10, 8, True),
        (12, 14, True),
        (7, 0, False),
        (14, 12, True),
    ],
    "test": [
        (3, 5, False),
        (6, 2, False),
        (5, 3, False),
        (9, 11, True),
        (2, 6, False),
        (11, 9, True),
        (13, 15, True),
        (15, 13, True),
    ],
}
"""Rows of the two sides, four items of each of four classes."""


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(4, 23), min_size=4, max_size=8).filter(
        lambda sizes: len(sizes) % 2 == 0
    ),
    more=st.integers(0, 9),
    per_class=st.integers(4, 30),
    is_same_pool=st.booleans(),
    negatives=st.sampled_from(["whole", "per_layer"]),
    run=st.integers(0, 5),
    seed=st.integers(0, 2**31),
)
def test_what_holds_for_all_pairs(
    sizes: list[int],
    more: int,
    per_class: int,
    is_same_pool: bool,  # noqa: FBT001 - hypothesis gives names
    negatives: Negatives,
    run: int,
    seed: int,
) -> None:
    first = labels_of(sizes, 1)
    second = first if is_same_pool else labels_of([n + more for n in sizes], 2)

    halves = class_pairs(
        first,
        second,
        is_same_pool=is_same_pool,
        n_layers=(2, 3),
        per_class=per_class,
        negatives=negatives,
        run=run,
        seed=seed,
    )

    n_of_class = min(*sizes, per_class) // 2
    seen: list[list[set[int]]] = []
    for pairs in halves:
        positive = pairs.is_positive
        assert len(positive) == n_of_class * len(sizes)
        assert positive.sum() == (~positive).sum()
        assert pairs.first.shape == (len(positive), 2)
        assert pairs.second.shape == (len(positive), 3)
        of_first, of_second = first[pairs.first], second[pairs.second]
        np.testing.assert_array_equal(pairs.classes, of_first[:, 0])
        # Belonging together is having one class, in every layer, and only then.
        np.testing.assert_array_equal(
            of_second == pairs.classes[:, None], np.repeat(positive[:, None], 3, 1)
        )
        assert (of_first[positive] == pairs.classes[positive, None]).all()
        classes = [set(pairs.classes[rows].tolist()) for rows in (positive, ~positive)]
        assert [len(c) for c in classes] == [len(sizes) // 2] * 2
        assert not classes[0] & classes[1]
        # In each layer every item is on each side once.
        for side in (pairs.first, pairs.second):
            assert all(len(set(column.tolist())) == len(side) for column in side.T)
        if is_same_pool:
            assert (pairs.first[:, :1] != pairs.second).all()
            assert set(pairs.first.ravel()) == set(pairs.second.ravel())
        if negatives == "whole":
            assert (pairs.first == pairs.first[:, :1]).all()
            assert (pairs.second == pairs.second[:, :1]).all()
        seen.append([set(pairs.first.ravel()), set(pairs.second.ravel())])
    (train_first, train_second), (test_first, test_second) = seen
    assert not train_first & test_first
    assert not train_second & test_second
    if is_same_pool:
        assert not train_first & test_second


def test_layers_of_negatives_are_of_different_items_when_they_are_drawn_alone() -> None:
    labels = labels_of([40] * 4, 3)
    whole, apart = (
        class_pairs(
            labels,
            labels,
            is_same_pool=True,
            n_layers=(3, 3),
            negatives=negatives,
        )[1]
        for negatives in ("whole", "per_layer")
    )
    np.testing.assert_array_equal(whole.is_positive, apart.is_positive)
    positive = whole.is_positive
    np.testing.assert_array_equal(whole.first[positive], apart.first[positive])
    np.testing.assert_array_equal(whole.second[positive], apart.second[positive])
    for side in (apart.first[~positive], apart.second[~positive]):
        same = [np.mean(side[:, i] == side[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        assert max(same) < 0.2  # 1 in 40 by chance


def test_runs_and_seeds_draw_other_pairs_and_classes() -> None:
    labels = labels_of([10] * 10, 4)
    drawn = [
        class_pairs(labels, labels, is_same_pool=True, run=run, seed=seed)[1]
        for run, seed in ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1))
    ]
    positives = {frozenset(p.classes[p.is_positive].tolist()) for p in drawn}
    assert len(positives) == len(drawn)
    again = class_pairs(labels, labels, is_same_pool=True, run=0, seed=0)[1]
    for one, other in zip(layered(drawn[0]), layered(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_positives_and_negatives_are_mixed() -> None:
    labels = labels_of([100] * 4, 5)
    for pairs in class_pairs(labels, labels, is_same_pool=True):
        at = np.flatnonzero(pairs.is_positive)
        middle = (len(pairs.is_positive) - 1) / 2
        assert abs(at.mean() - middle) < 0.1 * len(pairs.is_positive)
        # Runs of one kind are short, as in coin tosses.
        changes = np.flatnonzero(np.diff(pairs.is_positive)).size
        assert 70 < changes < 130  # of 199, half on average


def test_negatives_spread_over_all_other_classes() -> None:
    labels = labels_of([400] * 8, 6)
    (pairs, _) = class_pairs(labels, labels, is_same_pool=True)
    negative = ~pairs.is_positive
    counts = np.zeros((8, 8), int)
    np.add.at(counts, (pairs.classes[negative], labels[pairs.second[negative, 0]]), 1)
    kinds = np.flatnonzero(counts.sum(axis=1))
    among = counts[np.ix_(kinds, kinds)]
    others = among[~np.eye(4, dtype=bool)]
    # 200 of a class, a third to each other one: 67, give or take.
    assert others.min() > 40
    assert others.max() < 95


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([4] * 4, [4] * 6, "got 4 and 6"),
        ([4] * 5, [4] * 5, "an even number"),
        ([4] * 2, [4] * 2, "from 4 on"),
        ([4, 4, 3, 4], [4] * 4, "first side, got 3 of class 2"),
        ([4] * 4, [4, 0, 4, 4], "second side, got 0 of class 1"),
    ],
)
def test_classes_that_cannot_be_halved_are_refused(
    first: list[int], second: list[int], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        class_pairs(labels_of(first, 1), labels_of(second, 2), is_same_pool=False)


def test_what_else_cannot_be_paired_is_refused() -> None:
    labels = labels_of([6] * 4, 1)
    with pytest.raises(ConfigError, match="per_class: expected 4 or more, got 3"):
        class_pairs(labels, labels, is_same_pool=True, per_class=3)
    with pytest.raises(ConfigError, match="the same items on both sides"):
        class_pairs(labels, labels[::-1].copy(), is_same_pool=True)
