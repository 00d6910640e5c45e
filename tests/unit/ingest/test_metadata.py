from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from acav_spark.errors import ConfigError, MediaError
from acav_spark.ingest.categories import YOUTUBE_CATEGORIES
from acav_spark.ingest.ids import video_id_from_uri
from acav_spark.ingest.metadata import VideoRow, known_columns, normalise_row

if TYPE_CHECKING:
    from pathlib import Path

WATCH = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def code(row: dict[str, Any]) -> str:
    with pytest.raises(MediaError) as caught:
        normalise_row(row, {})
    assert caught.value.is_permanent
    return caught.value.code


def test_a_row_takes_our_shape_whatever_its_columns_are_called() -> None:
    row = {
        "id": "dQw4w9WgXcQ",
        "webpage_url": f" {WATCH} ",
        "Title": " A title ",
        "description": "",
        "channelId": "UC1",
        "categoryId": 10,
        "tags": "a|b c|",
        "license": "youtube",
        "Length": "PT3M20S",
        "defaultAudioLanguage": "en",
        "view_count": 5,
    }
    assert normalise_row(row, {}) == VideoRow(
        video_id="dQw4w9WgXcQ",
        uri=WATCH,
        title="A title",
        description=None,
        channel_id="UC1",
        category="10",
        tags=["a", "b c"],
        licence="youtube",
        duration_s=200.0,
        language="en",
    )


def test_named_columns_win_and_serve_one_field_only() -> None:
    row = {"url": "https://a.org/x", "path": "/v/x.mp4", "title": "T", "name": "N"}
    assert normalise_row(row, {"uri": "path"}).uri == "/v/x.mp4"
    assert normalise_row(row, {"title": "name"}).title == "N"
    assert normalise_row(row, {"description": "title"}).title is None
    assert normalise_row(row, {"title": "absent"}).title is None


def test_a_youtube_id_without_a_url_becomes_its_url() -> None:
    video = normalise_row({"video_id": "dQw4w9WgXcQ"}, {})
    assert (video.video_id, video.uri) == ("dQw4w9WgXcQ", WATCH)


def test_a_video_without_an_id_gets_youtubes_or_one_made_of_its_uri() -> None:
    assert normalise_row({"url": "https://youtu.be/dQw4w9WgXcQ"}, {}).video_id == (
        "dQw4w9WgXcQ"
    )
    uri = "file:///v/na%20me%0A.mp4"
    assert normalise_row({"uri": uri}, {}).video_id == video_id_from_uri(uri)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"title": "x"},
        {"uri": "  ", "id": None},
        {"uri": float("nan"), "id": 17},
        {"id": "too-short"},
    ],
)
def test_a_row_that_does_not_say_where_its_video_is_is_one_failure(
    row: dict[str, Any],
) -> None:
    assert code(row) == "missing_uri"


@pytest.mark.parametrize(
    "row",
    [
        {"uri": "a\nb"},
        {"uri": "a\0b"},
        {"uri": "a\udce9"},
        {"uri": {"x": 1}},
        {"uri": True},
        {"uri": b"/a.mp4"},
        {"uri": "/" + "a" * 9000},
        {"uri": "/a", "id": "x" * 201},
        {"uri": "/a", "title": ["x"]},
        {"uri": "/a", "description": "x" * 100_001},
        {"uri": "/a", "tags": {"x": 1}},
        {"uri": "/a", "tags": ["x"] * 10_001},
        {"uri": "/a", "tags": [["x"]]},
    ],
)
def test_a_value_that_cannot_be_used_is_one_failure(row: dict[str, Any]) -> None:
    assert code(row) == "bad_row"


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, []),
        ("", []),
        ("[none]", []),
        ("[None]", []),
        ("[]", []),
        ("one", ["one"]),
        ("one|two", ["one", "two"]),
        ('"one"|"two words"', ["one", "two words"]),
        ("one, two", ["one", "two"]),
        ("a, b|c", ["a, b", "c"]),
        ('["a", "b\\u00e9"]', ["a", "bé"]),
        ("['a b', \"it's\", 'say \\'hi\\'']", ["a b", "it's", "say 'hi'"]),
        ("[" * 5000 + "]", []),
        (["a", None, " ", 5], ["a", "5"]),
        (("a",), ["a"]),
        (np.array(["a", "b"]), ["a", "b"]),
    ],
)
def test_tags_are_read_in_every_form_that_lists_have(
    value: object, tags: list[str]
) -> None:
    assert normalise_row({"uri": "/a", "tags": value}, {}).tags == tags


