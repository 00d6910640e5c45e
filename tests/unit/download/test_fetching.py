"""One file over HTTP: continued, limited, and refused where the rules say so."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from downloads import LOOPBACK, ranges_asked
from media_server import MediaServer, Request, answer, running

from acav_spark.download import fetching
from acav_spark.download.fetching import StoppedError, fetch_file
from acav_spark.download.partial import PartialFile
from acav_spark.download.rate import RateLimit
from acav_spark.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 2_000_003
FREE = RateLimit(None)


@pytest.fixture
def files() -> Iterator[MediaServer]:
    """A server of bytes that are no video: fetching does not look into them."""
    with running(np.random.default_rng(3).bytes(SIZE)) as server:
        server.answers["/a"] = server.ranges
        yield server


@pytest.fixture
def partial(tmp_path: Path) -> Iterator[PartialFile]:
    with PartialFile(tmp_path / "a.part") as partial:
        yield partial


def _half(server: MediaServer, request: Request) -> list[bytes]:
    """Answer as a good server does, and break off in the middle of the body."""
    head, body = server.ranges(request, Connection="close")
    return [head, body[: len(body) // 2]] if len(body) > 1 else [head, body]


def test_a_file_is_fetched_by_ranges_of_bounded_length(
    files: MediaServer, partial: PartialFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "RANGE_BYTES", 900_000)
    fetch_file(files.uri("/a"), partial, LOOPBACK, limit=FREE)
    assert partial.path.read_bytes() == files.content
    assert ranges_asked(files.requests, "/a") == [
        "bytes=0-899999",
        "bytes=900000-1799999",
        "bytes=1800000-2000002",
    ]


def test_a_cut_connection_is_continued_within_a_run(
    files: MediaServer, partial: PartialFile
) -> None:
    files.answers["/cut"] = lambda r: (
        _half(files, r) if r.n_before < 2 else files.ranges(r)
    )
    fetch_file(files.uri("/cut"), partial, LOOPBACK, limit=FREE)
    assert partial.path.read_bytes() == files.content
    assert ranges_asked(files.requests, "/cut") == [
        "bytes=0-2000002",
        "bytes=1000001-2000002",
    ]
    assert partial.n_new_bytes == SIZE


def test_a_cut_connection_is_continued_by_a_later_run(
    files: MediaServer, partial: PartialFile
) -> None:
    files.answers["/cut"] = lambda r: (
        _half(files, r) if r.n_before < 2 else files.ranges(r)
    )
    once = dataclasses.replace(LOOPBACK, n_tries=1)
    with pytest.raises(MediaError) as caught:
        fetch_file(files.uri("/cut"), partial, once, limit=FREE)
    assert caught.value.code == "incomplete_download"

    later = PartialFile(partial.path)
    fetch_file(files.uri("/cut"), later, once, limit=FREE)

    assert later.path.read_bytes() == files.content
    assert ranges_asked(files.requests, "/cut")[1:] == ["bytes=1000001-2000002"]
    assert later.n_new_bytes == SIZE - 1_000_001


def test_a_file_that_is_all_there_is_asked_for_its_size_alone(
    files: MediaServer, partial: PartialFile
) -> None:
    fetch_file(files.uri("/a"), partial, LOOPBACK, limit=FREE)
    fetch_file(files.uri("/a"), partial, LOOPBACK, limit=FREE)
    assert len(ranges_asked(files.requests, "/a")) == 1


def test_a_file_that_changed_between_runs_begins_anew(
    files: MediaServer, partial: PartialFile
) -> None:
    files.answers["/cut"] = lambda r: _half(files, r)
    once = dataclasses.replace(LOOPBACK, n_tries=1)
    with pytest.raises(MediaError):
        fetch_file(files.uri("/cut"), partial, once, limit=FREE)
    files.answers["/cut"] = lambda r: files.ranges(r, ETag='"two"')
    fetch_file(files.uri("/cut"), partial, once, limit=FREE)
    assert ranges_asked(files.requests, "/cut")[-1] == "bytes=0-2000002"
    assert partial.path.read_bytes() == files.content


def test_a_server_that_ignores_ranges_gives_the_whole_file(
    files: MediaServer, partial: PartialFile
) -> None:
    files.answers["/whole"] = files.whole
    fetch_file(files.uri("/whole"), partial, LOOPBACK, limit=FREE)
    assert partial.path.read_bytes() == files.content
    # What was cut is fetched from its beginning.
    head, body = files.whole(files.requests[0])
    files.answers["/short"] = lambda r: (
        answer(body[:1000], headers={"Content-Length": str(SIZE), "X": "close"})
        if r.n_before == 1
        else [head, body]
    )
    fetch_file(files.uri("/short"), partial, LOOPBACK, limit=FREE)
    assert partial.path.read_bytes() == files.content


def test_bytes_are_paced_by_the_limit(files: MediaServer, partial: PartialFile) -> None:
    slept_s: list[float] = []
    limit = RateLimit(1_000_000, clock=lambda: sum(slept_s), sleep=slept_s.append)
    fetch_file(files.uri("/a"), partial, LOOPBACK, limit=limit)
    # At one MB a second; the clock stands still but for the waits.
    assert sum(slept_s) == pytest.approx(SIZE / 1_000_000)
    assert len(slept_s) >= SIZE / (256 * 1024)


def test_a_file_beyond_the_limit_is_not_fetched(
    files: MediaServer, partial: PartialFile
) -> None:
    small = dataclasses.replace(LOOPBACK, max_bytes=SIZE - 1)
    files.answers["/whole"] = files.whole
    for path in ("/a", "/whole"):
        with pytest.raises(MediaError) as caught:
            fetch_file(files.uri(path), partial, small, limit=FREE)
        assert caught.value.code == "download_too_large"
        assert not partial.path.exists()
    assert ranges_asked(files.requests, "/a") == []


def test_only_http_is_fetched(partial: PartialFile, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    rules = dataclasses.replace(LOOPBACK, allowed_schemes=("file", "http"))
    for uri in ((tmp_path / "secret").as_uri(), "https://127.0.0.1/a.mp4"):
        with pytest.raises(MediaError) as caught:
            fetch_file(uri, partial, rules, limit=FREE)
        assert caught.value.code == "scheme_not_allowed"


def test_a_download_that_is_told_to_stop_keeps_what_came(
    files: MediaServer, partial: PartialFile
) -> None:
    with pytest.raises(StoppedError):
        fetch_file(
            files.uri("/a"),
            partial,
            LOOPBACK,
            limit=FREE,
            is_stopped=lambda: partial.n_bytes > 500_000,
        )
    n_kept = partial.path.stat().st_size
    assert 500_000 < n_kept < SIZE
    fetch_file(files.uri("/a"), partial, LOOPBACK, limit=FREE)
    assert ranges_asked(files.requests, "/a")[-1] == f"bytes={n_kept}-2000002"
    assert partial.path.read_bytes() == files.content


def test_headers_of_the_site_are_sent_and_cookies_stay_with_its_server(
    files: MediaServer, partial: PartialFile
) -> None:
    with running(files.content) as other:
        other.answers["/b"] = other.ranges
        files.answers["/go"] = lambda _: answer(
            b"", "302 Found", {"Location": other.uri("/b")}
        )
        headers = {
            "User-Agent": "a browser",
            "Cookie": "key=hush",
            "Range": "bytes=5-",
            "Host": "elsewhere",
        }
        fetch_file(files.uri("/go"), partial, LOOPBACK, headers=headers, limit=FREE)
    first = files.requests[0].headers
    assert (first["user-agent"], first["cookie"]) == ("a browser", "key=hush")
    assert first["host"] == f"127.0.0.1:{files.port}"
    for request in other.requests:
        assert request.headers["user-agent"] == "a browser"
        assert "cookie" not in request.headers
    assert partial.path.read_bytes() == files.content
