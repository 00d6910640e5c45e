"""What a task of the training does, and how trained heads are kept."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from planted_correspondence import (
    PLANTED_VIEWS,
    planted_correspondence,
    stage_correspondence,
)

from acav_spark.config import load_config
from acav_spark.config.selecting import ContrastiveConfig
from acav_spark.errors import ConfigError, DependencyError, StageError
from acav_spark.selection.contrastive import checked_settings, fit_projection_heads
from acav_spark.selection.contrastive_tasks import read_share, train_share
from acav_spark.selection.contrastive_training import Alone, share_of
from acav_spark.selection.heads_file import (
    heads_from_bytes,
    heads_to_bytes,
    read_heads,
)
from acav_spark.selection.scored_methods import contrastive_method
from acav_spark.selection.scoring import FeatureView

if TYPE_CHECKING:
    from pathlib import Path

    from acav_spark.selection.contrastive import ProjectionHeads

N_CLIPS, BATCH = 103, 10
SETTINGS = checked_settings(
    dimensions=6,
    temperature=0.1,
    learning_rate=2e-3,
    n_epochs=3,
    batch_size=BATCH,
    standardise=True,
    seed=4,
)


@pytest.fixture(scope="module")
def heads() -> ProjectionHeads:
    first, second, _ = planted_correspondence(40)
    return fit_projection_heads(first, second, dimensions=4, n_epochs=2)


@pytest.mark.parametrize("n_processes", [1, 3, 4, 10])
def test_processes_read_the_clips_of_their_places(
    tmp_path: Path, n_processes: int
) -> None:
    first, second = stage_correspondence(tmp_path, N_CLIPS, BATCH, n_processes)

    seen: list[int] = []
    for rank in range(n_processes):
        share = read_share(str(tmp_path), rank, PLANTED_VIEWS)
        places = share_of(BATCH, rank, n_processes)
        groups = share.groups(places, BATCH)

        assert len(groups) == places.stop - places.start
        for place, rows in enumerate(groups, start=places.start):
            positions = share.positions[rows]
            assert positions.tolist() == list(range(place, N_CLIPS, BATCH))
            np.testing.assert_array_equal(share.sides[0][rows], first[positions])
            np.testing.assert_array_equal(share.sides[1][rows], second[positions])
        seen += share.positions.tolist()
    assert sorted(seen) == list(range(N_CLIPS))


def test_files_do_not_change_what_is_trained(tmp_path: Path) -> None:
    found = []
    for n_files in (1, 5):
        folder = tmp_path / str(n_files)
        stage_correspondence(folder, N_CLIPS, BATCH, 1, n_files=n_files)
        share = read_share(str(folder), 0, PLANTED_VIEWS)
        found.append(train_share(share, N_CLIPS, SETTINGS, Alone()))

    np.testing.assert_array_equal(found[0].first.weight, found[1].first.weight)
    assert len(found[0].losses) == 3
    assert found[0].losses[2] < found[0].losses[0]


def test_a_training_that_fails_in_a_task_says_what_to_do(tmp_path: Path) -> None:
    stage_correspondence(tmp_path, N_CLIPS, BATCH, 1)
    share = read_share(str(tmp_path), 0, PLANTED_VIEWS)
    settings = replace(SETTINGS, temperature=1e-39)

    with (
        np.errstate(all="ignore"),
        pytest.raises(StageError, match=r"select_clips: contrastive: .* Lower"),
    ):
        train_share(share, N_CLIPS, settings, Alone())


def test_a_share_without_files_or_with_broken_vectors_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(StageError, match="that all executors reach"):
        read_share(str(tmp_path), 0, PLANTED_VIEWS)
    stage_correspondence(tmp_path, N_CLIPS, BATCH, 1, broken=7)
    with pytest.raises(StageError, match="expected finite vectors of lengths"):
        read_share(str(tmp_path), 0, PLANTED_VIEWS)


def test_a_place_of_a_batch_without_clips_is_refused(tmp_path: Path) -> None:
    stage_correspondence(tmp_path, 9, BATCH, 1)
    share = read_share(str(tmp_path), 0, PLANTED_VIEWS)

    with pytest.raises(StageError, match="none for 1: staged files were lost"):
        share.groups(slice(0, BATCH), BATCH)


def test_kept_heads_are_the_same(heads: ProjectionHeads) -> None:
    settings: dict[str, object] = {"views": [["a", 3]], "temperature": 0.1}

    data = heads_to_bytes(heads, settings)
    kept, found = read_heads(data)

    assert found == settings
    assert kept.losses == heads.losses
    for side in ("first", "second"):
        for part in ("mean", "weight", "bias"):
            one, other = (getattr(getattr(h, side), part) for h in (heads, kept))
            np.testing.assert_array_equal(one, other)
    assert b"pickle" not in data
    assert json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def test_heads_of_other_settings_or_other_bytes_are_refused(
    heads: ProjectionHeads,
) -> None:
    data = heads_to_bytes(heads, {"temperature": 0.1})
    for other, words in (
        (data[:-1] + bytes([data[-1] ^ 1]), "tensors of another digest"),
        (data[:-8], "SafetensorError"),
        (b"", "SafetensorError"),
        (b"\x80\x04pickle", "SafetensorError"),
    ):
        with pytest.raises(StageError, match=words):
            read_heads(other)
    with pytest.raises(StageError, match=r"of other settings \(temperature\)"):
        heads_from_bytes(data, {"temperature": 0.2})


def test_without_safetensors_the_extra_is_named(
    heads: ProjectionHeads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)

    with pytest.raises(DependencyError, match=r"acav_spark\[models\]"):
        heads_to_bytes(heads, {})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["layers=[a]"], "two different names"),
        (["layers=[a, a]"], "two different names"),
        (["batch_size=8", "n_processes=9"], "n_processes of at most batch_size"),
        (["max_rows=100"], "max_rows of at least batch_size"),
        (["temperature=0"], "temperature"),
        (["learning_rate=0"], "learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(None, [f"selection.contrastive.{one}" for one in settings])


VIEWS = [
    FeatureView(extractor, layer, modality, 10 * layer)
    for extractor, modality in (("looks", "visual"), ("sounds", "audio"))
    for layer in (1, 2)
]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], ["looks layer 2", "sounds layer 2"]),
        (["sounds", "looks layer 1"], ["looks layer 1", "sounds layer 2"]),
    ],
)
def test_heads_are_of_two_layers(layers: list[str], expected: list[str]) -> None:
    chosen = ContrastiveConfig(layers=layers, n_processes=3)

    method = contrastive_method(chosen, VIEWS, seed=7)

    assert [str(view) for view in method.views] == expected
    assert method.training.seed == 7
    assert "n_processes" not in method.settings()
    assert method.settings()["learning_rate"] == 2e-4


@pytest.mark.parametrize(
    ("layers", "n_views", "words"),
    [
        (["looks", "nobody"], 4, "contrastive.layers: expected names of extractors"),
        (["looks", "looks layer 1"], 4, "views of two extractors"),
        ([], 2, "where there are not two extractors"),
    ],
)
def test_layers_that_are_not_there_are_refused(
    layers: list[str], n_views: int, words: str
) -> None:
    chosen = ContrastiveConfig(layers=layers)

    with pytest.raises(ValueError, match=words):
        contrastive_method(chosen, VIEWS[:n_views], seed=0)
