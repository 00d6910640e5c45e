"""The made corpus has what its model says, and can be drawn again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.evaluate.made_corpus import CorpusModel, MadeCorpus, made_corpus
from acav_spark.selection import batch_greedy, pairs_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection.prior import Prior

# Views that show the class and nothing else, of classes of equal size.
PLAIN = CorpusModel(
    n_clusters=20, agreement=1.0, clean=0.4, partly=0.0, consistency=0.0, tail=0.0
)
BLOCK = 1 << 16


def shown_classes(corpus: MadeCorpus) -> NDArray[np.int64]:
    """Return the class that each view's cluster stands for."""
    classes = corpus.class_of_cluster()
    views = range(corpus.model.n_views)
    return np.stack([classes[v][corpus.assignments[:, v]] for v in views], axis=1)


def assert_share(found: NDArray[np.bool_], share: float) -> None:
    """Require a share within five standard deviations of so many draws."""
    slack = 5 * (share * (1 - share) / found.size) ** 0.5
    assert abs(float(found.mean()) - share) <= slack


def test_a_smaller_corpus_is_the_beginning_of_a_larger_one() -> None:
    large = made_corpus(BLOCK + 50, seed=3)
    for n_clips in (10, BLOCK, BLOCK + 1):
        small = made_corpus(n_clips, seed=3)
        np.testing.assert_array_equal(small.assignments, large.assignments[:n_clips])
        np.testing.assert_array_equal(
            small.correspondence, large.correspondence[:n_clips]
        )
        np.testing.assert_array_equal(
            small.second_classes, large.second_classes[:n_clips]
        )


def test_blocks_and_seeds_differ() -> None:
    corpus = made_corpus(2 * BLOCK)
    other = made_corpus(BLOCK, seed=1)
    for one in (corpus.assignments[BLOCK:], other.assignments):
        share = float((one == corpus.assignments[:BLOCK]).mean())
        # Chance: the sum of the squared shares of clusters, .027 by this tail.
        assert share < 0.05


@pytest.mark.parametrize("kind", ["views", "neighbour"])
def test_pairs_are_clean_in_part_or_not_in_the_shares_asked_for(kind: str) -> None:
    model = CorpusModel(clean=0.2, partly=0.3, partly_kind=kind)  # type: ignore[arg-type]
    corpus = made_corpus(50_000, model)

    assert set(np.unique(corpus.correspondence)) == {0, 0.5, 1}
    assert_share(corpus.correspondence == 1, 0.2)
    assert_share(corpus.correspondence == 0.5, 0.3)
    np.testing.assert_array_equal(corpus.is_positive, corpus.correspondence == 1)
    # Only clean pairs are of one class.
    is_same = corpus.first_classes == corpus.second_classes
    np.testing.assert_array_equal(is_same, corpus.is_positive)


def test_class_sizes_follow_zipf_s_law() -> None:
    model = CorpusModel(n_clusters=10, tail=1.0, clean=1.0, partly=0.0)
    corpus = made_corpus(100_000, model)
    # 1 + 1/2 + ... + 1/10 = 2.9290.
    for rank in (1, 2, 10):
        assert_share(corpus.first_classes == rank - 1, 1 / rank / 2.9290)


def test_each_view_shows_the_class_by_a_relabelling_of_its_own() -> None:
    corpus = made_corpus(5_000, PLAIN)
    shown = shown_classes(corpus)
    for view in range(10):
        expected = corpus.first_classes if view < 5 else corpus.second_classes
        np.testing.assert_array_equal(shown[:, view], expected)
    # Equal ids of two views mean nothing.
    assert not (corpus.assignments[:, 0] == corpus.assignments[:, 1]).all()


@pytest.mark.parametrize(
    ("agreement", "by_view"),
    [
        (None, [0.2, 0.325, 0.45, 0.575, 0.7] * 2),
        (0.45, [0.45] * 10),
        ((0.1, 0.3, 0.5, 0.7, 0.9), [0.1, 0.3, 0.5, 0.7, 0.9] * 2),
        (tuple(np.arange(10) / 10), [v / 10 for v in range(10)]),
    ],
)
def test_views_show_the_class_as_often_as_said(
    agreement: float | tuple[float, ...] | None, by_view: list[float]
) -> None:
    corpus = made_corpus(20_000, replace(PLAIN, agreement=agreement, clean=1.0))
    shown = shown_classes(corpus)
    for view, share in enumerate(by_view):
        # What does not show the class shows it by chance, once in 20.
        is_right = shown[:, view] == corpus.first_classes
        assert_share(is_right, share + (1 - share) / 20)


