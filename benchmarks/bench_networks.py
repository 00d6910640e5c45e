"""What the networks cost: multiplications, and clips a second on one core or a GPU.

    python benchmarks/bench_networks.py --json FILE
    python benchmarks/bench_networks.py --device cuda --clips 64

Clips of ten seconds are random frames and sounds at the size that each network asks
for, decoded already; weights are random, which takes as long. Multiplications are
counted by torch over one clip. Before times are told, a clip alone is compared with the
same clip among others. Processor time is told on a CPU, the clock's on a GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from made_clips import made_clip
from record import about
from torch.utils.flop_counter import FlopCounterMode

from acav_spark.features.registry import create_extractor

NAMES = ("slowfast_r50", "i3d_rgb", "resnet50", "mobilenet_v2", "vggish", "yamnet")


def main() -> None:
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in NAMES:
        row = _measured(name, options.device, options.clips, options.repeats)
        rows.append(row)
        print(
            f"{name:13} {row['gmac_per_clip']:7.2f} GMAC {row['clips_per_s']:8.2f} "
            f"clips/s ({row['spread']})"
        )
    if options.json:
        record = {
            **about("torch", "torchvision", "pytorchvideo", "numpy"),
            "device": options.device,
            "clips": options.clips,
            "repeats": options.repeats,
            "networks": rows,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


def _measured(
    name: str, device: str, n_clips: int, n_repeats: int
) -> dict[str, object]:
    network = create_extractor(name, {"init": "random", "device": device})
    clips = [made_clip(network, number) for number in range(n_clips)]
    expected = network.extract(clips)[-1]  # also builds it
    alone = network.extract(clips[-1:])[0]
    for a, b in zip(alone, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4)
    with FlopCounterMode(display=False) as counter:
        network.extract(clips[:1])
    clock = time.process_time if device == "cpu" else time.perf_counter
    times_s = []
    for _ in range(n_repeats):
        began_s = clock()
        network.extract(clips)
        times_s.append((clock() - began_s) / n_clips)
    rates = sorted(1 / x for x in times_s)
    return {
        "name": name,
        "gmac_per_clip": counter.get_total_flops() / 2e9,
        "clips_per_s": statistics.median(rates),
        "spread": f"{rates[0]:.2f} to {rates[-1]:.2f}",
    }


if __name__ == "__main__":
    main()
