"""The media functions in a sandbox: same arguments, same results, bounded.

Each pair is the caller's side, and the operation that answers it in the child. A path
may be a source (``acav_spark.media.sources``); the operation gets a path-like for it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from acav_spark.media.types import AudioSampling, VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.media.decode import DecodedStreams
    from acav_spark.media.probe import MediaFacts
    from acav_spark.media.sandbox import Sandbox
    from acav_spark.media.sources import MediaPlace


def probe_isolated(sandbox: Sandbox, path: MediaPlace) -> MediaFacts:
    """Return ``probe(path)``, run in a sandbox."""
    from acav_spark.media.probe import MediaFacts

    facts = sandbox.call("probe", path=path)
    # The child answers with the fields of MediaFacts.
    return MediaFacts(**facts)  # type: ignore[arg-type]


def decode_clip_isolated(
    sandbox: Sandbox,
    path: MediaPlace,
    start_s: float,
    end_s: float,
    *,
    video: Sequence[VideoSampling] = (),
    audio: Sequence[AudioSampling] = (),
) -> DecodedStreams:
    """Return ``decode_clip(path, ...)``, run in a sandbox."""
    from acav_spark.media.decode import DecodedStreams

    answer = sandbox.call(
        "decode",
        path=path,
        start_s=start_s,
        end_s=end_s,
        video=[dataclasses.asdict(sampling) for sampling in video],
        audio=[dataclasses.asdict(sampling) for sampling in audio],
    )
    frames = cast("list[NDArray[np.uint8]]", answer["frames"])
    times = cast("list[NDArray[np.float64]]", answer["times"])
    waveforms = cast("list[NDArray[np.float32]]", answer["waveforms"])
    return DecodedStreams(list(zip(frames, times, strict=True)), waveforms)


def poster_isolated(
    sandbox: Sandbox, path: MediaPlace, time_s: float, short_side: int
) -> bytes:
    """Return ``poster(path, time_s, short_side)``, run in a sandbox."""
    answer = sandbox.call("poster", path=path, time_s=time_s, short_side=short_side)
    return cast("bytes", answer["jpeg"])


def waveform_envelope_isolated(
    sandbox: Sandbox,
    path: MediaPlace,
    start_s: float,
    end_s: float,
    n_bins: int,
) -> NDArray[np.float32]:
    """Return ``waveform_envelope(path, ...)``, run in a sandbox."""
    answer = sandbox.call(
        "envelope", path=path, start_s=start_s, end_s=end_s, n_bins=n_bins
    )
    return cast("NDArray[np.float32]", answer["envelope"])


def probe_operation(*, path: str, max_pixels: int) -> dict[str, object]:
    """Answer ``probe_isolated`` in the child."""
    from acav_spark.media.probe import probe

    return dataclasses.asdict(probe(path, max_pixels=max_pixels))


def decode_operation(
    *,
    path: str,
    start_s: float,
    end_s: float,
    video: list[dict[str, object]],
    audio: list[dict[str, object]],
    max_pixels: int,
) -> dict[str, object]:
    """Answer ``decode_clip_isolated`` in the child."""
    from acav_spark.media.decode import decode_clip

    decoded = decode_clip(
        path,
        start_s,
        end_s,
        # The caller sent the fields of the samplings.
        video=[VideoSampling(**options) for options in video],  # type: ignore[arg-type]
        audio=[AudioSampling(**options) for options in audio],  # type: ignore[arg-type]
        max_pixels=max_pixels,
    )
    return {
        "frames": [frames for frames, _ in decoded.frames],
        "times": [times for _, times in decoded.frames],
        "waveforms": decoded.waveforms,
    }


def poster_operation(
    *, path: str, time_s: float, short_side: int, max_pixels: int
) -> dict[str, object]:
    """Answer ``poster_isolated`` in the child."""
    from acav_spark.media.decode import poster

    return {"jpeg": poster(path, time_s, short_side, max_pixels=max_pixels)}


def envelope_operation(
    *, path: str, start_s: float, end_s: float, n_bins: int, max_pixels: int
) -> dict[str, object]:
    """Answer ``waveform_envelope_isolated`` in the child."""
    from acav_spark.media.decode import waveform_envelope

    envelope = waveform_envelope(path, start_s, end_s, n_bins, max_pixels=max_pixels)
    return {"envelope": envelope}
