"""What is measured is taken apart rightly."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planned import SETTINGS, SHAPE, rates, workload
from samples import write_video

from acav_spark.errors import ConfigError
from acav_spark.media.sandbox import Limits
from acav_spark.planning import VideoShape
from acav_spark.planning.fixed import StageTimes, stage_rates
from acav_spark.planning.measuring import MeasuringTask, line_through, measure_items
from acav_spark.planning.processor import Clock, Times, lost_seconds

if TYPE_CHECKING:
    from pathlib import Path


@given(
    st.floats(1e-10, 1e-6),
    st.floats(1e-4, 10),
    st.lists(st.floats(1e5, 1e9), min_size=2, max_size=10, unique=True),
)
def test_a_line_is_found_again(a: float, b: float, x: list[float]) -> None:
    z = [a * value + b for value in x]
    found = line_through(x, [1.0] * len(x), z)
    for value, expected in zip(x, z, strict=True):
        assert found[0] * value + found[1] == pytest.approx(expected, rel=1e-3)


def test_a_rate_is_never_below_nothing() -> None:
    # Longer items that took less: the slope would be negative.
    a, b = line_through([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [3.0, 2.0, 1.0])
    assert a == 0
    assert b > 0


def test_what_is_fixed_is_left_when_work_is_subtracted() -> None:
    # 40 videos of 2 s each are 80 s of work, 50 s on two cores of 0.8 each; half of
    # the items are done in each of the two chunks.
    times = {
        "segment_clips": StageTimes(
            wall_s=70.0, core_s=100.0, chunks=((30.0, 50.0, 20), (31.0, 45.0, 40))
        ),
        "select_clips": StageTimes(wall_s=5.0, core_s=6.0),
    }
    found = stage_rates(times, workload(), SETTINGS, rates())
    cut = found["segment_clips"]
    assert cut.chunk_s == pytest.approx(31.0 - 25.0)
    assert cut.chunk_core_s == pytest.approx(45.0 - 40.0)
    assert cut.fixed_s == pytest.approx(70.0 - 50.0 - 6.0)
    assert cut.fixed_core_s == pytest.approx(100.0 - 80.0 - 5.0)
    # 40 picks of 0.01 s and 80 clips of 0.002 s, on one core.
    chosen = found["select_clips"]
    assert chosen.fixed_s == pytest.approx(5.0 - 0.56)
    assert chosen.fixed_core_s == pytest.approx(6.0 - 0.56)
    assert chosen.chunk_s == 0


def test_less_than_its_items_work_leaves_nothing_fixed() -> None:
    times = {"segment_clips": StageTimes(wall_s=1.0, core_s=1.0)}
    assert stage_rates(times, workload(), SETTINGS, rates())[
        "segment_clips"
    ].fixed_s == pytest.approx(0.0)


def test_processor_time_counts_children_that_have_ended() -> None:
    # In a process of its own: this one has children of other tests.
    child = "import time\nwhile time.process_time() < 0.3: pass"
    code = (
        "import subprocess, sys; "
        "from acav_spark.planning.processor import Clock; "
        "clock = Clock(); "
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True); "
        "print(clock.lap()[1])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    # Clocks of processes tick in hundredths of a second.
    assert float(told.stdout) > 0.25


def test_processor_time_counts_those_that_nobody_waited_for() -> None:
    child = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(1)"
    parent = (
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, '-c', {child!r}]).communicate()"
    )
    clock = Clock()
    begun = clock.look()
    started = subprocess.Popen([sys.executable, "-c", parent])
    while clock.look() < begun + 0.3:
        time.sleep(0.05)
    before = clock.look()
    # Its child goes to init, which this process cannot see.
    started.kill()
    started.wait()
    assert clock.look() >= before - 0.02  # two ticks of the system's clock


def test_time_is_lost_only_where_nobody_waited() -> None:
    one, two, three = (1, 0.0), (2, 0.0), (3, 0.0)
    seen = {one: Times(1.0, 0.5), two: Times(5.0, 2.0), three: Times(1.0, 0.0)}
    assert lost_seconds(seen, {one: Times(2.0, 7.5), three: Times(1.0, 0.0)}) == 0
    assert lost_seconds(seen, {one: Times(2.0, 0.5), three: Times(1.0, 0.0)}) == 7
    # One of two that ended was waited for.
    assert lost_seconds(seen, {one: Times(2.0, 1.5)}) == 7
    # A child that was never seen was waited for.
    assert lost_seconds(seen, {**seen, one: Times(1.0, 3.0)}) == 0


def test_items_of_made_videos_are_measured(tmp_path: Path) -> None:
    videos = []
    for number in range(2):
        path = write_video(tmp_path / f"{number}.mp4", number)
        shape = VideoShape(6.0, 10.0, 96.0 * 128, float(path.stat().st_size))
        videos.append((path.as_uri(), shape))
    task = MeasuringTask(
        videos=tuple(videos),
        limits=Limits(time_s=60.0, memory_bytes=4 * 2**30, max_pixels=2**24),
        clip_duration_s=2.0,
        max_clips=2,
        shot_threshold=10.0,
        extractors=(("handcrafted_audio", {}),),
        n_clusters=4,
        pairs=((0, 1), (0, 2)),
        batch_size=100,
        per_batch=10,
        n_rows=400,
    )
    costs = measure_items(task)
    assert costs.clip_yield == 1.0  # two clips of six seconds each
    assert set(costs.extractors) == {"handcrafted_audio"}
    assert costs.contention >= 1
    spent = costs.segment_pixel_frame_core_s * 60 * 96 * 128
    spent += costs.segment_second_core_s * 6.0
    assert 0 < spent < 5
    assert costs.product_core_s + costs.row_core_s > 0


def test_videos_too_short_for_a_clip_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mp4", 1, duration_s=1.0)
    task = MeasuringTask(
        videos=((path.as_uri(), SHAPE),),
        limits=Limits(time_s=60.0, memory_bytes=4 * 2**30, max_pixels=2**24),
        clip_duration_s=2.0,
        max_clips=2,
        shot_threshold=10.0,
        extractors=(("handcrafted_audio", {}),),
        n_clusters=4,
        pairs=((0, 1),),
        batch_size=100,
        per_batch=10,
    )
    with pytest.raises(ConfigError, match="clip of 2 s can be cut, got none among 1"):
        measure_items(task)
