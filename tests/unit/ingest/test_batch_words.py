from __future__ import annotations

import csv
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acav_spark.ingest.batch_words import (
    _KINDS,
    NOT_FOUND,
    BatchMatcher,
    _folded,
)
from acav_spark.ingest.filters import ExcludedWords
from acav_spark.ingest.kernels import scanning
from acav_spark.ingest.topics import packaged_topics, read_topic
from acav_spark.ingest.words import KeywordMatcher, character_kind

if TYPE_CHECKING:
    from pathlib import Path

KEYWORDS = [
    "b c a",
    "a b",
    "b",
    "don't",
    "straße",
    "ゲーム",
    "实况",
    "\uff57",
    "é",
    "हिन्दी",
    "ดี",
    "가",
    "a" * 40,
]
MATCHER = KeywordMatcher(KEYWORDS)
BATCH = BatchMatcher(MATCHER)
# Letters that keywords begin and end with, and whatever changes its neighbours.
CHARACTERS = st.one_of(
    st.sampled_from(
        "abcBÉe \u02bc\u2019'\xb4don'tstraßeSß゛"
        "ゲーム实况游\uff57 wé가각나ㄱㅏㅋㅠ각हिन्दीดีa"
    ),
    st.sampled_from(
        "\u0301\u0308\u0323\u0345\u00ad\u200d\ufeff\u3099\u094d\u093c\u1161\u11a8"
        "\u0e38\u0e48\u0bbe\u0bc6\u00bd\u2122\u0130\u0149\u1e9e\ufb01\u3300\U0001f600"
        "\U00020bb7\U000e0067\x00\x1f"
    ),
    st.characters(exclude_categories=["Cs"]),
)
TEXTS = st.lists(CHARACTERS, max_size=12).map("".join)


def places(matcher: BatchMatcher, *columns: pa.Array) -> list[int]:
    wanted = np.ones(len(columns[0]), np.bool_)
    return [int(place) for place in matcher.find(columns, wanted)]


def place_by_row(matcher: KeywordMatcher, *texts: str | None) -> int:
    place = matcher.find_index(texts)
    return NOT_FOUND if place is None else place


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.lists(TEXTS, min_size=1, max_size=20))
@example(["e\u0301", "é", "e\u00ad\u0301", "e\u0323\u0301", "\u0301b"])
@example(["ㄱㅏ", "\u1100\u1161", "가\u11a8", "가", "ㅋㅠㅠ가"])
@example(["STRASSE strassen", "don\u2019t", "don''t", "'don't'", "don't'b"])
def test_columns_are_searched_as_single_texts_are(texts: list[str]) -> None:
    expected = [place_by_row(MATCHER, text) for text in texts]
    assert places(BATCH, pa.array(texts)) == expected


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=12),
)
@example([["c"], ["b", "c", "a"]], ["b", "c", "a"])
@example([["b", "c"], ["b"]], ["b", "c"])
def test_the_phrase_that_begins_first_is_found_of_those_the_first_given(
    phrases: list[list[str]], words: list[str]
) -> None:
    matcher = KeywordMatcher(" ".join(phrase) for phrase in phrases)
    text = " ".join(words)
    found = [
        (start, index)
        for start in range(len(words))
        for index, phrase in enumerate(phrases)
        if words[start : start + len(phrase)] == phrase
    ]
    expected = min(found)[1] if found else NOT_FOUND
    assert place_by_row(matcher, text) == expected
    assert places(BatchMatcher(matcher), pa.array([text])) == [expected]


def test_every_character_means_the_same_in_columns_and_alone() -> None:
    # Between letters, so that what parts, joins or vanishes shows.
    matcher = KeywordMatcher(["xy", "x", "x'y"])
    texts = [
        f"x{chr(code)}y"
        for code in range(0x30000)
        if unicodedata.category(chr(code)) not in ("Cs", "Cn")
        # Ideographs and syllables are many and alike.
        and (code % 97 == 0 or not 0x3400 <= code < 0xD7A4)
        and (code % 997 == 0 or code < 0x17000)
    ]
    expected = [place_by_row(matcher, text) for text in texts]
    assert places(BatchMatcher(matcher), pa.array(texts)) == expected


def test_folded_characters_are_seen_as_they_are_or_not_at_all() -> None:
    kinds = _folded().kinds & scanning.KIND_BITS
    seen = np.flatnonzero(kinds != scanning.ODD)
    assert len(seen) > 0x10000
    # Ideographs and syllables are many and alike.
    few = [c for c in map(int, seen) if c % 97 == 0 or not 0x3400 <= c < 0xD7A4]
    named = [c for c in few if unicodedata.category(chr(c)) != "Cn"]
    expected = [_KINDS[character_kind(chr(code))] for code in named]
    assert kinds[named].tolist() == expected


def test_texts_of_a_row_are_searched_in_their_order_and_apart() -> None:
    titles = pa.array(["a", None, "x b", "x", "a", "\u0bc6\u0bbe b"])
    tags = pa.array([["b"], ["x", "a b"], ["a b"], [None, "don't"], None, ["a b"]])
    assert places(BATCH, titles, tags) == [2, 1, 2, 3, NOT_FOUND, 2]
    wanted = np.array([True, False, False, True, True, True])
    found = BATCH.find([titles, tags], wanted)
    assert found.tolist() == [2, NOT_FOUND, NOT_FOUND, 3, NOT_FOUND, 2]


def test_slices_large_strings_and_empty_columns_are_searched() -> None:
    texts = pa.array(["b", "a", "don't", "b"])
    assert places(BATCH, texts.slice(1, 2)) == [NOT_FOUND, 3]
    assert places(BATCH, texts.slice(1, 2).cast(pa.large_string())) == [NOT_FOUND, 3]
    lists = pa.array([["b"], ["a"], ["x", "b"], []])
    assert places(BATCH, lists.slice(1, 3)) == [NOT_FOUND, 2, NOT_FOUND]
    assert places(BATCH, pa.array([], pa.string())) == []
    assert places(BATCH, pa.array([None, None], pa.string())) == [NOT_FOUND] * 2


def test_bytes_that_are_no_text_are_not_read_past_their_end() -> None:
    broken = pa.Array.from_buffers(
        pa.string(),
        2,
        [None, pa.py_buffer(np.array([0, 2, 4], np.int32)), pa.py_buffer(b"x\xf0 b")],
    )
    with pytest.raises(UnicodeDecodeError):
        places(BATCH, broken)


def test_the_topics_find_the_same_in_columns_of_real_metadata(data_dir: Path) -> None:
    rows: list[dict[str, str]] = []
    for path in sorted((data_dir / "metadata" / "yt_trending_2018").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    words = ExcludedWords(topics=[read_topic(name) for name in packaged_topics()])
    # Every third row: the long way takes a fourth of a millisecond each.
    rows = rows[::3]
    expected = [
        place_by_row(words.matcher, r["title"], r["description"], *r["tags"].split("|"))
        for r in rows
    ]
    columns = [
        pa.array([row[name] for row in rows]) for name in ("title", "description")
    ]
    tags = pa.array([row["tags"].split("|") for row in rows])
    assert places(BatchMatcher(words.matcher), *columns, tags) == expected
    assert 0.1 < np.mean(np.array(expected) >= 0) < 0.3
