"""What the cache keeps, and what it does not take."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.errors import ConfigError
from acav_spark.evaluate.feature_cache import FeatureCache

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

KEY = {"items": "abc", "extractor": "net/1"}


class Counted:
    """Features, and how often they were computed."""

    def __init__(self, *layers: NDArray[np.float32]) -> None:
        self.layers = layers
        self.n_calls = 0

    def __call__(self) -> tuple[NDArray[np.float32], ...]:
        self.n_calls += 1
        return self.layers


@pytest.fixture
def counted(rng: np.random.Generator) -> Counted:
    sizes = [(4, n) for n in (2, 3, 1, 2, 2, 1, 1, 1, 1, 5, 2)]  # more than ten layers
    return Counted(*(rng.normal(size=size).astype(np.float32) for size in sizes))


def test_what_was_computed_is_read_the_next_time(
    tmp_path: Path, counted: Counted
) -> None:
    cache = FeatureCache(tmp_path / "new" / "folder")
    assert not cache.has("pool", KEY)

    first = cache.layers("pool", KEY, counted)
    again = FeatureCache(tmp_path / "new" / "folder").layers("pool", KEY, counted)

    assert counted.n_calls == 1
    assert cache.has("pool", KEY)
    for a, b, c in zip(first, again, counted.layers, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, c)
        assert b.dtype == np.float32
    assert [p.name for p in cache.path("pool", KEY).parent.iterdir()] == [
        cache.path("pool", KEY).name
    ]


@pytest.mark.parametrize("field", sorted(KEY))
def test_whatever_changes_the_key_is_computed_anew(
    tmp_path: Path, counted: Counted, field: str
) -> None:
    cache = FeatureCache(tmp_path)
    cache.layers("pool", KEY, counted)
    cache.layers("pool", KEY | {field: "another"}, counted)
    cache.layers("other", KEY, counted)
    assert counted.n_calls == 3


def test_what_fails_leaves_nothing(tmp_path: Path, counted: Counted) -> None:
    def fail() -> tuple[NDArray[np.float32], ...]:
        msg = "power cut"
        raise RuntimeError(msg)

    cache = FeatureCache(tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        cache.layers("pool", KEY, fail)
    assert list(tmp_path.iterdir()) == []
    cache.layers("pool", KEY, counted)
    assert counted.n_calls == 1


def test_a_file_that_is_cut_off_while_it_is_written_leaves_nothing(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: IO[bytes], **_: object) -> None:
        file.write(b"half of it")
        msg = "no space left"
        raise OSError(msg)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        FeatureCache(tmp_path).layers("pool", KEY, counted)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_no_features(tmp_path: Path, counted: Counted) -> None:
    cache = FeatureCache(tmp_path)
    cache.layers("pool", KEY, counted)
    path = cache.path("pool", KEY)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x80\x04."):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"{path.name}.*Delete the file"):
            cache.layers("pool", KEY, counted)


def test_a_file_of_another_key_or_kind_is_refused(
    tmp_path: Path, counted: Counted
) -> None:
    cache = FeatureCache(tmp_path)
    cache.layers("pool", KEY, counted)
    other = KEY | {"items": "def"}
    cache.path("pool", KEY).rename(cache.path("pool", other))
    with pytest.raises(ConfigError, match=r"features of .*def.* got those of .*abc"):
        cache.layers("pool", other, counted)
    np.savez(
        cache.path("pool", KEY),
        key=np.array('{"extractor": "net/1", "items": "abc"}'),
        layer_1=np.zeros((2, 2)),
    )
    with pytest.raises(ConfigError, match="Delete the file"):
        cache.layers("pool", KEY, counted)


def test_objects_are_not_loaded(tmp_path: Path, counted: Counted) -> None:
    cache = FeatureCache(tmp_path)
    np.savez(
        cache.path("pool", KEY),
        key=np.array('{"extractor": "net/1", "items": "abc"}'),
        layer_1=np.array([{"a": 1}], dtype=object),
    )
    with pytest.raises(ConfigError, match="allow_pickle"):
        cache.layers("pool", KEY, counted)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_computed(
    tmp_path: Path, counted: Counted
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="cache: expected a folder that can be"):
        FeatureCache(tmp_path / "file").layers("pool", KEY, counted)
    assert counted.n_calls == 0
