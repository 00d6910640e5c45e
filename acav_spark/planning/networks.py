"""What the paper's networks cost, as published, where nothing has measured them here.

Figures are of operations, so that the time of a clip follows from a stated peak and a
stated share of it that is reached.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkFigures:
    """Published figures of a network.

    Parameters
    ----------
    modality : str
        What it looks at.
    dimensions : tuple of int
        Channels of the outputs of its five blocks.
    gmac_per_view, views_per_clip : float
        Multiplications and additions of one view in 10^9; views of a ten-second clip.
    source : str
        Where they come from.
    """

    modality: str
    dimensions: tuple[int, ...]
    gmac_per_view: float
    views_per_clip: float
    source: str


NETWORKS = {
    # Feichtenhofer et al., SlowFast Networks (2019), table 2: 8x8, R50, 65.7 GFLOPs a
    # view, where a multiplication with its addition counts once. Channels of both
    # pathways after each stage's fusion.
    "slowfast_r50": NetworkFigures(
        "visual",
        (88, 352, 704, 1408, 2304),
        65.7,
        1.0,
        "SlowFast (2019), table 2, 8x8 R50: 65.7 GMAC a view; one view a clip",
    ),
    # Six convolutions of 3 x 3 over 96 x 64 log-mel and three dense layers, counted by
    # hand: 3.5 + 113 + 113 + 226 + 113 + 226 + 67 million; 0.96 s each.
    "vggish": NetworkFigures(
        "audio",
        (64, 128, 256, 512, 128),
        0.863,
        10.0,
        "VGGish, counted by layers: 0.863 GMAC for 0.96 s; ten of them a clip",
    ),
}
"""By the extractor's name."""

GPU_SHARE = 0.25
"""Share of an accelerator's peak that a network is taken to reach."""

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
