"""Near-duplicates among planted signatures: what is marked, moved and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from planted_signatures import copy_of, fine_of, signature
from pyspark.sql import functions as F

from acav_spark.duplicates import job
from acav_spark.duplicates.job import STAGE, find_duplicates
from acav_spark.duplicates.links_job import links_between
from acav_spark.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from curation import MakeContext

    from acav_spark.context import StageContext

ON = "duplicates.enabled=true"


def _plant(
    context: StageContext, videos: dict[str, list[bytes]], *, duration_s: float = 60.0
) -> None:
    """Write accepted videos with clips of these signatures."""
    marks = {"stage_hash": F.lit("planted"), "run_id": F.lit("planted")}
    rows = context.spark.createDataFrame(
        [(name, duration_s) for name in videos], "video_id STRING, duration_s DOUBLE"
    ).withColumns(marks)
    context.warehouse.insert(
        "videos",
        rows.withColumns(
            {
                "uri": F.col("video_id"),
                "status": F.lit("accepted"),
                "source": F.lit("media"),
            }
        ),
    )
    context.warehouse.insert(
        "segmentations",
        rows.withColumns(
            {
                "rule": F.lit("shots"),
                **{
                    name: F.lit(3)
                    for name in (
                        *("n_shots", "n_candidates", "n_clips"),
                        *("n_frames", "n_bad_packets"),
                    )
                },
            }
        ),
    )
    clips = [
        (f"{name}_{place}", name, bytearray(one), 320 if name < "m" else 640)
        for name, all_of in videos.items()
        for place, one in enumerate(all_of)
    ]
    context.warehouse.insert(
        "clips",
        context.spark.createDataFrame(
            clips, "clip_id STRING, video_id STRING, signature BINARY, width INT"
        ).withColumns({**marks, "height": F.lit(180)}),
    )


def _marks(context: StageContext) -> dict[str, str]:
    rows = context.warehouse.read("videos").where("status = 'rejected'").collect()
    assert {row["reject_reason"] for row in rows} <= {"near_duplicate"}
    return {row["video_id"]: row["duplicate_of"] for row in rows}


def _ids(context: StageContext, table: str) -> set[str]:
    rows = context.warehouse.read(table).select("video_id").distinct().collect()
    return {row["video_id"] for row in rows}


def _copies(
    rng: np.random.Generator, originals: list[bytes], similarity: float
) -> list[bytes]:
    return [copy_of(one, similarity, rng) for one in originals]


@pytest.fixture
def planted(
    make_context: MakeContext, rng: np.random.Generator
) -> tuple[StageContext, list[bytes]]:
    """Videos b, c and x (the largest picture) show the same; others do not."""
    context = make_context(ON)
    originals = [signature(rng) for _ in range(3)]
    black = signature(rng, is_flat=True)
    _plant(
        context,
        {
            "b": originals,
            "c": _copies(rng, originals, 0.8),
            "x": _copies(rng, originals, 0.8),
            "d": [signature(rng), signature(rng), black],
            # One clip of three, as of a common opening, is not enough.
            "e": [copy_of(originals[0], 0.9, rng), signature(rng), signature(rng)],
            "f": [black, black, signature(rng)],
        },
    )
    return context, originals


def test_of_copies_the_best_stays_until_a_better_one_comes_or_it_goes(
    planted: tuple[StageContext, list[bytes]],
    make_context: MakeContext,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, originals = planted

    off = find_duplicates(make_context())
    assert off.is_unchanged
    assert "duplicates.enabled" in off.message

    with monkeypatch.context() as patched:
        patched.setattr(job, "MAX_LINKS", 1)
        with pytest.raises(StageError, match="at most 1 pairs"):
            find_duplicates(context)
    assert _marks(context) == {}

    result = find_duplicates(context)
    assert _marks(context) == {"b": "x", "c": "x"}
    assert (result.n_in, result.n_out, result.n_rejected) == (6, 4, 2)
    for table in ("clips", "segmentations"):
        assert _ids(context, table) == {"d", "e", "f", "x"}
    assert find_duplicates(context).is_unchanged

    strict = (ON, "duplicates.min_similarity=0.99")
    with pytest.raises(StageError, match="2 videos were marked under other settings"):
        find_duplicates(make_context(*strict))
    kept = make_context(*strict, "execution.on_change=keep")
    assert find_duplicates(kept).is_unchanged
    assert kept.config.duplicates.min_similarity == 0.55

    _plant(context, {"p": _copies(rng, originals, 0.9)}, duration_s=90.0)
    find_duplicates(context)
    assert _marks(context) == {"b": "p", "c": "p", "x": "p"}

    context.warehouse.delete("videos", "video_id = 'p'")
    again = find_duplicates(context)
    assert "3 accepted again: run segment_clips" in again.message
    assert _marks(context) == {}


def test_marks_made_under_other_settings_may_all_be_taken_back(
    make_context: MakeContext,
) -> None:
    context = make_context(ON, "execution.on_change=recompute")
    row = ("b", "b", "rejected", "near_duplicate", "a", "media", "planted", "planted")
    names = ("video_id", "uri", "status", "reject_reason", "duplicate_of", "source")
    columns = [*names, "stage_hash", "run_id"]
    original = ("a", "a", "accepted", None, None, *row[5:])
    rows = context.spark.createDataFrame([row, original], columns)
    context.warehouse.insert("videos", rows)
    with context.run(STAGE, "made under other settings"):
        pass

    result = find_duplicates(context)

    assert result.metrics["n_released"] == 1
    assert _marks(context) == {}


def test_a_large_bucket_is_a_chain_of_bounded_pairs_whatever_the_partitions(
    make_context: MakeContext, rng: np.random.Generator
) -> None:
    context = make_context(ON, "duplicates.max_bucket_pairs=2")
    one = signature(rng)
    rows = [(f"v{n:02d}", f"v{n:02d}_0", bytearray(one)) for n in range(40)]
    clips = context.spark.createDataFrame(
        rows, "video_id STRING, clip_id STRING, signature BINARY"
    ).withColumn("fine_signature", F.lit(None).cast("binary"))
    settings = context.config.duplicates

    links = links_between(clips.repartition(5), settings).collect()

    assert len(links) == 2 * 40 - 3
    assert set(links) == set(links_between(clips, settings).collect())


def test_fine_signatures_decide_where_both_are_stored(
    make_context: MakeContext, rng: np.random.Generator
) -> None:
    context = make_context(ON)
    one = signature(rng)
    fine, other = fine_of(rng), fine_of(rng)
    rows = [
        (name, f"{name}_0", bytearray(one), signed)
        for name, signed in (("a", fine), ("b", fine), ("c", other), ("d", None))
    ]
    clips = context.spark.createDataFrame(
        rows,
        "video_id STRING, clip_id STRING, signature BINARY, fine_signature BINARY",
    )

    links = links_between(clips, context.config.duplicates).collect()

    assert set(links) == {("a", "b"), ("a", "d"), ("b", "d"), ("c", "d")}
