"""A network as the stage's extractor: rows are the core's, and say which weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.features.registry import create_extractor
from acav_spark.features.vectors import decode_fp16
from acav_spark.media.decode import decode_clip
from acav_spark.media.types import AudioSampling, DecodedClip
from acav_spark.media.uri import path_from_uri
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext

SEEDED = {"init": "random", "seed": 3, "device": "cpu"}


def test_rows_of_networks_are_those_of_the_core(
    make_context: MakeContext, videos: Path
) -> None:
    context = make_context(
        "features.extractors=[{name: yamnet, options: "
        "{init: random, seed: 3, device: cpu}}]",
        "segmentation.max_clips_per_video=1",
        inputs=f"{videos}/video 0[01].mp4",
    )

    run_stages(
        context, stages_named(["ingest_videos", "segment_clips", "extract_features"])
    )

    read = context.warehouse.read
    places = {row["video_id"]: row["uri"] for row in read("videos").collect()}
    clips = {row["clip_id"]: row for row in read("clips").collect()}
    rows = read("features").collect()
    assert len(clips) == 2
    assert len(rows) == 2
    for row in rows:
        network = create_extractor(row["extractor"], SEEDED)
        assert row["model_version"] == network.version
        assert row["model_version"].endswith("random:3")
        clip = clips[row["clip_id"]]
        streams = decode_clip(
            path_from_uri(places[clip["video_id"]]),
            clip["start_s"],
            clip["end_s"],
            audio=[AudioSampling(sample_rate_hz=16_000)],
            max_pixels=2**24,
        )
        decoded = DecodedClip(
            row["clip_id"], waveform=streams.waveforms[0], sample_rate_hz=16_000
        )
        expected = network.extract([decoded])[0]
        for number, (vector, n) in enumerate(
            zip(expected, network.dimensions, strict=True), start=1
        ):
            stored = decode_fp16([bytes(row[f"layer_{number}"])], n)[0]
            # One step of fp16.
            np.testing.assert_allclose(stored, vector, rtol=2e-3, atol=1e-6)
