"""YAMNet (Plakal and Ellis, 2020): MobileNet on log-mel, trained on AudioSet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.features.networks.base import Network, View, require_waveform
from acav_spark.features.networks.log_mel import (
    RATE_HZ,
    examples,
    log_mel_module,
)
from acav_spark.features.networks.options import Published
from acav_spark.features.networks.padding import same_padded
from acav_spark.features.networks.tflite import (
    CONV_2D,
    DEPTHWISE_CONV_2D,
    weighted_operations,
)
from acav_spark.media.types import AudioSampling

if TYPE_CHECKING:
    from pathlib import Path

    import torch

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

        fit_tensors(module, _tensors(path), name=self.name)


def yamnet_module() -> torch.nn.Module:
    """Return the network from (n, 15600) samples to its five layers, each (n, d)."""
    from torch import nn

    class Step(nn.Module):
        """A convolution with TensorFlow's padding, then ReLU."""

        def __init__(
            self,
            n_in: int,
            n_out: int,
            kernel: int,
            *,
            stride: int = 1,
            groups: int = 1,
        ) -> None:
            super().__init__()
            self.window, self.stride = (kernel, kernel), (stride, stride)
            self.conv = nn.Conv2d(n_in, n_out, kernel, stride=stride, groups=groups)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(same_padded(x, self.window, self.stride))
            return nn.functional.relu(x)

    class Stages(nn.Module):
        """Front end and convolutions; batch norm is part of their kernels."""

        def __init__(self) -> None:
            super().__init__()
            self.log_mel = log_mel_module(_OFFSET)
            steps = [Step(1, 32, 3, stride=2)]
            self.ends = []
            n_in = 32
            for n_out, stride in _STEPS:
                if stride == 2:
                    self.ends.append(len(steps))
                steps.append(Step(n_in, n_in, 3, stride=stride, groups=n_in))
                steps.append(Step(n_in, n_out, 1))
                n_in = n_out
            self.ends.append(len(steps))
            self.steps = nn.ModuleList(steps)

        def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
            x = self.log_mel(waveform)
            layers = []
            for n_done, step in enumerate(self.steps, start=1):
                x = step(x)
                if n_done in self.ends:
                    layers.append(x.float().mean(dim=(2, 3)))
            return layers

    return Stages()


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return kernels and biases of the 27 convolutions by the module's names."""
    import torch

    try:
        operations = weighted_operations(path.read_bytes())
    except ValueError as error:
        msg = f"weights: expected YAMNet as a LiteRT file in {path}, got {error}"
        raise ConfigError(msg) from error
    chosen = [o for o in operations if o.code in (CONV_2D, DEPTHWISE_CONV_2D)]
    tensors = {}
    for i, operation in enumerate(chosen):
        # (out, height, width, in) and (1, height, width, channels) to torch's order.
        order = (3, 0, 1, 2) if operation.code == DEPTHWISE_CONV_2D else (0, 3, 1, 2)
        kernel = np.ascontiguousarray(operation.kernel.transpose(order))
        tensors[f"steps.{i}.conv.weight"] = torch.from_numpy(kernel)
        tensors[f"steps.{i}.conv.bias"] = torch.from_numpy(operation.bias)
    return tensors
