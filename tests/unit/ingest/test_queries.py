"""Search queries: the same everywhere, each once, and diverse from the beginning."""

from __future__ import annotations

import itertools
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from acav_spark import cli
from acav_spark.errors import ConfigError
from acav_spark.ingest.queries import (
    KINDS,
    WordLists,
    read_word_lists,
    search_queries,
)

ROOT = Path(__file__).resolve().parents[3]
SMALL = WordLists(
    {
        "keyword": ("dog", "cat", "owl"),
        "location": ("Peru", "Mali"),
        "event": ("rain",),
        "category": ("vlog", "news"),
    },
    ("{keyword}", "{keyword} {location}", "{event} {location}"),
)


def test_small_lists_give_every_combination_once() -> None:
    queries = list(search_queries(SMALL))
    assert sorted(queries) == sorted(
        [
            *("dog", "cat", "owl"),
            *(f"{k} {x}" for k in ("dog", "cat", "owl") for x in ("Peru", "Mali")),
            *("rain Peru", "rain Mali"),
        ]
    )


def test_templates_and_words_are_used_equally_often_from_the_beginning() -> None:
    lists = WordLists(
        {
            "keyword": tuple(f"k{i}" for i in range(30)),
            "location": tuple(f"l{i}" for i in range(20)),
            "event": tuple(f"e{i}" for i in range(10)),
            "category": ("c",),
        },
        ("{keyword}", "{keyword} {location}", "{keyword} {event} {location}"),
    )
    first = list(itertools.islice(search_queries(lists), 90))
    lengths = [len(query.split()) for query in first]
    assert lengths == [1, 2, 3] * 30
    alone, placed, timed = (first[start::3] for start in range(3))
    assert set(alone) == set(lists.words["keyword"])
    for queries, position, n_words in ((placed, 1, 20), (timed, 1, 10), (timed, 2, 20)):
        words = Counter(query.split()[position] for query in queries)
        assert len(words) == n_words
        assert max(words.values()) - min(words.values()) <= 1


def test_the_beginning_of_our_own_list_names_every_keyword_and_no_query_twice() -> None:
    lists = read_word_lists()
    n = len(lists.words["keyword"]) * len(lists.templates)
    first = list(itertools.islice(search_queries(lists), n))
    assert len(set(first)) == n
    assert set(lists.words["keyword"]) <= set(first)


def test_a_longer_list_begins_with_the_shorter_and_a_seed_gives_another() -> None:
    lists = read_word_lists()
    long = list(itertools.islice(search_queries(lists, seed=3), 2000))
    assert long[:100] == list(itertools.islice(search_queries(lists, seed=3), 100))
    other = list(itertools.islice(search_queries(lists, seed=4), 100))
    assert set(other) != set(long[:100])


def test_our_own_lists_are_long_and_hold_each_word_once() -> None:
    lists = read_word_lists()
    for kind, name in KINDS.items():
        path = ROOT / "acav_spark" / "conf" / "queries" / name
        lines = [x for x in path.read_text().splitlines() if not x.startswith("#")]
        assert len(lines) == len(set(lines)) == len(lists.words[kind]) >= 100
        assert all(line == line.strip() for line in lines)


def test_a_folder_replaces_the_lists_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "keywords.txt").write_text("# mine\n\n tuba \ntuba\n")
    lists = read_word_lists(tmp_path)
    assert lists.words["keyword"] == ("tuba",)
    assert lists.words["event"] == read_word_lists().words["event"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("events.txt", "# nothing\n", "expected at least one line in .*events.txt"),
        ("templates.txt", "{keyword} {city}\n", r"expected some of .* got '\{keyword"),
        ("templates.txt", "plain\n", "expected some of .* got 'plain'"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_word_lists(tmp_path)
    with pytest.raises(ConfigError, match="expected a folder"):
        read_word_lists(tmp_path / "nowhere")


def test_the_documents_show_what_the_command_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "ingest.md").read_text()
    (block,) = re.findall(r"^```\n(acav make-queries [^`]*)^```$", page, re.M)
    (shown,) = re.findall(r"^```text\n([^`]*)^```$", page, re.M)
    monkeypatch.chdir(tmp_path)

    cli.main(shlex.split(block)[1:])

    (file,) = tmp_path.iterdir()
    assert file.read_text() == shown
    assert (
        f"{len(shown.splitlines())} queries in {file.name}" in capsys.readouterr().err
    )


def test_fewer_combinations_than_asked_for_are_all_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, name in KINDS.items():
        (tmp_path / name).write_text(f"a {kind}\n")
    (tmp_path / "templates.txt").write_text("{keyword}\n{event} {location}\n")
    out = tmp_path / "queries.txt"
    cli.main(["make-queries", "--out", str(out), "--n", "9", "--lists", str(tmp_path)])
    assert out.read_text() == "a keyword\na event a location\n"
    assert "there are of 9" in capsys.readouterr().err
