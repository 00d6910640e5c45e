"""Two hundred malformed files: each ends in a result or in a code, none in a crash."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from media_layout import ebml_elements, mp4_boxes, ogg_checksum, ogg_pages
from mutator import mutants

from acav_spark.errors import MediaError
from acav_spark.media import (
    AudioSampling,
    Limits,
    Sandbox,
    VideoSampling,
    decode_clip_isolated,
    probe_isolated,
)
from acav_spark.media.codes import CODES
from acav_spark.segment.isolated import measure_video_isolated

if TYPE_CHECKING:
    from collections.abc import Callable

_N_MUTANTS, _SEED = 200, 2021
# As much of each as makes decoding quick: a WebM or Ogg file that breaks off is good.
_SOURCES = {
    "obama_speech.mp4": None,
    "00W1lcxW-WU_40.000.mp4": None,
    "elf.webm": 100_000,
    "trailer.ogv": 120_000,
}
_LIMITS = Limits(time_s=10, memory_bytes=2**29, n_calls_before_recycle=10_000)


@pytest.fixture(scope="module")
def sources(data_dir: Path) -> dict[str, bytes]:
    folder = data_dir / "videos"
    return {
        name: (folder / name).read_bytes()[:n_bytes]
        for name, n_bytes in _SOURCES.items()
    }


def _attempts(sandbox: Sandbox, path: Path) -> dict[str, Callable[[], object]]:
    return {
        "probe": lambda: probe_isolated(sandbox, path),
        "measure": lambda: measure_video_isolated(sandbox, path),
        "decode": lambda: decode_clip_isolated(
            sandbox,
            path,
            1.0,
            3.0,
            video=[VideoSampling(32, n_frames=4)],
            audio=[AudioSampling(16_000)],
        ),
    }


def _outcomes(sandbox: Sandbox, path: Path) -> dict[str, str]:
    outcomes = {}
    for name, attempt in _attempts(sandbox, path).items():
        try:
            attempt()
            outcomes[name] = "result"
        except MediaError as error:
            outcomes[name] = error.code
    return outcomes


def _open_files(pid: int | None) -> set[str]:
    folder = Path(f"/proc/{pid}/fd")
    return {str(entry.readlink()) for entry in folder.iterdir()}


def test_every_malformed_file_ends_in_a_result_or_a_code(
    sources: dict[str, bytes], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.mp4", tmp_path / "bad.mp4"
    good.write_bytes(sources["obama_speech.mp4"])
    counts: Counter[str] = Counter()
    wrong: list[tuple[str, dict[str, str]]] = []
    pids: set[int | None] = set()
    with Sandbox(_LIMITS) as sandbox:
        facts = probe_isolated(sandbox, good)
        n_own_files = len(list(Path("/proc/self/fd").iterdir()))
        files = _open_files(sandbox.child_pid)
        for mutant in mutants(sources, _N_MUTANTS, _SEED):
            bad.write_bytes(mutant.data)
            outcomes = _outcomes(sandbox, bad)
            counts.update(outcomes.values())
            pids.add(sandbox.child_pid)
            # A crash would be contained too, but is worth being looked at.
            unknown = set(outcomes.values()) - {"result", *CODES}
            if unknown or {"unexpected_error", "decoder_crashed"} & {
                *outcomes.values()
            }:
                wrong.append((mutant.name, outcomes))
        assert wrong == []
        assert probe_isolated(sandbox, good) == facts
        # Whatever went wrong in between, as many files are open as at the start.
        assert _open_files(sandbox.child_pid) == files
        pids.add(sandbox.child_pid)
        assert len(list(Path("/proc/self/fd").iterdir())) == n_own_files
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bad.mp4", "good.mp4"]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids if pid is not None)
    # The damage is neither harmless nor total: half of what was asked for is there.
    assert sum(counts.values()) == 3 * _N_MUTANTS
    assert 0.3 < counts["result"] / counts.total() < 0.8
    assert len(counts) >= 5


def test_mutants_are_malformed_differ_and_depend_on_the_seed(
    sources: dict[str, bytes],
) -> None:
    n = 100
    made = list(mutants(sources, n, _SEED))
    assert [m.data for m in made] == [m.data for m in mutants(sources, n, _SEED)]
    assert not {m.data for m in made} & set(sources.values())
    # Two tracks can be swapped in one way only: some are made twice.
    assert len({m.data for m in made}) > 0.9 * n
    other = [m.data for m in mutants(sources, n, _SEED + 1)]
    n_different = sum(a.data != b for a, b in zip(made, other, strict=True))
    assert n_different > 0.9 * n
    kinds = Counter(m.name.split()[1] for m in made)
    assert len(kinds) == 22


def test_the_layout_of_real_files_is_understood(data_dir: Path) -> None:
    folder = data_dir / "videos"
    mp4 = (folder / "obama_speech.mp4").read_bytes()
    boxes = mp4_boxes(mp4)
    assert Counter(box.kind for box in boxes)[b"trak"] == 2
    top = [box for box in boxes if box.kind in (b"ftyp", b"wide", b"moov", b"mdat")]
    assert sum(box.end - box.start for box in top) == len(mp4)
    (frames,) = (
        box.body
        for box in boxes
        if box.kind == b"stsz" and mp4[box.body + 8 : box.body + 12] == b"\0\0\0\x69"
    )
    assert mp4[frames + 4 : frames + 8] == bytes(4)  # 105 frames, each of its own size

    webm = (folder / "elf.webm").read_bytes()
    elements = Counter(element.kind for element in ebml_elements(webm))
    assert elements[b"\xae"] == 2
    assert elements[b"\xa3"] > 241

    ogg = (folder / "trailer.ogv").read_bytes()[:120_000]
    pages = ogg_pages(ogg)
    assert len(pages) > 20
    assert all(a.end == b.start for a, b in pairwise(pages))
    page = bytearray(ogg[pages[5].start : pages[5].end])
    stated = int.from_bytes(page[22:26], "little")
    page[22:26] = bytes(4)
    assert ogg_checksum(page) == stated


def test_damaged_packets_are_counted_and_the_others_decoded(
    sources: dict[str, bytes], tmp_path: Path
) -> None:
    """Three pictures of the WebM file lose what they hold; 3 are counted, 3 missing."""
    path = tmp_path / "damaged.webm"
    path.write_bytes(sources["elf.webm"])
    with Sandbox(_LIMITS) as sandbox:
        whole = measure_video_isolated(sandbox, path)
        data = bytearray(sources["elf.webm"])
        pictures = [
            block
            for block in ebml_elements(data)
            if block.kind == b"\xa3" and data[block.body] == 0x81
        ]
        for block in pictures[10:40:10]:
            # VP8 refuses an inter frame of a size that does not fit its partitions.
            data[block.body + 4 : block.end] = b"\xff" * (block.end - block.body - 4)
        path.write_bytes(data)
        damaged = measure_video_isolated(sandbox, path)
    assert whole.n_bad_packets == 0
    assert damaged.n_bad_packets == 3
    assert damaged.n_frames == whole.n_frames - 3
    assert damaged.duration_s == whole.duration_s
