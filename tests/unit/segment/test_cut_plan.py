from __future__ import annotations

import csv
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.media import Limits, Sandbox, probe_isolated
from acav_spark.segment import (
    ClipLimits,
    Shot,
    VideoMeasurements,
    cut_plan,
    measure_video_isolated,
)
from acav_spark.segment.clips import MAX_CANDIDATES
from acav_spark.segment.signature import FINE_FRAME

if TYPE_CHECKING:
    from pathlib import Path


def _measured(
    *edges: float,
    rms: float | list[float] = 0.1,
    motion: float | list[float] = 1.0,
    words: list[int] | None = None,
    has_elements: bool = False,
) -> VideoMeasurements:
    """Return measurements of a video with cuts at ``edges``, two frames a second."""
    n_windows = int(edges[-1] / 0.5) + 1
    seen = np.resize(np.array(words or [100], dtype=np.uint8), n_windows)
    return VideoMeasurements(
        shots=tuple(Shot(a, b) for a, b in pairwise(edges)),
        n_frames=round(edges[-1] * 25),
        n_bad_packets=0,
        duration_s=edges[-1],
        video_end_s=edges[-1],
        audio_end_s=edges[-1],
        window_s=0.5,
        rms=np.resize(np.array(rms, dtype=np.float32), n_windows),
        is_constant=np.zeros(n_windows, dtype=np.bool_),
        clipped=np.zeros(n_windows, dtype=np.float32),
        missing=np.zeros(n_windows, dtype=np.float32),
        motion=np.resize(np.array(motion, dtype=np.float32), n_windows),
        frame_times_s=np.arange(n_windows, dtype=np.float64) / 2,
        words=np.repeat(seen[:, np.newaxis], 5, axis=1),
        elements=np.repeat(seen[: n_windows * has_elements, np.newaxis], 76, axis=1),
        confidences=np.full(n_windows, 99, dtype=np.uint8),
        sampled_times_s=np.arange(n_windows, dtype=np.float64) / 2,
        sampled_elements=np.repeat(seen[:, np.newaxis], 76, axis=1),
        sound_words=np.arange(1, 10 * n_windows // 2 + 1, dtype=np.uint32),
        is_black=np.zeros(n_windows, dtype=np.bool_),
        is_flat=np.zeros(n_windows, dtype=np.bool_),
        width=64,
        height=48,
        frame_rate=25.0,
        sample_rate_hz=16000,
        audio_offset_s=0.0,
    )


def test_the_clips_that_are_least_alike_are_cut() -> None:
    mixed = [1, 2, 3, 4] * 5
    words = [*mixed, *mixed, *([2] * 20), *mixed, *([3] * 20), 3]
    plan = cut_plan(_measured(0, 50, words=words), clip_duration_s=10, max_clips=2)
    assert [(clip.start_s, clip.end_s) for clip in plan.clips] == [
        (20.0, 30.0),
        (40.0, 50.0),
    ]
    assert (plan.rule, plan.n_shots, plan.n_candidates) == ("inside_shots", 1, 5)


def test_clips_carry_their_signatures() -> None:
    words = [7] * 20 + [8] * 21
    plain, full = (
        cut_plan(
            _measured(0, 20, words=words, has_elements=has_elements),
            clip_duration_s=10,
            max_clips=2,
        ).clips
        for has_elements in (False, True)
    )
    assert [clip.fine_signature for clip in plain] == [None, None]
    for index, (one, other) in enumerate(zip(plain, full, strict=True)):
        assert one.signature == other.signature
        # Stretches of 3 s every 1.5 s; one word of a value each.
        bits = np.unpackbits(np.frombuffer(one.signature, np.uint8), bitorder="little")
        assert (bits.size, bits.sum()) == (6 * 5 * 248, 6 * 5)
        assert bits[7 + index] == 1
        assert other.fine_signature is not None
        frames = np.frombuffer(other.fine_signature, FINE_FRAME)
        np.testing.assert_array_equal(frames["time_ms"], np.arange(20) * 500)
        assert set(frames["elements"].ravel()) == {7 + index}


def test_at_most_so_many_clips_are_cut_in_the_order_of_time() -> None:
    measured = _measured(0, 61, 100, words=[0, 50, 100, 150, 200, 240])
    for max_clips in (1, 2, 3, 20):
        clips = cut_plan(measured, clip_duration_s=10, max_clips=max_clips).clips
        assert len(clips) == min(max_clips, 9)
        assert list(clips) == sorted(clips, key=lambda clip: clip.start_s)


def test_a_clip_that_has_to_cross_a_cut_says_so() -> None:
    plan = cut_plan(_measured(0, 6, 12), clip_duration_s=10, max_clips=3)
    assert plan.rule == "across_cuts"
    assert [clip.crosses_cut for clip in plan.clips] == [True]


def test_a_little_too_short_a_video_gives_one_clip_of_its_whole_length() -> None:
    plan = cut_plan(_measured(0, 9.85), clip_duration_s=10, max_clips=3)
    assert plan.rule == "whole_video"
    assert [(clip.start_s, clip.end_s) for clip in plan.clips] == [(0.0, 9.85)]
    assert not plan.clips[0].crosses_cut
    crossing = cut_plan(_measured(0, 4, 9.85), clip_duration_s=10, max_clips=3)
    assert crossing.clips[0].crosses_cut


def test_a_video_that_is_too_short_gives_no_clip_and_says_so() -> None:
    plan = cut_plan(_measured(0, 9.7), clip_duration_s=10, max_clips=3)
    assert (plan.clips, plan.rule, plan.n_candidates) == ((), "too_short", 0)


def test_no_clip_ends_after_the_length_that_the_table_holds() -> None:
    plan = cut_plan(
        _measured(0, 10.5), clip_duration_s=10, max_clips=3, duration_s=10.02
    )
    assert [(clip.start_s, clip.end_s) for clip in plan.clips] == [(0.01, 10.01)]


def test_silence_and_stillness_are_shares_of_the_clip() -> None:
    rms = [0.1] * 10 + [0.0] * 10 + [0.1] * 20
    motion = [1.0] * 30 + [0.0] * 5 + [float("nan")] * 5
    plan = cut_plan(
        _measured(0, 20, rms=rms, motion=motion), clip_duration_s=10, max_clips=3
    )
    assert [c.silence_fraction for c in plan.clips] == [0.5, 0.0]
    assert [c.stillness_fraction for c in plan.clips] == [0.0, 0.5]


@pytest.mark.parametrize(
    ("limits", "starts"),
    [
        ({}, [0.0, 10.0]),
        ({"max_silence_fraction": 0.5}, [0.0, 10.0]),
        ({"max_silence_fraction": 0.49}, [10.0]),
        ({"max_stillness_fraction": 0.49}, [0.0]),
        ({"max_silence_fraction": 0.1, "max_stillness_fraction": 0.1}, []),
    ],
)
def test_too_beyond_limits_stretches_are_not_proposed(
    limits: dict[str, float], starts: list[float]
) -> None:
    rms = [0.1] * 10 + [0.0] * 10 + [0.1] * 21
    motion = [1.0] * 30 + [0.0] * 10
    plan = cut_plan(
        _measured(0, 20, rms=rms, motion=motion),
        clip_duration_s=10,
        max_clips=3,
        limits=ClipLimits(**limits),
    )
    assert [clip.start_s for clip in plan.clips] == starts
    assert plan.rule == ("inside_shots" if starts else "beyond_limits")
    assert plan.n_candidates == 2


def test_a_day_of_video_is_planned_from_an_even_share_of_its_candidates() -> None:
    hours = _measured(0, 4 * MAX_CANDIDATES, words=[0, 80, 160])
    plan = cut_plan(hours, clip_duration_s=2, max_clips=3)
    assert plan.n_candidates == 2 * MAX_CANDIDATES
    assert len(plan.clips) == 3


def _check_real_videos(folder: Path, rows: list[dict[str, str]]) -> None:
    with Sandbox(Limits(time_s=120)) as sandbox:
        for row in rows:
            duration_s = probe_isolated(sandbox, folder / row["file"]).duration_s
            measured = measure_video_isolated(sandbox, folder / row["file"])
            plan = cut_plan(
                measured, clip_duration_s=10, max_clips=3, duration_s=duration_s
            )
            assert bool(plan.clips) == (float(row["duration_s"]) >= 10), row["file"]
            for clip in plan.clips:
                assert 0 <= clip.start_s < clip.end_s <= duration_s
                assert round((clip.end_s - clip.start_s) * 1000) == 10_000
                assert clip.crosses_cut == (plan.rule == "across_cuts")


def _real_videos(folder: Path) -> list[dict[str, str]]:
    with (folder / "videos.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_real_videos_of_about_ten_seconds_give_a_clip_from_ten_seconds_on(
    data_dir: Path,
) -> None:
    rows = [
        row
        for row in _real_videos(data_dir / "videos")
        if 8.5 < float(row["duration_s"]) < 10.02
    ]
    assert len(rows) == 10
    _check_real_videos(data_dir / "videos", rows)


@pytest.mark.slow
def test_every_real_video_of_ten_seconds_with_sound_gives_a_clip(
    data_dir: Path,
) -> None:
    rows = _real_videos(data_dir / "videos")
    assert len(rows) == 33
    _check_real_videos(data_dir / "videos", rows)
