"""The precisions that the paper prints, in per cent, by what it calls them.

Tables 1, 2 and 4 and section 4.2. Its intervals are left out: they are printed as
``88.705 ± 0.004`` without a unit; see docs/evaluation.md.
"""

from __future__ import annotations

from typing import Final

SAMPLE_LEVEL: Final = "kinetics_sounds"
"""The paper's one set whose pairs correspond as samples; other sets of that kind are
compared with it."""

_SETS: Final = (
    "cifar10_rotation",
    "cifar10_flip",
    "mnist_cifar10",
    "mnist_fsdd",
    SAMPLE_LEVEL,
)

TABLE_1: Final = {
    method: dict(zip(_SETS, row, strict=True))
    for method, row in {
        "ranking_inner": (87.872, 87.044, 63.076, 64.453, 52.558),
        "ranking_cos": (87.872, 87.044, 67.600, 61.893, 60.108),
        "ranking_l2": (87.872, 87.044, 66.796, 62.933, 51.236),
        "contrastive": (99.395, 99.480, 73.252, 73.733, 73.066),
        "clustering": (87.292, 87.248, 77.224, 69.440, 88.705),
    }.items()
}
"""Precision by method and data set."""

TABLE_2: Final = {
    "layer_1": 50.820,
    "layer_2": 51.412,
    "layer_3": 52.659,
    "layer_4": 54.422,
    "layer_5": 58.418,
    "diagonal": 71.450,
    "bipartite": 76.969,
    "combination": 88.705,
}
"""Precision by pairing, on Kinetics-Sounds."""

TABLE_4: Final = {
    "exp(-10)": 50.791,
    "exp(-1)": 65.374,
    "exp(1)": 79.858,
    "exp(10)": 57.880,
    "linear(-0.50)": 88.018,
    "linear(-0.25)": 88.673,
    "linear(0.25)": 88.777,
    "linear(0.50)": 87.997,
    "uniform": 88.705,
}
"""Precision by layer weights, on Kinetics-Sounds with all pairs of views."""

FIGURE_2: Final = {"greedy": 98.970, "b=160 s=5": 98.020}
"""Section 4.2's two numbers of Figure 2; it does not say at which size. They are above
the 88.705 at half of the set, so that they belong to an early iteration."""

SGD_EM: Final = {"sgd": 88.705, "em": 88.732}
"""Precision with SGD and EM k-means, on Kinetics-Sounds."""
