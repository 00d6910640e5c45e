"""Judged rows keep what is beside them, in whatever batches they come."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pyarrow as pa

from acav_spark.ingest.judging import JUDGED, judge_beside
from acav_spark.ingest.metadata import FIELDS
from acav_spark.ingest.video_rows import Rules, judge_rows
from acav_spark.media.sandbox import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

RULES = Rules(
    min_duration_s=0,
    max_duration_s=100,
    excluded_categories=(),
    excluded_keywords=("dog",),
    allowed_schemes=("file",),
    limits=Limits(time_s=1, memory_bytes=2**30, max_pixels=100),
)


def batch(*rows: dict[str, str]) -> pa.RecordBatch:
    names = (*FIELDS, "source", "fetched", "broken", "origin")
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def row(number: int, **more: str) -> dict[str, str]:
    plain = {"video_id": f"id{number}", "uri": f"/v/{number}", "source": f"s{number}"}
    return plain | more


def test_what_is_beside_a_row_stays_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        row(0, fetched="2024-01-01", region=" BR "),
        row(1, title="a dog"),
        row(2, broken='{"cut', origin="file:/x.jsonl"),
        row(3, uri="gopher://x"),
        row(4, fetched="18.31.01"),
    ]
    whole = pa.Table.from_batches(list(judge_beside([batch(*rows)], rules=RULES)))
    assert whole.schema.equals(JUDGED)
    found = whole.to_pylist()
    assert [r["source"] for r in found] == ["s0", "s1", "s2", "s3", "s4"]
    assert [r["item_id"] for r in found][:2] == ["id0", "id1"]
    assert found[0]["region"] == "BR"
    assert found[0]["fetched_at"] == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert found[1]["reject_reason"] == "excluded_keyword"
    assert found[2]["error_code"] == "bad_row"
    assert found[2]["message"].startswith("file:/x.jsonl: a row that cannot be read:")
    assert found[2]["is_permanent"]
    assert found[3]["error_code"] == "scheme_not_allowed"
    assert found[4]["fetched_at"] == dt.datetime(2018, 1, 31, tzinfo=dt.UTC)

    # Whatever cuts a judge makes of what it is given.
    def recut(
        batches: Iterable[pa.RecordBatch], *, rules: Rules, mapping: Mapping[str, str]
    ) -> Iterable[pa.RecordBatch]:
        judged = list(judge_rows(batches, rules=rules, mapping=mapping))
        yield from pa.Table.from_batches(judged).combine_chunks().to_batches(2)

    monkeypatch.setattr("acav_spark.ingest.judging.judge_rows", recut)
    parts = [batch(*rows[:3]), batch(), batch(*rows[3:])]
    again = pa.Table.from_batches(list(judge_beside(parts, rules=RULES)))
    assert again.to_pylist() == found
