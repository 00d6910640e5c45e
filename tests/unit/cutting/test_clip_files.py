from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.cutting.files import (
    clip_file_name,
    delete_clip_file,
    require_writable,
    shard_of,
    write_clip_file,
)
from acav_spark.errors import ConfigError
from acav_spark.media.uri import path_from_uri

_ID = "dQw4w9WgXcQ_000010000_000020000"


def test_a_usual_id_is_the_name_of_its_file() -> None:
    assert clip_file_name(_ID) == f"{_ID}.mp4"
    assert clip_file_name("a/b ~é_1") == "a~2fb~20~7e~c3~a9_1.mp4"


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_names_can_be_written_and_tell_ids_apart(one: str, other: str) -> None:
    name = clip_file_name(one)
    assert set(name) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~"
    )
    assert len(name) <= 204
    assert name == Path(name).name
    assert (name == clip_file_name(other)) == (one == other)


def test_long_ids_that_differ_at_the_end_have_unlike_names() -> None:
    one, other = (clip_file_name("x" * 500 + end) for end in "ab")
    assert one != other
    assert len(one) == len(other) == 204


def test_a_file_is_written_over_and_deleted_by_its_uri(tmp_path: Path) -> None:
    root = tmp_path / "with space %41"
    for content in (b"first", b"second"):
        file = io.BytesIO(content)
        file.read()  # it is read from its start all the same
        uri = write_clip_file(str(root), _ID, file)
        place = root / shard_of(_ID) / f"{_ID}.mp4"
        assert path_from_uri(uri) == place
        assert place.read_bytes() == content
    assert [path.name for path in root.rglob("*.*")] == [f"{_ID}.mp4"]
    for _ in range(2):  # also where it is gone already
        delete_clip_file(uri)
        assert not place.exists()


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(min(size or 0, 3))

    uri = write_clip_file(str(tmp_path), _ID, io.BytesIO(b"whole"))
    with pytest.raises(OSError, match="Input/output"):
        write_clip_file(str(tmp_path), _ID, Broken(b"broken"))
    assert path_from_uri(uri).read_bytes() == b"whole"


def test_places_that_cannot_be_written_are_refused_before_the_job(
    tmp_path: Path,
) -> None:
    require_writable(str(tmp_path / "new"), ["file"])
    assert (tmp_path / "new").is_dir()
    (tmp_path / "a file").touch()
    for root in (str(tmp_path / "a file" / "below"), "nonsense://place"):
        with pytest.raises(ConfigError, match="a folder that can be written"):
            require_writable(root, ["file", "nonsense"])