def test_a_pair_in_part_has_the_class_in_half_of_the_second_side_s_views() -> None:
    corpus = made_corpus(20_000, replace(PLAIN, clean=0.0, partly=1.0))
    shown = shown_classes(corpus)
    has_first = shown == corpus.first_classes[:, None]
    assert has_first[:, :5].all()
    assert_share(has_first[:, 5:], 0.5)
    rest = shown[:, 5:] == corpus.second_classes[:, None]
    assert (has_first[:, 5:] != rest).all()
    # Views by themselves: all five show it once in 32.
    assert_share(has_first[:, 5:].all(axis=1), 1 / 32)


def test_neighbours_are_of_one_family() -> None:
    model = replace(
        PLAIN, n_clusters=14, clean=0.0, partly=1.0, partly_kind="neighbour"
    )
    # Families of four; the last one has the two that are left over.
    assert model.families().tolist() == [0] * 4 + [1] * 4 + [2] * 6
    corpus = made_corpus(30_000, model)
    families = model.families()
    assert (families[corpus.first_classes] == families[corpus.second_classes]).all()
    assert (corpus.first_classes != corpus.second_classes).all()
    for first, n_others in ((0, 3), (13, 5)):
        seconds = corpus.second_classes[corpus.first_classes == first]
        assert len(np.unique(seconds)) == n_others
        for second in np.unique(seconds):
            assert_share(seconds == second, 1 / n_others)


def test_confused_views_show_another_class_of_the_family() -> None:
    model = replace(PLAIN, clean=1.0, confusion=0.25)
    corpus = made_corpus(20_000, model)
    shown = shown_classes(corpus)
    is_right = shown == corpus.first_classes[:, None]
    assert_share(is_right, 0.75)
    families = model.families()
    assert (families[shown] == families[corpus.first_classes][:, None]).all()


def test_looks_tie_views_of_a_side_and_no_others() -> None:
    model = replace(PLAIN, agreement=0.0, consistency=1.0)
    corpus = made_corpus(30_000, model)

    def share_of_commonest(u: int, v: int) -> float:
        """Return how often v is what it most often is, given u."""
        table = np.zeros((20, 20))
        np.add.at(table, (corpus.assignments[:, u], corpus.assignments[:, v]), 1)
        return float(table.max(axis=1).sum() / table.sum())

    assert share_of_commonest(0, 4) == 1
    assert share_of_commonest(5, 9) == 1
    # By relabellings of their own: a look is no class by another name.
    shown = shown_classes(corpus)
    assert (shown[:, 0] == shown[:, 4]).mean() < 0.3
    # A twentieth, and what the largest of 20 counts near 75 is beyond that.
    assert share_of_commonest(0, 5) < 0.08


def test_looks_come_as_often_as_said() -> None:
    model = replace(PLAIN, agreement=0.0, consistency=0.5)
    corpus = made_corpus(30_000, model)
    table = np.zeros((20, 20))
    np.add.at(table, (corpus.assignments[:, 0], corpus.assignments[:, 1]), 1)
    # Both views show the look: a quarter; else they meet by chance.
    assert table.max(axis=1).sum() / table.sum() == pytest.approx(
        0.25 + 0.75 / 20, abs=0.02
    )


def test_views_of_scattered_negatives_have_nothing_in_common() -> None:
    model = replace(PLAIN, negatives="per_layer", clean=0.3, partly=0.3)
    corpus = made_corpus(30_000, model)
    shown = shown_classes(corpus)
    kind = corpus.correspondence
    assert (shown[kind > 0, :5] == shown[kind > 0, :1]).all()
    assert (shown[kind == 1] == shown[kind == 1, :1]).all()
    negatives = shown[kind == 0]
    assert (negatives[:, 0] == corpus.first_classes[kind == 0]).all()
    assert (negatives[:, 1:] != negatives[:, :1]).all()
    # Two that are both not the first one's meet once in 19.
    assert_share(negatives[:, 1] == negatives[:, 2], 1 / 19)
    looks = made_corpus(
        30_000, replace(model, agreement=0.0, consistency=1.0, clean=0.0, partly=0.0)
    )
    table = np.zeros((20, 20))
    np.add.at(table, (looks.assignments[:, 0], looks.assignments[:, 1]), 1)
    assert table.max(axis=1).sum() / table.sum() < 0.08


