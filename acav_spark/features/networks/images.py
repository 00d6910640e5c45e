"""Networks for pictures, run on frames: ResNet-50 and MobileNetV2 of ImageNet."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from acav_spark.errors import DependencyError
from acav_spark.features.networks.base import (
    Network,
    centre_crop,
    require_frames,
)
from acav_spark.features.networks.options import Published, require_whole
from acav_spark.media.types import VideoSampling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from acav_spark.features.networks.device import View
    from acav_spark.media.types import DecodedClip

__all__ = ["MobileNetV2", "ResNet50"]

_SHORT_SIDE, _SIZE = 256, 224
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class _ImageNetwork(Network):
    """A network of torchvision; a clip's vector is the mean over its frames.

    Parameters
    ----------
    n_frames : int, default 8
        Frames of a clip, at the middles of equal parts of it.
    **options
        Those of all networks.
    """

    modality = "visual"
    video_sampling: VideoSampling | None
    views_per_pass = 32
    views_per_cpu_pass = 4
    preferred_batch = 32
    unused: ClassVar[str]

    def __init__(self, *, n_frames: int = 8, **options: object) -> None:
        super().__init__(**options)
        require_whole("n_frames", n_frames, minimum=1)
        self._n_frames = n_frames
        self.video_sampling = VideoSampling(short_side=_SHORT_SIDE, n_frames=n_frames)

    def _settings(self) -> list[str]:
        return [f"{self._n_frames} frames"]

    def _views(self, clip: DecodedClip) -> list[View]:
        sampling = VideoSampling(short_side=_SHORT_SIDE, n_frames=self._n_frames)
        return list(centre_crop(require_frames(clip, sampling), _SIZE))

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        from acav_spark.features.networks.tensors import fit_tensors, read_tensors

        network = module.get_submodule("network")
        tensors = read_tensors(path)
        fit_tensors(network, tensors, name=self.name, ignored=self.unused)


class ResNet50(_ImageNetwork):
    """Five stages of ResNet-50 (He et al., 2016), the paper's network for pictures.

    ===== ========= ===========================================================
    Layer Dimension What is averaged over place, then over frames
    ===== ========= ===========================================================
    1     64        first convolution, pooled
    2     256       layer1
    3     512       layer2
    4     1024      layer3
    5     2048      layer4
    ===== ========= ===========================================================

    Parameters
    ----------
    n_frames : int, default 8
        Frames of a clip, at the middles of equal parts of it.
    **options
        Those of all networks (``NetworkOptions``).

    Notes
    -----
    Short side 256, the middle 224 x 224 pixels, ImageNet's mean and deviation. 4.1
    billion multiplications a frame.
    """

    name = "resnet50"
    dimensions = (64, 256, 512, 1024, 2048)
    unused = "fc."
    published = Published(
        url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        licence="BSD-3-Clause (torchvision); ImageNet's terms for research",
    )

    def _build(self) -> torch.nn.Module:
        network = _torchvision_models(self.name).resnet50(weights=None)
        del network.fc
        n = network
        first = (n.conv1, n.bn1, n.relu, n.maxpool)
        return _stages(
            network, [first, (n.layer1,), (n.layer2,), (n.layer3,), (n.layer4,)]
        )


class MobileNetV2(_ImageNetwork):
    """Five stages of MobileNetV2 (Sandler et al., 2018), for pictures and laptops.

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
    **options
        Those of all networks (``NetworkOptions``).

    Notes
    -----
    Short side 256, the middle 224 x 224 pixels, ImageNet's mean and deviation. 0.3
    billion multiplications a frame.
    """

    name = "mobilenet_v2"
    dimensions = (16, 24, 32, 96, 1280)
    unused = "classifier."
    published = Published(
        url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        licence="BSD-3-Clause (torchvision); ImageNet's terms for research",
    )

    def _build(self) -> torch.nn.Module:
        network = _torchvision_models(self.name).mobilenet_v2(weights=None)
        del network.classifier
        steps = list(network.features)
        edges = (0, 2, 4, 7, 14, 19)
        return _stages(
            network,
            [steps[a:b] for a, b in pairwise(edges)],
        )


def _stages(
    network: torch.nn.Module, stages: Sequence[Sequence[torch.nn.Module]]
) -> torch.nn.Module:
    """Return the module from (n, 224, 224, 3) bytes to its layers, each (n, d)."""
    import torch

    class Stages(torch.nn.Module):
        """A network of torchvision, asked stage by stage."""

        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            for name, values in (("mean", _MEAN), ("std", _STD)):
                column = torch.tensor(values).view(3, 1, 1)
                self.register_buffer(name, column, persistent=False)

        def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
            x = frames.permute(0, 3, 1, 2).float().div(255)
            x = (x - self.mean) / self.std
            layers = []
            for stage in stages:
                for step in stage:
                    x = step(x)
                layers.append(x.mean(dim=(2, 3), dtype=torch.float32))
            return layers

    return Stages()


def _torchvision_models(name: str) -> Any:  # noqa: ANN401 - it has no types
    try:
        from torchvision import models
    except ImportError as error:
        msg = (
            f"torchvision: expected to be installed, for {name}: pip install "
            "'acav_spark[models]'."
        )
        raise DependencyError(msg) from error
    return models
