"""The sound of a cut clip: in its place to the sample, as AAC."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from acav_spark.media.packets import channel_samples
from acav_spark.media.waveform import MARGIN_S, ClipSound, resampled

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from numpy.typing import NDArray

_FRAME_SAMPLES: Final = 1024
# Layouts that AAC has for exactly these speakers; of others the mean is kept, as
# extractors hear them.
_LAYOUTS: Final = {
    "mono": "mono",
    "1 channels": "mono",
    "stereo": "stereo",
    "2 channels": "stereo",
    "5.1": "5.1",
    "5.1(side)": "5.1",
}
_USUAL_RATE_HZ: Final = 48_000


class SoundCollector:
    """Collects a clip's sound in all its channels, and codes it at the end.

    Parameters
    ----------
    start_s, end_s : float
        The clip, in seconds from the container's start.

    Attributes
    ----------
    n_channels, rate_hz : int
        Of what was coded; 0 before.
    """

    def __init__(self, start_s: float, end_s: float) -> None:
        self._sound = ClipSound(start_s, end_s, self._samples)
        self._duration_s = end_s - start_s
        self._layout = ""
        self.n_channels = self.rate_hz = 0

    @property
    def begins_in_time(self) -> bool:
        """Whether the first frame came early enough."""
        return self._sound.begins_in_time

    def add(self, time_s: float, frame: av.AudioFrame) -> bool:
        """Take the next frame; return whether more are wanted."""
        if not self._layout:
            self._layout = _LAYOUTS.get(frame.layout.name, "mean")
        self._sound.offer(time_s, frame)
        return not self._sound.is_done

    def encode(
        self, container: OutputContainer, kbps: int
    ) -> list[av.Packet[AudioStream]]:
        """Return the packets of a new stream: exactly the clip's samples.

        Without any sample in the clip's neighbourhood it is silent.
        """
        around = self._sound.with_margins()
        source_hz = self._sound.rate_hz or _USUAL_RATE_HZ
        self.rate_hz = _aac_rate_hz(source_hz)
        layout = "mono" if self._layout in ("", "mean") else self._layout
        n_samples = round(self._duration_s * self.rate_hz)
        samples = np.zeros((av.AudioLayout(layout).nb_channels, n_samples), np.float32)
        if around is not None:
            first = round(MARGIN_S * self.rate_hz)
            for channel, one in zip(samples, around, strict=True):
                part = resampled(one, source_hz, self.rate_hz)[first:][:n_samples]
                channel[: len(part)] = np.clip(part, -1.0, 1.0)
        self.n_channels = len(samples)
        stream = container.add_stream("aac", rate=self.rate_hz, layout=layout)
        stream.bit_rate = kbps * 1000 * self.n_channels
        return _encoded(stream, samples, self.rate_hz)

    def _samples(self, frame: av.AudioFrame) -> NDArray[np.float32]:
        """Return a frame's channels in the layout of the first frame."""
        channels = channel_samples(frame)
        n_channels = (
            1 if self._layout == "mean" else av.AudioLayout(self._layout).nb_channels
        )
        if len(channels) == n_channels:
            return channels
        mean = channels.mean(axis=0, dtype=np.float32)
        return np.tile(mean, (n_channels, 1))


def _aac_rate_hz(rate_hz: int) -> int:
    """Return a rate that AAC has: the same, else the next higher, else 48 kHz."""
    rates = sorted(av.Codec("aac", "w").audio_rates or [])
    return next((rate for rate in rates if rate >= rate_hz), _USUAL_RATE_HZ)


def _encoded(
    stream: AudioStream, samples: NDArray[np.float32], rate_hz: int
) -> list[av.Packet[AudioStream]]:
    packets = []
    for first in range(0, samples.shape[1], _FRAME_SAMPLES):
        block = np.ascontiguousarray(samples[:, first : first + _FRAME_SAMPLES])
        frame = av.AudioFrame.from_ndarray(
            block, format="fltp", layout=stream.codec_context.layout.name
        )
        frame.sample_rate = rate_hz
        frame.pts, frame.time_base = first, Fraction(1, rate_hz)
        packets += stream.encode(frame)
    return packets + stream.encode(None)