@pytest.mark.parametrize(
    ("value", "category"),
    [(10, "10"), (10.0, "10"), ("Music", "Music"), (["A", "B"], "A"), ([], None)],
)
def test_a_category_is_one_text(value: object, category: str | None) -> None:
    assert normalise_row({"uri": "/a", "categories": value}, {}).category == category


def test_half_an_emoji_does_not_cost_the_row() -> None:
    assert normalise_row({"uri": "/a", "title": "x\ud83d"}, {}).title == "x\ufffd"


def test_a_duration_in_no_known_form_is_missing() -> None:
    assert normalise_row({"uri": "/a", "duration": "long"}, {}).duration_s is None


def test_known_columns_say_which_column_fills_each_field() -> None:
    columns = ["vid_id", "url", "author", "length_seconds", "rating"]
    assert known_columns(columns, {"channel_id": "author"}) == {
        "video_id": "vid_id",
        "uri": "url",
        "channel_id": "author",
        "duration_s": "length_seconds",
    }


def test_the_result_of_known_columns_is_a_mapping_for_rows() -> None:
    columns = known_columns(["id", "url"], {})
    assert normalise_row({"id": "x", "url": "/a", "path": "/b"}, columns).uri == "/a"


@pytest.mark.parametrize(
    ("columns", "mapping", "words"),
    [
        (
            ["url"],
            {"titel": "url"},
            r"expected keys from video_id, uri, .* got 'titel'",
        ),
        (
            ["link", "b"],
            {"uri": "lnk"},
            r"columns link, b, got 'lnk'. Did you mean 'link'",
        ),
        (["title"], {}, r"expected a column for uri or video_id, got none among title"),
    ],
)
def test_columns_that_do_not_fit_are_a_configuration_error(
    columns: list[str], mapping: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        known_columns(columns, mapping)


def test_every_row_of_the_real_trending_lists_is_usable(data_dir: Path) -> None:
    files = sorted((data_dir / "metadata" / "yt_trending_2018").glob("*.csv"))
    assert len(files) == 11
    n_tags = 0
    for path in files:
        rows = csv_rows(path)
        columns = known_columns(list(rows[0]), {})
        assert columns["channel_id"] == "channelId"
        assert columns["category"] == "categoryId"
        for row in rows:
            video = normalise_row(row, columns)
            assert video.uri == f"https://www.youtube.com/watch?v={video.video_id}"
            assert video.category in YOUTUBE_CATEGORIES
            assert video.tags or row["tags"] in ("", "[none]")
            n_tags += len(video.tags)
    assert n_tags > 20_000


def test_every_row_of_the_real_list_of_2006_is_usable(data_dir: Path) -> None:
    path = data_dir / "metadata" / "yt2006_videos_sample_1000.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    videos = [normalise_row(row, {"channel_id": "author"}) for row in rows]
    assert len({video.video_id for video in videos}) == 1000
    assert [v.duration_s for v in videos] == [float(r["length_seconds"]) for r in rows]
    assert videos[0].video_id == "g7uoZT-KFK4"
    assert videos[0].channel_id == "d6politics"


def test_every_row_of_the_real_channel_list_is_usable(data_dir: Path) -> None:
    path = data_dir / "metadata" / "yt_coldones_128_title_desc_category_length.csv"
    videos = [normalise_row(row, {}) for row in csv_rows(path)]
    assert len(videos) == 128
    assert videos[0].duration_s == 12 * 60 + 7
    assert all(video.duration_s is not None for video in videos)
    assert {video.category for video in videos} == {"23"}
    assert {video.licence for video in videos} == {"youtube"}
    assert videos[0].tags[:2] == ["as seen on tv products", "as seen on tv commercials"]


def test_our_names_of_categories_are_youtubes(data_dir: Path) -> None:
    path = data_dir / "metadata" / "US_category_id.json"
    items = json.loads(path.read_text(encoding="utf-8"))["items"]
    assert {i["id"]: i["snippet"]["title"] for i in items} == YOUTUBE_CATEGORIES
