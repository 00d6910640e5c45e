"""What yt-dlp knows of a video: where its file is, and what is said about it.

yt-dlp is only asked where things are. It fetches no media, runs no post-processor and
no external downloader, takes no cookies of browsers, no configuration files and no
plugins; its requests go through ``site_network``. Imports yt-dlp: use ``open_site``.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any, Final

import yt_dlp
from yt_dlp.globals import plugin_dirs
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import (
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    UnsupportedError,
    YoutubeDLError,
)

from acav_spark.download import codes as download_codes
from acav_spark.download.findings import Finding, Found
from acav_spark.download.site_network import CheckedRH
from acav_spark.errors import AcavError, ConfigError, MediaError
from acav_spark.media import codes
from acav_spark.media.sources_rules import NetworkTime
from acav_spark.media.uri import require_scheme, shown_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from acav_spark.media.sources_rules import SourceRules

_logger = logging.getLogger(__name__)

_LIVE: Final = ("is_live", "is_upcoming", "post_live")
_PROTOCOLS: Final = ("http", "https")
_NEEDS_SIGN_IN: Final = (401, 403, 407, 451)
# yt-dlp's code for a colour, which its messages bring along.
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS: Final = re.compile(r"https?://\S+")
_MAX_MESSAGE: Final = 300


class YtDlpSite:
    """Asks yt-dlp, in a session for each thread that asks.

    Sessions are kept, since extractors hold what they learnt of a site, such as
    YouTube's player: asked for anew, that would be most of the traffic.

    Parameters
    ----------
    rules : SourceRules
        Schemes and addresses that are allowed, and how long one question may take.
    format_selector : str
        yt-dlp's selector of one format; see ``findings.default_selector``.
    wait : callable
        Called before each request.

    Raises
    ------
    ConfigError
        If yt-dlp does not understand the selector.
    """

    def __init__(
        self,
        rules: SourceRules,
        *,
        format_selector: str,
        wait: Callable[[], None] = lambda: None,
    ) -> None:
        # yt-dlp would run what lies in folders of that name.
        plugin_dirs.value = []
        self._rules = rules
        self._selector = format_selector
        self._wait = wait
        self._of_thread = threading.local()
        try:
            self._session().build_format_selector(format_selector)
        except SyntaxError as error:
            msg = (
                f"--format: expected a selector of one format as yt-dlp has them, got "
                f"{format_selector!r} ({error})."
            )
            raise ConfigError(msg) from error

    def find(self, uri: str) -> Found:
        """Return where the file of a video is, and what is known of the video.

        Raises
        ------
        MediaError
            What is in the way; the codes are in ``acav_spark.download.codes`` and
            ``acav_spark.media.codes``.
        """
        require_scheme(uri, self._rules.allowed_schemes)
        session, info = self._asked(uri)
        name = shown_uri(uri)
        if info.get("_type", "video") != "video":
            message = f"{name!r} leads to several videos; name each by its own address"
            raise MediaError(download_codes.SEVERAL_VIDEOS, message)
        if info.get("live_status") in _LIVE or info.get("is_live"):
            message = f"{name!r} is a stream that is not over"
            raise MediaError(download_codes.LIVE_STREAM, message, is_permanent=False)
        url, protocol = info.get("url"), info.get("protocol")
        if not isinstance(url, str) or protocol not in _PROTOCOLS:
            message = (
                f"{name!r}: expected a format in one file over HTTP, got "
                f"{str(info.get('format_id'))[:50]!r} over {protocol!r}"
            )
            raise MediaError(download_codes.NO_FORMAT, message)
        headers = {str(k): str(v) for k, v in (info.get("http_headers") or {}).items()}
        cookies = session.cookiejar.get_cookie_header(url)
        if cookies:
            headers["Cookie"] = cookies
        return Found(
            uri=url,
            format_id=str(info.get("format_id") or ""),
            extension=str(info.get("ext") or ""),
            headers=headers,
            info=session.sanitize_info(info),
        )

    def search(self, prefix: str, query: str, n_results: int) -> Iterator[Finding]:
        """Yield what a site's search finds, best first, without opening it.

        Parameters
        ----------
        prefix : str
            yt-dlp's name of the search, such as ``ytsearch``.
        query : str
            Words.
        n_results : int
            How many at most.

        Raises
        ------
        MediaError
            What is in the way.
        """
        _, info = self._asked(f"{prefix}{n_results}:{query}")
        for entry in list(info.get("entries") or [])[:n_results]:
            url = entry.get("webpage_url") or entry.get("url")
            if isinstance(url, str):
                yield Finding(url, str(entry.get("ie_key") or ""), entry.get("id"))

    def _asked(self, what: str) -> tuple[Any, dict[str, Any]]:
        session = self._session()
        network_time = NetworkTime(self._rules, shown_uri(what))
        self._of_thread.network_time = network_time
        with network_time.counted():
            try:
                info = session.extract_info(what, download=False)
                if info is not None and "entries" in info:
                    info["entries"] = list(info["entries"])
            except AcavError:
                raise
            except Exception as error:
                # Its extractors meet answers that nobody foresaw, with errors of all
                # kinds; each is one video's.
                raise _media_error(error, what) from error
        if info is None:
            message = f"{shown_uri(what)!r}: yt-dlp found nothing"
            raise MediaError(
                download_codes.EXTRACTION_FAILED, message, is_permanent=False
            )
        return session, info

    def _session(self) -> Any:  # noqa: ANN401 - yt-dlp has no types
        """Return this thread's session."""
        session = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = _Session(self._selector)
            session.ask_by(
                self._rules, lambda: self._of_thread.network_time, self._wait
            )
        return session

    def _network_time(self) -> NetworkTime:
        """Return what is left for the question that this thread asks."""
        network_time: NetworkTime = self._of_thread.network_time
        return network_time


