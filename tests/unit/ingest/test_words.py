from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.ingest.words import KeywordMatcher, fold, tokens


def found(keyword: str, text: str) -> bool:
    return KeywordMatcher([keyword]).find([text]) == keyword


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don\u2019t STOP!", ["don't", "stop"]),
        ("'quoted' rock 'n' roll", ["quoted", "rock", "n", "roll"]),
        ("#video_game-play 4K", ["video", "game", "play", "4k"]),
        ("\uff26\uff35\uff2c\uff2c \ufb01ne", ["full", "fine"]),
        ("Straße", ["strasse"]),
        ("ga\u00adme", ["game"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("게임을 하다", ["게임을", "하다"]),
        ("\u0645\u06cc\u200c\u0631", ["\u0645\u06cc\u0631"]),
        ("新作ゲーム実況", ["新", "作", "ゲーム", "実", "況"]),
        ("ﾊﾟｰﾃｨｰ", ["パーティー"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("😀 !? _", []),
        ("", []),
    ],
)
def test_text_falls_into_words_in_any_script(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("art", "ART for all"),
        ("Video Game", "my #video-game, part 2"),
        ("don't", "DON\u2019T"),
        ("STRASSE", "Die Straße"),
        ("ゲーム", "新作ゲーム実況"),
        ("实况", "游戏实况视频"),
        ("café", "cafe\u0301!"),
        ("игра", "ИГРА 2"),
        ("official music video", "X - Y [Official Music Video]"),
    ],
)
def test_whole_words_and_phrases_are_found(keyword: str, text: str) -> None:
    assert found(keyword, text)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("art", "party"),
        ("art", "art's"),
        ("video game", "video of a game"),
        ("video game", "game video"),
        ("ゲーム", "ゲームセンター"),
        ("игра", "играть"),
        ("cafe", "café"),
        ("a b c", "a b"),
        ("na", "नमस्ते"),
        ("नम", "नमस्ते"),
    ],
)
def test_half_words_and_broken_phrases_are_not_found(keyword: str, text: str) -> None:
    assert not found(keyword, text)


def test_a_phrase_does_not_reach_from_one_text_into_the_next() -> None:
    matcher = KeywordMatcher(["video game"])
    assert matcher.find(["video", "game"]) is None
    assert matcher.find([None, "", "a video game"]) == "video game"


def test_a_longer_phrase_with_the_same_first_word_does_not_hide_a_shorter_one() -> None:
    matcher = KeywordMatcher(["music video clip", "music"])
    assert matcher.find(["music video"]) == "music"


def test_no_keywords_match_nothing() -> None:
    assert KeywordMatcher([]).find(["anything"]) is None


@pytest.mark.parametrize("keyword", ["", "  ", "!!", "😀"])
def test_a_keyword_without_a_word_is_refused(keyword: str) -> None:
    with pytest.raises(ValueError, match="expected a letter or digit in each keyword"):
        KeywordMatcher(["fine", keyword])


@given(st.text(), st.lists(st.text("ab ä", min_size=1).map(lambda t: t + "b")))
def test_the_quick_search_finds_what_comparing_all_words_finds(
    text: str, keywords: list[str]
) -> None:
    text = f"{text} ab ä b"
    words = tokens(text)
    by_hand = [
        keyword
        for keyword in keywords
        for i in range(len(words))
        if words[i : i + len(tokens(keyword))] == tokens(keyword)
    ]
    assert (KeywordMatcher(keywords).find([text]) is not None) == bool(by_hand)


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert tokens(fold(text)) == tokens(text)
