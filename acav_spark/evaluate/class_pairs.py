"""Draws pairs of labelled items of which half belong together (paper, section 4.1).

Half of the classes, drawn for each run, make the positive pairs: two items of a class.
The other half make the negative pairs: two items of different classes. What the paper
leaves open is decided here:

- every class gives the same number of items to each side, so that there are as many
  positives as negatives;
- items are split into a train and a test half before they are paired, class by class,
  so that no item is in both halves, whichever side it is on. So each class gives an
  even number; where the smallest has an odd one, all leave one out;
- within a half every item is on each side of one pair: no side favours an item. Where
  both sides have the same items (pictures and their transforms), a positive pair never
  has an item twice;
- the order of pairs is drawn too, so that a tie that goes to the lower row favours
  nobody.

Everything is drawn by hash, alike on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.evaluate.hash_order import hash_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.evaluate.retrieval_set import Negatives

MIN_PER_CLASS: Final = 4
"""Items of a class at least: two different ones in each half."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows of two pools.

    Parameters
    ----------
    first, second : ndarray of int64, shape (n_pairs, n_layers of the side)
        Row of the pool that each layer of each side has.
    is_positive : ndarray of bool, shape (n_pairs,)
        Whether a pair belongs together.
    classes : ndarray of int64, shape (n_pairs,)
        Class of the first side, in its first layer.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    is_positive: NDArray[np.bool_]
    classes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Half:
    """Rows of the items of one half, (n_classes, n_per_class) a side."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]


def class_pairs(
    first_labels: NDArray[np.int64],
    second_labels: NDArray[np.int64],
    *,
    is_same_pool: bool,
    n_layers: tuple[int, int] = (1, 1),
    per_class: int = 1000,
    negatives: Negatives = "whole",
    run: int = 0,
    seed: int = 0,
) -> tuple[Pairs, Pairs]:
    """Return the pairs of the train half and of the test half, as many in each.

    Parameters
    ----------
    first_labels, second_labels : ndarray of int64, shape (n_items,) of each side
        Class of each item, numbered from 0; class c of one side corresponds to class c
        of the other.
    is_same_pool : bool
        Whether row i of both sides is one item, as it is and transformed.
    n_layers : tuple of int
        Layers of the first and of the second side.
    per_class : int
        Pairs of a class at most, both halves together.
    negatives : {"whole", "per_layer"}
        ``per_layer`` draws every layer of both sides on its own for negative pairs, as
        the authors' code does, so that even two layers of one side are not of one item.
        The second side is never of the first side's class, in whichever layer.
    run, seed : int
        Of the draw.

    Raises
    ------
    ConfigError
        If the sides have not the same classes, an even number of them from two, with
        four items or more of each.
    """
    classes = _classes(first_labels, second_labels)
    if is_same_pool and not np.array_equal(first_labels, second_labels):
        msg = "class_pairs: expected the same items on both sides, got other labels."
        raise ConfigError(msg)
    words = f"run {run}"
    order = hash_order(len(classes), seed, f"{words} classes")
    positive, negative = np.split(classes[order], 2)
    halves = _halves(
        first_labels,
        second_labels,
        len(classes),
        is_same_pool=is_same_pool,
        per_class=per_class,
        seed=seed,
        words=words,
    )
    train, test = (
        _paired(
            half,
            positive,
            negative,
            labels=(first_labels, second_labels),
            is_same_pool=is_same_pool,
            n_layers=n_layers,
            negatives=negatives,
            seed=seed,
            words=f"{words} {name}",
        )
        for name, half in zip(("train", "test"), halves, strict=True)
    )
    return train, test


def _classes(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the classes, 0 upwards; refuse what pairs cannot be drawn from."""
    counts = [np.bincount(labels) for labels in (first, second)]
    sizes = [len(c) for c in counts]
    if sizes[0] != sizes[1] or sizes[0] < 4 or sizes[0] % 2:
        msg = (
            "class_pairs: expected the same classes on both sides, an even number from "
            f"4 on, half of which make the positives, got {sizes[0]} and {sizes[1]}."
        )
        raise ConfigError(msg)
    for side, of_side in zip(("first", "second"), counts, strict=True):
        if of_side.min() < MIN_PER_CLASS:
            msg = (
                f"class_pairs: expected {MIN_PER_CLASS} items or more of each class on "
                f"the {side} side, got {of_side.min()} of class {of_side.argmin()}."
            )
            raise ConfigError(msg)
    return np.arange(sizes[0], dtype=np.int64)


