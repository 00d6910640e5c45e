"""Tags are parted in columns as they are row by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acav_spark.errors import MediaError
from acav_spark.ingest.metadata import normalise_row
from acav_spark.ingest.tag_columns import tag_lists

PIECES = st.sampled_from(
    [
        *'a"|,[]\\ \t\n{',
        "é",
        "\x85",
        "\xa0",
        "\u2003",
        "\u205f",
        "\u3000",
        "\u200b",
        "\U0001f600",
        '"b"',
        '", "',
        "none",
        "NoNe",
        "null",
        "\x1f",
        "\x00",
        "'c'",
        '\\"',
    ]
)
TEXTS = st.one_of(
    st.none(),
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: f"[{''.join(pieces)}]"),
    st.lists(st.text(max_size=3), max_size=4).map(
        lambda tags: "[" + ", ".join(f'"{tag}"' for tag in tags) + "]"
    ),
)


def by_row(text: str | None) -> list[str] | None:
    """Return the tags of one text, or None where they are refused."""
    try:
        return normalise_row({"uri": "x", "tags": text}, {}).tags
    except MediaError:
        return None


def by_column(column: pa.Array) -> list[list[str] | None]:
    odd = np.zeros(len(column), np.bool_)
    lists = tag_lists(column, odd)
    lists.validate(full=True)
    tags = lists.to_pylist()
    return [None if odd[row] else tags[row] for row in range(len(column))]


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.lists(TEXTS, max_size=6))
@example(["[]", "[NONE]", " [none] ", "[none", "[nonf]", "[ ]", '["a",]', '["a" "b"]'])
@example(['["a"]x', '["a", "\tb"]', '["a"', '["', "[", '["a","b" , "c"]', '"" "|b'])
@example(["|" * 9_999, "|" * 10_000, "[" + '"",' * 9_999 + '""]', "a" * 100_001])
@example(["[" + '"",' * 10_000 + '""]', "a|b", "[3]", "a,b", None])
def test_columns_have_the_tags_that_rows_have(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    expected = [by_row(text) for text in texts]
    assert by_column(column) == expected
    assert by_column(column.slice(1)) == expected[1:]


def test_every_character_is_a_space_around_tags_or_is_none() -> None:
    texts = [
        f"{c}a{c}|{c}|b{c}"
        for c in map(chr, [*range(0xD800), *range(0xE000, 0x11000)])
        if c not in '"[|'
    ]
    texts += ["\U0001f600|a", "\U000120a0|\U00012085"]
    assert by_column(pa.array(texts)) == [by_row(text) for text in texts]
