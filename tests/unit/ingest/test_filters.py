from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from acav_spark.ingest.categories import category_names
from acav_spark.ingest.filters import REASONS, KeywordMatcher, reject_reason
from acav_spark.ingest.metadata import VideoRow

VIDEO = VideoRow(
    video_id="a",
    uri="https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    title="A dog barks",
    description="In the garden",
    channel_id=None,
    category="15",
    tags=["dog", "big garden"],
    licence=None,
    duration_s=100.0,
    language=None,
)


def reason(
    video: VideoRow, categories: tuple[str, ...] = (), *words: str
) -> str | None:
    return reject_reason(
        video,
        min_duration_s=30,
        max_duration_s=600,
        excluded_categories=categories,
        keyword_matcher=KeywordMatcher(words),
    )


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (0.0, "too_short"),
        (29.999, "too_short"),
        (30.0, None),
        (600.0, None),
        (600.001, "too_long"),
        (None, None),
    ],
)
def test_durations_at_the_bounds_are_accepted(
    duration_s: float | None, expected: str | None
) -> None:
    assert reason(replace(VIDEO, duration_s=duration_s)) == expected


def test_an_unknown_duration_is_rejected_only_where_one_is_required() -> None:
    video = replace(VIDEO, duration_s=None)
    strict = reject_reason(
        video, min_duration_s=30, max_duration_s=600, is_duration_required=True
    )
    assert strict == "no_duration"
    assert reason(video) is None


@pytest.mark.parametrize("excluded", ["15", "Pets & Animals", " pets & ANIMALS "])
def test_a_category_is_excluded_by_name_or_id(excluded: str) -> None:
    assert reason(VIDEO, (excluded,)) == "excluded_category"
    named = replace(VIDEO, category="Pets & Animals")
    assert reason(named, (excluded,)) == "excluded_category"


def test_other_categories_and_none_at_all_pass() -> None:
    assert reason(VIDEO, ("Gaming", "1", "5")) is None
    assert reason(replace(VIDEO, category=None), ("Gaming",)) is None


def test_ids_mean_names_of_youtube_only_for_its_videos() -> None:
    elsewhere = replace(VIDEO, uri="file:///a.mp4")
    assert reason(elsewhere, ("Pets & Animals",)) is None
    assert reason(elsewhere, ("15",)) == "excluded_category"


def test_a_name_that_two_ids_share_goes_by_both() -> None:
    assert category_names("Comedy", VIDEO.uri) == {"comedy", "23", "34"}


@pytest.mark.parametrize("word", ["barks", "the garden", "big garden", "DOG"])
def test_title_description_and_tags_are_searched(word: str) -> None:
    assert reason(VIDEO, (), word) == "excluded_keyword"


@pytest.mark.parametrize("word", ["bark", "dog barks in", "garden dog", "channel"])
def test_words_that_are_not_there_do_not_reject(word: str) -> None:
    assert reason(VIDEO, (), word) is None


def test_the_first_reason_in_the_order_of_the_list_is_given() -> None:
    video = replace(VIDEO, duration_s=1.0)
    assert reason(video, ("15",), "dog") == "too_short"
    assert reason(VIDEO, ("15",), "dog") == "excluded_category"


def test_fields_may_come_as_a_mapping_with_gaps() -> None:
    judge = partial(
        reject_reason,
        min_duration_s=30,
        max_duration_s=600,
        keyword_matcher=KeywordMatcher(["dog"]),
    )
    assert judge({"duration_s": 5.0}) == "too_short"
    assert judge({}) is None
    assert judge({"tags": ["dog"], "title": None, "width": 3}) == "excluded_keyword"


def test_every_reason_has_a_meaning() -> None:
    assert all(text.endswith(".") for text in REASONS.values())
    assert {"too_short", "too_long", "excluded_category", "excluded_keyword"} < set(
        REASONS
    )
