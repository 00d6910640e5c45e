"""What networks compute for a clip, where nothing has measured what they take.

Figures are of operations, so that the time of a clip follows from a stated peak and a
stated share of it that is reached.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkFigures:
    """What a network computes for a clip.

    Parameters
    ----------
    gmac_per_clip : float
        Multiplications and additions for a ten-second clip, in 10^9, a multiplication
        with its addition counted once.
    source : str
        Where the figure comes from.
    """

    gmac_per_clip: float
    source: str


_COUNTED = "counted by benchmarks/bench_networks.py: {} GMAC for ten seconds"
NETWORKS = {
    # Feichtenhofer et al., SlowFast Networks (2019), table 2: 8x8, R50.
    "slowfast_r50": NetworkFigures(
        65.7, "SlowFast (2019), table 2, 8x8 R50: 65.7 GMAC a view; one view a clip"
    ),
    "i3d_rgb": NetworkFigures(111.2, _COUNTED.format(111.2)),
    "resnet50": NetworkFigures(32.7, _COUNTED.format(32.7)),
    "mobilenet_v2": NetworkFigures(2.4, _COUNTED.format(2.4)),
    "mobilenet_v2_tf": NetworkFigures(
        2.4, "the same network as mobilenet_v2: 2.4 GMAC for ten seconds"
    ),
    # Six convolutions of 3 x 3 over 96 x 64 log-mel and three dense layers, counted by
    # hand: 3.5 + 113 + 113 + 226 + 113 + 226 + 67 million; 0.96 s each.
    "vggish": NetworkFigures(
        8.63, "VGGish, counted by layers: 0.863 GMAC for 0.96 s; ten of them a clip"
    ),
    "yamnet": NetworkFigures(1.4, _COUNTED.format(1.4)),
}
"""By the extractor's name."""

GPU_SHARE = 0.06
"""Share of an accelerator's peak that a network is taken to reach.

SlowFast on an H100 (``benchmarks/results/gpu.json``): 0.055 as it comes, 0.095 with
``compile: true``. Its layers are narrow, and wait for memory rather than arithmetic.
"""

CORE_GFLOPS = 30.0
"""10^9 operations a second that a network is taken to reach on a core."""


def gpu_seconds(gmac: float, tflops: float, share: float) -> float:
    """Return the seconds of an accelerator for so many 10^9 multiply-additions.

    Examples
    --------
    A peak of 100 * 10^12 a second, of which a fifth is reached:

    >>> gpu_seconds(10.0, 100.0, 0.2)
    0.001
    """
    return 2 * gmac * 1e9 / (tflops * 1e12 * share)
