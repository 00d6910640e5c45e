"""Sources over HTTP: good servers, and every way in which one can be bad."""

from __future__ import annotations

import dataclasses
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media_files import write_video
from media_server import ETAG, MediaServer, Request, answer, running

from acav_spark.errors import MediaError
from acav_spark.media import (
    AudioSampling,
    Limits,
    RangeSource,
    Sandbox,
    SourceRules,
    SpooledSource,
    VideoSampling,
    decode_clip_isolated,
    open_source,
    probe_isolated,
    sources_address,
)
from acav_spark.segment.isolated import measure_video_isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RULES = SourceRules(
    allowed_schemes=("file", "http", "https"),
    allow_private_addresses=True,
    stall_s=5.0,
    total_s=20.0,
    n_tries=2,
    first_wait_s=0.001,
)
HASTY = dataclasses.replace(RULES, stall_s=0.3, total_s=0.5, n_tries=1)
SIZE = 3 * 2**20 + 17


@pytest.fixture(scope="module")
def server() -> Iterator[MediaServer]:
    content = np.random.default_rng(6).bytes(SIZE)
    with running(content) as server:
        yield server


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("media") / "a.mp4")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(time_s=20)) as sandbox:
        yield sandbox


def _read_through(uri: str, rules: SourceRules = RULES) -> bytes:
    with open_source(uri, rules) as source:
        assert isinstance(source, RangeSource | SpooledSource)
        content = b""
        while piece := source.read(len(content), 100_000):
            content += piece
        assert len(content) == source.size_bytes
        return content


def _error(uri: str, rules: SourceRules = RULES) -> MediaError:
    with pytest.raises(MediaError) as caught:
        _read_through(uri, rules)
    return caught.value


def test_ranges_are_read_where_the_server_gives_them(server: MediaServer) -> None:
    server.answers["/good"] = server.ranges
    with open_source(server.uri("/good"), RULES) as source:
        assert isinstance(source, RangeSource)
        assert source.size_bytes == SIZE
        assert source.read(SIZE - 5, 100) == server.content[-5:]
        assert source.read(SIZE, 100) == b""
        assert source.n_fetched_bytes < SIZE / 4
        assert source.read(1000, 3) == server.content[1000:1003]
        n_requests = server.n_body_requests("/good")
        assert source.read(1003, 500) == server.content[1003:1503]
        assert server.n_body_requests("/good") == n_requests
    assert _read_through(server.uri("/good")) == server.content
    assert server.requests[-1].headers["if-range"] == ETAG
    assert server.requests[-1].headers["accept-encoding"] == "identity"


