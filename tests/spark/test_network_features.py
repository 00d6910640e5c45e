"""Networks as extractors of the stage: rows say which weights, and are the core's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.features.registry import create_extractor
from acav_spark.features.vectors import decode_fp16
from acav_spark.media.decode import decode_clip
from acav_spark.media.types import DecodedClip
from acav_spark.media.uri import path_from_uri
from acav_spark.pipeline import run_stages, stages_named

if TYPE_CHECKING:
    from pathlib import Path

    from curation import MakeContext

SEEDED = {"init": "random", "seed": 3, "device": "cpu"}


def test_rows_of_networks_are_those_of_the_core(
    make_context: MakeContext, curated_copy: Path
) -> None:
    options = "{init: random, seed: 3, device: cpu}"
    context = make_context(
        f"features.extractors=[{{name: yamnet, options: {options}}}, "
        f"{{name: mobilenet_v2, options: {options}}}]",
        root=curated_copy,
    )

    run_stages(context, stages_named(["extract_features"]))

    read = context.warehouse.read
    places = {row["video_id"]: row["uri"] for row in read("videos").collect()}
    clips = {row["clip_id"]: row for row in read("clips").collect()}
    rows = read("features").where("extractor IN ('mobilenet_v2', 'yamnet')")
    assert rows.count() == 2 * len(clips)
    for row in rows.orderBy("clip_id").limit(4).collect():
        network = create_extractor(row["extractor"], SEEDED)
        assert row["model_version"] == network.version
        assert row["model_version"].endswith("random:3")
        clip = clips[row["clip_id"]]
        heard, seen = network.audio_sampling, network.video_sampling
        streams = decode_clip(
            path_from_uri(places[clip["video_id"]]),
            clip["start_s"],
            clip["end_s"],
            video=[seen] if seen else [],
            audio=[heard] if heard else [],
            max_pixels=2**24,
        )
        decoded = DecodedClip(
            row["clip_id"],
            frames=streams.frames[0][0] if seen else None,
            waveform=streams.waveforms[0] if heard else None,
            sample_rate_hz=heard.sample_rate_hz if heard else None,
        )
        expected = network.extract([decoded])[0]
        for number, (vector, n) in enumerate(
            zip(expected, network.dimensions, strict=True), start=1
        ):
            stored = decode_fp16([bytes(row[f"layer_{number}"])], n)[0]
            # One step of fp16.
            np.testing.assert_allclose(stored, vector, rtol=2e-3, atol=1e-6)
