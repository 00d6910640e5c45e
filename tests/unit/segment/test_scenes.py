from __future__ import annotations

from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest

from acav_spark.media.frames import FrameResizer, luma_plane
from acav_spark.segment.measure import _SceneDetector
from acav_spark.segment.scenes import SceneMeter

_LAYOUTS = ("420", "422", "444", "440", "411", "410")
_FORMATS = [f"{kind}{layout}p" for kind in ("yuv", "yuvj") for layout in _LAYOUTS]
# PyAV's graphs have no such formats, nor do decoders of what is read here.
_FORMATS = [name for name in _FORMATS if name != "yuvj410p"]


def _frames(name: str, n: int = 12) -> list[av.VideoFrame]:
    """Return frames of one format whose luma moves, jumps and stands still."""
    rng = np.random.default_rng(0)
    frames, picture = [], rng.integers(0, 256, (50, 70, 3)).astype(np.uint8)
    for index in range(n):
        if index % 4 == 3:
            picture = rng.integers(0, 256, (50, 70, 3)).astype(np.uint8)
        elif index % 4 != 1:
            picture = np.roll(picture // 2 + 30, 3, axis=1)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format=name)
        frame.pts, frame.time_base = index, Fraction(1, 25)
        frames.append(frame)
    return frames


def _with_time(frame: av.VideoFrame) -> av.VideoFrame:
    frame.time_base = Fraction(1, 25)
    return frame


def _by_ffmpeg(frames: list[av.VideoFrame], threshold: float) -> list[tuple[bool, str]]:
    first = frames[0]
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=first.width,
        height=first.height,
        format=first.format,
        time_base=Fraction(1, 25),
    )
    detector = graph.add("scdet", threshold=str(threshold))
    graph.link_nodes(source, detector, graph.add("buffersink")).configure()
    found = []
    for frame in frames:
        graph.push(frame)
        measured = graph.pull().metadata
        found.append(("lavfi.scd.time" in measured, measured["lavfi.scd.mafd"]))
    return found


@pytest.mark.parametrize("threshold", [2.0, 5.0, 10.0])
@pytest.mark.parametrize("name", _FORMATS)
def test_luma_decides_as_ffmpeg_does(name: str, threshold: float) -> None:
    frames = _frames(name)
    meter = SceneMeter(threshold)
    found = []
    for frame in frames:
        luma = luma_plane(frame)
        assert luma is not None
        assert luma.shape == (50, 70)
        is_cut, difference = meter.next(luma)
        found.append((is_cut, f"{difference:.3f}"))
    assert found == _by_ffmpeg(frames, threshold)
    assert 0 < sum(is_cut for is_cut, _ in found) < len(found)


@pytest.mark.parametrize("name", ["rgb24", "gray", "yuv420p10le", "nv12"])
def test_other_formats_are_left_to_ffmpeg(name: str) -> None:
    frames = _frames(name)
    assert luma_plane(frames[0]) is None
    detector = _SceneDetector(10.0)
    found = [
        (is_cut, f"{difference:.3f}")
        for is_cut, difference in map(detector.next, frames)
    ]
    assert found == _by_ffmpeg(frames, 10.0)


def test_a_change_of_size_or_format_starts_anew() -> None:
    plain, other = _frames("yuv420p", 3), _frames("rgb24", 3)
    small = [_with_time(frame.reformat(width=36, height=26)) for frame in plain]
    detector = _SceneDetector(10.0)
    differences = [
        detector.next(frame)[1] for frame in [*plain, *small, *other, *plain]
    ]
    for start in (0, 3, 6, 9):
        assert differences[start] == 0.0
        assert differences[start + 2] > 0.0
    assert differences[:3] == differences[9:]


def test_steady_movement_is_no_cut() -> None:
    meter = SceneMeter(10.0)
    levels = [0, 40, 80, 120, 160, 160, 160, 0]
    found = [meter.next(np.full((8, 8), level, dtype=np.uint8)) for level in levels]
    assert [is_cut for is_cut, _ in found] == [i in (1, 7) for i in range(8)]
    assert found[1][1] == 40 * 100 / 256


@pytest.mark.parametrize("name", ["yuv420p", "rgb24", "yuv420p10le", "nv12"])
def test_luma_of_any_format_is_nearly_the_same(name: str) -> None:
    grey = FrameResizer().grey(_frames("gray")[0]).astype(int)
    found = FrameResizer().grey(_frames(name)[0]).astype(int)
    assert found.shape == (50, 70)
    # Video's range of luma is smaller than that of grey pictures.
    assert np.corrcoef(grey.ravel(), found.ravel())[0, 1] > 0.98
