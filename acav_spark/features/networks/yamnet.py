"""YAMNet (Plakal and Ellis, 2020): MobileNet on log-mel, trained on AudioSet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from acav_spark.features.networks.base import Network, require_waveform
from acav_spark.features.networks.convolutions import (
    litert_tensors,
    same_convolution,
)
from acav_spark.features.networks.log_mel import (
    RATE_HZ,
    examples,
    log_mel_module,
)
from acav_spark.features.networks.options import Published
from acav_spark.media.types import AudioSampling

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from acav_spark.features.networks.device import View
    from acav_spark.media.types import DecodedClip

__all__ = ["YAMNet"]

_HOP = 7_680  # 0.48 s
_OFFSET = 0.001
# Channels and stride of the depthwise separable convolutions behind the first one.
_STEPS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


class YAMNet(Network):
    """Five stages of YAMNet, trained on AudioSet: a small network for sound.

    ===== ========= ===========================================================
    Layer Dimension What is averaged over time and frequency, then over examples
    ===== ========= ===========================================================
    1     64        at half of the resolution
    2     128       at a quarter
    3     256       at an eighth
    4     512       at a sixteenth
    5     1024      at a 32nd: the network's embedding
    ===== ========= ===========================================================

    Parameters
    ----------
    **options
        Those of all networks (``NetworkOptions``). ``weights`` is a LiteRT file, of
        which the constants are read; torch runs them.

    Notes
    -----
    16 kHz mono, examples of 0.96 s every 0.48 s, log-mel of 96 x 64. The end is filled
    up with silence to a whole example, as the published program does. 69 million
    multiplications an example, of which ten seconds have 20. Weights that are stored in
    eight bits are scaled back. The LiteRT interpreter also rounds what goes into each
    product to eight bits, even into the Fourier transform, which hides quiet bands from
    it; torch does not.
    """

    name = "yamnet"
    modality = "audio"
    dimensions = (64, 128, 256, 512, 1024)
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=RATE_HZ)
    views_per_pass = 128
    views_per_cpu_pass = 16
    preferred_batch = 32
    published = Published(
        url="https://tfhub.dev/google/lite-model/yamnet/classification/tflite/1"
        "?lite-format=tflite",
        sha256="10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
        licence="Apache-2.0 (Google)",
    )

    def _views(self, clip: DecodedClip) -> list[View]:
        waveform = require_waveform(clip, AudioSampling(sample_rate_hz=RATE_HZ))
        return [*examples(waveform, hop=_HOP, keeps_rest=True)]

    def _build(self) -> torch.nn.Module:
        return yamnet_module()

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        from acav_spark.features.networks.tensors import fit_tensors

        fit_tensors(module, litert_tensors(path, name="YAMNet"), name=self.name)


def yamnet_module() -> torch.nn.Module:
    """Return the network from (n, 15600) samples to its five layers, each (n, d)."""
    import torch
    from torch import nn

    step = partial(same_convolution, activation=nn.functional.relu)

    class Stages(nn.Module):
        """Front end and convolutions; batch norm is part of their kernels."""

        def __init__(self) -> None:
            super().__init__()
            self.log_mel = log_mel_module(_OFFSET)
            steps = [step(1, 32, 3, stride=2)]
            self.ends = []
            n_in = 32
            for n_out, stride in _STEPS:
                if stride == 2:
                    self.ends.append(len(steps))
                steps.append(step(n_in, n_in, 3, stride=stride, groups=n_in))
                steps.append(step(n_in, n_out, 1))
                n_in = n_out
            self.ends.append(len(steps))
            self.steps = nn.ModuleList(steps)

        def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
            x = self.log_mel(waveform)
            layers = []
            for n_done, convolution in enumerate(self.steps, start=1):
                x = convolution(x)
                if n_done in self.ends:
                    layers.append(x.mean(dim=(2, 3), dtype=torch.float32))
            return layers

    return Stages()