# All that yt-dlp is ever told: nothing of the command line goes in beside the format.
_OPTIONS: Final = {
    "cachedir": False,
    "check_formats": False,  # would download a piece of each by itself
    "enable_file_urls": False,
    "extract_flat": "in_playlist",
    "ignoreerrors": False,
    "lazy_playlist": False,
    "no_color": True,
    "noplaylist": True,
    "noprogress": True,
    "postprocessors": [],
    "proxy": "",
    "quiet": True,
    "skip_download": True,
}


class _Session(yt_dlp.YoutubeDL):  # type: ignore[misc]  # yt-dlp has no types
    """yt-dlp with one handler of requests, ours; without one until it has that."""

    def __init__(self, format_selector: str) -> None:
        super().__init__({**_OPTIONS, "format": format_selector, "logger": _Log()})

    def build_request_director(
        self, _handlers: object, _preferences: object = None
    ) -> Any:  # noqa: ANN401 - yt-dlp has no types
        return super().build_request_director([])

    def dl(self, *_: object, **__: object) -> None:
        """Refuse: what yt-dlp would fetch by itself, its downloaders may run."""
        message = "yt-dlp is asked where videos are, and downloads none"
        raise DownloadError(message)

    def ask_by(
        self,
        rules: SourceRules,
        network_time: Callable[[], NetworkTime],
        wait: Callable[[], None],
    ) -> None:
        """Send requests by the rules."""
        self._request_director.add_handler(
            CheckedRH(
                rules=rules,
                network_time=network_time,
                wait=wait,
                logger=_Log(),
                headers=self.params["http_headers"],
                cookiejar=self.cookiejar,
            )
        )


class _Log:
    """Puts what yt-dlp says into our log; errors come as exceptions."""

    def debug(self, message: str) -> None:
        _logger.debug("yt-dlp says %s", message)

    info = stdout = stderr = debug

    def warning(self, message: str, *_: object, **__: object) -> None:
        _logger.debug("yt-dlp warns %s", message)

    def error(self, message: str, *_: object, **__: object) -> None:
        _logger.debug("yt-dlp fails %s", message)


def _media_error(error: BaseException, what: str) -> MediaError:
    """Return what an error of yt-dlp means."""
    chain = list(_causes(error))
    for one in chain:
        if isinstance(one, MediaError):
            return one
    name = shown_uri(what)
    text = _COLOUR.sub("", str(error)).removeprefix("ERROR: ").split(" (caused by ")[0]
    # Addresses in it may carry credentials in their queries.
    text = _ADDRESS.sub(lambda match: shown_uri(match[0]), text)
    query = what.partition("?")[2]
    text = text.replace(query, "...") if query and what.startswith("http") else text
    message = f"{name!r}: {text[:_MAX_MESSAGE]}"
    for one in chain:
        if isinstance(one, HTTPError):
            return _status_error(one.status, message)
    if any(isinstance(one, UnsupportedError) for one in chain):
        return MediaError(download_codes.UNSUPPORTED_SITE, message)
    if "Requested format is not available" in text:
        return MediaError(download_codes.NO_FORMAT, message)
    if any(isinstance(one, GeoRestrictedError) for one in chain):
        return MediaError(download_codes.NOT_AVAILABLE, message)
    for one in chain:
        # Such a one says what the site says; others are of a site that has changed.
        if isinstance(one, ExtractorError) and one.expected:
            return MediaError(download_codes.NOT_AVAILABLE, message, is_permanent=False)
    if not any(isinstance(one, YoutubeDLError) for one in chain):
        message = f"{name!r}: {type(error).__name__}: {text[:_MAX_MESSAGE]}"
    return MediaError(download_codes.EXTRACTION_FAILED, message, is_permanent=False)


def _status_error(status: int, message: str) -> MediaError:
    if status in (408, 425, 429) or status >= 500:
        return MediaError(codes.SERVER_ERROR, message, is_permanent=False)
    if status in (404, 410):
        return MediaError(codes.NOT_FOUND, message)
    if status in _NEEDS_SIGN_IN:
        # Sites answer so too when they want a pause.
        return MediaError(codes.PERMISSION_DENIED, message, is_permanent=False)
    return MediaError(codes.REQUEST_REFUSED, message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it, each once."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, one.__context__, getattr(one, "cause", None)]
        inner += getattr(one, "unexpected_errors", [])
        if isinstance(one, DownloadError) and one.exc_info:
            inner.append(one.exc_info[1])
        waiting += [i for i in inner if isinstance(i, BaseException)]
