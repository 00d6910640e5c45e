"""Layouts of metadata are told by what is in it."""

from __future__ import annotations

import datetime as dt

import pytest

from acav_spark.errors import ConfigError
from acav_spark.ingest.layouts import (
    layout_of_columns,
    layout_of_record,
    parse_moment,
    region_of_file,
)

SNIPPET = {"snippet": {"title": "T"}, "id": "x"}


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (SNIPPET, "youtube_api"),
        ({"kind": "youtube#video", "id": "x"}, "youtube_api"),
        ({"items": [SNIPPET]}, "youtube_api"),
        ({"kind": "youtube#videoListResponse", "items": []}, "youtube_api"),
        ({"id": "x", "webpage_url": "y", "title": "T"}, "yt_dlp"),
        ({"id": "x", "extractor_key": "Youtube", "entries": []}, "yt_dlp"),
        ({"vid_id": "x", "title": "T", "items": "some"}, "json"),
        ({"video_id": "x", "trending_date": "18.01.11"}, "youtube_trending"),
    ],
)
def test_a_layout_is_told_by_a_record(record: dict[str, object], name: str) -> None:
    assert layout_of_record(record, {}).name == name


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"title": "T"}, "expected a column for uri or video_id, got none among title"),
        (
            {"kind": "youtube#videoCategoryListResponse", "items": []},
            "got youtube#videoCategoryListResponse, which holds no videos",
        ),
        (
            {"kind": "youtube#x", "items": [{"kind": "youtube#videoCategory"}]},
            "got youtube#videoCategory, which",
        ),
        ({"kind": "youtube#channel", "id": "x"}, "got youtube#channel"),
    ],
)
def test_records_of_no_video_are_refused(record: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        layout_of_record(record, {})


def test_paths_that_are_named_replace_those_of_a_layout() -> None:
    layout = layout_of_record(SNIPPET, {"title": "snippet.localized.title"})
    fields = dict(layout.fields)
    assert fields["title"] == ("snippet.localized.title",)
    assert fields["description"] == ("snippet.description",)


def test_a_path_into_a_column_may_be_named() -> None:
    layout = layout_of_columns(
        ["clip", "title"], {"uri": "clip.where", "tags": "clip.tags[0]"}, name="json"
    )
    assert dict(layout.fields) == {
        "uri": ("clip.where",),
        "title": ("title",),
        "tags": ("clip.tags[0]",),
    }
    with pytest.raises(ConfigError, match=r"got 'clp.where'"):
        layout_of_columns(["clip"], {"uri": "clp.where"}, name="json")


def test_the_time_of_fetching_is_found_by_name() -> None:
    columns = ["id", "Fetched_At", "published_at", "trending_date"]
    layout = layout_of_columns(columns, {}, name="csv")
    assert layout.fetched == ("Fetched_At", "trending_date")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)),
        ("1700000000000", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=dt.UTC)),
        ("18.31.01", dt.datetime(2018, 1, 31, tzinfo=dt.UTC)),
        ("2018-01-31", dt.datetime(2018, 1, 31, tzinfo=dt.UTC)),
        (" 2018-01-31T10:00:00Z ", dt.datetime(2018, 1, 31, 10, tzinfo=dt.UTC)),
        ("2018-01-31 10:00:00+02:00", dt.datetime(2018, 1, 31, 8, tzinfo=dt.UTC)),
        ("18.01.31", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        ("1" * 100, None),
    ],
)
def test_moments_are_read_in_the_forms_that_lists_have(
    text: str | None, expected: dt.datetime | None
) -> None:
    found = parse_moment(text)
    assert found == (None if expected is None else expected.timestamp())


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("BR_videos.csv", "BR"),
        ("USvideos.csv", "US"),
        ("GB_youtube_trending_data.csv.gz", "GB"),
        ("my_videos.csv", None),
        ("videos.csv", None),
    ],
)
def test_the_region_is_in_the_name_of_the_file(name: str, region: str | None) -> None:
    assert region_of_file(name) == region
