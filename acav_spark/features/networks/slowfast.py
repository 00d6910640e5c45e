"""SlowFast 8x8 R50 (Feichtenhofer et al., 2019), the paper's visual network."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from acav_spark.errors import DependencyError
from acav_spark.features.networks.base import (
    Network,
    centre_crop,
    require_frames,
)
from acav_spark.features.networks.options import Published
from acav_spark.media.types import VideoSampling

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from acav_spark.features.networks.device import Place, View
    from acav_spark.media.types import DecodedClip

__all__ = ["SlowFastR50"]

_SIZE = 256
_N_FRAMES = 32
_ALPHA = 4  # the fast pathway sees so many times the frames of the slow one
_MEAN, _STD = 0.45, 0.225
_N_STAGES = 5
# PyTorchVideo's names of convolutions, and of the batch norms behind them.
_NORMS = {
    "conv": "norm",
    "conv_a": "norm_a",
    "conv_b": "norm_b",
    "conv_c": "norm_c",
    "branch1_conv": "branch1_norm",
    "conv_fast_to_slow": "norm",
}


class SlowFastR50(Network):
    """Five stages of SlowFast 8x8 R50, trained on Kinetics-400 (paper, section 3.2).

    ===== ========= ===========================================================
    Layer Dimension What is averaged over time and place, slow before fast pathway
    ===== ========= ===========================================================
    1     80 + 8    first convolution, pooled and fused
    2     320 + 32  res2, fused
    3     640 + 64  res3, fused
    4     1280+128  res4, fused
    5     2048+256  res5
    ===== ========= ===========================================================

    Parameters
    ----------
    **options
        Those of all networks (``NetworkOptions``).

    Notes
    -----
    32 frames at the middles of equal parts of the clip, short side 256, the middle 256
    x 256 pixels, (x / 255 - 0.45) / 0.225; the slow pathway gets 8 of them. The paper's
    code takes frames from the first to the last one, and the left or upper 256 pixels.
    65.7 billion multiplications a clip.
    """

    name = "slowfast_r50"
    modality = "visual"
    dimensions = (88, 352, 704, 1408, 2304)
    video_sampling: VideoSampling | None = VideoSampling(
        short_side=_SIZE, n_frames=_N_FRAMES
    )
    views_per_pass = 16
    views_per_cpu_pass = 1
    preferred_batch = 16
    published = Published(
        url="https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/"
        "SLOWFAST_8x8_R50.pyth",
        sha256="",
        licence="Apache-2.0 (PyTorchVideo)",
    )

    def _views(self, clip: DecodedClip) -> list[View]:
        sampling = VideoSampling(short_side=_SIZE, n_frames=_N_FRAMES)
        return [centre_crop(require_frames(clip, sampling), _SIZE)]

    def _build(self) -> torch.nn.Module:
        import torch

        blocks = _pytorchvideo_blocks()

        class Stages(torch.nn.Module):
            """The network without its head; names are those of the published file."""

            slow: torch.Tensor

            def __init__(self) -> None:
                super().__init__()
                self.blocks = blocks
                chosen = torch.linspace(0, _N_FRAMES - 1, _N_FRAMES // _ALPHA)
                self.register_buffer("slow", chosen.long(), persistent=False)

            def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
                # Of bytes, the product is in float32 at once.
                fast = frames.permute(0, 4, 1, 2, 3) * (1 / (255 * _STD))
                fast = fast.sub_(_MEAN / _STD)
                pathways = [fast.index_select(2, self.slow), fast]
                layers = []
                for block in self.blocks:
                    pathways = block(pathways)
                    means = [
                        pathway.mean(dim=(2, 3, 4), dtype=torch.float32)
                        for pathway in pathways
                    ]
                    layers.append(torch.cat(means, dim=1))
                return layers

        return Stages()

    def _prepare(self, module: torch.nn.Module, place: Place) -> None:
        from acav_spark.features.networks.flat_convolutions import (
            flatten_convolutions,
            fold_batch_norms,
        )

        fold_batch_norms(module, _NORMS)
        flatten_convolutions(module, with_both=place.is_gpu)

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        from acav_spark.features.networks.tensors import fit_tensors, read_tensors

        # Blocks 5 and 6 are the head: pooling and the classes.
        tensors = {
            name: tensor
            for name, tensor in read_tensors(path).items()
            if not name.startswith(("blocks.5.", "blocks.6."))
        }
        fit_tensors(module, tensors, name=self.name)


def _pytorchvideo_blocks() -> torch.nn.ModuleList:
    """Return the five stages as PyTorchVideo builds them."""
    import torch

    try:
        with warnings.catch_warnings():
            # A loss that it imports and nobody here uses is scripted at import.
            warnings.simplefilter("ignore", FutureWarning)
            from pytorchvideo.models.slowfast import create_slowfast
    except ImportError as error:
        msg = (
            "pytorchvideo: expected to be installed, for slowfast_r50: pip install "
            "'acav_spark[models]'."
        )
        raise DependencyError(msg) from error
    network = create_slowfast(slowfast_fusion_conv_kernel_size=(7, 1, 1))
    return torch.nn.ModuleList(list(network.blocks)[:_N_STAGES])
