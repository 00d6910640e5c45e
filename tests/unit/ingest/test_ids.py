from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.ingest.ids import (
    ClipKey,
    clip_id,
    parse_clip_id,
    stable_hash,
    video_id_from_uri,
    youtube_id,
    youtube_url,
)


def test_a_uri_makes_the_same_short_id_everywhere() -> None:
    # As `b2sum -l 64` gives it.
    assert video_id_from_uri("file:///videos/a.mp4") == "v0b6273ed58f7eab"
    assert video_id_from_uri("file:///videos/b.mp4") != "v0b6273ed58f7eab"


@given(st.text(st.characters(codec=None), max_size=50))
def test_any_uri_makes_an_id_that_is_safe_everywhere(uri: str) -> None:
    assert re.fullmatch(r"v[0-9a-f]{15}", video_id_from_uri(uri))


def test_file_names_that_are_not_utf8_have_ids_of_their_own() -> None:
    assert video_id_from_uri("a\udce9") != video_id_from_uri("a\udcea")


def test_a_clip_id_is_the_video_and_its_range_in_milliseconds() -> None:
    assert clip_id("abc", 10.0, 20.0) == "abc_000010000_000020000"
    assert clip_id("a_b", 0.0, 0.0014) == "a_b_000000000_000000001"
    assert clip_id("abc", 9.9999, 20) == "abc_000010000_000020000"


@given(
    st.text(min_size=1, max_size=20),
    st.integers(0, 10**9 - 2),
    st.integers(1, 10**6),
)
def test_a_clip_id_says_what_it_was_made_of(
    video_id: str, start_ms: int, length_ms: int
) -> None:
    end_ms = min(start_ms + length_ms, 10**9 - 1)
    made = clip_id(video_id, start_ms / 1000, end_ms / 1000)
    assert parse_clip_id(made) == ClipKey(video_id, start_ms, end_ms)


def test_clip_ids_of_a_video_sort_by_time() -> None:
    starts = [500_000, 2.5, 10, 0, 9.999, 1000, 100, 10_000]
    ids = {start: clip_id("v", start, start + 1) for start in starts}
    assert sorted(ids.values()) == [ids[start] for start in sorted(starts)]


@pytest.mark.parametrize(
    ("video_id", "start_s", "end_s"),
    [
        ("v", -1, 2),
        ("v", 2, 2),
        ("v", 3, 2),
        ("v", 0, 0.0001),
        ("v", float("nan"), 2),
        ("v", 0, float("inf")),
        ("v", 0, 1_000_000),
        ("", 0, 1),
    ],
)
def test_no_clip_id_is_made_of_an_impossible_range(
    video_id: str, start_s: float, end_s: float
) -> None:
    with pytest.raises(ValueError, match="clip_id: expected"):
        clip_id(video_id, start_s, end_s)


@pytest.mark.parametrize(
    "text", ["", "abc", "abc_1_2", "_000000000_000000001", "a_000000002_000000001"]
)
def test_ids_of_another_making_are_not_parsed(text: str) -> None:
    with pytest.raises(ValueError, match="parse_clip_id: expected"):
        parse_clip_id(text)


def test_the_stable_hash_never_changes() -> None:
    # `printf 0:a | b2sum -l 64` gives these bytes.
    assert stable_hash(0, "a") == 0xBDE152EAF93EDEE5 >> 1
    assert stable_hash(1, "a") != stable_hash(0, "a") != stable_hash(0, "b")
    assert stable_hash(1, "1:a") != stable_hash(11, ":a")


def test_stable_hashes_are_spread_evenly_over_63_bits() -> None:
    values = np.array([stable_hash(3, f"clip{i}") for i in range(20_000)])
    assert values.min() >= 0
    counts = np.bincount((values >> 59).astype(int), minlength=16)
    # Mean 1250, standard deviation 34: five of these on either side.
    assert np.abs(counts - 1250).max() < 170
    assert len(np.unique(values)) == 20_000


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/watch?list=x&v=dQw4w9WgXcQ&t=5",
        "http://www.youtube.com/?v=dQw4w9WgXcQ",
        "HTTPS://M.YouTube.com/watch?v=dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?t=5",
        "https://www.youtube.com/embed/dQw4w9WgXcQ",
        "https://www.youtube.com/shorts/dQw4w9WgXcQ",
        youtube_url("dQw4w9WgXcQ"),
    ],
)
def test_the_id_of_a_youtube_video_is_found_in_its_urls(url: str) -> None:
    assert youtube_id(url) == "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dQw4w9WgXcQ",
        "file:///watch?v=dQw4w9WgXcQ",
        "https://example.org/watch?v=dQw4w9WgXcQ",
        "https://youtube.com.example.org/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=short",
        "https://www.youtube.com/watch?v=" + "&a=1" * 100,
        "https://[::1",
        "https://youtu.be/",
    ],
)
def test_other_addresses_are_of_no_youtube_video(url: str) -> None:
    assert youtube_id(url) is None
