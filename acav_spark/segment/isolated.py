"""``measure_video`` in a sandbox: same result, bounded."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from acav_spark.segment.types import Shot, VideoMeasurements

if TYPE_CHECKING:
    from acav_spark.media.sandbox import Sandbox
    from acav_spark.media.sources import MediaPlace


def measure_video_isolated(
    sandbox: Sandbox,
    path: MediaPlace,
    threshold: float = 10.0,
    *,
    keep_elements: bool = False,
) -> VideoMeasurements:
    """Return ``measure_video(path, threshold)``, run in a sandbox."""
    answer = sandbox.call(
        "measure", path=path, threshold=threshold, keep_elements=keep_elements
    )
    edges = cast("list[list[float]]", answer.pop("shots"))
    shots = tuple(Shot(start_s, end_s) for start_s, end_s in edges)
    # The child answers with the fields of VideoMeasurements.
    return VideoMeasurements(shots=shots, **answer)  # type: ignore[arg-type]


def measure_operation(
    *, path: str, threshold: float, keep_elements: bool, max_pixels: int
) -> dict[str, object]:
    """Answer ``measure_video_isolated`` in the child."""
    from acav_spark.segment.measure import measure_video

    measured = measure_video(
        path, threshold, max_pixels=max_pixels, keep_elements=keep_elements
    )
    values = {
        field.name: getattr(measured, field.name)
        for field in dataclasses.fields(measured)
    }
    values["shots"] = [[shot.start_s, shot.end_s] for shot in measured.shots]
    return values
