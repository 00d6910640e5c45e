"""Decoding on a GPU: what can be told without one, and what it gives where there is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel
from av.video.reformatter import ColorRange

from acav_spark.errors import MediaError
from acav_spark.media import Limits, Sandbox, container, sandbox
from acav_spark.media.frames import FrameResizer
from acav_spark.media.hardware import visible_gpu
from acav_spark.media.isolated import decode_clip_isolated
from acav_spark.media.types import VideoSampling

if TYPE_CHECKING:
    from av.container import InputContainer

_HAS_GPU = Path("/dev/nvidia0").exists()
_WITHOUT_GPU = pytest.mark.skipif(_HAS_GPU, reason="this machine has a GPU")


@pytest.mark.parametrize(
    ("address", "visible", "expected"),
    [
        ("", None, "0"),
        ("", "3,1", "3"),
        ("1", None, "1"),
        ("1", "3,1", "1"),
        ("0", "3,1", "3"),
        ("GPU-4d", "GPU-4d,GPU-5e", "GPU-4d"),
        ("GPU-4d", None, "GPU-4d"),
        ("1", "GPU-4d,GPU-5e", "GPU-5e"),
    ],
)
def test_a_process_sees_the_one_gpu_it_was_given(
    address: str, visible: str | None, expected: str
) -> None:
    assert visible_gpu(address, visible) == expected


def test_the_child_is_told_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-4d,GPU-5e")
    with Sandbox(Limits(gpu="1"), _operations="sandbox_faults") as child:
        child.call("pid")
        environment = Path(f"/proc/{child.child_pid}/environ").read_bytes()
    assert b"CUDA_VISIBLE_DEVICES=GPU-5e\0" in environment
    with Sandbox(Limits(), _operations="sandbox_faults") as child:
        child.call("pid")
        environment = Path(f"/proc/{child.child_pid}/environ").read_bytes()
    assert b"CUDA_VISIBLE_DEVICES" not in environment


def test_memory_that_is_used_is_bounded_beside_a_gpu_and_space_is_not() -> None:
    limits = Limits(memory_bytes=2**28, gpu="")
    with Sandbox(limits, _operations="sandbox_faults") as child:
        assert child.call("reserve", n_bytes=2**36) == {"length": 2**36}
        assert child.call("allocate", n_bytes=2**26) == {"length": 2**26}
        with pytest.raises(MediaError) as caught:
            child.call("allocate", n_bytes=2**29)
    assert caught.value.code == "memory_limit"
    with (
        Sandbox(Limits(memory_bytes=2**28), _operations="sandbox_faults") as child,
        pytest.raises(MediaError, match="Cannot allocate memory"),
    ):
        child.call("reserve", n_bytes=2**36)


@_WITHOUT_GPU
def test_without_a_gpu_the_cpu_decodes_and_one_warning_says_so(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    path = _video(tmp_path)
    sandbox._warn_of_cpu.cache_clear()
    with caplog.at_level(logging.WARNING), Sandbox(Limits(gpu="")) as wanted:
        first = _frames(wanted, path)
        wanted.close()
        again = _frames(wanted, path)
    told = [r.getMessage() for r in caplog.records if "no GPU to decode" in r.message]
    assert len(told) == 1
    assert "decoding on the CPU" in told[0]
    with Sandbox(Limits()) as plain:
        expected = _frames(plain, path)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(again, expected)


@_WITHOUT_GPU
def test_a_gpu_that_fails_is_not_the_files_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A real accelerator, which cannot be set up here, as when a GPU is lost.
    attempts: list[HWAccel | None] = []
    opened_by = container._opened_by

    def counted(
        file: object, max_pixels: int, hardware: HWAccel | None
    ) -> InputContainer:
        attempts.append(hardware)
        return opened_by(file, max_pixels, hardware)  # type: ignore[arg-type]

    monkeypatch.setattr(container, "_opened_by", counted)
    monkeypatch.setattr(container, "decoding_hardware", lambda: HWAccel("cuda"))
    with container.open_media(_video(tmp_path)) as media:
        assert sum(1 for _ in media.decode(video=0)) == 12
    assert [attempt is None for attempt in attempts] == [False, True]
    # What is no media at all is still said to be none.
    text = tmp_path / "text.mp4"
    text.write_text("no media at all")
    with (
        pytest.raises(MediaError, match="no known media format"),
        container.open_media(text),
    ):
        pass


@pytest.mark.parametrize("size", [(64, 48), (62, 34)])
@pytest.mark.parametrize("is_full_range", [False, True])
def test_pictures_that_come_back_from_a_gpu_give_the_same_colours(
    size: tuple[int, int], *, is_full_range: bool
) -> None:
    # A GPU gives 8-bit pictures as NV12: the two chroma planes as one.
    width, height = size
    generator = np.random.default_rng(0)
    colour_range = ColorRange.JPEG if is_full_range else ColorRange.MPEG
    planes = generator.integers(16, 235, (height * 3 // 2, width), dtype=np.uint8)
    planar = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    chroma = planes[height:].reshape(2, -1)
    packed = planes.copy()
    packed[height:] = chroma.T.reshape(height // 2, width)
    semi = av.VideoFrame.from_ndarray(packed, format="nv12")
    planar.color_range = semi.color_range = colour_range
    resizer = FrameResizer()
    for shape in ((width, height), (width // 2, height // 2)):
        np.testing.assert_array_equal(
            resizer.rgb(semi, *shape), resizer.rgb(planar, *shape)
        )


@pytest.mark.gpu
def test_a_gpu_gives_the_frames_of_the_cpu(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _video(tmp_path)
    sandbox._warn_of_cpu.cache_clear()
    with Sandbox(Limits()) as plain, Sandbox(Limits(gpu="")) as hardware:
        np.testing.assert_allclose(
            _frames(hardware, path).astype(int), _frames(plain, path), atol=1
        )
    assert not caplog.records  # the CPU did not take its place


def _frames(child: Sandbox, path: Path) -> np.ndarray:
    sampling = VideoSampling(short_side=24, n_frames=4)
    decoded = decode_clip_isolated(child, path, 0.0, 1.0, video=[sampling])
    return decoded.frames[0][0]


def _video(folder: Path) -> Path:
    """Write a second of moving stripes as H.264."""
    path = folder / "stripes.mp4"
    with av.open(str(path), "w") as media:
        stream = media.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            pixels = np.zeros((48, 64, 3), np.uint8)
            pixels[:, 4 * number : 4 * number + 8] = (200, 40, 90)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                media.mux(packet)
        for packet in stream.encode():
            media.mux(packet)
    return path
