"""A clip's values belong to that clip: its picture and tone encode its id."""

from __future__ import annotations

import numpy as np
from curation import N_VIDEOS, MakeContext

from acav_spark.features.vectors import decode_fp16
from acav_spark.pipeline import run_stages, stages_named

EXTRACTORS = (
    "features.extractors=[{name: 'identity_extractor:SeenNumber'}, "
    "{name: 'identity_extractor:HeardNumber'}]"
)


def test_every_feature_row_belongs_to_its_clip_and_one_error_costs_one_row(
    make_context: MakeContext,
) -> None:
    context = make_context(
        EXTRACTORS, "execution.chunk_size=5", "execution.n_partitions=3"
    )
    run_stages(
        context, stages_named(["ingest_videos", "segment_clips", "extract_features"])
    )

    read = context.warehouse.read
    numbers = {
        row["video_id"]: int(row["title"].split()[1])
        for row in read("videos").collect()
    }
    found: dict[str, list[int]] = {}
    for row in read("features").collect():
        number = numbers[row["clip_id"].rsplit("_", 2)[0]]
        vector = decode_fp16([bytes(row["layer_1"])], 1)
        assert np.array_equal(vector, [[number]]), row["clip_id"]
        found.setdefault(row["extractor"].split(":")[1], []).append(number)
    assert sorted(found["SeenNumber"]) == sorted(list(range(N_VIDEOS)) * 2)
    expected = [n for n in range(N_VIDEOS) if n != 5] * 2
    assert sorted(found["HeardNumber"]) == sorted(expected)
    failed = read("failures").where("stage = 'extract_features'").collect()
    assert {row["error_code"] for row in failed} == {"extractor_failed"}
    assert {row["scope"] for row in failed} == {"identity_extractor:HeardNumber"}
    assert len(failed) == 2
    assert all("five is right out" in row["message"] for row in failed)
