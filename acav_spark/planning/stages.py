"""The work of every stage: items, seconds of cores and accelerators, bytes read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from acav_spark.clustering.sizes import auto_n_clusters
from acav_spark.planning.networks import CORE_GFLOPS, gpu_seconds
from acav_spark.planning.rates import nearest_selection_rate
from acav_spark.planning.workload import permitted_clips

if TYPE_CHECKING:
    from acav_spark.planning.rates import Rates
    from acav_spark.planning.workload import (
        ExtractorSpec,
        Settings,
        Workload,
    )

# As in the stages: items of a chunk are so many times ``execution.chunk_size``.
METADATA_FACTOR = 1024
ASSIGN_FACTOR = 40_000
# Stages whose chunks are merged by key with what is there.
ROWWISE = ("ingest_videos", "segment_clips", "extract_features")
# Bytes of vectors of a view that are still fitted in one task.
_ONE_TASK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class StageWork:
    """What a stage has to do, whatever it runs on.

    Parameters
    ----------
    name, unit : str
        The stage, and what its items are called.
    n_items : float
        Items.
    core_s : float
        Processor time of all items, on a core of the rates.
    gpu_s : float
        Time of one accelerator for all items.
    bytes_read, n_reads : float
        Bytes of media from storage, and requests for them.
    n_chunks : int
        Parts that are committed one after another.
    chunk_factor : int
        So many times ``execution.chunk_size`` items are a chunk.
    merge_core_s : float
        Processor time of looking for a chunk's keys in what is there, of all chunks.
    longest_core_s : float
        Processor time of the longest item.
    items_core_s : tuple of float
        That of each item, where they are known one by one.
    pool : str
        Where it runs.
    max_cores : int, optional
        Cores that it can use; None: all.
    """

    name: str
    unit: str
    n_items: float
    core_s: float
    gpu_s: float = 0.0
    bytes_read: float = 0.0
    n_reads: float = 0.0
    n_chunks: int = 1
    chunk_factor: int = 1
    merge_core_s: float = 0.0
    longest_core_s: float = 0.0
    items_core_s: tuple[float, ...] = field(default=(), repr=False)
    pool: str = "cpu"
    max_cores: int | None = None

    @property
    def item_core_s(self) -> float:
        """Processor time of the mean item."""
        return self.core_s / self.n_items if self.n_items else 0.0


def n_clusters_of(settings: Settings, n_clips: float) -> int:
    """Return the clusters of the largest clustering; ``auto`` by the clips it uses."""
    if settings.n_clusters:
        return max(settings.n_clusters)
    return auto_n_clusters(max(1, int(min(n_clips, settings.max_rows))))


def all_work(
    workload: Workload,
    settings: Settings,
    rates: Rates,
    *,
    gpu_tflops: float = 0.0,
    gpu_share: float = 0.25,
) -> list[StageWork]:
    """Return the work of every stage, in the order of the data.

    Parameters
    ----------
    workload, settings, rates
        The videos, the configuration, what items cost.
    gpu_tflops : float
        Peak of an accelerator; 0 where there is none.
    gpu_share : float
        Share of the peak that networks reach.
    """
    works = [
        ingest_work(workload, settings, rates),
        segment_work(workload, settings, rates),
        duplicates_work(workload, settings, rates),
        extract_work(
            workload, settings, rates, gpu_tflops=gpu_tflops, gpu_share=gpu_share
        ),
        fit_work(workload, settings, rates),
        assign_work(workload, settings, rates),
        select_work(workload, settings, rates),
        StageWork(
            "publish_clips",
            "clips",
            settings.n_selected(workload.n_clips),
            settings.n_selected(workload.n_clips)
            * settings.n_formats
            * rates.published_row_core_s,
        ),
    ]
    return [
        replace(
            work,
            # On the way half of the items are there already.
            merge_core_s=(work.n_chunks - 1)
            * work.n_items
            / 2
            * rates.merged_row_core_s,
        )
        if work.name in ROWWISE
        else work
        for work in works
    ]


def ingest_work(workload: Workload, settings: Settings, rates: Rates) -> StageWork:
    """Return the work of probing files, or of judging rows of metadata."""
    n = workload.n_videos
    if workload.kind == "metadata":
        return StageWork(
            "ingest_videos",
            "rows",
            n,
            n * rates.metadata_row_core_s,
            n_chunks=_chunks(n, settings.chunk_size * METADATA_FACTOR),
            chunk_factor=METADATA_FACTOR,
        )
    return StageWork(
        "ingest_videos",
        "videos",
        n,
        n * rates.probe_video_core_s,
        bytes_read=n * workload.mean.n_bytes,
        n_reads=n * _reads(workload.mean.n_bytes),
        n_chunks=_chunks(n, settings.chunk_size),
        longest_core_s=rates.probe_video_core_s,
    )


def segment_work(workload: Workload, settings: Settings, rates: Rates) -> StageWork:
    """Return the work of decoding every accepted video once."""

    def seconds(pixel_frames: float, duration_s: float) -> float:
        return (
            pixel_frames * rates.segment_pixel_frame_core_s
            + duration_s * rates.segment_second_core_s
        )

    mean_s = seconds(workload.pixel_frames, workload.mean.duration_s)
    items = tuple(seconds(s.pixel_frames, s.duration_s) for s in workload.shapes)
    stretch = workload.longest_s / max(workload.mean.duration_s, 1e-9)
    return StageWork(
        "segment_clips",
        "videos",
        workload.n_accepted,
        workload.n_accepted * mean_s,
        bytes_read=workload.n_accepted * workload.mean.n_bytes,
        n_reads=workload.n_accepted * _reads(workload.mean.n_bytes),
        n_chunks=_chunks(workload.n_accepted, settings.chunk_size),
        longest_core_s=max(items, default=mean_s * max(1.0, stretch)),
        items_core_s=items,
    )


def duplicates_work(workload: Workload, settings: Settings, rates: Rates) -> StageWork:
    """Return the work of comparing clips; nothing where it is off."""
    n = workload.n_clips if settings.finds_duplicates else 0.0
    return StageWork("find_duplicates", "clips", n, n * rates.compared_clip_core_s)


def extract_work(
    workload: Workload,
    settings: Settings,
    rates: Rates,
    *,
    gpu_tflops: float,
    gpu_share: float,
) -> StageWork:
    """Return the work of decoding every clip once and of all extractors."""
    n = workload.n_clips
    core_s, gpu_s = 0.0, 0.0
    for extractor in settings.extractors:
        on_core, on_gpu = extractor_seconds(
            extractor,
            settings,
            rates,
            gpu_tflops=gpu_tflops,
            gpu_share=gpu_share,
        )
        core_s += on_core
        gpu_s += on_gpu
    mean = workload.mean
    share = min(1.0, settings.clip_duration_s / max(mean.duration_s, 1e-9))
    pixel_frames = workload.clip_pixel_frames
    if pixel_frames is None:
        pixel_frames = workload.pixel_frames * share
    clip_s = decode_seconds(pixel_frames, rates) + core_s
    read = mean.n_bytes * share
    return StageWork(
        "extract_features",
        "clips",
        n,
        n * clip_s,
        gpu_s=n * gpu_s,
        bytes_read=n * read,
        n_reads=n * _reads(read),
        n_chunks=_chunks(n, settings.chunk_size),
        longest_core_s=clip_s,
        items_core_s=_clip_items(workload, settings, rates, core_s),
        pool="gpu" if gpu_s > 0 else "cpu",
    )


def decode_seconds(pixel_frames: float, rates: Rates) -> float:
    """Return the processor time of decoding a clip with so many pixels in all."""
    return pixel_frames * rates.decode_pixel_frame_core_s + rates.decode_clip_core_s


def extractor_seconds(
    extractor: ExtractorSpec,
    settings: Settings,
    rates: Rates,
    *,
    gpu_tflops: float,
    gpu_share: float,
) -> tuple[float, float]:
    """Return the seconds of a core and of an accelerator that a clip takes.

    On an accelerator time follows from operations; on a core from a measurement, else
    from operations; both are 0 where neither is known.
    """
    measured = rates.extractors.get(extractor.name)
    gmac = extractor.gmac_per_clip
    if gmac is not None:
        # Published figures are of ten seconds.
        gmac *= settings.clip_duration_s / 10.0
    if extractor.wants_gpu and gpu_tflops > 0 and gmac is not None:
        return 0.0, gpu_seconds(gmac, gpu_tflops, gpu_share)
    if measured is not None:
        return measured.core_s * settings.clip_duration_s / measured.clip_s, 0.0
    if gmac is not None:
        return 2 * gmac / CORE_GFLOPS, 0.0
    return 0.0, 0.0


def fit_work(workload: Workload, settings: Settings, rates: Rates) -> StageWork:
    """Return the work of all epochs of all views and numbers of clusters."""
    n_rows = min(workload.n_clips, settings.max_rows)
    k = n_clusters_of(settings, workload.n_clips)
    sizes = settings.n_clusters or (k,)
    widths = [d for e in settings.extractors for d in e.dimensions]
    of_row = sum(_row_seconds(d, size, rates) for d in widths for size in sizes)
    carried = n_rows * 2 * sum(widths) * rates.feature_byte_core_s
    # Where a view is fitted in one task, its rows are read once.
    is_small = n_rows * 4 * max(widths, default=0) <= _ONE_TASK_BYTES
    n_epochs = settings.n_epochs
    return StageWork(
        "fit_centroids",
        "clips",
        n_rows,
        n_rows * of_row * n_epochs + carried * (1 if is_small else n_epochs),
        # Each epoch of an extractor is a job of its own.
        n_chunks=1 if is_small else n_epochs * len(settings.extractors),
        max_cores=len(widths) if is_small else settings.n_shards,
    )


def assign_work(workload: Workload, settings: Settings, rates: Rates) -> StageWork:
    """Return the work of one pass over all vectors, and of packing the labels."""
    n = workload.n_clips
    sizes = settings.n_clusters or (n_clusters_of(settings, n),)
    of_clip = 0.0
    for extractor in settings.extractors:
        of_clip += rates.assigned_row_core_s
        of_clip += 2 * sum(extractor.dimensions) * rates.feature_byte_core_s
        of_clip += sum(
            _row_seconds(d, k, rates) for d in extractor.dimensions for k in sizes
        )
    return StageWork(
        "assign_clusters",
        "clips",
        n,
        n * of_clip,
        # Those of all extractors count as one: each makes a commit for every chunk.
        n_chunks=_chunks(n, settings.chunk_size * ASSIGN_FACTOR),
        chunk_factor=ASSIGN_FACTOR,
    )


def select_work(workload: Workload, settings: Settings, rates: Rates) -> StageWork:
    """Return the work of choosing, and of reading and writing around it."""
    n = workload.n_clips
    k = n_clusters_of(settings, n)
    rate = nearest_selection_rate(rates.selection, k, max(1, settings.n_pairs))
    n_picks = settings.n_selected(n)
    return StageWork(
        "select_clips",
        "picks",
        n_picks,
        n_picks * rate.core_s_per_pick + n * rates.packed_clip_core_s,
        pool="driver" if settings.engine == "driver" else "cpu",
        max_cores=1 if settings.engine == "driver" else None,
    )


def _row_seconds(dimension: int, k: int, rates: Rates) -> float:
    return dimension * (k * rates.product_core_s + rates.row_core_s)


def _clip_items(
    workload: Workload, settings: Settings, rates: Rates, extractors_s: float
) -> tuple[float, ...]:
    """Return the seconds of each clip, where the videos are known one by one."""
    if not workload.shapes:
        return ()
    counts = [
        permitted_clips(
            shape,
            clip_duration_s=settings.clip_duration_s,
            max_clips=settings.max_clips,
        )
        for shape in workload.shapes
    ]
    n_permitted = sum(counts)
    if n_permitted == 0:
        return ()
    # What signatures and limits leave is spread over all videos.
    thinning = workload.n_clips / n_permitted
    items: list[float] = []
    for shape, count in zip(workload.shapes, counts, strict=True):
        clip_s = min(settings.clip_duration_s, shape.duration_s)
        decoded = decode_seconds(clip_s * shape.frame_rate * shape.pixels, rates)
        items += [thinning * (decoded + extractors_s)] * count
    return tuple(items)


def _chunks(n_items: float, size: float) -> int:
    return max(1, math.ceil(n_items / size))


def _reads(n_bytes: float) -> float:
    """Return the requests for so many bytes: the head, the index, then 8 MB each."""
    return 2.0 + math.ceil(n_bytes / 8e6)
