from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.ingest.metadata import known_columns
from acav_spark.ingest.rules import RESULT, Judge, Rules
from acav_spark.ingest.topics import packaged_topics, read_topic
from acav_spark.ingest.video_columns import column_plan
from acav_spark.ingest.video_rows import (
    batch_matcher,
    judge_rows,
    judged_batch,
    judged_row,
)
from acav_spark.media.sandbox import Limits
from acav_spark.media.sources import SourceRules
from acav_spark.rows import record_batch

if TYPE_CHECKING:
    from pathlib import Path

    from acav_spark.ingest.batch_words import BatchMatcher

RULES = Rules(
    min_duration_s=30,
    max_duration_s=600,
    excluded_categories=("Gaming", "10"),
    excluded_keywords=("rain", "don't"),
    sources=SourceRules(allowed_schemes=("file", "https")),
    limits=Limits(),
    excluded_topics=tuple(read_topic(name) for name in packaged_topics()),
)
JUDGE = Judge(RULES)
MATCHER = batch_matcher(JUDGE)

TEXT = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "",
            " ",
            " rain\n",
            "Official Video",
            "dQw4w9WgXcQ",
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "https://youtu.be/dQw4w9WgXcQ",
            "file:///a b.mp4",
            "gopher://x/y",
            "https://user:word@a.org/x",
            "a\x00b",
            "x\n",
            "10",
            "Gaming",
            "é" * 101,
            "x" * 201,
            "u" * 9000,
            "t" * 100_001,
        ]
    ),
    st.text(max_size=8),
)
TAGS = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "a|b, c|",
            'a,"b c", "d"',
            "['a', 'b']",
            '["rain", 3]',
            '["a", " b c ", ""]',
            r'["\ud83d", "b"]',
            '["don\'t"]',
            "[" * 2000 + "]" * 2000,
            " [none]",
            "[]",
            "[a|b",
            "don't|x",
            "|" * 10_001,
            '["a", {"b": 1}]',
        ]
    ),
)
DURATION = st.one_of(
    st.none(), st.sampled_from(["PT3M20S", "1:30", "20", "-1", "inf", "9h", ""])
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXT,
            "url": TEXT,
            "title": TEXT,
            "description": TEXT,
            "category": TEXT,
            "tags": TAGS,
            "duration": DURATION,
        }
    ),
    min_size=1,
    max_size=6,
)


def both_ways(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the results of a batch by columns, and by rows."""
    mapping = known_columns(batch.schema.names, {})
    plan = column_plan(batch.schema, mapping)
    assert plan is not None
    by_columns = judged_batch(batch, plan, mapping, JUDGE, MATCHER)
    by_columns.validate(full=True)
    rows = [judged_row(row, mapping, JUDGE) for row in batch.to_pylist()]
    return by_columns, record_batch(rows, RESULT)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(ROWS)
def test_columns_give_what_rows_give(rows: list[dict[str, str | None]]) -> None:
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    actual, expected = both_ways(pa.RecordBatch.from_pylist(rows, schema))
    assert actual.to_pylist() == expected.to_pylist()


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.sampled_from(["dQw4w9WgXcQ", "v1", None]),
                "uri": st.sampled_from(["file:///a.mp4", None]),
                "category": st.one_of(st.none(), st.integers(0, 50)),
                "duration": st.one_of(st.none(), st.floats()),
                "tags": st.one_of(
                    st.none(),
                    st.lists(st.one_of(st.none(), st.sampled_from([" a ", "rain"]))),
                ),
            }
        ),
        min_size=1,
        max_size=6,
    )
)
def test_numbers_and_lists_give_what_rows_give(rows: list[dict[str, Any]]) -> None:
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("uri", pa.string()),
            ("category", pa.int64()),
            ("duration", pa.float64()),
            ("tags", pa.list_(pa.string())),
        ]
    )
    actual, expected = both_ways(pa.RecordBatch.from_pylist(rows, schema))
    assert actual.to_pylist() == expected.to_pylist()


def test_text_is_stripped_of_what_python_takes_for_spaces() -> None:
    codes = [*range(0x20), *range(0x21, 0xD800), *range(0xE000, 0x11000)]
    texts = [f" {chr(code)}a{chr(code)} " for code in codes]
    batch = pa.RecordBatch.from_pydict({"uri": ["/a.mp4"] * len(texts), "title": texts})
    plan = column_plan(batch.schema, {})
    assert plan is not None
    found = judged_batch(batch, plan, {}, JUDGE, MATCHER).column("title").to_pylist()
    assert found == [text.strip() for text in texts]


def test_real_metadata_gives_what_rows_give(data_dir: Path) -> None:
    rows: list[dict[str, str | None]] = []
    for path in sorted((data_dir / "metadata" / "yt_trending_2018").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [
                {name: value or None for name, value in row.items()}
                for row in csv.DictReader(file)
            ]
    assert len(rows) == 1960
    actual, expected = both_ways(pa.RecordBatch.from_pylist(rows[1::2]))
    assert actual.equals(expected)
    reasons = actual.column("reject_reason").to_pylist()
    assert {"excluded_topic", "excluded_category", None} <= set(reasons)


@pytest.mark.parametrize("n_rows", [3, 700])
def test_large_batches_go_by_columns_and_small_ones_by_rows(
    monkeypatch: pytest.MonkeyPatch, n_rows: int
) -> None:
    used: list[int] = []

    def watched(
        batch: pa.RecordBatch,
        columns: dict[str, str],
        mapping: dict[str, str],
        judge: Judge,
        matcher: BatchMatcher,
    ) -> pa.RecordBatch:
        used.append(batch.num_rows)
        return judged_batch(batch, columns, mapping, judge, matcher)

    monkeypatch.setattr("acav_spark.ingest.video_rows.judged_batch", watched)
    batch = pa.RecordBatch.from_pylist([{"uri": "/a.mp4", "title": "Rain"}] * n_rows)
    mapping = {"uri": "uri", "title": "title"}
    (result,) = judge_rows([batch], rules=RULES, mapping=mapping)
    assert result.column("reject_detail").to_pylist() == ["rain"] * n_rows
    assert used == ([700] if n_rows == 700 else [])


def test_columns_of_other_types_go_by_rows() -> None:
    kinds = {"uri": pa.string(), "title": pa.map_(pa.string(), pa.string())}
    schema = pa.schema(list(kinds.items()))
    assert column_plan(schema, {"uri": "uri", "title": "title"}) is None
    row = {"uri": "/a.mp4", "title": [("a", "b")]}
    batch = pa.RecordBatch.from_pylist([row] * 600, schema)
    (result,) = judge_rows(
        [batch], rules=RULES, mapping={"uri": "uri", "title": "title"}
    )
    assert set(result.column("error_code").to_pylist()) == {"bad_row"}