def test_a_server_without_ranges_is_read_whole(server: MediaServer) -> None:
    def chunked(_: Request) -> list[bytes]:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        middle = len(server.content) // 3
        parts = [server.content[:middle], server.content[middle:], b""]
        return [head] + [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]

    def until_close(_: Request) -> list[bytes]:
        return [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", server.content]

    def unknown_size(request: Request) -> list[bytes]:
        if "range" not in request.headers:
            return server.whole(request)
        return server.ranges(request, Content_Range="bytes 0-0/*")

    ways = (server.whole, chunked, until_close, unknown_size)
    for number, way in enumerate(ways):
        server.answers[f"/whole{number}"] = way
        with open_source(server.uri(f"/whole{number}"), RULES) as source:
            assert isinstance(source, SpooledSource)
            assert source.read(0, 2 * SIZE) == server.content


def _faults(server: MediaServer) -> dict[str, Callable[[Request], list[bytes] | None]]:
    content, size = server.content, len(server.content)

    def status(text: str) -> Callable[[Request], list[bytes]]:
        return lambda _: answer(b"no", text)

    def later(**changed: str) -> Callable[[Request], list[bytes]]:
        """Change headers after the first answer and one range."""

        def give(request: Request) -> list[bytes]:
            return server.ranges(request, **(changed if request.n_before > 1 else {}))

        return give

    def short_range(request: Request) -> list[bytes]:
        head, body = server.ranges(request)
        return [head, body if len(body) == 1 else body[:-7]]

    def cut_off(request: Request) -> list[bytes]:
        head, body = server.ranges(request, Connection="close")
        return [head, body if len(body) == 1 else body[: len(body) // 2]]

    def now_whole(request: Request) -> list[bytes]:
        return (server.ranges if request.n_before < 2 else server.whole)(request)

    def grown(request: Request) -> list[bytes]:
        first, end = request.range(size)
        more = f"bytes {first}-{end - 1}/{size + 1}"
        is_late = request.n_before > 1
        return server.ranges(request, **({"Content_Range": more} if is_late else {}))

    def shifted(request: Request) -> list[bytes]:
        first, end = request.range(size)
        wrong = f"bytes {first + 1}-{end}/{size}"
        return server.ranges(request, **({} if end == 1 else {"Content_Range": wrong}))

    def too_long_a_range(request: Request) -> list[bytes]:
        head, body = server.ranges(request)
        if len(body) == 1:
            return [head, body]
        return server.ranges(request, Content_Length=str(len(body) + 4))

    def less_stated(_: Request) -> list[bytes]:
        return answer(content, headers={"Content-Length": str(size // 2)})

    def more_stated(_: Request) -> list[bytes]:
        lengths = {"Content-Length": str(size * 2), "Connection": "close"}
        return answer(content, headers=lengths)

    def broken_chunks(_: Request) -> list[bytes]:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        return [head + b"Connection: close\r\n\r\n", b"ffff\r\n" + content[:100]]

    def compressed(request: Request) -> list[bytes]:
        return server.ranges(request, Content_Encoding="gzip")

    def page_by_type(request: Request) -> list[bytes]:
        return server.ranges(request, Content_Type="text/html; charset=utf-8")

    def page_by_bytes(_: Request) -> list[bytes]:
        page = b"\n<!-- sorry -->\n<!DOCTYPE HTML><html>Sign in"
        return answer(page, headers={"Content-Type": "video/mp4"})

    def endless(_: Request) -> list[bytes]:
        return [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *[content] * 4]

    return {
        "not_found": status("404 Not Found"),
        "not_found_gone": status("410 Gone"),
        "permission_denied": status("403 Forbidden"),
        "request_refused": status("400 Bad Request"),
        "server_error": status("503 Service Unavailable"),
        "server_error_busy": status("429 Too Many Requests"),
        "invalid_response_status": status("304 Not Modified"),
        "invalid_response": lambda _: [b"SSH-2.0-OpenSSH_9.6 close\r\n"],
        "invalid_response_lengths": lambda _: [
            b"HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nabcd"
        ],
        "incomplete_download_range": cut_off,
        "incomplete_download": more_stated,
        "incomplete_download_chunks": broken_chunks,
        "download_stalled_range": short_range,
        "wrong_length": less_stated,
        "wrong_range": shifted,
        "wrong_range_length": too_long_a_range,
        "source_changed_etag": later(ETag='"two"'),
        "source_changed_date": later(Last_Modified="Thu, 01 Jan 1970 00:00:00 GMT"),
        "source_changed_size": grown,
        "source_changed_whole": now_whole,
        "encoded_content": compressed,
        "web_page": page_by_type,
        "web_page_bytes": page_by_bytes,
        "download_too_large": endless,
        "empty_file": lambda _: answer(b""),
        "download_stalled": lambda _: None,
    }


FAULTS = list(_faults(MediaServer(b"")))
_PERMANENT = {
    *("not_found", "permission_denied", "request_refused", "encoded_content"),
    *("download_too_large", "empty_file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_server_has_its_code(server: MediaServer, fault: str) -> None:
    path = f"/{fault}"
    server.answers[path] = _faults(server)[fault]
    rules = dataclasses.replace(RULES, max_bytes=2 * SIZE)
    if "stalled" in fault:
        rules = dataclasses.replace(rules, stall_s=0.2, n_tries=1)

    error = _error(server.uri(path + "?token=hush"), rules)

    assert fault.startswith(error.code), error
    assert error.is_permanent == (error.code in _PERMANENT)
    assert path in error.message
    assert "hush" not in error.message


def _drip(server: MediaServer, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if server.is_over.wait(0.05):
            return
        yield piece


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"", "download_stalled"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "download_time_limit"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "download_time_limit",
        ),
    ],
)
def test_a_server_that_sends_a_byte_now_and_then_is_left(
    server: MediaServer, head: bytes, code: str
) -> None:
    class Dripping(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            yield head
            yield from _drip(server, (b"0" for _ in range(9999)))

    server.answers["/drip"] = lambda _: Dripping([head])
    began = time.monotonic()

    error = _error(server.uri("/drip"), HASTY)

    assert error.code == code
    assert time.monotonic() - began < 5


def test_passing_faults_are_tried_again_and_go_on_where_they_were(
    server: MediaServer,
) -> None:
    def unsteady(request: Request) -> list[bytes]:
        if request.n_before == 0:
            return answer(b"", "503 Busy", {"Retry-After": "0"})
        head, body = server.ranges(request)
        return [head, body[:100_000] if request.n_before == 2 else body]

    server.answers["/unsteady"] = unsteady
    rules = dataclasses.replace(RULES, stall_s=0.3)

    with open_source(server.uri("/unsteady"), rules) as source:
        assert isinstance(source, RangeSource)
        assert source.read(0, 400_000) == server.content[:400_000]

    wanted = [r.headers["range"] for r in server.requests if r.path == "/unsteady"]
    end = int(wanted[2].rpartition("-")[2])
    assert wanted == [
        "bytes=0-0",
        "bytes=0-0",
        f"bytes=0-{end}",
        f"bytes=100000-{end}",
    ]


def test_a_server_that_stays_broken_is_asked_as_often_as_allowed(
    server: MediaServer,
) -> None:
    server.answers["/broken"] = lambda _: answer(b"", "500 Oops")
    rules = dataclasses.replace(RULES, n_tries=3)
    assert _error(server.uri("/broken"), rules).code == "server_error"
    assert sum(r.path == "/broken" for r in server.requests) == 3
    server.answers["/gone"] = lambda _: answer(b"", "404 Not Found")
    _error(server.uri("/gone"), rules)
    assert sum(r.path == "/gone" for r in server.requests) == 1


def test_a_stated_size_beyond_the_limit_is_refused_unread(server: MediaServer) -> None:
    server.answers["/large"] = server.ranges
    server.answers["/large-whole"] = server.whole
    rules = dataclasses.replace(RULES, max_bytes=SIZE - 1)
    for path in ("/large", "/large-whole"):
        error = _error(server.uri(path), rules)
        assert error.code == "download_too_large"
        assert "input.max_download_mb" in error.message
    assert server.n_body_requests("/large") == 0


def _moved(to: str) -> Callable[[Request], list[bytes]]:
    return lambda _: answer(b"", "302 Found", {"Location": to})


def test_redirects_are_followed_five_times(server: MediaServer) -> None:
    server.answers["/hop0"] = server.ranges
    for number in range(1, 7):
        server.answers[f"/hop{number}"] = _moved(f"/hop{number - 1}")
    assert _read_through(server.uri("/hop5")) == server.content
    error = _error(server.uri("/hop6"))
    assert (error.code, error.is_permanent) == ("too_many_redirects", True)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("s3://bucket/key", "scheme_not_allowed"),
        ("ftp://127.0.0.1/a", "scheme_not_allowed"),
        ("http://[::1/a", "invalid_uri"),
        ("http://127.0.0.1:99999/a", "invalid_uri"),
        ("http://user:hush@127.0.0.1/", "invalid_uri"),
        ("", "invalid_response"),
    ],
)
def test_redirects_lead_to_http_only(
    server: MediaServer, target: str, code: str
) -> None:
    server.answers["/away"] = _moved(target)
    rules = dataclasses.replace(RULES, allowed_schemes=(*RULES.allowed_schemes, "s3"))
    error = _error(server.uri("/away"), rules)
    assert error.code == code
    assert "hush" not in error.message


@pytest.mark.parametrize("place", ["127.0.0.2", "[::1]", "169.254.169.254", "0x7f.2"])
def test_a_redirect_to_a_private_address_is_refused_unasked(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    known = sources_address.is_public
    monkeypatch.setattr(
        sources_address, "is_public", lambda a: str(a) == "127.0.0.1" or known(a)
    )
    server.answers["/inward"] = _moved(f"http://{place}:{server.port}/secret")
    server.answers["/secret"] = server.ranges
    rules = dataclasses.replace(RULES, allow_private_addresses=False)

    error = _error(server.uri("/inward"), rules)

    assert (error.code, error.is_permanent) == ("address_not_allowed", True)
    assert not any(r.path == "/secret" for r in server.requests)


def test_a_private_address_is_refused_unasked(server: MediaServer) -> None:
    server.answers["/private"] = server.ranges
    rules = dataclasses.replace(RULES, allow_private_addresses=False)
    error = _error(server.uri("/private"), rules)
    assert (error.code, error.is_permanent) == ("address_not_allowed", True)
    assert "input.allow_private_addresses" in error.message
    assert not any(r.path == "/private" for r in server.requests)


def _resolve(
    monkeypatch: pytest.MonkeyPatch, host: str, addresses: list[str]
) -> list[str]:
    """Let a name lead to one address after another; return the names looked up."""
    looked_up: list[str] = []

    def lookup(name: str, port: int, **_: object) -> list[tuple[object, ...]]:
        looked_up.append(name)
        assert name == host
        address = addresses[min(len(looked_up), len(addresses)) - 1]
        return [(2, 1, 6, "", (address, port))]

    class Socket:
        SOCK_STREAM = 1
        getaddrinfo = staticmethod(lookup)

    monkeypatch.setattr(sources_address, "socket", Socket)
    return looked_up


def test_the_address_that_was_checked_is_connected_to(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The name leads elsewhere from the second time on.
    looked_up = _resolve(monkeypatch, "media.example", ["127.0.0.1", "192.0.2.1"])
    monkeypatch.setattr(sources_address, "is_public", lambda _: True)
    server.answers["/pinned"] = server.ranges
    rules = dataclasses.replace(RULES, allow_private_addresses=False)
    assert _read_through(server.uri("/pinned", "media.example"), rules)
    assert looked_up == ["media.example"]
    assert server.requests[-1].headers["host"] == f"media.example:{server.port}"


def test_a_name_is_refused_when_one_of_its_addresses_is_private(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve(monkeypatch, "media.example", ["10.1.2.3"])
    rules = dataclasses.replace(RULES, allow_private_addresses=False)
    error = _error("http://media.example/a.mp4", rules)
    assert error.code == "address_not_allowed"
    assert "10.1.2.3" in error.message


def test_tls_is_for_the_host_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=media.example"),
            *("-addext", "subjectAltName=DNS:media.example"),
            *("-keyout", str(made), "-out", str(tmp_path / "public.pem")),
        ],
        check=True,
        capture_output=True,
    )
    with made.open("a") as file:
        file.write((tmp_path / "public.pem").read_text())
    with running(b"a film" * 1000, certificate=made) as server:
        server.answers["/a"] = server.ranges
        _resolve(monkeypatch, "media.example", ["127.0.0.1"])
        # Not trusted yet.
        error = _error(server.uri("/a", "media.example"))
        assert error.code == "connection_failed"
        assert "certificate" in error.message
        trusting = ssl.create_default_context(cafile=str(tmp_path / "public.pem"))
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
        assert _read_through(server.uri("/a", "media.example")) == b"a film" * 1000
        _resolve(monkeypatch, "other.example", ["127.0.0.1"])
        error = _error(server.uri("/a", "other.example"))
        assert error.code == "connection_failed"
        assert "certificate" in error.message


def test_what_cannot_be_connected_to_is_a_passing_failure() -> None:
    error = _error("http://127.0.0.1:1/a.mp4?token=hush")
    assert (error.code, error.is_permanent) == ("connection_failed", False)
    assert "hush" not in error.message
    error = _error("http://no-such-host.invalid/a.mp4")
    assert (error.code, error.is_permanent) == ("host_not_found", False)


@pytest.mark.parametrize(
    "uri", ["http:///a.mp4", "http://[::1/a", "http://host:99999/a", "http:a.mp4"]
)
def test_what_is_no_uri_of_http_is_refused(uri: str) -> None:
    assert _error(uri).code == "invalid_uri"


@pytest.mark.parametrize("way", ["ranges", "whole"])
def test_measurements_over_http_are_those_of_the_local_file(
    sandbox: Sandbox, video: Path, way: str
) -> None:
    seen, heard = [VideoSampling(24, n_frames=3)], [AudioSampling(8000)]
    with running(video.read_bytes()) as server:
        server.answers["/a.mp4"] = getattr(server, way)
        with open_source(server.uri("/a.mp4"), RULES) as source:
            assert source.stem == "a"
            assert probe_isolated(sandbox, source) == probe_isolated(sandbox, video)
            there_measured = measure_video_isolated(sandbox, source)
            here_measured = measure_video_isolated(sandbox, video)
            np.testing.assert_equal(
                dataclasses.asdict(there_measured), dataclasses.asdict(here_measured)
            )
            there, here = (
                decode_clip_isolated(sandbox, it, 0.5, 1.5, video=seen, audio=heard)
                for it in (source, video)
            )
            np.testing.assert_array_equal(there.frames[0][0], here.frames[0][0])
            np.testing.assert_array_equal(there.waveforms[0], here.waveforms[0])


def test_what_is_wrong_with_the_source_is_told_whatever_the_decoder_makes_of_it(
    sandbox: Sandbox, video: Path
) -> None:
    with running(video.read_bytes() + bytes(3 * 2**20)) as server:

        def changing(request: Request) -> list[bytes]:
            is_late = request.n_before > 1
            return server.ranges(request, **({"ETag": '"two"'} if is_late else {}))

        server.answers["/a.mp4"] = changing
        with (
            open_source(server.uri("/a.mp4"), RULES) as source,
            pytest.raises(MediaError, match="source_changed") as caught,
        ):
            probe_isolated(sandbox, source)
        assert not caught.value.is_permanent
    pid = sandbox.child_pid
    probe_isolated(sandbox, video)
    assert sandbox.child_pid == pid


def test_media_that_is_broken_over_http_has_the_codes_of_files(
    sandbox: Sandbox,
) -> None:
    playlist = b"#EXTM3U\n#EXTINF:9\nfile:///etc/passwd\nhttp://169.254.169.254/\n"
    with running(playlist) as server:
        server.answers["/a.mp4"] = server.ranges
        with (
            open_source(server.uri("/a.mp4"), RULES) as source,
            pytest.raises(MediaError, match="not_media") as caught,
        ):
            probe_isolated(sandbox, source)
        assert "/a.mp4" in caught.value.message
        assert len(server.requests) == 2


def test_waiting_for_the_network_is_no_time_of_the_decoder(video: Path) -> None:
    with running(video.read_bytes()) as server, Sandbox(Limits(time_s=4)) as quick:
        probe_isolated(quick, video)

        def slow(request: Request) -> list[bytes]:
            if request.n_before:
                time.sleep(4.2)
            return server.ranges(request)

        server.answers["/a.mp4"] = slow
        with open_source(server.uri("/a.mp4"), RULES) as source:
            assert probe_isolated(quick, source) == probe_isolated(quick, video)
