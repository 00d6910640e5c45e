"""Files of arrays: whole, or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.evaluate.array_files import read_arrays, write_arrays

if TYPE_CHECKING:
    from pathlib import Path


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {
        "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
        "words": np.array(["", "ä"], dtype=np.str_),
        "none": np.zeros((0, 4), dtype=np.float64),
    }
    write_arrays(tmp_path / "new" / "a.npz", arrays)
    found = read_arrays(tmp_path / "new" / "a.npz")
    assert found is not None
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.arange(3)})

    class Broken:
        def __array__(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_arrays(path, {"y": np.arange(9), "x": Broken()})  # type: ignore[dict-item]

    found = read_arrays(path)
    assert found is not None
    assert list(found) == ["x"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(path, {"x": objects})
    assert read_arrays(path) is None
    np.savez(path, x=objects)
    assert read_arrays(path) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_a_broken_file_is_told_and_reads_as_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert read_arrays(tmp_path / "a.npz") is None
    assert "made anew" in caplog.text
