"""Items, names of files and lines of archives."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.download.findings import (
    default_selector,
    require_one_format,
    require_search,
)
from acav_spark.download.inputs import find_input, read_lines
from acav_spark.download.items import (
    Item,
    archive_line,
    file_stem,
    is_media_uri,
    item_from_row,
    item_from_text,
    items_from_lines,
    safe_ending,
)
from acav_spark.errors import ConfigError
from acav_spark.ingest.ids import video_id_from_uri

if TYPE_CHECKING:
    from pathlib import Path


def test_a_list_gives_an_item_a_line() -> None:
    lines = [
        "# mine",
        "",
        " dQw4w9WgXcQ ",
        "https://youtu.be/-BAKe6QGTUk",
        "http://h/a",
    ]
    found = [(item.video_id, item.uri) for item in items_from_lines(lines)]
    assert found == [
        ("dQw4w9WgXcQ", "https://www.youtube.com/watch?v=dQw4w9WgXcQ"),
        ("-BAKe6QGTUk", "https://youtu.be/-BAKe6QGTUk"),
        (video_id_from_uri("http://h/a"), "http://h/a"),
    ]


def test_a_row_without_an_address_is_an_item_with_its_error() -> None:
    item = item_from_row({"video_id": "mine", "uri": None})
    assert item.error is not None
    assert item.error.code == "missing_uri"


@pytest.mark.parametrize(
    ("uri", "is_media"),
    [
        ("https://h/a.mp4", True),
        ("https://h/a.WEBM?x=1.html", True),
        ("https://h/a%2Emkv", True),
        ("https://h/watch?v=a.mp4", False),
        ("https://h/a.html", False),
        ("https://[h/a.mp4", False),
    ],
)
def test_media_is_told_by_the_name_in_the_path(uri: str, is_media: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_media_uri(uri) is is_media


@given(st.text(min_size=1))
def test_names_stay_inside_the_folder(video_id: str) -> None:
    shard, slash, name = file_stem(video_id).partition("/")
    assert slash == "/"
    assert len(shard) == 2
    assert name.replace("_", "a").replace("-", "a").isalnum()
    assert name.isascii()


def test_plain_ids_keep_their_names() -> None:
    assert file_stem("dQw4w9WgXcQ").endswith("/dQw4w9WgXcQ")
    assert ".." not in file_stem("../../x")


def test_endings_are_plain() -> None:
    assert safe_ending("", "WebM") == "webm"
    assert safe_ending("a/../b", "unknown_video", "") == "mp4"


def test_archive_lines_are_those_of_yt_dlp() -> None:
    tube = item_from_text("dQw4w9WgXcQ")
    other = Item("v1", "https://vimeo.com/1")
    assert archive_line(tube, {}) == "youtube dQw4w9WgXcQ"
    assert archive_line(other, {"extractor_key": "Vimeo", "id": 1}) == "vimeo 1"
    # Ids of the generic extractor are names of files, of which there are many alike.
    assert archive_line(other, {"extractor_key": "Generic", "id": "a"}) == "acav v1"
    assert archive_line(other, {}) == "acav v1"


@pytest.mark.parametrize("selector", ["bv+ba", "b,w", "bv*+ba/b", "(b+w)"])
def test_formats_that_need_a_merge_are_refused(selector: str) -> None:
    with pytest.raises(ConfigError, match="a selector of one file"):
        require_one_format(selector)


def test_filters_of_a_selector_may_hold_any_sign() -> None:
    assert require_one_format("b[format_id!='a+b,c']") == "b[format_id!='a+b,c']"
    assert require_one_format(default_selector(360)) == default_selector(360)


@pytest.mark.parametrize("prefix", ["https://h/", "ytsearch:", "--exec", "yt", ""])
def test_what_is_no_search_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="--search"):
        require_search(prefix)


def test_lists_are_read_without_spark(tmp_path: Path) -> None:
    path = tmp_path / "list.txt.gz"
    path.write_bytes(gzip.compress("\ufeffhttps://h/a.mp4\n\n# no\n".encode()))
    found = find_input(str(path), "auto", {})
    assert [item.uri for item in found.items or []] == ["https://h/a.mp4"]
    assert list(read_lines(str(path))) == ["https://h/a.mp4", "# no"]


def test_an_address_is_an_input_of_its_own() -> None:
    for text in ("https://h/a", "dQw4w9WgXcQ"):
        (item,) = find_input(text, "auto", {}).items or []
        assert item == item_from_text(text)


def test_warehouses_and_metadata_are_left_to_spark(tmp_path: Path) -> None:
    (tmp_path / "w" / "videos" / "_delta_log").mkdir(parents=True)
    for place in ("w", "w/videos", "w/videos/"):
        found = find_input(str(tmp_path / place), "auto", {})
        assert found.videos == str(tmp_path / "w" / "videos")
    listed = tmp_path / "a.jsonl"
    listed.write_text('{"video_id": "a", "url": "https://h/a.mp4"}\n')
    (source,) = find_input(str(listed), "auto", {}).sources
    assert source.format == "json"


def test_media_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0")
    with pytest.raises(ConfigError, match="file or folder of media"):
        find_input(str(tmp_path), "auto", {})
