from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.demo.evaluation import five_seeds, precision, summarise

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODALITIES = {"seen/1": "visual", "seen/2": "visual", "heard/1": "audio"}


def planted(
    rng: np.random.Generator, *, n_clips: int = 300
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
    """Six classes; half of the clips sound like another; the view seen/1 is noise."""
    seen = rng.integers(6, size=n_clips)
    matches = rng.uniform(size=n_clips) < 0.5
    heard = np.where(matches, seen, (seen + rng.integers(1, 6, n_clips)) % 6)
    centres = 20 * rng.standard_normal((6, 4))

    def view(classes: NDArray[np.int_]) -> NDArray[np.float32]:
        return (centres[classes] + rng.standard_normal((n_clips, 4))).astype(np.float32)

    views = {
        "seen/1": rng.standard_normal((n_clips, 4)).astype(np.float32),
        "seen/2": view(seen),
        "heard/1": view(heard),
    }
    return views, matches


def test_precision_is_the_share_of_selected_clips_that_correspond() -> None:
    labels = {"a": True, "b": False, "c": True, "d": False}

    assert precision(["a", "b", "c"], labels) == pytest.approx(2 / 3)


def test_precision_of_nothing_or_of_clips_without_a_label_is_refused() -> None:
    with pytest.raises(ValueError, match="0 clips"):
        precision([], {"a": True})
    with pytest.raises(ValueError, match="'z'"):
        precision(["a", "z"], {"a": True})


def test_each_seed_beats_chance_and_names_the_pair_that_knows(
    rng: np.random.Generator,
) -> None:
    views, matches = planted(rng)

    results = five_seeds(
        views,
        matches,
        modalities=MODALITIES,
        n_clusters=6,
        n_select=100,
        pairing="bipartite",
        n_epochs=5,
    )

    assert [result.seed for result in results] == [0, 1, 2, 3, 4]
    for result in results:
        assert result.best_single_pair == "seen/2 and heard/1"
        assert result.best_single > result.random
        assert result.random == pytest.approx(0.5, abs=0.15)
    assert np.mean([result.selected for result in results]) > 0.65


def test_the_same_seeds_give_the_same_results(rng: np.random.Generator) -> None:
    views, matches = planted(rng, n_clips=80)
    first, second = (
        five_seeds(
            views,
            matches,
            seeds=[3],
            modalities=MODALITIES,
            n_clusters=6,
            n_select=20,
            n_epochs=3,
        )
        for _ in range(2)
    )

    assert first == second


def test_a_summary_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one seed"):
        summarise([])