def test_classes_are_split_where_there_are_more_clusters() -> None:
    model = replace(PLAIN, n_clusters=25, n_classes=10, clean=1.0)
    corpus = made_corpus(20_000, model)
    np.testing.assert_array_equal(
        shown_classes(corpus), np.repeat(corpus.first_classes[:, None], 10, axis=1)
    )
    for one in range(10):
        ids = corpus.assignments[corpus.first_classes == one, 0]
        # 25 clusters of 10 classes: three of the first five, two of the others.
        assert len(np.unique(ids)) == (3 if one < 5 else 2)


def test_classes_share_clusters_where_there_are_fewer() -> None:
    model = replace(PLAIN, n_clusters=4, n_classes=10, clean=1.0)
    corpus = made_corpus(2_000, model)
    np.testing.assert_array_equal(shown_classes(corpus)[:, 3], corpus.first_classes % 4)


def test_all_of_65_536_clusters_fit_their_ids() -> None:
    model = replace(PLAIN, n_clusters=65_536, clean=1.0)
    corpus = made_corpus(1_000, model)
    assert corpus.assignments.dtype == np.uint16
    np.testing.assert_array_equal(shown_classes(corpus)[:, 0], corpus.first_classes)


def test_planted_noise_gives_what_is_known_of_it() -> None:
    """29 % true, views agree with probability .45, 500 clusters, 500 selected."""
    model = CorpusModel(
        clean=0.29, partly=0.0, agreement=0.45, consistency=0.0, tail=0.0
    )
    corpus = made_corpus(20_000, model)

    def precision(pairing: str, prior: Prior) -> float:
        selection = batch_greedy(
            corpus.assignments,
            500,
            n_clusters=500,
            pairs=pairs_for(pairing, corpus.views()),  # type: ignore[arg-type]
            batch_size=1_000,
            per_batch=50,
            prior=prior,
        )
        return float(corpus.is_positive[selection.indices].mean())

    # A prototype had .306 and .890 (prior .2) to .965 (prior 1).
    assert precision("combination", None) < 0.4
    assert precision("bipartite", "recommended") > 0.97


@pytest.mark.parametrize("negatives", ["whole", "per_layer"])
def test_combination_gains_by_negatives_per_layer_alone(negatives: str) -> None:
    model = CorpusModel(
        n_clusters=32,
        clean=0.5,
        partly=0.0,
        tail=0.0,
        negatives=negatives,  # type: ignore[arg-type]
    )
    corpus = made_corpus(4_000, model)

    def precision(pairing: str) -> float:
        selection = batch_greedy(
            corpus.assignments,
            2_000,
            n_clusters=32,
            pairs=pairs_for(pairing, corpus.views()),  # type: ignore[arg-type]
            batch_size=100,
            per_batch=25,
        )
        return float(corpus.is_positive[selection.indices].mean())

    bipartite, combination = precision("bipartite"), precision("combination")
    if negatives == "whole":
        assert combination < bipartite - 0.05
    else:
        assert combination > bipartite


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 65_537}, "n_clusters: expected 1 to 65,536, got 65537"),
        ({"n_classes": 1}, "n_classes: expected 2 to 65,536"),
        ({"n_views": 7}, "n_views: expected an even number"),
        ({"clean": 1.1}, "clean: expected 0 to 1"),
        ({"clean": 0.7, "partly": 0.4}, "partly: expected 0 to 1 - clean"),
        ({"partly_kind": "x"}, "partly_kind"),
        ({"confusion": -0.1}, "confusion"),
        ({"family_size": 1}, "family_size: expected 2 to n_classes"),
        ({"consistency": 2}, "consistency"),
        ({"negatives": "half"}, "negatives: expected a known one, got 'half'"),
        ({"tail": float("nan")}, "tail: expected 0 to 5, got nan"),
        ({"agreement": (0.1, 0.2)}, r"agreement: .* 5 \(layers\) or 10 \(views\)"),
        ({"agreement": 1.5}, "agreement: expected one number from 0 to 1"),
    ],
)
def test_a_model_that_cannot_be_is_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        CorpusModel(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n_clips", "seed"), [(0, 0), (10, -1)])
def test_a_corpus_that_cannot_be_is_refused(n_clips: int, seed: int) -> None:
    with pytest.raises(ValueError, match="made_corpus: expected n_clips of at least 1"):
        made_corpus(n_clips, seed=seed)
