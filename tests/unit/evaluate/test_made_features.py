"""A made corpus as features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acav_spark.evaluate.made_corpus import CorpusModel, made_corpus
from acav_spark.evaluate.made_features import (
    FeatureModel,
    made_features,
    made_sets,
)

SMALL = CorpusModel(n_clusters=12, clean=0.3, partly=0.2, tail=0.0)


def test_sets_have_as_many_positives_as_negatives_in_random_order() -> None:
    runs = list(made_sets(600, SMALL, n_runs=2))

    assert [(train.run, test.run) for train, test in runs] == [(0, 0), (1, 1)]
    for train, test in runs:
        assert (train.is_test, test.is_test) == (False, True)
        for each in (train, test):
            assert (len(each), each.is_positive.sum()) == (600, 300)
            assert (each.n_classes, len(each.views())) == (12, 10)
            np.testing.assert_array_equal(each.is_positive, each.correspondence == 1)
            # Of what is not clean, .2 of .7 correspond in part: 86 of 300, sd 8.
            assert 46 < (each.correspondence == 0.5).sum() < 126
            # Neither end is of one kind: 100 of 200, sd 7.
            assert 65 < each.is_positive[:200].sum() < 135
            assert 65 < each.is_positive[-200:].sum() < 135
    assert not (runs[0][0].assignments == runs[1][0].assignments).all()


def test_train_and_test_are_other_clips_of_one_corpus() -> None:
    ((train, test),) = made_sets(200, SMALL, n_runs=1)
    assert train.first.pool is test.first.pool
    assert not set(train.first.rows[:, 0]) & set(test.first.rows[:, 0])
    assert len(train.first.pool[0]) == 400


def test_a_part_of_a_set_keeps_what_is_known_of_its_pairs() -> None:
    ((_, test),) = made_sets(200, SMALL, n_runs=1)
    rows = np.array([5, 3, 199])
    part = test.taken(rows)
    np.testing.assert_array_equal(part.assignments, test.assignments[rows])
    np.testing.assert_array_equal(part.correspondence, test.correspondence[rows])
    np.testing.assert_array_equal(part.classes, test.classes[rows])
    np.testing.assert_array_equal(part.is_positive, test.is_positive[rows])
    for whole, taken in zip(test.features(), part.features(), strict=True):
        np.testing.assert_array_equal(taken, whole[rows])


def test_features_lie_about_their_cluster_s_centre_by_the_layer_s_noise() -> None:
    noise = (2.0, 1.0, 0.5, 0.25, 0.0)
    corpus = made_corpus(12_000, SMALL)
    views = made_features(corpus, FeatureModel(noise=noise), corpus.assignments)

    assert [view.shape for view in views] == [(12_000, 64)] * 10
    assert {str(view.dtype) for view in views} == {"float32"}
    for number, features in enumerate(views):
        ids = corpus.assignments[:, number]
        centres = np.stack([features[ids == k].mean(axis=0) for k in range(12)])
        spread = float((features - centres[ids]).std())
        assert spread == pytest.approx(noise[number % 5], rel=0.02, abs=1e-5)
        # 12 x 64 normal numbers, of which no more than 12 x 32 are by themselves.
        assert float(centres.std()) == pytest.approx(1, abs=0.25)


def test_classes_have_one_place_in_the_latent_space_of_all_views() -> None:
    model = CorpusModel(n_clusters=40, clean=1.0, partly=0.0, tail=0.0)
    corpus = made_corpus(1, model)
    features = FeatureModel(noise=[0.0] * 5, n_latent=8, n_dimensions=16)
    everything = np.repeat(np.arange(40, dtype=np.uint16)[:, None], 10, axis=1)
    classes = corpus.class_of_cluster()
    views = made_features(corpus, features, everything)
    # Clusters in the order of their classes: each view a linear map of another.
    first, last = views[0][np.argsort(classes[0])], views[9][np.argsort(classes[9])]
    fitted = first @ np.linalg.lstsq(first, last, rcond=None)[0]
    np.testing.assert_allclose(fitted, last, atol=1e-4)
    assert np.linalg.matrix_rank(last, tol=1e-3) == 8
    assert not np.allclose(first, last, atol=0.1)


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.9])
def test_classes_of_a_family_are_alike(likeness: float) -> None:
    model = CorpusModel(n_clusters=400, clean=1.0, partly=0.0, family_size=2)
    corpus = made_corpus(1, model)
    features = FeatureModel(
        noise=[0.0] * 5, n_latent=64, n_dimensions=64, family_likeness=likeness
    )
    clusters = np.argsort(corpus.class_of_cluster(), axis=1).T.astype(np.uint16)
    centres = made_features(corpus, features, clusters)[0]
    pairs = (centres[::2] * centres[1::2]).mean() / (centres**2).mean()
    assert float(pairs) == pytest.approx(likeness, abs=0.06)


def test_parts_of_a_split_class_lie_apart_less_than_classes() -> None:
    model = CorpusModel(n_clusters=80, n_classes=40, family_size=2, tail=0.0)
    corpus = made_corpus(1, model)
    features = FeatureModel(noise=[0.0] * 5, family_likeness=0.0)
    everything = np.repeat(np.arange(80, dtype=np.uint16)[:, None], 10, axis=1)
    centres = made_features(corpus, features, everything)[2]
    order = np.argsort(corpus.class_of_cluster()[2], kind="stable")
    parts = centres[order].reshape(40, 2, 64)
    within = np.square(parts[:, 0] - parts[:, 1]).mean()
    between = np.square(parts[:-1, 0] - parts[1:, 1]).mean()
    # Parts differ by two draws of a quarter of the variance; classes by 2 more.
    assert float(within) == pytest.approx(0.5, rel=0.25)
    assert float(between) == pytest.approx(2.5, rel=0.25)


def test_features_do_not_depend_on_the_clips_behind_them() -> None:
    corpus = made_corpus(70_000, CorpusModel(n_clusters=5, n_views=2, family_size=2))
    model = FeatureModel(noise=[1.0], n_latent=2, n_dimensions=2)
    whole = made_features(corpus, model, corpus.assignments)
    part = made_features(corpus, model, corpus.assignments[:100])
    silent = replace(model, noise=[0.0])
    centres = made_features(corpus, silent, corpus.assignments)
    for all_of_them, some, centre in zip(whole, part, centres, strict=True):
        np.testing.assert_array_equal(all_of_them[:100], some)
        # A second block is drawn anew.
        noise = all_of_them - centre
        assert abs(np.corrcoef(noise[:4_000, 0], noise[65_536:69_536, 0])[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("n_pairs", "model", "noise", "words"),
    [
        (7, SMALL, (1.0,) * 5, "n_pairs: expected an even number, got 7"),
        (0, SMALL, (1.0,) * 5, "n_pairs"),
        (8, CorpusModel(clean=1.0, partly=0.0), (1.0,) * 5, "clean: expected between"),
        (8, CorpusModel(n_clusters=4, n_classes=8), (1.0,) * 5, "at least the 8"),
        (8, SMALL, (1.0,) * 4, "noise: expected 5 numbers"),
    ],
)
def test_sets_that_cannot_be_are_refused_at_the_call(
    n_pairs: int, model: CorpusModel, noise: tuple[float, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        made_sets(n_pairs, model, FeatureModel(noise=noise))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_latent": 0}, "n_latent: expected at least 1"),
        ({"n_dimensions": 16}, "n_dimensions: expected at least n_latent"),
        ({"noise": ()}, "noise"),
        ({"noise": (-1.0,)}, "noise: expected numbers of at least 0"),
        ({"family_likeness": 1.0}, "family_likeness: expected 0 to below 1"),
    ],
)
def test_a_feature_model_that_cannot_be_is_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        FeatureModel(**options)  # type: ignore[arg-type]
