"""MobileNetV2 as TensorFlow computes it, with the weights of a LiteRT file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.errors import ConfigError
from acav_spark.features.networks.base import (
    Network,
    centre_crop,
    require_frames,
)
from acav_spark.features.networks.convolutions import (
    litert_tensors,
    same_convolution,
)
from acav_spark.features.networks.options import Published, require_whole
from acav_spark.media.types import VideoSampling

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from acav_spark.features.networks.device import View
    from acav_spark.media.types import DecodedClip

__all__ = ["MobileNetV2TensorFlow"]

_CROPPED = 7 / 8  # 224 of 256 pixels
_STRIDE = 32
_MIN_SIZE = 96
_N_STEM = 32
# Expansion, channels and stride of the 17 blocks; Sandler et al. (2018), table 2.
_BLOCKS = (
    (1, 16, 1),
    (6, 24, 2),
    (6, 24, 1),
    (6, 32, 2),
    *[(6, 32, 1)] * 2,
    (6, 64, 2),
    *[(6, 64, 1)] * 3,
    *[(6, 96, 1)] * 3,
    (6, 160, 2),
    *[(6, 160, 1)] * 2,
    (6, 320, 1),
)
_LAST = 1280
# Blocks behind which a layer is taken, those of torchvision's form of the network.
_TAPPED = (1, 3, 6, 13)
_N_CONVOLUTIONS = 52  # besides the classifier


class MobileNetV2TensorFlow(Network):
    """Five stages of MobileNetV2 (Sandler et al., 2018) with TensorFlow's weights.

    ===== ========= ===========================================================
    Layer Dimension What is averaged over place, then over frames
    ===== ========= ===========================================================
    1     16        at half of the resolution
    2     24        at a quarter
    3     32        at an eighth
    4     96        at a sixteenth
    5     1280      at a 32nd, the last convolution
    ===== ========= ===========================================================

    Parameters
    ----------
    n_frames : int, default 8
        Frames of a clip, at the middles of equal parts of it.
    size : int, default 224
        Side in pixels of what the network sees, a multiple of 32 from 96 on. Time goes
        with its square: 128 takes a third of 224, and is as good for small pictures.
    **options
        Those of all networks (``NetworkOptions``). ``weights`` is a LiteRT file, of
        which the constants are read; torch runs them.

    Raises
    ------
    ConfigError
        For a size that the network does not take.

    Notes
    -----
    The middle 7/8 of a frame whose short side is 8/7 of ``size``, in [-1, 1];
    TensorFlow's padding. Weights that are stored in eight bits are scaled back. 0.3
    billion multiplications a frame of 224 x 224. ``mobilenet_v2`` is the same network
    with torchvision's weights, which see other numbers and other padding.
    """

    name = "mobilenet_v2_tf"
    modality = "visual"
    dimensions = (16, 24, 32, 96, 1280)
    video_sampling: VideoSampling | None
    views_per_pass = 32
    views_per_cpu_pass = 2
    preferred_batch = 32
    published = Published(
        url="https://raw.githubusercontent.com/google-coral/test_data/"
        "104342d2d3480b3e66203073dac24f4e2dbb4c41/tf2_mobilenet_v2_1.0_224_ptq.tflite",
        sha256="5d3137241276e79c86d14a74fe43581398ae0e815191d3dba45495b810840e8c",
        licence="Apache-2.0 (Google); ImageNet's terms for research",
    )

    def __init__(
        self, *, n_frames: int = 8, size: int = 224, **options: object
    ) -> None:
        super().__init__(**options)
        require_whole("n_frames", n_frames, minimum=1)
        require_whole("size", size, minimum=_MIN_SIZE)
        if size % _STRIDE:
            msg = f"size: expected a multiple of {_STRIDE}, got {size}."
            raise ConfigError(msg)
        self._n_frames, self._size = n_frames, size
        self._sampling = VideoSampling(
            short_side=round(size / _CROPPED), n_frames=n_frames
        )
        self.video_sampling = self._sampling

    def _settings(self) -> list[str]:
        return [f"{self._n_frames} frames", f"{self._size} pixels"]

    def _views(self, clip: DecodedClip) -> list[View]:
        return list(centre_crop(require_frames(clip, self._sampling), self._size))

    def _build(self) -> torch.nn.Module:
        return _mobilenet_module()

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        from acav_spark.features.networks.tensors import fit_tensors

        tensors = litert_tensors(path, name=self.name, n_convolutions=_N_CONVOLUTIONS)
        fit_tensors(module, tensors, name=self.name)


def _mobilenet_module() -> torch.nn.Module:
    """Return the network from (n, size, size, 3) bytes to its layers, each (n, d)."""
    import torch
    from torch import nn

    relu6 = nn.functional.relu6

    class Stages(nn.Module):
        """A stem, 17 blocks and a last convolution, all in one list."""

        def __init__(self) -> None:
            super().__init__()
            steps = [same_convolution(3, _N_STEM, 3, stride=2, activation=relu6)]
            n_in = _N_STEM
            # First and last step of each block, and whether its input is added.
            self.blocks: list[tuple[int, int, bool]] = []
            for expansion, n_out, stride in _BLOCKS:
                first, n_inner = len(steps), n_in * expansion
                if expansion > 1:
                    steps.append(same_convolution(n_in, n_inner, 1, activation=relu6))
                steps.append(
                    same_convolution(
                        n_inner,
                        n_inner,
                        3,
                        stride=stride,
                        groups=n_inner,
                        activation=relu6,
                    )
                )
                steps.append(same_convolution(n_inner, n_out, 1))
                is_added = stride == 1 and n_in == n_out
                self.blocks.append((first, len(steps), is_added))
                n_in = n_out
            steps.append(same_convolution(n_in, _LAST, 1, activation=relu6))
            self.steps = nn.ModuleList(steps)

        def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
            x = self.steps[0](frames.permute(0, 3, 1, 2).float().div(127.5) - 1)
            taken = []
            for n_done, (first, end, is_added) in enumerate(self.blocks, start=1):
                before = x
                for step in self.steps[first:end]:
                    x = step(x)
                if is_added:
                    x = x + before
                if n_done in _TAPPED:
                    taken.append(x)
            taken.append(self.steps[-1](x))
            return [layer.mean(dim=(2, 3), dtype=torch.float32) for layer in taken]

    return Stages()