def _halves(
    first_labels: NDArray[np.int64],
    second_labels: NDArray[np.int64],
    n_classes: int,
    *,
    is_same_pool: bool,
    per_class: int,
    seed: int,
    words: str,
) -> list[_Half]:
    """Return the items of train and test, the same number of each class and side."""
    fewest = min(int(np.bincount(x).min()) for x in (first_labels, second_labels))
    n_half = min(per_class, fewest) // 2
    if n_half < MIN_PER_CLASS // 2:
        msg = f"per_class: expected {MIN_PER_CLASS} or more, got {per_class}."
        raise ConfigError(msg)
    drawn = []
    for side, labels in (("first", first_labels), ("second", second_labels)):
        name = "both" if is_same_pool else side
        rows = np.empty((n_classes, 2 * n_half), np.int64)
        for number in range(n_classes):
            members = np.flatnonzero(labels == number)
            order = hash_order(len(members), seed, f"{words} items {name} {number}")
            rows[number] = members[order[: 2 * n_half]]
        drawn.append(rows)
    first, second = drawn
    return [
        _Half(first[:, part], second[:, part])
        for part in (slice(n_half), slice(n_half, None))
    ]


def _paired(
    half: _Half,
    positive: NDArray[np.int64],
    negative: NDArray[np.int64],
    *,
    labels: tuple[NDArray[np.int64], NDArray[np.int64]],
    is_same_pool: bool,
    n_layers: tuple[int, int],
    negatives: Negatives,
    seed: int,
    words: str,
) -> Pairs:
    """Return the pairs of one half in an order that says nothing."""
    first_labels, second_labels = labels
    n_first, n_second = n_layers
    ours = half.first[positive]
    # Items come in hash order. Of one pool, each takes the next one: never itself.
    theirs = half.second[positive]
    if is_same_pool:
        theirs = np.roll(theirs, -1, axis=1)
    first = [np.repeat(ours.reshape(-1, 1), n_first, axis=1)]
    second = [np.repeat(theirs.reshape(-1, 1), n_second, axis=1)]

    ours, theirs = half.first[negative].ravel(), half.second[negative].ravel()
    # Class by class, an exchange would mostly be with an item of the next class.
    ours = ours[hash_order(len(ours), seed, f"{words} first")]
    anchors = first_labels[ours]

    def strangers(purpose: str) -> NDArray[np.int64]:
        order = hash_order(len(theirs), seed, f"{words} {purpose}")
        return _of_other_classes(theirs[order], second_labels, anchors)

    if negatives == "whole":
        first.append(np.repeat(ours[:, None], n_first, axis=1))
        second.append(np.repeat(strangers("negatives")[:, None], n_second, axis=1))
    else:
        columns = [ours]
        for layer in range(1, n_first):
            order = hash_order(len(ours), seed, f"{words} first layer {layer}")
            columns.append(ours[order])
        first.append(np.stack(columns, axis=1))
        second.append(
            np.stack([strangers(f"second layer {i}") for i in range(n_second)], axis=1)
        )
    is_positive = np.arange(2 * len(ours)) < len(ours)
    order = hash_order(len(is_positive), seed, f"{words} pairs")
    joined = np.concatenate(first)[order]
    return Pairs(
        joined,
        np.concatenate(second)[order],
        is_positive[order],
        first_labels[joined[:, 0]],
    )


def _of_other_classes(
    rows: NDArray[np.int64], labels: NDArray[np.int64], anchors: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return ``rows`` with no item beside its own class.

    An item that is changes places with the next one, as the order goes, where both then
    stand beside other classes. There is one as long as no class has more than half.
    """
    mixed = rows.copy()
    n = len(mixed)
    for i in np.flatnonzero(labels[mixed] == anchors):
        if labels[mixed[i]] != anchors[i]:
            continue  # an earlier exchange has moved it
        for j in (np.arange(i + 1, i + n) % n).tolist():
            if labels[mixed[j]] != anchors[i] and labels[mixed[i]] != anchors[j]:
                mixed[i], mixed[j] = mixed[j], mixed[i]
                break
    return mixed
