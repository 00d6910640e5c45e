"""yt-dlp's generic extractor on loopback, behind our rules; formats; its errors."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yt_dlp
from downloads import LOOPBACK, film
from media_server import MediaServer, Request, answer, running
from yt_dlp.networking.exceptions import TransportError
from yt_dlp.utils import ExtractorError, GeoRestrictedError

from acav_spark.download import site_network
from acav_spark.download.findings import default_selector, open_site
from acav_spark.download.site_network import CheckedRH
from acav_spark.download.sites import YtDlpSite
from acav_spark.errors import ConfigError, DependencyError, MediaError
from acav_spark.media import SourceRules, sources_address
from acav_spark.media.sources_rules import NetworkTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PUBLIC = dataclasses.replace(LOOPBACK, allow_private_addresses=False)


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with running(film()) as server:
        yield server


def _site(rules: SourceRules = LOOPBACK, selector: str | None = None) -> YtDlpSite:
    return YtDlpSite(rules, format_selector=selector or default_selector(360))


def _error(server: MediaServer, path: str, rules: SourceRules = LOOPBACK) -> MediaError:
    with pytest.raises(MediaError) as caught:
        _site(rules).find(server.uri(path))
    return caught.value


def _page(body: str, **headers: str) -> Callable[[Request], list[bytes]]:
    page = f"<!DOCTYPE html><html><title>A film</title>{body}</html>".encode()
    return lambda _: answer(page, headers={"Content-Type": "text/html", **headers})


def _moved(to: str, **headers: str) -> Callable[[Request], list[bytes]]:
    return lambda _: answer(b"", "302 Found", {"Location": to, **headers})


def test_a_direct_file_is_found_by_its_type(server: MediaServer) -> None:
    server.answers["/watch"] = lambda r: server.ranges(r, Content_Type="video/mp4")
    found = _site().find(server.uri("/watch?v=1"))
    assert found.uri == server.uri("/watch?v=1")
    assert found.extension == "mp4"
    assert found.info["extractor_key"] == "Generic"
    assert "User-Agent" in found.headers


def test_a_page_with_a_video_tag_leads_to_its_file(server: MediaServer) -> None:
    server.answers["/page"] = _page('<video src="/film.mp4?key=1"></video>')
    found = _site().find(server.uri("/page"))
    assert found.uri == server.uri("/film.mp4?key=1")
    assert found.info["title"] == "A film (1)"
    # The file itself is not asked for.
    assert {r.path for r in server.requests} == {"/page"}


def test_an_answer_that_is_packed_is_unpacked(server: MediaServer) -> None:
    page = gzip.compress(b'<html><title>x</title><video src="/a.mp4"></video></html>')
    headers = {"Content-Type": "text/html", "Content-Encoding": "gzip"}
    server.answers["/page"] = lambda _: answer(page, headers=headers)
    assert _site().find(server.uri("/page")).uri == server.uri("/a.mp4")
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_an_answer_longer_than_allowed_ends(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_network, "MAX_PAGE_BYTES", 100_000)
    bomb = gzip.compress(b"<html>" + bytes(10_000_000))
    headers = {"Content-Type": "text/html", "Content-Encoding": "gzip"}
    server.answers["/page"] = lambda _: answer(bomb, headers=headers)
    assert _error(server, "/page").code == "too_long_page"


@pytest.mark.parametrize(
    ("status", "code", "is_permanent"),
    [
        ("404 Not Found", "not_found", True),
        ("410 Gone", "not_found", True),
        ("403 Forbidden", "permission_denied", False),
        ("418 Teapot", "request_refused", True),
        ("429 Too Many Requests", "server_error", False),
        ("503 Service Unavailable", "server_error", False),
    ],
)
def test_a_status_is_a_code(
    server: MediaServer,
    status: str,
    code: str,
    is_permanent: bool,  # noqa: FBT001 - a parameter
) -> None:
    server.answers["/page"] = lambda _: answer(b"", status)
    error = _error(server, "/page?key=hush")
    assert (error.code, error.is_permanent) == (code, is_permanent)
    assert "hush" not in error.message


def test_an_unknown_site_is_one_error(server: MediaServer) -> None:
    server.answers["/page"] = _page("<p>words</p>")
    error = _error(server, "/page?key=hush")
    assert (error.code, error.is_permanent) == ("unsupported_site", True)
    assert "hush" not in error.message


def test_a_page_of_several_videos_is_refused(server: MediaServer) -> None:
    server.answers["/page"] = _page(
        '<video src="/a.mp4"></video><video src="/b.mp4"></video>'
    )
    assert _error(server, "/page").code == "several_videos"


def test_playlists_of_pieces_are_no_format(server: MediaServer) -> None:
    listed = b"#EXTM3U\n#EXTINF:10,\n/a.ts\n#EXT-X-ENDLIST\n"
    headers = {"Content-Type": "application/vnd.apple.mpegurl"}
    server.answers["/list"] = lambda _: answer(listed, headers=headers)
    server.answers["/a.ts"] = server.whole
    assert _error(server, "/list").code == "no_format"


def test_a_silent_or_broken_server_is_a_passing_error(server: MediaServer) -> None:
    server.answers["/silent"] = lambda _: None
    server.answers["/broken"] = lambda _: [b"HTTP/1.1 close"]
    hasty = dataclasses.replace(LOOPBACK, stall_s=0.3)
    for path, code in (
        ("/silent", "download_stalled"),
        ("/broken", "connection_failed"),
    ):
        error = _error(server, path, hasty)
        assert (error.code, error.is_permanent) == (code, False)


def test_a_private_address_is_not_asked(server: MediaServer) -> None:
    error = _error(server, "/page", PUBLIC)
    assert (error.code, error.is_permanent) == ("address_not_allowed", True)
    assert server.requests == []


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("http://127.0.0.2:{port}/secret", "address_not_allowed"),
        ("http://169.254.169.254/secret", "address_not_allowed"),
        ("https://127.0.0.1:{port}/secret", "scheme_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("http://user:hush@127.0.0.1/secret", "invalid_uri"),
    ],
)
def test_a_redirect_is_checked_as_the_first_address(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch, to: str, code: str
) -> None:
    known = sources_address.is_public
    monkeypatch.setattr(
        sources_address, "is_public", lambda a: str(a) == "127.0.0.1" or known(a)
    )
    server.answers["/inward"] = _moved(to.format(port=server.port))
    error = _error(server, "/inward", PUBLIC)
    assert error.code == code
    assert "hush" not in error.message
    assert {r.path for r in server.requests} == {"/inward"}


def test_what_a_page_names_is_checked_as_well(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = sources_address.is_public
    monkeypatch.setattr(
        sources_address, "is_public", lambda a: str(a) == "127.0.0.1" or known(a)
    )
    inward = f"http://127.0.0.2:{server.port}/secret"
    # yt-dlp follows a refresh by itself.
    server.answers["/page"] = _page(
        f'<meta http-equiv="refresh" content="0; url={inward}">'
    )
    assert _error(server, "/page", PUBLIC).code == "address_not_allowed"
    assert {r.path for r in server.requests} == {"/page"}


def test_redirects_end(server: MediaServer) -> None:
    server.answers["/round"] = _moved("/round")
    assert _error(server, "/round").code == "too_many_redirects"
    assert len(server.requests) == 6


def test_cookies_come_back_to_their_server(server: MediaServer) -> None:
    server.answers["/page"] = _moved("/film", **{"Set-Cookie": "key=1; Path=/"})
    server.answers["/film"] = _page('<video src="/a.mp4"></video>')
    found = _site().find(server.uri("/page"))
    assert "cookie" not in server.requests[0].headers
    assert server.requests[1].headers["cookie"] == "key=1"
    assert found.headers["Cookie"] == "key=1"


def test_what_is_meant_for_one_server_is_not_sent_to_another(
    server: MediaServer,
) -> None:
    with running(film()) as other:
        other.answers["/b"] = other.whole
        server.answers["/same"] = _moved("/a")
        server.answers["/a"] = _moved(other.uri("/b"))
        asked = yt_dlp.networking.Request(
            server.uri("/same"), headers={"Authorization": "hush", "X-Kind": "seen"}
        )
        network_time = NetworkTime(LOOPBACK, "test")
        with network_time.counted():
            handler = CheckedRH(
                rules=LOOPBACK,
                network_time=lambda: network_time,
                wait=lambda: None,
                logger=None,
            )
            answered = handler.send(asked)
            assert answered.read() == film()
            answered.close()
        assert [r.headers.get("authorization") for r in server.requests] == ["hush"] * 2
        assert [r.headers.get("authorization") for r in other.requests] == [None]
        assert other.requests[0].headers["x-kind"] == "seen"


def test_a_form_is_sent_once_and_its_redirect_is_asked_for(server: MediaServer) -> None:
    server.answers["/form"] = lambda _: answer(
        b"", "303 See Other", {"Location": "/film", "Connection": "close"}
    )
    server.answers["/film"] = server.whole
    network_time = NetworkTime(LOOPBACK, "test")
    with network_time.counted():
        handler = CheckedRH(
            rules=LOOPBACK,
            network_time=lambda: network_time,
            wait=lambda: None,
            logger=None,
        )
        asked = yt_dlp.networking.Request(server.uri("/form"), data=b"key=1")
        with handler.send(asked) as answered:
            assert answered.url == server.uri("/film")
            assert answered.read(4) + answered.read() == film()
    sent, followed = server.requests
    assert sent.headers["content-length"] == "5"
    assert "content-type" in sent.headers
    assert "content-length" not in followed.headers
    assert "content-type" not in followed.headers


def test_proxies_of_the_environment_are_not_used(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answers["/page"] = _page('<video src="/a.mp4"></video>')
    assert _site().find(server.uri("/page")).uri == server.uri("/a.mp4")


def test_requests_are_kept_apart(server: MediaServer) -> None:
    waits: list[int] = []
    server.answers["/page"] = _moved("/film")
    server.answers["/film"] = _page('<video src="/a.mp4"></video>')
    site = YtDlpSite(
        LOOPBACK,
        format_selector=default_selector(360),
        wait=lambda: waits.append(len(server.requests)),
    )
    site.find(server.uri("/page"))
    assert waits == list(range(len(server.requests)))


def _raised(inner: Exception) -> Exception:
    """Return an error as yt-dlp gives it to those who call it."""
    cause = (type(inner), inner, None)
    return yt_dlp.utils.DownloadError(f"ERROR: {inner}", cause)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("inner", "code", "is_permanent"),
    [
        (ExtractorError("Private video", expected=True), "not_available", False),
        (GeoRestrictedError("Not in this country"), "not_available", True),
        (ExtractorError("Unable to extract title"), "extraction_failed", False),
        (KeyError("formats"), "extraction_failed", False),
        (
            ExtractorError("x", cause=TransportError(cause=MediaError("a", "b"))),
            "a",
            True,
        ),
    ],
)
def test_errors_of_yt_dlp_are_codes(
    monkeypatch: pytest.MonkeyPatch,
    inner: Exception,
    code: str,
    is_permanent: bool,  # noqa: FBT001 - a parameter
) -> None:
    error = inner if isinstance(inner, KeyError) else _raised(inner)
    _answered(monkeypatch, error)
    with pytest.raises(MediaError) as caught:
        _site().find("http://h/page")
    assert (caught.value.code, caught.value.is_permanent) == (code, is_permanent)


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"url": "http://h/a.mp4", "protocol": "http", "is_live": True}, "live_stream"),
        (
            {"url": "http://h/a", "protocol": "http", "live_status": "is_upcoming"},
            "live_stream",
        ),
        ({"url": "http://h/a", "protocol": "m3u8_native"}, "no_format"),
        ({"url": "ftp://h/a", "protocol": "ftp"}, "no_format"),
        ({"requested_formats": []}, "no_format"),
        ({"_type": "playlist", "entries": []}, "several_videos"),
        (None, "extraction_failed"),
    ],
)
def test_answers_of_yt_dlp_that_are_no_file_are_codes(
    monkeypatch: pytest.MonkeyPatch, info: dict[str, object] | None, code: str
) -> None:
    _answered(monkeypatch, info)
    with pytest.raises(MediaError) as caught:
        _site().find("http://h/page")
    assert caught.value.code == code


def _answered(monkeypatch: pytest.MonkeyPatch, answered: object) -> None:
    def extract_info(*_: object, **__: object) -> object:
        if isinstance(answered, Exception):
            raise answered
        return answered

    monkeypatch.setattr(yt_dlp.YoutubeDL, "extract_info", extract_info)


def _format(name: str, height: int | None, **more: object) -> dict[str, object]:
    return {
        "format_id": name,
        "url": f"https://h/{name}.mp4",
        "ext": "mp4",
        "protocol": "https",
        "height": height,
        "vcodec": "avc1",
        "acodec": "mp4a",
        **more,
    }


LARGE = _format("22", 720)
MEDIUM = _format("18", 360)
SMALL = _format("17", 144)
WEBM = _format("43", 240, ext="webm")
SILENT = _format("134", 360, acodec="none")
SOUND = _format("140", None, vcodec="none", ext="m4a")
PIECES = _format("93", 360, protocol="m3u8_native")
UNTOLD = _format("0", None, vcodec=None, acodec=None)


@pytest.mark.parametrize(
    ("formats", "max_height", "chosen"),
    [
        ([SMALL, MEDIUM, LARGE], 360, "18"),
        ([SMALL, MEDIUM, LARGE], 1080, "22"),
        ([SMALL, WEBM, LARGE], 360, "17"),  # an mp4 before what is larger
        ([WEBM, LARGE], 360, "43"),
        ([LARGE, _format("37", 1080)], 360, "22"),  # all are larger: the smallest
        ([SILENT, SOUND, SMALL], 360, "17"),
        ([PIECES, SMALL], 360, "17"),
        ([UNTOLD], 360, "0"),
        ([WEBM, UNTOLD], 360, "0"),  # may be small enough
        ([SILENT, SOUND], 360, None),
        ([PIECES], 360, None),
    ],
)
def test_the_default_format_is_one_small_file_with_picture_and_sound(
    formats: list[dict[str, object]], max_height: int, chosen: str | None
) -> None:
    selector = default_selector(max_height)
    info = {"id": "a", "title": "a", "extractor": "x", "webpage_url": "https://h/"}
    session = _session(selector)
    asked = {**info, "formats": [dict(one) for one in formats]}
    if chosen is None:
        with pytest.raises(yt_dlp.utils.YoutubeDLError, match="format is not"):
            session.process_ie_result(asked, download=False)
        return
    assert session.process_ie_result(asked, download=False)["format_id"] == chosen


@functools.cache
def _session(selector: str) -> Any:  # noqa: ANN401 - yt-dlp has no types
    return _site(selector=selector)._session()


def test_a_format_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="--format: expected a selector"):
        _site(selector="best[")


def test_yt_dlp_is_given_nothing_that_runs_writes_or_asks_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "yt-dlp.conf").write_text("--exec 'touch ran'\n")
    plugin = tmp_path / "yt-dlp" / "plugins" / "mine" / "yt_dlp_plugins" / "extractor"
    plugin.mkdir(parents=True)
    (plugin / "mine.py").write_text("raise SystemExit('the plugin ran')\n")
    session = _site()._session()
    assert list(session._request_director.handlers) == ["Checked"]
    assert not any(session._pps.values())
    for name in ("cookiesfrombrowser", "cookiefile", "external_downloader", "exec_cmd"):
        assert not session.params.get(name)
    assert session.params["skip_download"]
    with pytest.raises(yt_dlp.utils.DownloadError, match="downloads none"):
        session.dl("a.mp4", {"url": "https://h/a.mp4"})


def test_searches_give_results_by_any_search_of_yt_dlp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from yt_dlp.extractor.common import SearchInfoExtractor

    class FakeSearchIE(SearchInfoExtractor):  # type: ignore[misc]  # yt-dlp has no types
        _SEARCH_KEY = "fakesearch"
        _MAX_RESULTS = 50

        def _search_results(self, query: str) -> Any:  # noqa: ANN401 - yt-dlp has no types
            for number in range(100):
                yield self.url_result(
                    f"https://h/{query}/{number}", "Youtube", "x" * 11
                )

    known = YtDlpSite._session

    def session(self: YtDlpSite) -> Any:  # noqa: ANN401 - yt-dlp has no types
        made = known(self)
        made.add_info_extractor(FakeSearchIE())
        # The generic extractor, which comes before, takes all there is.
        made._ies = {"FakeSearch": made._ies["FakeSearch"], **made._ies}
        return made

    monkeypatch.setattr(YtDlpSite, "_session", session)
    found = list(_site().search("fakesearch", "rain", 3))
    assert [f.uri for f in found] == [f"https://h/rain/{n}" for n in range(3)]
    assert {(f.site, f.site_id) for f in found} == {("Youtube", "x" * 11)}


def test_without_yt_dlp_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "acav_spark.download.sites")
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(DependencyError, match=r"pip install 'acav_spark\[download\]'"):
        open_site(LOOPBACK, format_selector="best")
