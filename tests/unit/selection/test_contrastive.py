from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from planted_correspondence import planted_correspondence

from acav_spark.selection.contrastive import (
    ProjectionHead,
    ProjectionHeads,
    fit_projection_heads,
)
from acav_spark.selection.contrastive_batches import (
    grouped_batches,
    random_batches,
    rows_of_classes,
)
from acav_spark.selection.contrastive_training import Alone, standard_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUICK: dict[str, Any] = {"dimensions": 8, "n_epochs": 3, "batch_size": 7}


def precision(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> float:
    """Return the share of positives in the better half."""
    best = np.argsort(-scores, kind="stable")[: len(scores) // 2]
    return float(is_positive[best].mean())


def test_corresponding_clips_that_were_not_trained_on_score_higher() -> None:
    first, second, is_positive = planted_correspondence(1_600)

    heads = fit_projection_heads(
        first[:800], second[:800], dimensions=16, learning_rate=2e-3, n_epochs=25
    )

    scores = heads.scores(first[800:], second[800:])
    assert precision(scores, is_positive[800:]) > 0.85
    assert scores.dtype == np.float64
    assert np.abs(scores).max() <= 1
    assert heads.losses[-1] < 0.75 * heads.losses[0]
    at_random = fit_projection_heads(
        first[:800], second[np.arange(800) - 1], dimensions=16, n_epochs=5
    )
    assert precision(at_random.scores(first, second), is_positive) < 0.6


def test_steps_are_those_of_torch() -> None:
    """The whole training beside autograd and torch's own optimiser."""
    torch = pytest.importorskip("torch")
    first, second, _ = planted_correspondence(30)
    n_epochs, seed = 4, 5

    heads = fit_projection_heads(
        first, second, **{**QUICK, "n_epochs": n_epochs}, seed=seed, learning_rate=0.01
    )

    sides = [
        torch.tensor((side - side.mean(0)) / side.std(0)) for side in (first, second)
    ]
    layers = []
    for place, side in enumerate(sides):
        width = side.shape[1]
        drawn = np.random.default_rng([seed, place]).uniform(-1, 1, 8 * (width + 1))
        start = torch.tensor(np.float32(drawn).reshape(8, -1) / np.float32(width**0.5))
        layer = torch.nn.Linear(width, 8)
        layer.weight.data, layer.bias.data = start[:, :-1].clone(), start[:, -1].clone()
        layers.append(layer)
    optimiser = torch.optim.Adam(
        [p for layer in layers for p in layer.parameters()], lr=0.01, amsgrad=True
    )
    cross_entropy, unit = (
        torch.nn.functional.cross_entropy,
        torch.nn.functional.normalize,
    )
    draw, own, losses = random_batches(30, 7, seed=seed), torch.arange(7), []
    for epoch in range(n_epochs):
        for rows in draw(epoch):
            v, a = (
                unit(layer(side[rows]))
                for layer, side in zip(layers, sides, strict=True)
            )
            logits = v @ a.T / 0.1
            loss = cross_entropy(logits, own) + cross_entropy(logits.T, own)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    by_epoch = np.reshape(losses, (n_epochs, -1)).mean(axis=1)
    np.testing.assert_allclose(heads.losses, by_epoch, rtol=1e-4)
    v, a = (unit(layer(side)) for layer, side in zip(layers, sides, strict=True))
    np.testing.assert_allclose(
        heads.scores(first, second), (v * a).sum(1).detach().numpy(), atol=1e-4
    )


def test_the_seed_gives_the_heads() -> None:
    first, second, _ = planted_correspondence(60)
    np.random.seed(1)  # noqa: NPY002 - a global state that must not matter
    one = fit_projection_heads(first, second, **QUICK)
    np.random.seed(2)  # noqa: NPY002
    again = fit_projection_heads(first, second, **QUICK)
    other = fit_projection_heads(first, second, **QUICK, seed=1)

    np.testing.assert_array_equal(one.first.weight, again.first.weight)
    assert one.losses == again.losses
    assert not np.allclose(one.first.weight, other.first.weight)


def test_scores_do_not_depend_on_what_is_scored_beside() -> None:
    first, second, _ = planted_correspondence(300)
    heads = fit_projection_heads(first, second, **QUICK)

    whole = heads.scores(first, second)

    one_by_one = [
        heads.scores(first[i : i + 1], second[i : i + 1])[0] for i in range(300)
    ]
    np.testing.assert_array_equal(whole, one_by_one)


def test_a_score_is_the_cosine_of_both_projections() -> None:
    def head(*parts: object) -> ProjectionHead:
        return ProjectionHead(*(np.array(part, dtype=np.float32) for part in parts))

    heads = ProjectionHeads(
        head([5, 5], [[1, 0], [0, 1]], [0, 0]), head([1], [[1], [0]], [1, 1])
    )

    scores = heads.scores(np.array([[8.0, 9], [6, 4]]), np.array([[1.0], [3]]))

    # (3, 4) with (1, 1); (1, -1) with (3, 1).
    expected = [7 / (5 * 2**0.5), 2 / (20**0.5)]
    np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_a_dimension_that_did_not_vary_has_no_weight() -> None:
    first, second, _ = planted_correspondence(40)
    first[:, 3] = 5.0

    heads = fit_projection_heads(first, second, **QUICK)

    np.testing.assert_array_equal(heads.first.weight[:, 3], 0)
    assert np.abs(heads.first.weight[:, 2]).min() > 0


def test_features_may_be_scaled_and_moved_when_they_are_standardised() -> None:
    first, second, _ = planted_correspondence(60)
    moved = first * 100 - 4_000

    plain = fit_projection_heads(first, second, **QUICK)
    other = fit_projection_heads(moved, second, **QUICK)

    np.testing.assert_allclose(
        plain.scores(first, second), other.scores(moved, second), atol=1e-3
    )
    raw = fit_projection_heads(moved, second, **QUICK, standardise=False)
    assert not np.allclose(
        plain.scores(first, second), raw.scores(moved, second), atol=0.1
    )


def test_standardisation_of_numbers_far_from_zero() -> None:
    values = np.array([[2_000, 1], [2_002, 1], [2_004, 1]], dtype=np.float16)

    standard = standard_of(values, Alone(), is_wanted=True)

    np.testing.assert_allclose(standard.mean, [2_002, 1])
    np.testing.assert_allclose(standard.inverse, [1 / (8 / 3) ** 0.5, 0])
    applied = standard.apply(values, np.arange(3))
    np.testing.assert_allclose(applied[:, 0], [-(1.5**0.5), 0, 1.5**0.5], rtol=1e-6)
    whole = np.ones((4, 2), np.float32)
    standard.apply(whole, np.array([1, 1]))
    assert (whole == 1).all(), "rows are copied"


def test_an_epoch_takes_every_row_once_but_the_remainder() -> None:
    draw = random_batches(23, 5, seed=1)

    one, other = draw(0), draw(1)

    assert one.shape == (4, 5)
    assert len(set(one.ravel().tolist())) == 20
    assert set(range(23)) - set(one.ravel()) != set(range(23)) - set(other.ravel())
    np.testing.assert_array_equal(one, draw(0))
    part = random_batches(23, 5, seed=1, share=slice(2, 4))
    np.testing.assert_array_equal(part(1), other[:, 2:4])


def test_a_batch_has_one_clip_of_each_class() -> None:
    classes = np.array([4, 0, 4, 9, 0, 4, 4, 9, 0, 4])
    groups = rows_of_classes(classes)
    assert [group.tolist() for group in groups] == [[1, 4, 8], [0, 2, 5, 6, 9], [3, 7]]

    batches = grouped_batches(groups, n_steps=5, seed=0)(2)

    assert batches.shape == (5, 3)
    assert (classes[batches] == [0, 4, 9]).all()
    assert sorted(batches[:, 1].tolist()) == [0, 2, 5, 6, 9]
    assert set(batches[:2, 2].tolist()) == {3, 7}, "a short class goes round"
    later = grouped_batches(groups[1:], n_steps=5, seed=0, first_number=1)(2)
    np.testing.assert_array_equal(later, batches[:, 1:])


def test_classes_make_the_batches() -> None:
    first, second, _ = planted_correspondence(40)
    classes = np.arange(40) % 4

    heads = fit_projection_heads(
        first, second, **{**QUICK, "batch_size": 999}, classes=classes
    )

    # 2 log 4 is chance for batches of four.
    assert 0 < heads.losses[0] < 3 * 2 * np.log(4)
    assert heads.scores(first, second).shape == (40,)


def test_progress_is_told_after_each_epoch() -> None:
    first, second, _ = planted_correspondence(40)
    told: list[tuple[int, float]] = []

    heads = fit_projection_heads(
        first, second, **QUICK, progress=lambda *both: told.append(both)
    )

    assert told == list(enumerate(heads.losses, start=1))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"second": np.ones((39, 3))}, "second: expected a row for each clip"),
        ({"first": np.ones(40)}, "first: expected features of shape"),
        ({"first": np.full((40, 2), np.nan)}, "40 of 40, such as rows"),
        ({"second": np.full((40, 2), 1e300)}, "second: expected finite"),
        ({"batch_size": 41}, "batch_size: expected at most the number of clips"),
        ({"batch_size": 1}, "batch_size: expected an integer of at least 2"),
        ({"temperature": 0.0}, "temperature: expected a finite number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"dimensions": 2.5}, "dimensions"),
        ({"seed": -1}, "seed"),
        ({"classes": np.zeros(40, int)}, "at least two"),
        ({"classes": np.arange(39)}, "expected 40 integers"),
        ({"classes": np.arange(40) - 1}, "numbers from 0"),
        ({"classes": np.arange(40) / 2}, "expected 40 integers"),
    ],
)
def test_bad_input_is_refused_with_its_name(
    changed: dict[str, Any], words: str
) -> None:
    first, second, _ = planted_correspondence(40)
    arguments = {"first": first, "second": second, **QUICK, **changed}

    with pytest.raises(ValueError, match=words):
        fit_projection_heads(**arguments)


def test_features_of_another_width_are_refused_when_scored() -> None:
    first, second, _ = planted_correspondence(40)
    heads = fit_projection_heads(first, second, **QUICK)

    with pytest.raises(ValueError, match="first: expected features of 20 numbers"):
        heads.scores(first[:, :-1], second)
    assert heads.scores(first[:0], second[:0]).shape == (0,)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    first, second, _ = planted_correspondence(40)

    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"got nan in epoch 1\. Lower learning_rate"),
    ):
        fit_projection_heads(first, second, **QUICK, temperature=1e-39)


def test_one_process_needs_no_torch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from acav_spark.selection.contrastive import fit_projection_heads\n"
        "x = np.random.default_rng(0).normal(size=(8, 3))\n"
        "fit_projection_heads(x, x, n_epochs=1, batch_size=4, dimensions=2)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
