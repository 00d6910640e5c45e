"""VGGish (Hershey et al., 2017), the paper's network for sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.errors import ConfigError
from acav_spark.features.networks.base import Network, require_waveform
from acav_spark.features.networks.log_mel import (
    RATE_HZ,
    examples,
    log_mel_module,
)
from acav_spark.features.networks.options import (
    PLACEMENT_OPTIONS,
    Published,
    Weights,
)
from acav_spark.features.networks.weights import weights_file
from acav_spark.media.types import AudioSampling

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from acav_spark.features.networks.device import View
    from acav_spark.media.types import DecodedClip

__all__ = ["VGGish"]

_HOP = 15_360  # 0.96 s
_OFFSET = 0.01
_N_EMBEDDING = 128
# After PCA, embeddings are cut to this range and made bytes (YouTube-8M).
_QUANTISED_RANGE = 2.0


class VGGish(Network):
    """Four blocks and the embedding of VGGish, trained on YouTube-8M (section 3.2).

    ===== ========= ===========================================================
    Layer Dimension What is averaged over time and frequency, then over examples
    ===== ========= ===========================================================
    1     64        block 1, after its pooling
    2     128       block 2
    3     256       block 3
    4     512       block 4
    5     128       embedding, after its ReLU; after PCA where that is given
    ===== ========= ===========================================================

    Parameters
    ----------
    pca : str, default ""
        Path or URL of the PCA parameters (``pca_eigen_vectors``, ``pca_means``) that
        AudioSet's embeddings went through; empty leaves the embedding as it is, which
        is what the paper's code takes.
    pca_sha256 : str, default ""
        Of that file.
    quantise : bool, default False
        Whether embeddings become whole numbers from 0 to 255 after PCA, as AudioSet's.
    **options
        Those of all networks (``NetworkOptions``).

    Notes
    -----
    16 kHz mono, examples of 0.96 s without overlap, log-mel of 96 x 64. A rest at the
    end is left out; a clip shorter than one example is filled up with silence. 0.87
    billion multiplications an example, of which ten seconds have ten.
    """

    name = "vggish"
    modality = "audio"
    dimensions = (64, 128, 256, 512, 128)
    audio_sampling: AudioSampling | None = AudioSampling(sample_rate_hz=RATE_HZ)
    placement_options = (*PLACEMENT_OPTIONS, "pca")  # its hash is in the version
    views_per_pass = 64
    views_per_cpu_pass = 16
    preferred_batch = 32
    published = Published(
        url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
        "vggish-10086976.pth",
        sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
        licence="Apache-2.0 (Google's VGGish, converted by torchvggish)",
    )

    def __init__(
        self,
        *,
        pca: str = "",
        pca_sha256: str = "",
        quantise: bool = False,
        **options: object,
    ) -> None:
        super().__init__(**options)
        if bool(pca) != bool(pca_sha256) or (quantise and not pca):
            msg = (
                "vggish: expected pca and pca_sha256 together, and quantise with them "
                f"alone, got pca={pca!r}, pca_sha256={pca_sha256!r}, "
                f"quantise={quantise}."
            )
            raise ConfigError(msg)
        if pca and self._weights.seed is not None:
            msg = "vggish: expected no pca with random weights, got one."
            raise ConfigError(msg)
        self._pca = Weights(pca, pca_sha256) if pca else None
        self._quantise = quantise

    def _settings(self) -> list[str]:
        if self._pca is None:
            return []
        return [f"{'quantised ' if self._quantise else ''}pca {self._pca.version}"]

    def _views(self, clip: DecodedClip) -> list[View]:
        sampling = AudioSampling(sample_rate_hz=RATE_HZ)
        waveform = require_waveform(clip, sampling)
        return [*examples(waveform, hop=_HOP, keeps_rest=False)]

    def _build(self) -> torch.nn.Module:
        return vggish_module(has_pca=self._pca is not None, quantise=self._quantise)

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        from acav_spark.features.networks.tensors import fit_tensors, read_tensors

        tensors = read_tensors(path)
        if self._pca is not None:
            file = weights_file(
                self._pca,
                cache_dir=self._options.cache_dir,
                allow_private_addresses=self._options.allow_private_addresses,
            )
            for name, tensor in read_tensors(file).items():
                tensors[name] = tensor.squeeze() if "means" in name else tensor
        fit_tensors(module, tensors, name=self.name)


def vggish_module(*, has_pca: bool, quantise: bool) -> torch.nn.Module:
    """Return the network from (n, 15600) samples to its five layers, each (n, d).

    Its parameters have the names of the published file.
    """
    import torch
    from torch import nn

    class Stages(nn.Module):
        """Front end, blocks and embedding."""

        pca_eigen_vectors: torch.Tensor
        pca_means: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.has_pca = has_pca
            self.log_mel = log_mel_module(_OFFSET)
            self.features = nn.Sequential(*_blocks())
            wide = 4096
            self.embeddings = nn.Sequential(
                nn.Linear(512 * 6 * 4, wide),
                nn.ReLU(),
                nn.Linear(wide, wide),
                nn.ReLU(),
                nn.Linear(wide, _N_EMBEDDING),
                nn.ReLU(),
            )
            if has_pca:
                square = torch.zeros(_N_EMBEDDING, _N_EMBEDDING)
                self.register_buffer("pca_eigen_vectors", square)
                self.register_buffer("pca_means", square[0].clone())

        def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
            x = self.log_mel(waveform)
            layers = []
            for step in self.features:
                x = step(x)
                if isinstance(step, nn.MaxPool2d):
                    layers.append(x.mean(dim=(2, 3), dtype=torch.float32))
            # The fully connected layers were trained with channels last.
            embedding = self.embeddings(x.permute(0, 2, 3, 1).flatten(1)).float()
            return [*layers, self._postprocessed(embedding)]

        def _postprocessed(self, embedding: torch.Tensor) -> torch.Tensor:
            if not self.has_pca:
                return embedding
            with torch.autocast(embedding.device.type, enabled=False):
                centred = embedding - self.pca_means
                x = centred @ self.pca_eigen_vectors.T
            if not quantise:
                return x
            bound = _QUANTISED_RANGE
            return x.clamp(-bound, bound).add(bound).mul(255 / (2 * bound)).round()

    return Stages()


def _blocks() -> list[torch.nn.Module]:
    """Return convolutions, ReLUs and poolings in the order of the published file."""
    from torch import nn

    steps: list[nn.Module] = []
    n_in = 1
    for block in ((64,), (128,), (256, 256), (512, 512)):
        for n_out in block:
            steps += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
            n_in = n_out
        steps.append(nn.MaxPool2d(2))
    return steps
