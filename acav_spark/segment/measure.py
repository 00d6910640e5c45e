"""One decode of a video: cuts, sanity of picture and sound, and the signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import av.error
import av.filter
import numpy as np

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.container import open_media
from acav_spark.media.frames import FrameResizer, luma_plane
from acav_spark.media.packets import FrameReader, frame_duration_s
from acav_spark.segment.scenes import SceneMeter
from acav_spark.segment.shots import shots_from_cuts
from acav_spark.segment.signature import SignatureMeter
from acav_spark.segment.sound import SoundMeter
from acav_spark.segment.types import VideoMeasurements
from acav_spark.segment.windows import WINDOW_S, window_of

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

# Later time stamps are damage, not video: they would need a window for every half
# second up to them.
_MAX_TIME_S = 48 * 3600.0
# A last frame is taken to stay on display until the sound ends, if that is soon.
_MAX_HOLD_S = 0.5


def measure_video(
    path: str | os.PathLike[str],
    threshold: float = 10.0,
    *,
    max_pixels: int,
    keep_elements: bool = False,
) -> VideoMeasurements:
    """Decode a video once, and measure what segmentation needs.

    Parameters
    ----------
    path : str or path
        Media file.
    threshold : float, default 10.0
        Score of ffmpeg's ``scdet``, in per cent, from which a frame begins a shot.
    max_pixels : int
        Pixels of a frame beyond which the video is refused.
    keep_elements : bool, default False
        Whether to keep what fine signatures are made of.

    Raises
    ------
    MediaError
        ``no_video_stream``, ``no_frames``, ``too_many_pixels`` and those of
        ``open_media``.

    Notes
    -----
    Time: one decode of both streams. Memory: a few frames, 16 bytes for each frame (92
    with elements), and 370 bytes for each second.
    """
    with open_media(path, max_pixels=max_pixels) as container:
        reader = FrameReader(
            container, with_video=True, with_audio=True, max_pixels=max_pixels
        )
        if reader.video is None:
            raise MediaError(codes.NO_VIDEO_STREAM, "there is no moving picture in it")
        rate = reader.video.average_rate
        stated_s = (container.duration or 0) / av.time_base
        picture = _PictureMeter(threshold, keep_elements=keep_elements)
        sound = SoundMeter()
        for time_s, frame in reader.frames():
            if not -_MAX_TIME_S < time_s < _MAX_TIME_S:
                continue
            if isinstance(frame, av.VideoFrame):
                picture.add(time_s, frame)
            else:
                sound.add(time_s, frame)
        if picture.n_frames == 0:
            message = f"no frame decodes; {reader.n_bad_packets} packets are damaged"
            raise MediaError(codes.NO_FRAMES, message)
        return _measurements(
            picture,
            sound,
            n_bad_packets=reader.n_bad_packets,
            frame_rate=float(rate) if rate else None,
            stated_s=stated_s,
        )


def _measurements(
    picture: _PictureMeter,
    sound: SoundMeter,
    *,
    n_bad_packets: int,
    frame_rate: float | None,
    stated_s: float,
) -> VideoMeasurements:
    video_end_s = picture.end_s(frame_rate)
    sampled_times_s, sampled_elements = picture.signature.samples
    duration_s = max(video_end_s, sound.end_s)
    if stated_s > picture.first_s:
        # The header's length is the one that the tables hold: nothing lies beyond it.
        duration_s = min(duration_s, stated_s)
    is_held = duration_s - video_end_s <= _MAX_HOLD_S
    shots_end_s = duration_s if is_held else video_end_s
    shots = shots_from_cuts(picture.first_s, picture.cuts_s, shots_end_s)
    n_windows = window_of(duration_s) + 1
    return VideoMeasurements(
        shots=shots,
        n_frames=picture.n_frames,
        n_bad_packets=n_bad_packets,
        duration_s=duration_s,
        video_end_s=video_end_s,
        audio_end_s=sound.end_s,
        window_s=WINDOW_S,
        rms=sound.rms(n_windows),
        is_constant=sound.constant(n_windows),
        clipped=sound.clipped(n_windows),
        missing=sound.missing(n_windows, duration_s),
        motion=picture.motion(n_windows),
        frame_times_s=picture.signature.times_s,
        words=picture.signature.words,
        elements=picture.signature.elements,
        confidences=picture.signature.confidences,
        sampled_times_s=sampled_times_s,
        sampled_elements=sampled_elements,
        sound_words=sound.words,
        is_black=picture.signature.is_black,
        is_flat=picture.signature.is_flat,
        width=picture.width,
        height=picture.height,
        frame_rate=frame_rate,
        sample_rate_hz=sound.sample_rate_hz,
        audio_offset_s=_audio_offset_s(picture, sound),
    )


def _audio_offset_s(picture: _PictureMeter, sound: SoundMeter) -> float | None:
    if sound.sample_rate_hz is None:
        return None
    return round(sound.first_s - picture.first_s, 6)


class _PictureMeter:
    """Takes frames in order; keeps cuts, motion and the signature."""

    def __init__(self, threshold: float, *, keep_elements: bool) -> None:
        self.n_frames = 0
        self.first_s = 0.0
        self.cuts_s: list[float] = []
        self.signature = SignatureMeter(keep_elements=keep_elements)
        self.width = self.height = 0
        self._detector = _SceneDetector(threshold)
        self._resizer = FrameResizer()
        self._last_s = 0.0
        self._last_length_s = 0.0
        self._differences: dict[int, tuple[float, int]] = {}

    def add(self, time_s: float, frame: av.VideoFrame) -> None:
        is_cut, difference = self._detector.next(frame)
        if self.n_frames == 0:
            self.first_s = time_s
            self.width, self.height = frame.width, frame.height
        else:
            if is_cut and time_s > self._last_s:
                self.cuts_s.append(time_s)
            total, n = self._differences.get(window_of(time_s), (0.0, 0))
            self._differences[window_of(time_s)] = (total + difference, n + 1)
        self.signature.add(time_s, self._resizer.grey(frame))
        self.n_frames += 1
        self._last_s = max(time_s, self._last_s) if self.n_frames > 1 else time_s
        self._last_length_s = frame_duration_s(frame)

    def end_s(self, frame_rate: float | None) -> float:
        """Return when the last frame ends, by its own length or the usual one."""
        if self._last_length_s > 0:
            return self._last_s + self._last_length_s
        return self._last_s + (1.0 / frame_rate if frame_rate else 0.0)

    def motion(self, n_windows: int) -> NDArray[np.float32]:
        curve = np.full(n_windows, np.nan, dtype=np.float32)
        for window, (total, n) in self._differences.items():
            if window < n_windows:
                curve[window] = total / n
        return curve


class _SceneDetector:
    """``scdet``'s decisions: measured on luma, or by ffmpeg for other formats."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._meter = SceneMeter(threshold)
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def next(self, frame: av.VideoFrame) -> tuple[bool, float]:
        """Return whether a shot begins here, and the difference to the frame before.

        Frames of another size or format start the comparison anew, as in ffmpeg.
        """
        shape = (frame.width, frame.height, frame.format.name)
        is_new, self._shape = shape != self._shape, shape
        luma = luma_plane(frame)
        if luma is not None:
            if is_new:
                self._meter, self._graph = SceneMeter(self._threshold), None
            return self._meter.next(luma)
        if is_new or self._graph is None:
            self._graph = self._new_graph(frame)
        self._graph.push(frame)
        measured = self._graph.pull().metadata
        return "lavfi.scd.time" in measured, float(measured.get("lavfi.scd.mafd", 0))

    def _new_graph(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base,
        )
        detector = graph.add("scdet", threshold=f"{self._threshold:.6f}")
        graph.link_nodes(source, detector, graph.add("buffersink")).configure()
        return graph
