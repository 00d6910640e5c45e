"""``acav plan --calibrate``: run the stages on a few clips, and measure what they cost.

The stages run in a warehouse of their own, in the order of ``acav run`` and in a fresh
session, cut into a few chunks; what their items cost is measured apart
(``measuring``) and subtracted, so that what is fixed remains.
"""

from __future__ import annotations

import datetime as dt
import logging
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from acav_spark.chunks import decoding_limits
from acav_spark.errors import ConfigError
from acav_spark.imports.choosing import computed_extractors
from acav_spark.pipeline import run_stages, stages_named
from acav_spark.planning.fixed import StageTimes, stage_rates
from acav_spark.planning.job import media_of, settings_of, shapes_of
from acav_spark.planning.measuring import ItemCosts, MeasuringTask, measure_items
from acav_spark.planning.processor import Clock
from acav_spark.planning.rates import ExtractorRate, Rates, SelectionRate
from acav_spark.planning.workload import (
    Workload,
    mean_clip_pixel_frames,
    mean_shape,
)
from acav_spark.selection.pairings import pairs_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.config.models import Config
    from acav_spark.planning.workload import VideoShape
    from acav_spark.runs import StageResult

_logger = logging.getLogger(__name__)

MAX_FILES = 20
MAX_VIDEO_S = 120.0
# Chunks of the calibrating run: the first differs from the others in its start.
_N_CHUNKS = 3
# Clusters whose costs are measured where their number hangs on the clips.
_AUTO_CLUSTERS = 500
_NOT_MEASURED = (
    "efficiency",
    "metadata_row_core_s",
    "feature_byte_core_s",
    "assigned_row_core_s",
    "packed_clip_core_s",
    "published_row_core_s",
    "compared_clip_core_s",
    "merged_row_core_s",
)
_PACKAGES = ("acav_spark", "pyspark", "delta-spark", "numpy", "numba", "av")


@dataclass
class ChunkWatch:
    """A reporter that notes when chunks are committed, and what they took.

    Parameters
    ----------
    clock : Clock
        Of this process; its laps are left alone.
    laps : dict of str to list of (float, float, float)
        By stage: wall clock and processor time of each chunk, and the items done
        after it.
    """

    clock: Clock
    laps: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    _stage: str = ""
    _begun: tuple[float, float] = (0.0, 0.0)

    def start(self, stage: str, total: int, unit: str) -> None:  # noqa: ARG002 - a Reporter's
        """Begin a stage."""
        self._stage = stage
        self._begun = (time.perf_counter(), self.clock.look())

    def at(self, done: float) -> None:
        """Note a commit; shares of a chunk in progress are not whole."""
        if isinstance(done, int):
            now = (time.perf_counter(), self.clock.look())
            took = (now[0] - self._begun[0], max(0.0, now[1] - self._begun[1]))
            self.laps.setdefault(self._stage, []).append((*took, done))
            self._begun = now

    def finish(self) -> None:
        """End the stage."""


def sample_of(config: Config) -> list[tuple[str, VideoShape]]:
    """Return some of the input's videos, drawn by a hash of their names.

    At most 20 files and two minutes of video in all, but always one.

    Raises
    ------
    ConfigError
        If the input is not media, or none of its files is a usable video.
    """
    chosen: list[tuple[str, VideoShape]] = []
    total_s = 0.0
    for uri, shape in shapes_of(config, media_of(config)):
        if chosen and total_s + shape.duration_s > MAX_VIDEO_S:
            continue
        chosen.append((uri, shape))
        total_s += shape.duration_s
        if len(chosen) == MAX_FILES or total_s >= 0.9 * MAX_VIDEO_S:
            break
    if not chosen:
        msg = (
            "input.uri: expected videos with sound that ingest accepts, got none. Name "
            "a folder of some by --set input.uri=FOLDER, or widen ingest's bounds."
        )
        raise ConfigError(msg)
    return chosen


def calibrate(config: Config, defaults: Rates, *, n_rows: int = 20_000) -> Rates:
    """Return the rates of this machine for the configuration's extractors.

    Parameters
    ----------
    config : Config
        With ``input.uri``; the warehouse it names is not touched.
    defaults : Rates
        Of what is not measured here.
    n_rows : int, default 20_000
        Vectors and clips that are made up for clustering and selection.

    Raises
    ------
    ConfigError
        If there is nothing to measure on.
    """
    sample = sample_of(config)
    shapes = tuple(shape for _, shape in sample)
    _logger.info("measuring items n_videos=%d", len(sample))
    # In a process of its own, so that the session below starts as a command's does.
    context = multiprocessing.get_context("spawn")
    task = _task(config, sample, n_rows)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        costs = pool.submit(measure_items, task).result()
    measured = _with_items(defaults, task, costs, shapes)
    with TemporaryDirectory(prefix="acav_plan_") as folder:
        return _with_stages(measured, config, sample, folder)


def _task(
    config: Config, sample: Sequence[tuple[str, VideoShape]], n_rows: int
) -> MeasuringTask:
    settings, _ = settings_of(config)
    views = [
        (e.name, layer, e.modality)
        for e in settings.extractors
        for layer in range(1, len(e.dimensions) + 1)
    ]
    return MeasuringTask(
        videos=tuple(sample),
        limits=decoding_limits(config),
        clip_duration_s=config.segmentation.clip_duration_s,
        max_clips=config.segmentation.max_clips_per_video,
        shot_threshold=config.segmentation.shot_threshold,
        extractors=tuple((e.name, e.options) for e in computed_extractors(config)),
        n_clusters=max(settings.n_clusters, default=_AUTO_CLUSTERS),
        pairs=tuple(pairs_for(config.selection.pairing, views)),
        batch_size=config.selection.batch_size,
        per_batch=config.selection.per_batch,
        n_rows=n_rows,
    )


