"""The log-mel front end of VGGish and YAMNet, in torch, on the network's device.

Hershey et al., CNN Architectures for Large-Scale Audio Classification (2017): 25 ms
windows every 10 ms, 64 bands from 125 to 7500 Hz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]

RATE_HZ: Final = 16_000
N_MELS: Final = 64
N_TIMES: Final = 96
EXAMPLE_SAMPLES: Final = 15_600
"""Samples of one example: 96 windows of 400, each 160 on from the one before."""

_WINDOW: Final = 400
_HOP: Final = 160
_N_FFT: Final = 512
_LOW_HZ, _HIGH_HZ = 125.0, 7500.0


def mel_matrix() -> NDArray[np.float64]:
    """Return weights of the mel bands, shape (257, 64), for magnitudes of the spectrum.

    Triangles between 66 points that lie evenly on HTK's scale, ``1127 ln(1 + f/700)``,
    over which they rise and fall evenly too; the zero frequency belongs to none.
    """
    mels = 1127.0 * np.log1p(np.fft.rfftfreq(_N_FFT, 1 / RATE_HZ) / 700.0)
    low, high = 1127.0 * np.log1p(np.array([_LOW_HZ, _HIGH_HZ]) / 700.0)
    points = np.linspace(low, high, N_MELS + 2)
    left, centre, right = points[:-2], points[1:-1], points[2:]
    rising = (mels[:, None] - left) / (centre - left)
    falling = (right - mels[:, None]) / (right - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return np.asarray(weights, np.float64)


def examples(waveform: Floats, *, hop: int, keeps_rest: bool) -> list[Floats]:
    """Return pieces of 15,600 samples, the first at the start.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        Mono, 16 kHz, at least one sample.
    hop : int
        Samples from one piece to the next.
    keeps_rest : bool
        Whether what remains at the end is filled up with silence, or left out. What is
        shorter than one piece is filled up in any case.
    """
    n_beyond = max(len(waveform) - EXAMPLE_SAMPLES, 0)
    n_examples = 1 + (-(-n_beyond // hop) if keeps_rest else n_beyond // hop)
    n_samples = EXAMPLE_SAMPLES + (n_examples - 1) * hop
    padded = np.pad(waveform, (0, max(n_samples - len(waveform), 0)))
    return [padded[i * hop : i * hop + EXAMPLE_SAMPLES] for i in range(n_examples)]


def log_mel_module(offset: float) -> torch.nn.Module:
    """Return the module from (n, 15600) samples to (n, 1, 96, 64) log mel energies.

    Parameters
    ----------
    offset : float
        Added before the logarithm: 0.01 in VGGish, 0.001 in YAMNet.
    """
    import torch

    class LogMel(torch.nn.Module):
        """Windowed magnitudes of the spectrum, their mel bands, their logarithm."""

        window: torch.Tensor
        matrix: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            window = torch.hann_window(_WINDOW, periodic=True, dtype=torch.float64)
            self.register_buffer("window", window, persistent=False)
            matrix = torch.from_numpy(mel_matrix())
            self.register_buffer("matrix", matrix, persistent=False)

        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            # The rounding of loud bands would drown quiet ones, a little in float32
            # and wholly in half precision, which float64 is never turned into.
            frames = waveform.double().unfold(1, _WINDOW, _HOP) * self.window
            mel = torch.fft.rfft(frames, n=_N_FFT).abs() @ self.matrix
            return torch.log(mel + offset).float().unsqueeze(1)

    return LogMel()
