"""Write the demo corpus: short videos of several shots, and a file of labels.

Half of the shots sound like what they show, the other half like something else.
Only ``labels.csv`` says which; videos, names and order do not.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.demo.encode import write_video
from acav_spark.demo.labels import LABEL_COLUMNS
from acav_spark.demo.plan import SAMPLE_RATE_HZ, ShotPlan, VideoPlan, plan_video
from acav_spark.demo.scenes import render_shot
from acav_spark.demo.sounds import synthesise_shot
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Corpus", "write_corpus"]

# Raised whenever the same seed would give other videos.
CORPUS_VERSION = 1

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk.

    Parameters
    ----------
    videos : Path
        Folder of the videos.
    labels : Path
        CSV file of what each shot shows and plays.
    n_videos, n_shots : int
        Size of the corpus.
    n_written : int
        Videos written by this call; 0 when all were there.
    """

    videos: Path
    labels: Path
    n_videos: int
    n_shots: int
    n_written: int


def write_corpus(
    folder: Path,
    *,
    n_videos: int = 100,
    seed: int = 0,
    n_workers: int = 2,
    progress: Progress | None = None,
) -> Corpus:
    """Write the demo corpus into a folder, or finish or find it there.

    Parameters
    ----------
    folder : Path
        Gets ``videos/*.mp4``, ``labels.csv`` and, last of all, ``manifest.json``.
    n_videos : int, default 100
        Videos of 3 to 5 shots, at least one.
    seed : int, default 0
        Every video is a function of ``(seed, its index)``.
    n_workers : int, default 2
        Processes that write videos; the result does not depend on it.
    progress : callable, optional
        Called with (videos there, videos wanted) whenever one is finished.

    Raises
    ------
    ValueError
        If ``n_videos``, ``n_workers`` or ``seed`` is out of range.
    ConfigError
        If the folder holds another corpus, or videos of somebody else.

    Notes
    -----
    A video gets its name when it is complete, so what has a name is whole; an
    interrupted call is finished by calling again. 100 videos (about 400 shots, 35
    minutes) take 20 to 40 s on two cores.
    """
    if n_videos < 1 or n_workers < 1 or seed < 0:
        msg = (
            "write_corpus: expected n_videos >= 1, n_workers >= 1 and seed >= 0, got "
            f"{n_videos}, {n_workers} and {seed}."
        )
        raise ValueError(msg)
    plans = [plan_video(index, seed=seed) for index in range(n_videos)]
    videos, labels = folder / "videos", folder / "labels.csv"
    identity = {"version": CORPUS_VERSION, "seed": seed, "n_videos": n_videos}
    _require_own_folder(folder, identity, {plan.file_name for plan in plans})
    missing = [
        index
        for index, plan in enumerate(plans)
        if not _exists(videos / plan.file_name)
    ]
    n_shots = sum(len(plan.shots) for plan in plans)
    is_complete = (
        not missing and labels.exists() and (folder / "manifest.json").exists()
    )
    if not is_complete:
        videos.mkdir(parents=True, exist_ok=True)
        _write_text(folder / "writing.json", json.dumps(identity))
        _write_videos(
            folder, missing, seed=seed, n_workers=n_workers, progress=progress
        )
        _write_text(labels, _labels_text(plans))
        _write_text(folder / "manifest.json", json.dumps(identity))
        (folder / "writing.json").unlink(missing_ok=True)
    return Corpus(videos, labels, n_videos, n_shots, len(missing))


def write_planned_video(path: Path, plan: VideoPlan) -> None:
    """Write one planned video."""
    phases = [np.random.default_rng([*shot.seed, 0]).uniform() for shot in plan.shots]
    starts = [round(start * SAMPLE_RATE_HZ) for start, _ in plan.shot_times_s]
    ends = [round(end * SAMPLE_RATE_HZ) for _, end in plan.shot_times_s]
    sounds = [
        synthesise_shot(shot, n_samples=end - start, phase=phase)
        for shot, phase, start, end in zip(
            plan.shots, phases, starts, ends, strict=True
        )
    ]
    write_video(
        path,
        (
            frame
            for shot, phase in zip(plan.shots, phases, strict=True)
            for frame in render_shot(
                shot,
                width=plan.width,
                height=plan.height,
                frame_rate=plan.frame_rate,
                phase=phase,
            )
        ),
        np.concatenate(sounds),
        frame_rate=plan.frame_rate,
        sample_rate_hz=SAMPLE_RATE_HZ,
    )


