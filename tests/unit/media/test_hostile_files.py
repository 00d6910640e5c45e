"""Files made to do harm cost their row, and neither memory nor time nor secrets."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import pytest
from extreme_files import WIDTH, write_pictures
from hostile_files import (
    claim_duration,
    claim_size,
    pointing_texts,
    write_packed_png_video,
)
from media_files import write_with_cover_art

from acav_spark.errors import MediaError
from acav_spark.media import (
    AudioSampling,
    Limits,
    Sandbox,
    VideoSampling,
    decode_clip_isolated,
    probe_isolated,
)
from acav_spark.media.container import open_media
from acav_spark.media.probe import probe
from acav_spark.segment.isolated import measure_video_isolated

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMITS = Limits(time_s=10, memory_bytes=2**29)
_MAX_PIXELS = _LIMITS.max_pixels
_PASSWORDS = "file:///etc/passwd"
_METADATA_SERVICE = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(_LIMITS) as real:
        yield real


def _codes(sandbox: Sandbox, path: Path) -> list[str]:
    """Return how probing, measuring and decoding a file in the sandbox end."""
    sampling = [VideoSampling(16, n_frames=2)]
    codes = []
    for attempt in (
        lambda: probe_isolated(sandbox, path),
        lambda: measure_video_isolated(sandbox, path),
        lambda: decode_clip_isolated(
            sandbox, path, 0.0, 1.0, video=sampling, audio=[AudioSampling(8000)]
        ),
    ):
        try:
            attempt()
            codes.append("result")
        except MediaError as error:
            codes.append(error.code)
    return codes


def _peak_bytes(sandbox: Sandbox) -> int:
    status = Path(f"/proc/{sandbox.child_pid}/status").read_text()
    (line,) = (row for row in status.splitlines() if row.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _second(path: Path) -> Path:
    return write_pictures(path, [i / 10 for i in range(10)], [40] * 5 + [200] * 5)


# Other files and the network


class _Listener:
    """A server on loopback that counts who connects, and answers nobody."""

    def __init__(self) -> None:
        self.n_connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            connection.close()
            self.n_connections += 1

    def seen(self) -> int:
        """Return the connections so far; one of our own shows that all were seen."""
        before = self.n_connections
        socket.create_connection(("127.0.0.1", self.port)).close()
        while self.n_connections == before:
            self._thread.join(0.01)
        self.n_connections -= 1
        return self.n_connections


@pytest.fixture(scope="module")
def listener() -> _Listener:
    return _Listener()


@pytest.mark.parametrize("name", pointing_texts(""))
def test_files_that_point_elsewhere_are_not_followed(
    sandbox: Sandbox, listener: _Listener, tmp_path: Path, name: str
) -> None:
    """Also outside the sandbox, whose child has no network to begin with."""
    before = listener.seen()
    own = f"http://127.0.0.1:{listener.port}/video.mp4"
    for target in (own, _PASSWORDS, _METADATA_SERVICE):
        path = tmp_path / "video.mp4"
        path.write_bytes(pointing_texts(target)[name])
        assert _codes(sandbox, path) == ["not_media"] * 3
        with pytest.raises(MediaError, match="not_media"):
            probe(path, max_pixels=_MAX_PIXELS)
    assert listener.seen() == before


def test_the_listener_would_have_seen_a_playlist_that_is_followed(
    listener: _Listener, tmp_path: Path
) -> None:
    path = tmp_path / "list.m3u8"
    target = f"http://127.0.0.1:{listener.port}/video.mp4"
    path.write_bytes(pointing_texts(target)["HLS playlist"])
    before = listener.seen()
    everything = {"protocol_whitelist": "file,http,tcp", "allowed_extensions": "ALL"}
    with contextlib.suppress(av.error.FFmpegError, OSError):
        av.open(str(path), container_options=everything).close()
    assert listener.seen() > before


def test_a_file_outside_is_not_opened_even_if_its_demuxer_were_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of protocols holds by itself, without the list of formats."""
    aim = _second(tmp_path / "aim.mkv")
    path = tmp_path / "video.mp4"
    path.write_bytes(pointing_texts(str(aim))["concat script"])
    monkeypatch.setattr("acav_spark.media.container.ALLOWED_FORMATS", "concat,hls")
    with (
        pytest.raises(MediaError, match=r"not_media|invalid_media"),
        open_media(path) as container,
    ):
        list(container.demux())


# Claims and bombs


def test_an_empty_file_and_cover_art_have_their_codes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "empty.mp4").touch()
    assert _codes(sandbox, tmp_path / "empty.mp4") == ["empty_file"] * 3
    cover = write_with_cover_art(tmp_path / "cover.mp4")
    assert _codes(sandbox, cover) == [
        "not_a_video",
        "no_video_stream",
        "no_video_stream",
    ]


def test_a_header_that_claims_ten_hours_is_believed_by_probing_only(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = claim_duration(_second(tmp_path / "long.mkv"), 36_000.0)
    assert probe_isolated(sandbox, path).duration_s == 36_000.0  # ingest: too_long
    measured = measure_video_isolated(sandbox, path)
    assert measured.duration_s == measured.shots[-1].end_s == 1.0
    assert len(measured.rms) == 3


@pytest.mark.parametrize(
    ("codec", "side", "code"),
    [
        # Each picture of these says how large it is; the container is not asked.
        ("mjpeg", 4097, "result"),
        ("mjpeg", 100_000, "result"),
        # These are as large as the container says.
        ("ffv1", 4097, "too_many_pixels"),
        ("ffv1", 8192, "too_many_pixels"),
        ("ffv1", 100_000, "no_frames"),
    ],
)
def test_a_header_that_claims_many_pixels_costs_no_memory(
    tmp_path: Path, codec: str, side: int, code: str
) -> None:
    path = write_pictures(tmp_path / "a.mkv", [0.0, 0.1], [40, 200], codec=codec)
    claim_size(path, side, side)
    with Sandbox(_LIMITS) as fresh:
        assert _codes(fresh, path) == [code] * 3
        assert _peak_bytes(fresh) < 200e6
        if code == "result":
            assert probe_isolated(fresh, path).width == WIDTH


@pytest.mark.parametrize("side", [12_000, 30_000])
def test_pictures_that_unpack_to_gigabytes_are_not_unpacked(
    tmp_path: Path, side: int
) -> None:
    """12,000 x 12,000 pixels are 432 MB, which the library would take if it might."""
    path = write_packed_png_video(tmp_path / "bomb.mov", side, side)
    with Sandbox(_LIMITS) as fresh:
        assert _codes(fresh, path) == ["no_frames"] * 3
        assert _peak_bytes(fresh) < 200e6


def test_many_packed_pictures_end_at_the_time_limit(tmp_path: Path) -> None:
    path = write_packed_png_video(tmp_path / "slow.mov", 4000, 4000, n_frames=60)
    with Sandbox(Limits(time_s=1.0)) as hasty:
        with pytest.raises(MediaError, match="time_limit"):
            measure_video_isolated(hasty, path)
        good = _second(tmp_path / "good.mkv")
        assert measure_video_isolated(hasty, good).n_frames == 10
