"""What a GPU does: the same vectors as a CPU, and clips a second against a bare loop.

    python benchmarks/bench_gpu.py --parts answers peak rates decoding --json FILE

Needs a GPU, torch, torchvision and pytorchvideo; no Spark. Parts:

- answers: each network with seeded weights, on a CPU in float32 and on the GPU in
  bfloat16: the cosine of each layer; and whether a clip alone gets the bits that it
  gets among others. With ``--weights FOLDER`` I3D and YAMNet have trained ones.
- peak: what the card makes of one large product of matrices, in bfloat16.
- rates: SlowFast on clips that are decoded already. Bare loops run PyTorchVideo's
  network, compiled, and the product's, on clips that lie in the GPU's memory, cropped;
  beside them the product's threads (``extract_ahead``) get clips as they come from
  decoding, in main memory.
- busy: the share of the time in which the GPU computes, by the card's own counters.
- decoding: real clips (``--clips FOLDER``), decoded on CPU cores or on the GPU, into
  SlowFast: clips a second, and whether the frames are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from made_clips import CLIP_S, Ready, made_clip
from record import about

from acav_spark.features.extraction import Item, SandboxedDecoder
from acav_spark.features.networks.base import _laid_out
from acav_spark.features.networks.weights import sha256_of
from acav_spark.features.registry import create_extractor
from acav_spark.features.runtime import Ahead, extract_ahead
from acav_spark.media.isolated import decode_clip_isolated
from acav_spark.media.sandbox import Limits, Sandbox
from acav_spark.media.sources import SourceRules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from acav_spark.media.types import DecodedClip

GMAC_A_VIEW = 65.7  # of SlowFast 8x8 R50, 32 frames of 256 x 256
NAMES = ("slowfast_r50", "i3d_rgb", "resnet50", "mobilenet_v2", "vggish", "yamnet")
TRAINED = {
    "i3d_rgb": "i3d_rgb_kinetics400_fp16.npz",
    "yamnet": "yamnet_waveform_int8dyn.tflite",
}
LEAST_COSINE, LEAST_SHARE = 0.999, 0.9
N_WARM, N_REPEATS = 3, 3
# The vendor's figure for an H100 SXM, dense.
DATASHEET_TFLOPS = 989.4


def main() -> None:
    """Run the parts asked for, print them, write the record, check."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--views", type=int, nargs="+", default=[0])
    parser.add_argument("--n-clips", type=int, default=2048)
    parser.add_argument("--compile", choices=("no", "yes", "both"), default="both")
    parser.add_argument("--lanes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    record: dict[str, Any] = {}
    falls_short = []
    for part in options.parts:
        began_s = time.perf_counter()
        measured = PARTS[part](options)
        print(f"\n{part} ({time.perf_counter() - began_s:.0f} s)", flush=True)
        print(json.dumps(measured, indent=1), flush=True)
        record[part] = measured
        if not measured.get("is_enough", True):
            falls_short.append(part)
        if options.json:
            whole = {**about("av", "numpy", "torch"), **card(), **record}
            options.json.write_text(json.dumps(whole, indent=1) + "\n")
    assert not falls_short, f"fell short: {falls_short}"


def card() -> dict[str, object]:
    """Return which GPU it is."""
    found = torch.cuda.get_device_properties(0)
    return {"gpu": found.name, "gpu_memory_gib": round(found.total_memory / 2**30, 1)}


def answers(options: argparse.Namespace) -> dict[str, Any]:
    """Compare vectors of a CPU in float32 with those of the GPU."""
    rows: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        given = weights_of(name, options.weights)
        plain = create_extractor(name, {**given, "device": "cpu"})
        fast = create_extractor(name, {**given, "device": "cuda"})
        n_clips = 3 if name in ("slowfast_r50", "i3d_rgb") else 6
        clips = [made_clip(plain, number) for number in range(n_clips)]
        expected, found = plain.extract(clips), fast.extract(clips)
        worst = [
            min(
                cosine(a[layer], b[layer]) for a, b in zip(expected, found, strict=True)
            )
            for layer in range(len(plain.dimensions))
        ]
        begun = fast.begin(clips[:2])  # type: ignore[attr-defined]  # a network's
        alone = fast.extract(clips[-1:])[0]
        queued = begun()
        twice = [
            (a, b)
            for one, other in zip([alone, *queued], [found[-1], *found], strict=False)
            for a, b in zip(one, other, strict=True)
        ]
        rows[name] = {
            "weights": "trained" if "weights" in given else "seeded",
            "cosines": [round(x, 6) for x in worst],
            "same_bits_among_others": all((a == b).all() for a, b in twice),
            "cosine_among_others": min(cosine(a, b) for a, b in twice),
        }
    enough = all(
        min(*row["cosines"], row["cosine_among_others"]) >= LEAST_COSINE
        for row in rows.values()
    )
    return {"networks": rows, "is_enough": enough}


def peak(_options: argparse.Namespace) -> dict[str, Any]:
    """Return the rate of one large product of matrices."""
    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds = timed(lambda: a @ b, 20)
    return {"matrix_product_tflops": round(2 * n**3 / seconds / 1e12, 1)}


def rates(options: argparse.Namespace) -> dict[str, Any]:
    """Return clips a second of SlowFast: the bare loop, and the product's threads."""
    ways = {"no": [False], "yes": [True], "both": [False, True]}[options.compile]
    product = float(str(peak(options)["matrix_product_tflops"]))
    rows = []
    for n_views in options.views:
        for is_compiled in ways:
            began_s = time.perf_counter()
            network = slowfast(compiled=is_compiled, n_views=n_views)
            clips = [made_clip(network, number) for number in range(32)]
            network.extract(clips[: network._n_views])
            start_s = time.perf_counter() - began_s
            module, place = network._loaded()
            bare = bare_rate(module, place, passes_of(network, clips))
            found = [threads_rate(network, clips, options.n_clips) for _ in range(3)]
            tflops = 2 * GMAC_A_VIEW * bare / 1e3
            row: dict[str, Any] = {
                "views_a_pass": network._n_views,
                "compiled": is_compiled,
                "start_s": round(start_s, 1),
                "bare_clips_per_s": round(bare, 1),
                "threads_clips_per_s": [round(x, 1) for x in found],
                "share_of_own_bare": round(statistics.median(found) / bare, 3),
                "bare_tflops": round(tflops, 1),
                "share_of_matrix_product": round(tflops / product, 3),
                "share_of_datasheet": round(tflops / DATASHEET_TFLOPS, 3),
                "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            }
            torch.cuda.reset_peak_memory_stats()
            print(json.dumps(row), flush=True)
            rows.append(row)
            del network
    plain = plain_rate(max(options.views))
    reached = max(statistics.median(row["threads_clips_per_s"]) for row in rows)
    own = max(row["bare_clips_per_s"] for row in rows)
    return {
        "plain_compiled_clips_per_s": round(plain, 1),
        "rows": rows,
        "threads_of_plain": round(reached / plain, 3),
        "threads_of_own_bare": round(reached / own, 3),
        "is_enough": reached >= LEAST_SHARE * max(plain, own),
    }


def decoding(options: argparse.Namespace) -> dict[str, Any]:
    """Decode real clips on the CPU and on the GPU, and see what SlowFast gets."""
    folder = options.clips.resolve()
    files = sorted(p for p in folder.iterdir() if p.suffix in {".mp4", ".webm"})
    network = slowfast(compiled=False, n_views=0)
    network.extract([made_clip(network, 0)])
    sampling = network.video_sampling
    frames: dict[str, list[Any]] = {}
    alone_s = {}
    for where, gpu in (("cpu", None), ("gpu", "")):
        with Sandbox(Limits(gpu=gpu)) as sandbox:
            decode_clip_isolated(sandbox, files[0], 0.0, CLIP_S, video=[sampling])
            began_s = time.perf_counter()
            print(where, "first child ready", flush=True)
            frames[where] = [
                decode_clip_isolated(
                    sandbox, path, 0.0, CLIP_S, video=[sampling]
                ).frames[0][0]
                for path in files
            ]
            alone_s[where] = time.perf_counter() - began_s
    worst = {
        path.name: int(np.abs(a.astype(int) - b.astype(int)).max())
        for path, a, b in zip(files, frames["cpu"], frames["gpu"], strict=True)
    }
    # Files in turn, so that lanes have different ones.
    n_items = 12 * options.lanes
    found = {}
    for where, gpu in (("cpu", None), ("gpu", "")):
        decoder = SandboxedDecoder(
            {"slowfast_r50": network}, sources=SourceRules(), limits=Limits(gpu=gpu)
        )
        for n_lanes in sorted({4, options.lanes}):
            items = [
                Item(str(i), str(path), 0.0, CLIP_S, ["slowfast_r50"])
                for i, path in enumerate(islice(cycle(files), n_items))
            ]
            ahead = Ahead(n_lanes=n_lanes, max_bytes=4 * 2**30)
            # Once to start the children.
            run(items[: 2 * n_lanes], network, decoder, ahead)
            cpu_s, began_s = processor_s(), time.perf_counter()
            run(items, network, decoder, ahead)
            seconds = time.perf_counter() - began_s
            found[f"{where}, {n_lanes} lanes"] = {
                "clips_per_s": round(n_items / seconds, 1),
                "own_processor_s_a_clip": round((processor_s() - cpu_s) / n_items, 4),
            }
            print(where, n_lanes, found[f"{where}, {n_lanes} lanes"], flush=True)
    return {
        "files": len(files),
        "largest_difference_of_a_byte": worst,
        "one_child_clips_per_s": {
            k: round(len(files) / v, 2) for k, v in alone_s.items()
        },
        "into_slowfast": found,
        "is_enough": max(worst.values()) <= 1,
    }


def busy(options: argparse.Namespace) -> dict[str, Any]:
    """Return the share of time in which the GPU computes while the product's run."""
    network = slowfast(compiled=options.compile != "no", n_views=options.views[0])
    clips = [made_clip(network, number) for number in range(32)]
    network.extract(clips[: network._n_views])
    command = ["nvidia-smi", "--query-gpu=utilization.gpu,clocks.sm,power.draw"]
    watch = subprocess.Popen(  # noqa: S603 - no shell
        [*command, "--format=csv,noheader,nounits", "-lms", "200"],
        stdout=subprocess.PIPE,
        text=True,
    )
    rate = threads_rate(network, clips, 4 * options.n_clips)
    watch.terminate()
    lines = [line.split(", ") for line in watch.communicate()[0].splitlines()]
    middle = lines[len(lines) // 4 : -max(len(lines) // 8, 1)]
    columns = list(zip(*[[float(x) for x in line] for line in middle], strict=True))
    names = ("utilisation_percent", "sm_mhz", "watts")
    medians = {n: statistics.median(c) for n, c in zip(names, columns, strict=True)}
    return {"clips_per_s": round(rate, 1), "samples": len(middle), **medians}


def threads_rate(
    network: Any,  # noqa: ANN401 - one of ours
    clips: Sequence[DecodedClip],
    n_clips: int,
) -> float:
    """Return clips a second through the threads of an extraction."""
    items = [Item(str(i), str(i), 0.0, CLIP_S, [network.name]) for i in range(n_clips)]
    ahead = Ahead(n_lanes=2, max_bytes=4 * 2**30)
    began_s = time.perf_counter()
    run(items, network, Ready(clips), ahead)
    return n_clips / (time.perf_counter() - began_s)


def run(
    items: Sequence[Item],
    network: Any,  # noqa: ANN401 - one of ours
    decoder: Any,  # noqa: ANN401 - any decoder
    ahead: Ahead,
) -> None:
    """Extract all items, and see that each came."""
    n_done = 0
    for results, _ in extract_ahead([items], {network.name: network}, decoder, ahead):
        for one in results:
            assert one.error is None, one.error
        n_done += len(results)
    assert n_done == len(items)


def bare_rate(
    module: Callable[[torch.Tensor], object],
    place: Any,  # noqa: ANN401 - device.Place
    inputs: Sequence[torch.Tensor],
) -> float:
    """Return clips a second of a module alone, on frames in the GPU's memory."""
    turn = cycle(inputs)

    def one_pass() -> None:
        with place.numbers():
            module(next(turn))

    n_views = len(inputs[0])
    return n_views / timed(one_pass, max(64 // n_views, 1) * 4)


def passes_of(
    network: Any,  # noqa: ANN401 - one of ours
    clips: Sequence[DecodedClip],
) -> list[torch.Tensor]:
    """Return some passes' frames in the GPU's memory."""
    n_views = network._n_views
    views = cycle([network._views(clip)[0] for clip in clips])
    place = network._loaded()[1]
    return [place.gathered(list(islice(views, n_views)), n_views) for _ in range(4)]


def plain_rate(n_views: int) -> float:
    """Return clips a second of PyTorchVideo's network as it is, but compiled."""
    network = slowfast(compiled=False, n_views=n_views)
    clips = [made_clip(network, number) for number in range(32)]
    inputs, place = passes_of(network, clips), network._loaded()[1]
    module = network._build().eval().requires_grad_(requires_grad=False)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv3d):
            # Numbers of numpy, which torch.compile takes for arrays and fails at.
            part.stride = tuple(int(x) for x in part.stride)
    module = _laid_out(module.to(place.device), place.dtype)
    return bare_rate(torch.compile(module, dynamic=False), place, inputs)


def timed(work: Callable[[], object], n_times: int) -> float:
    """Return the median seconds of some work on the GPU, of turns of ``n_times``."""
    for _ in range(N_WARM):
        work()
    found = []
    for _ in range(N_REPEATS):
        torch.cuda.synchronize()
        began_s = time.perf_counter()
        for _ in range(n_times):
            work()
        torch.cuda.synchronize()
        found.append((time.perf_counter() - began_s) / n_times)
    return statistics.median(found)


def slowfast(*, compiled: bool, n_views: int) -> Any:  # noqa: ANN401 - one of ours
    """Return SlowFast with seeded weights, with so many views a pass if not zero."""
    network: Any = create_extractor(
        "slowfast_r50", {"init": "random", "device": "cuda", "compile": compiled}
    )
    if n_views:
        network._n_views = network.views_per_pass = network.preferred_batch = n_views
    return network


def weights_of(name: str, folder: Path | None) -> dict[str, Any]:
    """Return the options that give a network trained weights, where they are."""
    path = None if folder is None or name not in TRAINED else folder / TRAINED[name]
    if path is None or not path.is_file():
        return {"init": "random"}
    return {"weights": str(path), "sha256": sha256_of(path)}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def processor_s() -> float:
    """Return the processor time of this process, without its decoding children."""
    return time.process_time()


PARTS = {
    "answers": answers,
    "peak": peak,
    "rates": rates,
    "busy": busy,
    "decoding": decoding,
}

if __name__ == "__main__":
    main()
