from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from media_files import (
    HEIGHT,
    RATE_HZ,
    WIDTH,
    write_video,
    write_with_cover_art,
    write_without_packets,
)

from acav_spark.errors import MediaError
from acav_spark.media import Limits, Sandbox, probe_isolated
from acav_spark.media.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_PIXELS = 4096 * 4096


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(time_s=30)) as real:
        yield real


def _picture(path: Path, suffix: str) -> Path:
    is_encoded, data = cv2.imencode(suffix, np.zeros((40, 60, 3), dtype=np.uint8))
    assert is_encoded
    path.write_bytes(data.tobytes())
    return path


def _written(data: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return write


def _cut_off(path: Path) -> Path:
    write_video(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return path


def _unfinished(path: Path) -> Path:
    # What an interrupted download of a webm leaves: a header and nothing else.
    write_video(path.with_suffix(".mkv"))
    path.write_bytes(path.with_suffix(".mkv").read_bytes()[:200])
    return path


_BAD_INPUTS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "empty": ("empty_file", _written(b"")),
    "text": ("not_media", _written(b"This is a text file, not a video.\n" * 100)),
    "short text": ("not_media", _written(b"x")),
    "zeros": ("not_media", _written(bytes(100_000))),
    "HLS playlist": (
        "not_media",
        _written(b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
    ),
    "concat script": ("not_media", _written(b"ffconcat version 1.0\nfile '/a.mp4'\n")),
    "SDP": ("not_media", _written(b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\n")),
    "cut off mp4": ("invalid_media", _cut_off),
    "cut off header": ("invalid_media", _unfinished),
    "video without audio": (
        "no_audio_stream",
        lambda path: write_video(path, tone_hz=None),
    ),
    "audio without video": (
        "no_video_stream",
        lambda path: write_video(path, with_picture=False),
    ),
    "cover art": ("not_a_video", write_with_cover_art),
    "png": ("not_a_video", lambda path: _picture(path, ".png")),
    "jpeg": ("not_a_video", lambda path: _picture(path, ".jpg")),
    "webp": ("not_a_video", lambda path: _picture(path, ".webp")),
    "zero duration": ("no_duration", write_without_packets),
}


@pytest.mark.parametrize("name", _BAD_INPUTS)
def test_bad_inputs_end_in_their_code(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    code, write = _BAD_INPUTS[name]
    path = write(tmp_path / "video.mp4")

    with pytest.raises(MediaError) as caught:
        probe_isolated(sandbox, path)

    assert caught.value.code == code
    assert caught.value.is_permanent


def test_a_good_file_gives_its_facts(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write_video(tmp_path / "good.mp4", duration_s=3.0, frame_rate=10)

    facts = probe_isolated(sandbox, path)

    assert facts.duration_s == pytest.approx(3.0, abs=0.1)
    assert (facts.width, facts.height, facts.frame_rate) == (WIDTH, HEIGHT, 10.0)
    assert (facts.n_video_streams, facts.n_audio_streams) == (1, 1)
    assert (facts.sample_rate_hz, facts.n_channels) == (RATE_HZ, 1)
    assert (facts.video_codec, facts.audio_codec) == ("mpeg4", "aac")
    assert facts.content_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.size_bytes == path.stat().st_size
    assert probe(path, max_pixels=_MAX_PIXELS) == facts


def test_two_files_of_the_same_content_have_the_same_hash(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    first = write_video(tmp_path / "a.mp4", duration_s=1.0)
    (tmp_path / "b.mp4").write_bytes(first.read_bytes())
    other = write_video(tmp_path / "c.mp4", duration_s=1.0, tone_hz=300.0)
    hashes = [
        probe_isolated(sandbox, path).content_sha256
        for path in (first, tmp_path / "b.mp4", other)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_file_without_a_length_in_its_header_is_measured(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "live.mkv", duration_s=2.0)
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88")  # Duration, an 8-byte float
    data[place : place + 3] = b"\xec\x80\xec"  # Void elements in its place
    data[place + 3 : place + 11] = b"\x88" + bytes(7)
    data[place + 2 : place + 4] = b"\xec\x87"
    path.write_bytes(data)

    assert probe_isolated(sandbox, path).duration_s == pytest.approx(2.0, abs=0.11)


def test_a_file_that_lost_its_end_is_still_a_video(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "long.mkv", duration_s=4.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert probe_isolated(sandbox, path).n_audio_streams == 1


def test_a_file_whose_packets_are_zeros_has_no_frames(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "noise.mp4")
    data = bytearray(path.read_bytes())
    first, last = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        probe_isolated(sandbox, path)
    assert caught.value.code in ("no_frames", "no_samples")


def test_frames_of_too_many_pixels_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "large.mp4")
    with (
        Sandbox(Limits(max_pixels=WIDTH * HEIGHT - 1)) as small,
        pytest.raises(MediaError, match="64 x 48") as caught,
    ):
        probe_isolated(small, path)
    assert caught.value.code == "too_many_pixels"
    with Sandbox(Limits(max_pixels=WIDTH * HEIGHT)) as enough:
        assert probe_isolated(enough, path).width == WIDTH


def test_a_file_without_end_is_left_at_the_time_limit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "endless.mkv", duration_s=0.5)
    with path.open("r+b") as file:
        file.truncate(2**40)  # zeros that take no room on the disk
    with (
        Sandbox(Limits(time_s=1.0)) as hasty,
        pytest.raises(MediaError, match="took longer than 1 s") as caught,
    ):
        probe_isolated(hasty, path)
    assert caught.value.code == "time_limit"


def test_a_file_that_wants_much_memory_is_left_at_the_limit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "big.mp4", duration_s=0.2, size=(4096, 2304))
    with Sandbox(Limits(memory_bytes=2**24)) as small:
        with pytest.raises(MediaError) as caught:
            probe_isolated(small, path)
        assert caught.value.code == "memory_limit"
        tiny = write_video(tmp_path / "tiny.mp4", duration_s=0.2)
        assert probe_isolated(small, tiny).width == WIDTH


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "not_found"),  # noqa: ARG005 - a file that vanished
        (lambda path: path.mkdir(), "not_a_regular_file"),
        (os.mkfifo, "not_a_regular_file"),
        (lambda path: path.symlink_to("/dev/zero"), "not_a_regular_file"),
        (lambda path: path.symlink_to("nowhere"), "not_found"),
        (lambda path: path.symlink_to(path.name), "unreadable"),
    ],
)
def test_what_is_no_readable_file_is_refused_without_waiting(
    sandbox: Sandbox, tmp_path: Path, make: Callable[[Path], object], code: str
) -> None:
    make(tmp_path / "x.mp4")
    with pytest.raises(MediaError) as caught:
        probe_isolated(sandbox, tmp_path / "x.mp4")
    assert caught.value.code == code


def test_a_file_that_may_not_be_read_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        locked, open_ = Path(folder) / "locked.mp4", Path(folder) / "open.mp4"
        write_video(locked, duration_s=0.5)
        write_video(open_, duration_s=0.5)
        locked.chmod(0o000)
        open_.chmod(0o644)

        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                if os.getuid() == 0:  # root reads everything
                    os.setuid(65534)
                status = _status_of_probes(locked, open_)
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert status == 0


def _status_of_probes(locked: Path, readable: Path) -> int:
    """Return 0 when only the locked file is refused, for its permissions."""
    if probe(readable, max_pixels=_MAX_PIXELS).width != WIDTH:
        return 2
    try:
        probe(locked, max_pixels=_MAX_PIXELS)
    except MediaError as error:
        return 0 if error.code == "permission_denied" else 3
    return 4


@pytest.mark.parametrize(
    "name",
    [
        b"with space.mp4",
        b"quote'\"$(touch x)`y`.mp4",
        b"new\nline.mp4",
        "ünï-日本語-🎬.mp4".encode(),
        b"-i.mp4",
        b"\xff\xfe not utf-8.mp4",
        b"concat:a|b.mp4",
        b"http:x.mp4",
        b"100%25 [1] ?#&;.mp4",
    ],
)
def test_any_name_can_be_probed(sandbox: Sandbox, tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    plain = write_video(tmp_path / "plain", duration_s=0.5)
    plain.rename(path)
    assert probe_isolated(sandbox, path).width == WIDTH


def test_every_real_clip_can_be_probed(sandbox: Sandbox, data_dir: Path) -> None:
    rows = (data_dir / "videos" / "videos.csv").read_text().splitlines()[1:]
    for row in rows:
        (
            name,
            size,
            sha256,
            *_,
        ) = row.split(",")
        duration_s = float(row.split(",")[6])
        facts = probe_isolated(sandbox, data_dir / "videos" / name)
        assert facts.size_bytes == int(size)
        assert facts.content_sha256 == sha256
        assert facts.duration_s == pytest.approx(duration_s, abs=0.01)
    assert len(rows) == 33
