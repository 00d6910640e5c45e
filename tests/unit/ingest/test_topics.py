from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from acav_spark.config import load_config
from acav_spark.errors import ConfigError
from acav_spark.ingest.filters import ExcludedWords
from acav_spark.ingest.topics import packaged_topics, read_topic
from acav_spark.ingest.words import tokens

if TYPE_CHECKING:
    from pathlib import Path

TOPICS = [
    "animation",
    "gaming",
    "lyric_video",
    "music_video",
    "official_video",
    "screencast_tutorial",
]
WORDS = ExcludedWords(topics=[read_topic(name) for name in TOPICS])


def found(text: str) -> str | None:
    rejected = WORDS.find([text])
    return None if rejected is None else rejected.detail


def test_the_package_has_a_list_for_each_topic() -> None:
    assert packaged_topics() == TOPICS


@pytest.mark.parametrize("name", TOPICS)
def test_no_list_says_the_same_twice(name: str) -> None:
    keywords = read_topic(name).keywords
    phrases = [tuple(tokens(keyword)) for keyword in keywords]
    assert len(keywords) >= 50
    assert len(set(phrases)) == len(phrases)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Minecraft Let\u2019s Play #1", "gaming: minecraft"),
        ("LET\u2019S PLAY", "gaming: let's play"),
        ("Прохождение игры", "gaming: прохождение"),
        ("新作ゲーム実況です", "gaming: ゲーム実況"),
        ("Dessins animés", "animation: dessins animés"),
        ("애니메이션 #1", "animation: 애니메이션"),
        ("Excel-Tutorial", "screencast_tutorial: tutorial"),
        ("X - Y (Clip Officiel)", "music_video: clip officiel"),
        ("MUSIKVIDEO", "music_video: musikvideo"),
        ("X | Color-coded lyrics", "lyric_video: color coded lyrics"),
        ("Tráiler Oficial", "official_video: tráiler oficial"),
        ("【公式】予告編", "official_video: 予告編"),
    ],
)
def test_topics_are_found_in_their_languages(text: str, detail: str) -> None:
    assert found(text) == detail


@pytest.mark.parametrize(
    "text",
    [
        "Street musicians play live, official channel of the city",
        "A football game in Spain, partido completo",
        "How to bake bread",
        "Song of a bird at dawn",
        "Carpool karaoke",
    ],
)
def test_filmed_videos_are_not(text: str) -> None:
    assert found(text) is None


def test_a_list_of_ones_own_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "water.txt"
    path.write_text(
        "\ufeff# of water\n\n rain \nc# lesson\nwaterfall # high\nrain\n",
        encoding="utf-8",
    )
    topic = read_topic(str(path))
    assert topic == ("water", ("rain", "c# lesson", "waterfall"))


@pytest.mark.parametrize(
    ("content", "telling"),
    [
        (b"fine\n!!\n", "got '!!' in line 2"),
        (b"# nothing\n", "expected at least one keyword"),
        (b"\xff\xfe\x00", "expected text in UTF-8"),
        (None, "expected a readable file of keywords"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(
    tmp_path: Path, content: bytes | None, telling: str
) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ingest\.excluded_topics") as caught:
        read_topic(str(path))
    assert telling in str(caught.value)
    assert "own.txt" in str(caught.value)


def test_an_unknown_topic_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="expected one of animation, gaming"):
        read_topic("gamin")
    with pytest.raises(ConfigError, match="expected names among animation, gaming"):
        load_config(None, ["ingest.excluded_topics=[gamin]"])


def test_topics_count_before_keywords_and_the_first_word_of_a_text_before_both() -> (
    None
):
    words = ExcludedWords(["dog", "cat"], [("pets", ["cat"]), ("all", ["cat", "dog"])])
    assert words.find(["a cat, a dog"]) == ("excluded_topic", "pets: cat")
    assert words.find(["a dog, a cat"]) == ("excluded_topic", "all: dog")
    assert ExcludedWords(["dog"]).find([None, "dog"]) == ("excluded_keyword", "dog")
    assert words.find(["doge"]) is None
