"""The four class-level sets: of small made files, and of the real ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_sources import made_source

from acav_spark.errors import ConfigError
from acav_spark.evaluate import class_sets, item_sources
from acav_spark.evaluate.class_sets import (
    CLASS_SETS,
    ItemNetwork,
    class_level_sets,
    default_network,
)
from acav_spark.evaluate.item_sources import draw_items, find_files
from acav_spark.features.networks.mobilenet_tf import MobileNetV2TensorFlow
from acav_spark.features.networks.weights import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

SEEN = ItemNetwork("made_sources:ClassSeen")
HEARD = ItemNetwork("made_sources:ClassHeard")
MNIST = [14, 11, 12, 12, 13, 12, 12, 12, 12, 30]
N_HALF = 10 * (11 // 2)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with sources of ten classes; the smallest has 11 items."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, sizes in (("cifar10", [12] * 10), ("mnist", MNIST)):
        known = made_source(folder, name, sizes)
        monkeypatch.setitem(item_sources.ITEM_SOURCES, name, known)
    known = made_source(folder, "fsdd", [13] * 10, has_sound=True)
    monkeypatch.setitem(item_sources.ITEM_SOURCES, "fsdd", known)
    return folder


def sets_of(data: Path, name: str, **options: object) -> list[tuple]:  # type: ignore[type-arg]  # two sets
    given: dict[str, object] = {"pictures": SEEN, "sounds": HEARD, "n_runs": 2}
    made = class_level_sets(data, data / "cache", name=name, **(given | options))  # type: ignore[arg-type]  # by name
    return list(made)


@pytest.mark.parametrize("name", CLASS_SETS)
def test_positives_are_of_one_class_and_negatives_are_not(
    data: Path, name: str
) -> None:
    runs = sets_of(data, name)

    assert [(a.run, a.is_test, b.run, b.is_test) for a, b in runs] == [
        (0, False, 0, True),
        (1, False, 1, True),
    ]
    for half in itertools.chain.from_iterable(runs):
        n_pairs = N_HALF if name.startswith("mnist") else 60
        assert len(half) == n_pairs
        assert half.name == name
        assert half.is_positive.sum() * 2 == n_pairs
        assert half.n_classes == 10
        # What networks saw, not what was asked for.
        of_first, of_second = half.first.layer(0)[:, 0], half.second.layer(0)[:, 0]
        np.testing.assert_allclose(of_first, half.classes, atol=1e-5)
        alike = np.isclose(of_first, of_second, atol=1e-5)
        np.testing.assert_array_equal(alike, half.is_positive)
        assert half.first.modality == "visual"
        expected = "class_heard/1" if name == "mnist_fsdd" else "class_seen/1"
        assert half.second.network == expected
        assert len(half.features()) == (5 if name == "mnist_fsdd" else 4)
    (first, _), (second, _) = runs
    assert set(first.classes[first.is_positive]) != set(
        second.classes[second.is_positive]
    )


def test_a_picture_is_paired_with_the_transform_of_another_one(data: Path) -> None:
    for name, number in (("cifar10_rotation", 1), ("cifar10_flip", 1)):
        for half in sets_of(data, name)[0]:
            one, other = half.first.layer(1), half.second.layer(1)
            positive = half.is_positive
            assert (one[positive, number] != other[positive, number]).all()
    files = {path.name.rsplit("-", 1)[0] for path in (data / "cache").iterdir()}
    assert files == {
        "cifar10_none_class_seen",
        "cifar10_rotate_90_ccw_class_seen",
        "cifar10_flip_horizontal_class_seen",
    }


def test_the_halves_have_no_item_in_common(data: Path) -> None:
    for train, test in sets_of(data, "cifar10_flip"):
        seen = [
            {tuple(x) for side in (half.first, half.second) for x in side.layer(1)}
            for half in (train, test)
        ]
        assert len(seen[0]) == len(seen[1]) == 60
        assert not seen[0] & seen[1]


def test_negatives_of_each_layer_are_of_other_items(data: Path) -> None:
    (_, half), *_ = sets_of(data, "mnist_fsdd", negatives="per_layer")
    assert half.negatives == "per_layer"
    negative = ~half.is_positive
    assert (half.first.rows[~negative] == half.first.rows[~negative, :1]).all()
    assert (half.second.rows[negative, 1] != half.second.rows[negative, 2]).mean() > 0.8


def test_what_cannot_be_made_is_told_before_anything_is_computed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("features were computed")

    monkeypatch.setattr(class_sets, "cached_features", refuse)
    for name, options, words in (
        ("cifar100", {}, "name: expected one of cifar10_rotation, .* got 'cifar100'"),
        ("mnist_fsdd", {"n_runs": 0}, "n_runs: expected 1 or more"),
        ("mnist_fsdd", {"per_class": 3}, "per_class: expected 4 or more, got 3"),
        ("mnist_fsdd", {"sounds": SEEN}, "fsdd: expected a network for sound"),
        ("mnist_fsdd", {"pictures": HEARD}, "mnist: expected a network for pictures"),
        ("mnist_fsdd", {"sounds": None}, r"expected one file \*yamnet\*.tflite"),
    ):
        with pytest.raises(ConfigError, match=words):
            sets_of(data, name, **options)
    with pytest.raises(ConfigError, match="data: expected a folder"):
        sets_of(data / "nowhere", "mnist_fsdd")
    (data / "fsdd.bin").write_bytes(b"half of it")
    with pytest.raises(ConfigError, match=r"SHA-256 .* of fsdd\.bin, got"):
        sets_of(data, "mnist_fsdd")
    (data / "fsdd.bin").unlink()
    with pytest.raises(ConfigError, match=r"fsdd: expected fsdd\.bin in .*, got no"):
        sets_of(data, "mnist_fsdd")


def test_a_class_without_samples_is_told(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = made_source(data, "fsdd", [13] * 4 + [0] + [13] * 5, has_sound=True)
    monkeypatch.setitem(item_sources.ITEM_SOURCES, "fsdd", known)
    with pytest.raises(ConfigError, match="fsdd: expected 4 items or more of class 4"):
        sets_of(data, "mnist_fsdd")


def test_a_class_that_is_smaller_than_asked_is_noted(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = draw_items("mnist", data, per_class=12, seed=0)
    assert np.bincount(items.labels).tolist() == [12, 11, *[12] * 8]
    assert "source=mnist smallest_class=11 per_class=12" in caplog.text
    caplog.clear()
    draw_items("mnist", data, per_class=11, seed=0)
    assert caplog.text == ""


def test_items_are_drawn_by_hash(data: Path) -> None:
    drawn = [draw_items("mnist", data, per_class=5, seed=s) for s in (0, 0, 1)]
    digests = [items.digest for items in drawn]
    assert digests[0] == digests[1] != digests[2]
    shown = [np.asarray(items.pictures) for items in drawn]
    np.testing.assert_array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])
    assert draw_items("mnist", data, per_class=6, seed=0).digest not in digests


def test_the_known_file_of_weights_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "a_mobilenet_v2.tflite", tmp_path / "b_mobilenet_v2.tflite"
    one.write_bytes(b"one")
    found = default_network("pictures", tmp_path)
    assert found.options["weights"] == str(one)
    assert found.options["sha256"] == sha256_of(one)
    other.write_bytes(b"other")
    with pytest.raises(ConfigError, match=r"mobilenet_v2_tf: expected one file"):
        default_network("pictures", tmp_path)
    published = MobileNetV2TensorFlow.published
    digests = {one: "0" * 64, other: published.sha256}
    monkeypatch.setattr(class_sets, "sha256_of", digests.__getitem__)
    assert default_network("pictures", tmp_path).options["weights"] == str(other)


def real(data_dir: Path) -> Path:
    folder = data_dir / "datasets"
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}")
    return folder


@pytest.mark.parametrize(
    ("source", "sizes"), [("cifar10", (32, 32)), ("mnist", (28, 28)), ("fsdd", None)]
)
def test_real_items_are_what_their_publishers_say(
    data_dir: Path, source: str, sizes: tuple[int, int] | None
) -> None:
    folder = real(data_dir)
    known, _ = find_files(source, folder)

    items = draw_items(source, folder, per_class=300, seed=0)

    assert np.bincount(items.labels).tolist() == [300] * 10
    assert items.note == known.note
    if sizes is None:
        assert items.sounds is not None
        seconds = np.array([len(sound) for sound in items.sounds]) / 16_000
        assert 0.1 < seconds.min() < seconds.max() < 2.5
        assert all(np.abs(sound).max() > 0.001 for sound in items.sounds)
        return
    assert items.pictures is not None
    assert items.pictures.shape == (3000, *sizes, 3)
    # Ships and planes are before blue; a one has less ink than a zero.
    mean = items.pictures.mean(axis=(1, 2))
    if source == "cifar10":
        blue = [(mean[items.labels == c] @ [-1, 0, 1]).mean() for c in range(10)]
        assert set(np.argsort(blue)[-2:]) == {0, 8}
    else:
        ink = [mean[items.labels == c].mean() for c in range(10)]
        assert int(np.argmin(ink)) == 1
        assert int(np.argmax(ink)) == 0


def test_real_digits_and_sounds_make_a_set(data_dir: Path, tmp_path: Path) -> None:
    real(data_dir)
    if not (data_dir / "weights").is_dir():
        pytest.skip(f"no weights in {data_dir}")
    first, again = (
        list(
            class_level_sets(
                data_dir, tmp_path, name="mnist_fsdd", n_runs=2, per_class=4
            )
        )
        for _ in range(2)
    )
    assert len(list(tmp_path.iterdir())) == 2
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one, other, strict=True):
            assert len(a) == 20
            for x, y in zip(a.features(), b.features(), strict=True):
                np.testing.assert_array_equal(x, y)
                assert x.std() > 0
    (train, test), _ = first
    assert train.first.network.startswith("mobilenet_v2_tf/1 1 frames 128 pixels")
    assert test.second.network.startswith("yamnet/1 sha256:")
    widths = [x.shape[1] for x in test.features()]
    assert widths == [16, 24, 32, 96, 1280, 64, 128, 256, 512, 1024]
