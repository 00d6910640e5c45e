from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joint_training
import numpy as np
import pytest
from joint_training import BATCH, N_CLIPS, N_PROCESSES
from planted_correspondence import planted_correspondence, stage_correspondence
from scipy.stats import spearmanr

from acav_spark.errors import DependencyError
from acav_spark.selection.contrastive import fit_projection_heads
from acav_spark.selection.contrastive_training import Alone, share_of
from acav_spark.selection.torch_processes import require_gloo

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What four processes found together."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("joint")
    script = Path(joint_training.__file__)
    subprocess.run([sys.executable, script, folder], check=True, timeout=300)
    return [np.load(folder / f"{rank}.npz") for rank in range(N_PROCESSES)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float64]]:
    folder = tmp_path_factory.mktemp("alone")
    stage_correspondence(folder / "of_1", N_CLIPS, BATCH, 1)
    return joint_training.found_by(Alone(), folder)


@pytest.mark.parametrize("what", ["loss", "gradient", "mean", "inverse"])
def test_gradients_and_moments_are_those_of_one_process(
    by_rank: list[Any], alone: dict[str, NDArray[np.float64]], what: str
) -> None:
    scale = np.abs(alone[what]).max()
    for found in by_rank:
        np.testing.assert_allclose(found[what], alone[what], atol=1e-5 * scale, rtol=0)
    np.testing.assert_array_equal(by_rank[0][what], by_rank[3][what])


@pytest.mark.parametrize("what", ["scores", "class_scores", "shared_scores"])
def test_clips_are_ranked_as_by_one_process(
    by_rank: list[Any], alone: dict[str, NDArray[np.float64]], what: str
) -> None:
    for found in by_rank:
        assert spearmanr(found[what], alone[what]).statistic >= 0.999
        np.testing.assert_array_equal(found["weights"], by_rank[0]["weights"])
    assert np.std(alone[what]) > 0.05


def test_shares_of_a_batch_are_even_and_complete() -> None:
    shares = [share_of(BATCH, rank, N_PROCESSES) for rank in range(N_PROCESSES)]

    places = np.concatenate([np.arange(BATCH)[share] for share in shares])
    np.testing.assert_array_equal(places, np.arange(BATCH))
    assert sorted(share.stop - share.start for share in shares) == [2, 2, 3, 3]


def test_more_processes_than_a_batch_has_clips_are_refused() -> None:
    class Many(Alone):
        size = 11

    first, second, _ = planted_correspondence(40)
    with pytest.raises(ValueError, match=r"at most one process a clip .* got 11"):
        fit_projection_heads(first, second, collective=Many())


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(DependencyError, match=r"acav_spark\[models\].*n_processes: 1"):
        require_gloo()
