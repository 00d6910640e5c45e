"""Measure what one item of each stage costs, with the stages' own functions.

All of it runs in one process without Spark, and its decoding child, one item after
another, so that processor time belongs to one item.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.clustering.sgd_kmeans import SGDKMeans
from acav_spark.errors import ConfigError, MediaError
from acav_spark.features.registry import create_extractor
from acav_spark.media.isolated import decode_clip_isolated, probe_isolated
from acav_spark.media.sandbox import Limits, Sandbox
from acav_spark.media.types import DecodedClip
from acav_spark.media.uri import path_from_uri
from acav_spark.planning.processor import Clock
from acav_spark.planning.workload import permitted_clips
from acav_spark.segment.clips import cut_plan
from acav_spark.segment.isolated import measure_video_isolated
from acav_spark.selection.greedy import batch_greedy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acav_spark.features.extractor import Extractor
    from acav_spark.media.decode import DecodedStreams
    from acav_spark.planning.workload import VideoShape


@dataclass(frozen=True)
class MeasuringTask:
    """What is measured; plain values, since it goes to another process.

    Parameters
    ----------
    videos : tuple of (str, VideoShape)
        URIs of usable videos with what was probed.
    limits : Limits
        Of the decoding child.
    clip_duration_s, max_clips, shot_threshold
        Of ``segmentation``.
    extractors : tuple of (str, dict)
        Names and options.
    n_clusters, pairs, batch_size, per_batch
        Of the clustering and the selection whose costs are measured.
    n_rows : int
        Vectors, and clips to select from, that are made up.
    """

    videos: tuple[tuple[str, VideoShape], ...]
    limits: Limits
    clip_duration_s: float
    max_clips: int
    shot_threshold: float
    extractors: tuple[tuple[str, dict[str, object]], ...]
    n_clusters: int
    pairs: tuple[tuple[int, int], ...]
    batch_size: int
    per_batch: int
    n_rows: int = 20_000


@dataclass
class ItemCosts:
    """Processor time of items, in seconds; see ``Rates`` for the names.

    ``contention`` is the wall clock of all of it divided by its processor time.
    """

    probe_video_core_s: float = 0.0
    segment_pixel_frame_core_s: float = 0.0
    segment_second_core_s: float = 0.0
    decode_pixel_frame_core_s: float = 0.0
    decode_clip_core_s: float = 0.0
    extractors: dict[str, float] = field(default_factory=dict)
    product_core_s: float = 0.0
    row_core_s: float = 0.0
    pick_core_s: float = 0.0
    clip_yield: float = 1.0
    contention: float = 1.0


def measure_items(task: MeasuringTask) -> ItemCosts:
    """Return what items cost.

    Raises
    ------
    ConfigError
        If no clip can be cut out of the videos.
    """
    costs = ItemCosts()
    whole = Clock()
    with Sandbox(task.limits) as sandbox:
        clips = _measure_videos(task, sandbox, costs)
        _measure_extraction(task, sandbox, clips, costs)
    _measure_clustering(task, costs)
    _measure_selection(task, costs)
    wall_s, core_s = whole.lap()
    costs.contention = max(1.0, wall_s / core_s)
    return costs


def line_through(
    x: Sequence[float], y: Sequence[float], z: Sequence[float]
) -> tuple[float, float]:
    """Return a, b >= 0 for which ``z = a x + b y`` fits best in the squares of ratios.

    Weighting by 1/z makes every item count alike, however long it is.

    Examples
    --------
    >>> line_through([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], [5.0, 7.0, 11.0])
    (2.0, 3.0)
    """
    from scipy.optimize import nnls

    times = np.maximum(np.asarray(z, np.float64), 1e-9)
    columns = np.stack([np.asarray(x), np.asarray(y)], axis=1).astype(np.float64)
    scale = columns.max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(columns / scale / times[:, None], np.ones(len(times)))
    a, b = found / scale
    return float(f"{a:.9g}"), float(f"{b:.9g}")


_Clip = tuple[str, float, float, float]
"""URI, start and end in seconds, pixels of all its frames."""


def _measure_videos(
    task: MeasuringTask, sandbox: Sandbox, costs: ItemCosts
) -> list[_Clip]:
    """Probe and segment every video; return the clips that would be cut."""
    probes, pixel_frames, seconds, times = [], [], [], []
    clips: list[_Clip] = []
    n_permitted = 0
    # The child starts, and libraries load, with the first call.
    probe_isolated(sandbox, path_from_uri(task.videos[0][0]))
    for uri, shape in task.videos:
        path = path_from_uri(uri)
        clock = Clock()
        probe_isolated(sandbox, path)
        probes.append(clock.lap()[1])
        try:
            measured = measure_video_isolated(sandbox, path, task.shot_threshold)
        except MediaError:
            # It would be a row of failures; the others tell the rate.
            continue
        plan = cut_plan(
            measured, clip_duration_s=task.clip_duration_s, max_clips=task.max_clips
        )
        times.append(clock.lap()[1])
        pixel_frames.append(measured.n_frames * shape.pixels)
        seconds.append(measured.duration_s)
        n_permitted += permitted_clips(
            shape, clip_duration_s=task.clip_duration_s, max_clips=task.max_clips
        )
        for clip in plan.clips:
            length = clip.end_s - clip.start_s
            of_clip = length * shape.frame_rate * shape.pixels
            clips.append((uri, clip.start_s, clip.end_s, of_clip))
    if not clips:
        msg = (
            f"input.uri: expected videos of which a clip of {task.clip_duration_s:g} s "
            f"can be cut, got none among {len(task.videos)}. Name longer videos."
        )
        raise ConfigError(msg)
    costs.probe_video_core_s = statistics.fmean(probes)
    costs.segment_pixel_frame_core_s, costs.segment_second_core_s = line_through(
        pixel_frames, seconds, times
    )
    costs.clip_yield = min(1.0, len(clips) / max(1, n_permitted))
    return clips


def _measure_extraction(
    task: MeasuringTask, sandbox: Sandbox, clips: Sequence[_Clip], costs: ItemCosts
) -> None:
    """Decode every clip for all extractors, and run each extractor on it."""
    extractors = {
        name: create_extractor(name, options) for name, options in task.extractors
    }
    times: list[float] = []
    spent: dict[str, list[float]] = {name: [] for name in extractors}
    for index, (uri, start_s, end_s, _) in enumerate(clips):
        clock = Clock()
        decoded = _decoded(sandbox, uri, start_s, end_s, extractors)
        times.append(clock.lap()[1])
        dealt = _dealt(decoded, extractors)
        if index == 0:
            # Models load, and libraries compile, with the first clip.
            for name, extractor in extractors.items():
                extractor.extract([dealt[name]])
        for name, extractor in extractors.items():
            clock.lap()
            extractor.extract([dealt[name]])
            spent[name].append(clock.lap()[1])
    sizes = [of_clip for *_, of_clip in clips]
    costs.decode_pixel_frame_core_s, costs.decode_clip_core_s = line_through(
        sizes, [1.0] * len(clips), times
    )
    costs.extractors = {name: statistics.fmean(found) for name, found in spent.items()}


def _decoded(
    sandbox: Sandbox,
    uri: str,
    start_s: float,
    end_s: float,
    extractors: Mapping[str, Extractor],
) -> DecodedStreams:
    video = [e.video_sampling for e in extractors.values() if e.video_sampling]
    audio = [e.audio_sampling for e in extractors.values() if e.audio_sampling]
    return decode_clip_isolated(
        sandbox,
        path_from_uri(uri),
        start_s,
        end_s,
        video=list(dict.fromkeys(video)),
        audio=list(dict.fromkeys(audio)),
    )


def _dealt(
    decoded: DecodedStreams, extractors: Mapping[str, Extractor]
) -> dict[str, DecodedClip]:
    """Deal out what was decoded, as ``features.extraction`` does."""
    video = list(
        dict.fromkeys(e.video_sampling for e in extractors.values() if e.video_sampling)
    )
    audio = list(
        dict.fromkeys(e.audio_sampling for e in extractors.values() if e.audio_sampling)
    )
    dealt = {}
    for name, extractor in extractors.items():
        seen, heard = extractor.video_sampling, extractor.audio_sampling
        dealt[name] = DecodedClip(
            "measured",
            frames=decoded.frames[video.index(seen)][0] if seen else None,
            frame_times_s=decoded.frames[video.index(seen)][1] if seen else None,
            waveform=decoded.waveforms[audio.index(heard)] if heard else None,
            sample_rate_hz=heard.sample_rate_hz if heard else None,
        )
    return dealt


def _measure_clustering(task: MeasuringTask, costs: ItemCosts) -> None:
    """Fit made-up vectors with few and with many centroids, and take the two apart."""
    generator = np.random.default_rng(0)
    dimension, n_epochs = 256, 3
    x = generator.standard_normal((task.n_rows, dimension)).astype(np.float32)
    products, rows, times = [], [], []
    for k in (8, max(32, min(task.n_clusters, task.n_rows // 40))):
        fits = []
        for epochs in (1, 1 + n_epochs):
            clock = Clock()
            SGDKMeans(k, n_epochs=epochs, init="random", reinit="none").fit(x)
            fits.append(clock.lap()[1])
        # What a fit costs apart from its epochs is not a matter of rows and epochs.
        taken = max(fits[1] - fits[0], 1e-6) / n_epochs
        products.append(float(task.n_rows * dimension * k))
        rows.append(float(task.n_rows * dimension))
        times.append(taken)
    costs.product_core_s, costs.row_core_s = line_through(products, rows, times)


def _measure_selection(task: MeasuringTask, costs: ItemCosts) -> None:
    """Select from made-up clips, after compiling."""
    generator = np.random.default_rng(0)
    n_views = 1 + max(max(pair) for pair in task.pairs)
    k = task.n_clusters
    shared = generator.integers(k, size=(task.n_rows, 1))
    own = generator.integers(k, size=(task.n_rows, n_views))
    ids = np.where(generator.random(own.shape) < 0.4, shared, own).astype(np.uint16)
    n_picks = max(1, task.n_rows // 3)
    for is_warm in (False, True):
        clock = Clock()
        batch_greedy(
            ids,
            n_picks if is_warm else min(n_picks, 2 * task.per_batch),
            n_clusters=k,
            pairs=task.pairs,
            batch_size=task.batch_size,
            per_batch=task.per_batch,
        )
        costs.pick_core_s = clock.lap()[1] / n_picks