def _exists(video: Path) -> bool:
    """Whether a video is there; a name is given to whole videos only."""
    return video.is_file() and video.stat().st_size > 0


def _require_own_folder(
    folder: Path, identity: dict[str, int], names: set[str]
) -> None:
    """Refuse a folder that holds another corpus, or videos that are not of this one."""
    markers = [folder / name for name in ("manifest.json", "writing.json")]
    is_own = False
    for marker in (path for path in markers if path.exists()):
        is_own = True
        found = json.loads(marker.read_text(encoding="utf-8"))
        if found != identity:
            msg = (
                f"{folder}: expected the demo corpus {identity}, got {found}. "
                "Choose another folder, or delete this one."
            )
            raise ConfigError(msg)
    present = {path.name for path in (folder / "videos").glob("*")}
    strange = sorted(present - names if is_own else present)
    if strange:
        msg = (
            f"{folder / 'videos'}: expected videos of the demo corpus only, got "
            f"{len(strange)} others such as {strange[:5]}. Choose another folder."
        )
        raise ConfigError(msg)


def _write_videos(
    folder: Path,
    indices: list[int],
    *,
    seed: int,
    n_workers: int,
    progress: Progress | None,
) -> None:
    """Write the videos of these indices, in processes of their own when many."""
    parts = folder / ".parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    n_there = len(list((folder / "videos").glob("*.mp4")))
    done: Iterable[int]
    if n_workers == 1 or len(indices) < 2:
        done = (_write_one(folder, index, seed) for index in indices)
        _count(done, n_there, n_there + len(indices), progress)
    else:
        # A fresh interpreter: a forked one would inherit the threads of its parent.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(n_workers, len(indices)), context) as pool:
            jobs = [pool.submit(_write_one, folder, index, seed) for index in indices]
            done = (job.result() for job in as_completed(jobs))
            try:
                _count(done, n_there, n_there + len(indices), progress)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    shutil.rmtree(parts, ignore_errors=True)


def _count(
    done: Iterable[int], n_there: int, n_wanted: int, progress: Progress | None
) -> None:
    """Wait for each video and report it."""
    for number, _ in enumerate(done, start=n_there + 1):
        if progress is not None:
            progress(number, n_wanted)


def _write_one(folder: Path, index: int, seed: int) -> int:
    """Write one video under another name, give it its own; return its index."""
    import cv2

    cv2.setNumThreads(1)  # the processes share the cores already
    plan = plan_video(index, seed=seed)
    part = folder / ".parts" / f"{plan.file_name}.{os.getpid()}"
    write_planned_video(part, plan)
    part.replace(folder / "videos" / plan.file_name)
    return index


def _labels_text(plans: Iterable[VideoPlan]) -> str:
    """Return the content of ``labels.csv``."""
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LABEL_COLUMNS)
    for plan in plans:
        for number, (start, end) in enumerate(plan.shot_times_s):
            writer.writerow(_label_row(plan, plan.shots[number], number, start, end))
    return text.getvalue()


def _label_row(
    plan: VideoPlan, shot: ShotPlan, number: int, start_s: float, end_s: float
) -> list[str]:
    """Return one row of ``labels.csv``."""
    return [
        plan.file_name,
        str(number),
        f"{start_s:.6f}",
        f"{end_s:.6f}",
        shot.visual_class,
        shot.audio_class,
        "true" if shot.is_corresponding else "false",
    ]


def _write_text(path: Path, text: str) -> None:
    """Write a text file so that it is there in full or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
