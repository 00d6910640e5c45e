from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from acav_spark.errors import StageError
from acav_spark.media import ListedFile, list_media, path_from_uri, uri_from_path


def _names(root: Path, listed: list[ListedFile]) -> list[str]:
    return [str(path_from_uri(entry.uri).relative_to(root)) for entry in listed]


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def test_a_folder_gives_all_files_below_it_sorted_by_path(tmp_path: Path) -> None:
    names = ["b.mp4", "a/z.mp4", "a.mp4", "a/b/c.webm", ".hidden", "A.mp4", "a-b/x"]
    _touch(*(tmp_path / name for name in names))

    listed = list(list_media(tmp_path))

    assert _names(tmp_path, listed) == sorted(names, key=os.fsencode)
    assert all(entry.size_bytes == 5 and entry.problem is None for entry in listed)


def test_the_folder_may_be_given_as_a_uri(tmp_path: Path) -> None:
    folder = tmp_path / "my videos"
    _touch(folder / "a.mp4")
    assert list(list_media(uri_from_path(folder))) == list(list_media(folder))
    assert len(list(list_media(uri_from_path(folder)))) == 1


def test_a_relative_folder_counts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path / "in" / "a.mp4")
    monkeypatch.chdir(tmp_path)
    assert _names(tmp_path, list(list_media("in"))) == ["in/a.mp4"]


def test_names_of_any_bytes_are_listed(tmp_path: Path) -> None:
    names = [b"a b", b"'\"", b"new\nline", b"\xff\xfe", "ü".encode(), b"-rf", b"%41"]
    for name in names:
        _touch(tmp_path / os.fsdecode(name))

    listed = list(list_media(tmp_path))

    found = [os.fsencode(path_from_uri(entry.uri).name) for entry in listed]
    assert found == sorted(names)


def test_symbolic_links_are_files_inside_and_problems_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _touch(root / "real.mp4", tmp_path / "secret.mp4", root / "sub" / "x.mp4")
    (root / "inside").symlink_to("real.mp4")
    (root / "outside").symlink_to(tmp_path / "secret.mp4")
    (root / "chain").symlink_to("outside")
    (root / "dangling").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    (root / "folder").symlink_to("sub")
    (root / "up").symlink_to("..")

    problems = {
        path_from_uri(entry.uri).name: entry.problem for entry in list_media(root)
    }

    assert problems == {
        "real.mp4": None,
        "x.mp4": None,
        "inside": None,
        "outside": "outside_input",
        "chain": "outside_input",
        "dangling": "not_found",
        "loop": "not_found",
        "folder": "directory_link",
        "up": "outside_input",
    }


def test_a_root_behind_a_symbolic_link_is_inside_itself(tmp_path: Path) -> None:
    _touch(tmp_path / "real" / "a.mp4")
    (tmp_path / "real" / "link.mp4").symlink_to("a.mp4")
    (tmp_path / "root").symlink_to("real")

    listed = list(list_media(tmp_path / "root"))

    assert [entry.problem for entry in listed] == [None, None]


def test_pipes_sockets_and_devices_are_not_regular_files() -> None:
    with tempfile.TemporaryDirectory() as folder:  # short enough for a socket's name
        os.mkfifo(Path(folder) / "pipe.mp4")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(Path(folder) / "socket"))
            problems = [entry.problem for entry in list_media(folder)]
    assert problems == ["not_a_regular_file", "not_a_regular_file"]
    assert [entry.problem for entry in list_media(os.devnull)] == ["not_a_regular_file"]


def test_a_file_gives_itself(tmp_path: Path) -> None:
    _touch(tmp_path / "a.mp4", tmp_path / "b.mp4")
    listed = list(list_media(tmp_path / "a.mp4"))
    assert listed == [ListedFile(uri_from_path(tmp_path / "a.mp4"), 5)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.mp4", ["a.mp4"]),
        ("**/*.mp4", ["a.mp4", "x/b.mp4", "x/y/c.mp4"]),
        ("x/*", ["x/b.mp4", "x/d.webm"]),
        ("x/**", ["x/b.mp4", "x/d.webm", "x/y/c.mp4"]),
        ("*/[bc].mp4", ["x/b.mp4"]),
        ("**/[!b].mp4", ["a.mp4", "x/y/c.mp4"]),
        ("x/?.webm", ["x/d.webm"]),
        ("**/y/*", ["x/y/c.mp4"]),
        ("[", []),
        ("*.MP4", []),
    ],
)
def test_patterns_match_paths_below_their_folder(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    _touch(*(tmp_path / n for n in ("a.mp4", "x/b.mp4", "x/d.webm", "x/y/c.mp4")))
    assert _names(tmp_path, list(list_media(tmp_path / pattern))) == expected


def test_what_exists_by_its_literal_name_is_no_pattern(tmp_path: Path) -> None:
    _touch(tmp_path / "clips [2024]" / "a.mp4", tmp_path / "clips 2" / "b.mp4")
    listed = list(list_media(tmp_path / "clips [2024]"))
    assert _names(tmp_path, listed) == ["clips [2024]/a.mp4"]


@pytest.mark.parametrize("name", ["missing", "missing/*.mp4", "missing/deep/**"])
def test_a_missing_root_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(StageError, match="missing"):
        list_media(tmp_path / name)


def test_a_remote_location_is_an_error_that_names_its_scheme() -> None:
    with pytest.raises(StageError, match="s3://bucket/videos"):
        list_media("s3://bucket/videos")


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert list(list_media(tmp_path)) == []


def test_a_folder_that_may_not_be_read_is_listed_with_its_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path / "locked" / "a.mp4", tmp_path / "z.mp4")
    real_scandir = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real_scandir(path)

    # Root may read everything, so the refusal is made here.
    monkeypatch.setattr(os, "scandir", scandir)
    for location in (tmp_path, tmp_path / "**" / "*.mp4"):
        listed = list(list_media(location))
        assert _names(tmp_path, listed) == ["locked", "z.mp4"]
        assert listed[0].problem == "permission_denied"
