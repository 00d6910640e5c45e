"""The picture of a cut clip: frames on display in it, with their own times."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from acav_spark.media.container import require_pixels
from acav_spark.media.frames import resized_shape

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from acav_spark.cutting.settings import CutSettings

# Clips begin at whole milliseconds.
_MS: Final = 1000
# Finer clocks than this would overflow 31 bits of ticks in the longest clips (120 s).
_MAX_TICKS_PER_S: Final = 10_000_000
_TIME_TOLERANCE_S: Final = 1e-6
# What readers that jump into a clip have to decode at most.
_KEY_FRAME_EVERY: Final = 60
_CODED_AS_THEY_ARE: Final = ("yuv420p", "yuvj420p")
_INTERPOLATION: Final = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
)


def ticks_per_s(time_base: Fraction | None) -> int:
    """Return a clock that tells times of a stream less whole milliseconds exactly."""
    if time_base is None:
        return _MAX_TICKS_PER_S
    return min(math.lcm(time_base.denominator, _MS), _MAX_TICKS_PER_S)


class PictureEncoder:
    """Codes the frames that are on display in [0, duration_s), one behind.

    The first one is shown from 0 on, also where it came on display before or, at the
    start of a video, after it. A frame is shown until the next one; the last one until
    the end.

    Parameters
    ----------
    stream : VideoStream
        libx264's, of a container that has no header yet.
    source : VideoStream
        The stream that is cut.
    duration_s : float
        Length of the clip.
    settings : CutSettings
        Quality and size.
    max_pixels : int
        Pixels of a frame beyond which it is refused.

    Attributes
    ----------
    packets : list of Packet
        What was coded, in the order of decoding.
    n_frames : int
        Frames given to the encoder.
    """

    def __init__(
        self,
        stream: VideoStream,
        source: VideoStream,
        duration_s: float,
        settings: CutSettings,
        *,
        max_pixels: int,
    ) -> None:
        self.packets: list[av.Packet[VideoStream]] = []
        self.n_frames = 0
        self._stream = stream
        self._settings = settings
        self._duration_s = duration_s
        self._max_pixels = max_pixels
        self.ticks_per_s = ticks_per_s(source.time_base)
        self._pixel_aspect = source.sample_aspect_ratio
        self._latest: tuple[float, av.VideoFrame] | None = None
        self._shape: _Shape | None = None
        self._lengths: dict[int, int] = {}
        self._next_tick = 0

    def add(self, time_s: float, frame: av.VideoFrame) -> bool:
        """Take the next frame; return whether more are wanted."""
        if self._latest is not None:
            if time_s <= self._latest[0]:  # the clock went back: never on display
                return True
            if time_s > _TIME_TOLERANCE_S:
                self._encode_latest(until_s=min(time_s, self._duration_s))
        if time_s >= self._duration_s - _TIME_TOLERANCE_S and self._latest is not None:
            self._latest = None
            return False
        self._latest = (time_s, frame)
        return True

    def finish(self) -> None:
        """Code what is left; the last frame stays on display until the end."""
        if self._latest is not None:
            self._encode_latest(until_s=self._duration_s)
            self._latest = None
        self._take(self._stream.encode(None))

    def _encode_latest(self, until_s: float) -> None:
        if self._latest is None:
            return
        _, frame = self._latest
        tick, end = self._next_tick, round(until_s * self.ticks_per_s)
        if end <= tick:  # shorter than the clock's ticks
            return
        if self._shape is None:
            self._shape = self._opened(frame)
        coded = self._shape.applied(frame)
        coded.pts, coded.time_base = tick, Fraction(1, self.ticks_per_s)
        coded.pict_type = PictureType.NONE  # the encoder's own choice
        self._lengths[tick], self._next_tick = end - tick, end
        self.n_frames += 1
        self._take(self._stream.encode(coded))

    def _take(self, packets: list[av.Packet[VideoStream]]) -> None:
        for packet in packets:
            # x264 does not hand lengths on; without them the last one is guessed.
            if packet.pts is not None:
                packet.duration = self._lengths.pop(packet.pts)
            self.packets.append(packet)

    def _opened(self, frame: av.VideoFrame) -> _Shape:
        """Set the encoder up by the first frame."""
        shape = _Shape(frame, self._settings.max_short_side)
        require_pixels(shape.width, shape.height, self._max_pixels)
        context = self._stream.codec_context
        context.width, context.height = shape.width, shape.height
        context.pix_fmt = shape.format
        context.time_base = Fraction(1, self.ticks_per_s)
        context.thread_count = 1
        context.options = {
            "preset": self._settings.preset,
            "crf": str(self._settings.crf),
            "g": str(_KEY_FRAME_EVERY),
            # MP4 stores lengths in the order of decoding: with B-frames those of a
            # changing rate, and the last one's, come out wrong.
            "bf": "0",
        }
        context.color_range = frame.color_range
        context.colorspace = frame.colorspace
        context.color_primaries = frame.color_primaries
        context.color_trc = frame.color_trc
        if self._pixel_aspect:
            context.sample_aspect_ratio = self._pixel_aspect
        turned = frame.side_data.get("DISPLAYMATRIX")
        if isinstance(turned, SideData):
            # Pictures stay as coded, and players turn them as they did the source's.
            self._stream.set_display_matrix(
                np.frombuffer(bytes(turned), np.int32).tolist()
            )
        return shape


class _Shape:
    """Brings frames to one even size and one format, which x264 wants."""

    def __init__(self, frame: av.VideoFrame, max_short_side: int) -> None:
        self._reformatter = VideoReformatter()
        self._cropped: tuple[av.filter.Graph, tuple[int, int, str]] | None = None
        name = frame.format.name
        is_full = name.startswith("yuvj")
        self.format = name if name in _CODED_AS_THEY_ARE else "yuv420p"
        if is_full:
            self.format = "yuvj420p"
        width, height = frame.width, frame.height
        if 0 < max_short_side < min(width, height):
            width, height = resized_shape(width, height, max_short_side)
            self._crops = False
        else:
            # Without the last column or row all other pixels stay as they are.
            self._crops = bool(width % 2 or height % 2) and min(width, height) > 1
        self.width, self.height = max(width // 2 * 2, 2), max(height // 2 * 2, 2)

    def applied(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame in this shape."""
        if self._crops:
            frame = self._even(frame)
        return self._reformatter.reformat(
            frame,
            self.width,
            self.height,
            format=self.format,
            interpolation=_INTERPOLATION,
        )

    def _even(self, frame: av.VideoFrame) -> av.VideoFrame:
        kind = (frame.width, frame.height, frame.format.name)
        if self._cropped is None or self._cropped[1] != kind:
            graph = av.filter.Graph()
            graph.threads = 1
            source = graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            )
            crop = graph.add("crop", "trunc(iw/2)*2:trunc(ih/2)*2:0:0")
            graph.link_nodes(source, crop, graph.add("buffersink")).configure()
            self._cropped = graph, kind
        self._cropped[0].push(frame)
        even = self._cropped[0].pull()
        if not isinstance(even, av.VideoFrame):
            msg = f"expected a picture from the filter, got {type(even).__name__}."
            raise TypeError(msg)
        return even