def _with_items(
    defaults: Rates,
    task: MeasuringTask,
    costs: ItemCosts,
    shapes: tuple[VideoShape, ...],
) -> Rates:
    """Return the rates with the costs of items that were measured."""
    own = SelectionRate(
        n_clusters=task.n_clusters,
        n_pairs=len(task.pairs),
        core_s_per_pick=costs.pick_core_s,
    )
    others = [
        rate
        for rate in defaults.selection
        if (rate.n_clusters, rate.n_pairs) != (own.n_clusters, own.n_pairs)
    ]
    return defaults.model_copy(
        update={
            "machine": _machine(),
            "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%MZ}",
            "versions": _versions(),
            "cores": os.cpu_count() or 1,
            "n_videos": len(shapes),
            "video_s": sum(shape.duration_s for shape in shapes),
            "contention": costs.contention,
            "probe_video_core_s": costs.probe_video_core_s,
            "segment_pixel_frame_core_s": costs.segment_pixel_frame_core_s,
            "segment_second_core_s": costs.segment_second_core_s,
            "decode_pixel_frame_core_s": costs.decode_pixel_frame_core_s,
            "decode_clip_core_s": costs.decode_clip_core_s,
            "extractors": {
                name: ExtractorRate(core_s=core_s, clip_s=task.clip_duration_s)
                for name, core_s in costs.extractors.items()
            },
            "product_core_s": costs.product_core_s,
            "row_core_s": costs.row_core_s,
            "selection": [own, *others],
            "clip_yield": costs.clip_yield,
            "not_measured": list(_NOT_MEASURED),
        }
    )


def _with_stages(
    rates: Rates,
    config: Config,
    sample: Sequence[tuple[str, VideoShape]],
    folder: str,
) -> Rates:
    """Run all stages on the sample, and return the rates with what is fixed."""
    from acav_spark.context import StageContext
    from acav_spark.report.counts_job import gather_counts
    from acav_spark.session import get_session

    small = _small_config(config, sample, folder)
    import_s, import_core_s = _start_of_interpreter()
    clock = Clock()
    watch = ChunkWatch(clock)
    context = StageContext(get_session(small.spark), small, reporter=watch)
    start_s, start_core_s = clock.lap()
    laps: dict[str, tuple[float, float]] = {}

    def note(result: StageResult) -> None:
        laps[result.stage] = clock.lap()
        _logger.info(
            "measured stage=%s seconds=%.1f core_seconds=%.1f",
            *(result.stage, *laps[result.stage]),
        )

    with clock.watching():
        run_stages(context, stages_named([]), note)
        gather_counts(context)
        end_s, end_core_s = clock.lap()
    n_clips = context.warehouse.read("clips").count()
    shapes = tuple(shape for _, shape in sample)
    mean, pixel_frames = mean_shape(shapes)
    settings, _ = settings_of(small)
    workload = Workload(
        float(len(shapes)),
        "media",
        1.0,
        mean,
        pixel_frames,
        n_clips / len(shapes),
        max(shape.duration_s for shape in shapes),
        shapes,
        mean_clip_pixel_frames(
            shapes,
            clip_duration_s=settings.clip_duration_s,
            max_clips=settings.max_clips,
        ),
    )
    times = {
        name: StageTimes(wall_s, core_s, tuple(watch.laps.get(name, ())))
        for name, (wall_s, core_s) in laps.items()
    }
    return rates.model_copy(
        update={
            "start_s": import_s + start_s,
            "start_core_s": import_core_s + start_core_s,
            "end_s": end_s,
            "end_core_s": end_core_s,
            "stages": stage_rates(times, workload, settings, rates),
        }
    )


def _small_config(
    config: Config, sample: Sequence[tuple[str, VideoShape]], folder: str
) -> Config:
    """Return the configuration with the sample as input and a warehouse of its own."""
    update = {
        "input": {"uri": [uri for uri, _ in sample], "format": "media"},
        "storage": {"root": str(Path(folder) / "warehouse")},
        "ingest": {
            "language": config.ingest.language.model_copy(
                update={"cumulative_ratio": None, "keep": []}
            )
        },
        # As many clusters as the paper's would need more clips than these.
        "clustering": {"n_clusters": "auto", "name": "main"},
        "selection": {
            "size": "50%",
            "name": "main",
            "where": "",
            "quotas": {},
            "must_include": [],
            "must_exclude": [],
            "allow_fewer": True,
        },
        "publish": {"uri": ""},
        "execution": {
            "chunk_size": max(1, -(-len(sample) // _N_CHUNKS)),
            "max_failed_fraction": 1.0,
        },
    }
    return config.model_copy(
        update={
            section: getattr(config, section).model_copy(update=values)
            for section, values in update.items()
        }
    )


def _start_of_interpreter() -> tuple[float, float]:
    """Return what it takes until a command's own modules are imported."""
    clock = Clock()
    command = [sys.executable, "-c", "import acav_spark.cli, acav_spark.ingest.job"]
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter
    return clock.lap()


def _machine() -> str:
    """Return the processor's name, where the system tells it, and the architecture."""
    name = platform.processor()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        named = [
            line.partition(":")[2].strip()
            for line in facts.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        name = named[0] if named else name
    return f"{name or 'unknown processor'}, {platform.machine()}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # Platforms bring some of them under other names.
            continue
    return found
