"""Near-duplicates among planted signatures: what is marked, moved and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from planted_signatures import (
    PlantedClip,
    fine_of,
    planted_clip,
    planted_copy,
)
from pyspark.sql import functions as F

from acav_spark.duplicates import groups_job
from acav_spark.duplicates.groups_job import verified_duplicates
from acav_spark.duplicates.job import STAGE, find_duplicates
from acav_spark.duplicates.links_job import links_between
from acav_spark.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from curation import MakeContext

    from acav_spark.context import StageContext

ON = "duplicates.enabled=true"
_EVIDENCE = "signature BINARY, stretch_elements BINARY, audio_fingerprint BINARY"


def _plant(
    context: StageContext,
    videos: dict[str, list[PlantedClip]],
    *,
    duration_s: float = 60.0,
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
        (f"{name}_{place}", name, *map(bytearray, one), 320 if name < "m" else 640)
        for name, all_of in videos.items()
        for place, one in enumerate(all_of)
    ]
    context.warehouse.insert(
        "clips",
        context.spark.createDataFrame(
            clips, f"clip_id STRING, video_id STRING, {_EVIDENCE}, width INT"
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
    rng: np.random.Generator, originals: list[PlantedClip], similarity: float
) -> list[PlantedClip]:
    return [planted_copy(one, similarity, rng) for one in originals]


@pytest.fixture
def planted(
    make_context: MakeContext, rng: np.random.Generator
) -> tuple[StageContext, list[PlantedClip]]:
    """Videos b, c and x (the largest picture) show the same; others do not."""
    context = make_context(ON)
    originals = [planted_clip(rng) for _ in range(3)]
    black = planted_clip(rng, is_flat=True)
    _plant(
        context,
        {
            "b": originals,
            "c": _copies(rng, originals, 0.8),
            "x": _copies(rng, originals, 0.8),
            "d": [planted_clip(rng), planted_clip(rng), black],
            # One clip of three, as of a common opening, is not enough.
            "e": [
                planted_copy(originals[0], 0.9, rng),
                planted_clip(rng),
                planted_clip(rng),
            ],
            "f": [black, black, planted_clip(rng)],
        },
    )
    return context, originals


def test_of_copies_the_best_stays_until_a_better_one_comes_or_it_goes(
    planted: tuple[StageContext, list[PlantedClip]],
    make_context: MakeContext,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, originals = planted

    off = find_duplicates(make_context())
    assert off.is_unchanged
    assert "duplicates.enabled" in off.message

    with monkeypatch.context() as patched:
        patched.setattr(groups_job, "MAX_LINKS", 1)
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
    assert kept.config.duplicates.min_similarity == 0.4

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
    one = [bytearray(part) for part in planted_clip(rng)]
    rows = [(f"v{n:02d}", f"v{n:02d}_0", *one) for n in range(40)]
    clips = context.spark.createDataFrame(
        rows, f"video_id STRING, clip_id STRING, {_EVIDENCE}"
    ).withColumn("fine_signature", F.lit(None).cast("binary"))
    settings = context.config.duplicates

    links = links_between(clips.repartition(5), settings).collect()

    assert len(links) == 2 * 40 - 3
    assert set(links) == set(links_between(clips, settings).collect())


def test_fine_signatures_decide_where_both_are_stored(
    make_context: MakeContext, rng: np.random.Generator
) -> None:
    context = make_context(ON)
    one = [bytearray(part) for part in planted_clip(rng)]
    fine, other = fine_of(rng), fine_of(rng)
    rows = [
        (name, f"{name}_0", *one, signed)
        for name, signed in (("a", fine), ("b", fine), ("c", other), ("d", None))
    ]
    clips = context.spark.createDataFrame(
        rows,
        f"video_id STRING, clip_id STRING, {_EVIDENCE}, fine_signature BINARY",
    )

    links = links_between(clips, context.config.duplicates).collect()

    assert set(links) == {("a", "b"), ("a", "d"), ("b", "d"), ("c", "d")}


def test_a_wrong_link_joins_no_groups_and_sound_finds_what_words_do_not(
    make_context: MakeContext, rng: np.random.Generator
) -> None:
    # One band of sixteen values: of the copies, the sound alone makes candidates.
    bands = ("band_rows=16", "band_similarity=0.99", "band_recall=0.01")
    context = make_context(ON, *(f"duplicates.{setting}" for setting in bands))
    one, other = (planted_clip(rng, has_sound=True) for _ in range(2))
    videos = {
        "a": one,
        "b": planted_copy(one, 0.9, rng),
        "cut": planted_copy(one, 0.4, rng, agreement=0.8),
        "m": other,
        "n": planted_copy(other, 0.9, rng),
        # Half of its look is that of each, its sound that of the first one.
        "w": one._replace(elements=one.elements[:228] + other.elements[228:]),
        "music": planted_clip(rng)._replace(fingerprint=one.fingerprint),
    }
    rows = [
        (name, f"{name}_0", *map(bytearray, clip), 60.0, 100 - place)
        for place, (name, clip) in enumerate(videos.items())
    ]
    clips = context.spark.createDataFrame(
        rows,
        f"video_id STRING, clip_id STRING, {_EVIDENCE}, duration_s DOUBLE, "
        "n_pixels LONG",
    ).withColumn("fine_signature", F.lit(None).cast("binary"))
    settings = context.config.duplicates

    links = links_between(clips, settings).persist()
    wrong = context.spark.createDataFrame([("b", "w"), ("n", "w")], links.schema)
    marks = verified_duplicates(links.union(wrong), clips, clips, settings).collect()

    found = {(row["first"], row["second"]) for row in links.collect()}
    assert found - {("b", "cut")} == {("a", "b"), ("a", "cut"), ("m", "n")}
    # All but the music are one group by these links. w is like neither a nor m.
    kept = {row["video_id"]: row["kept"] for row in marks}
    assert kept == {"b": "a", "cut": "a", "n": "m"}
