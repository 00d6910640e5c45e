"""What yt-dlp asks for on its way to a video's address, by our own connections.

yt-dlp gets one handler of requests, this one: every address is checked before it is
connected to, each redirect like the first URI, no proxy and no other scheme is used,
and answers have a size and an end. Imports yt-dlp.
"""

from __future__ import annotations

import contextlib
import io
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from urllib3.exceptions import DecodeError, ReadTimeoutError
from yt_dlp.networking import RequestHandler, Response
from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError

from acav_spark.download.codes import TOO_LONG_PAGE
from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.sources_connection import FAILURES, Line, place_of, told
from acav_spark.media.sources_http import MAX_REDIRECTS
from acav_spark.media.uri import require_scheme, shown_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

    from urllib3.response import HTTPResponse
    from yt_dlp.networking import Request

    from acav_spark.media.sources_rules import NetworkTime, SourceRules

MAX_PAGE_BYTES: Final = 64 * 2**20
"""Of one answer, unpacked. YouTube's longest, its player, has 3 MiB."""

_PIECE_BYTES: Final = 64 * 1024
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_HTTP: Final = ("http", "https")
# Of a request that leads to another host, what is meant for the first alone.
_PRIVATE: Final = ("authorization", "cookie")


class CheckedRH(RequestHandler):  # type: ignore[misc]  # yt-dlp has no types
    """Sends yt-dlp's requests; its name ends as yt-dlp wants it.

    Parameters
    ----------
    rules : SourceRules
        Schemes and addresses that are allowed; silence that ends a request.
    network_time : callable
        Returns what is left for the network, running while a request is made.
    wait : callable
        Called before each request: keeps them apart.
    **options
        What yt-dlp gives its handlers; proxies, certificates and source addresses
        among them are not used.
    """

    _SUPPORTED_URL_SCHEMES = _HTTP
    # None of the environment's either: behind a proxy no address can be checked.
    _SUPPORTED_PROXY_SCHEMES = None
    _SUPPORTED_FEATURES = None

    def __init__(
        self,
        *,
        rules: SourceRules,
        network_time: Callable[[], NetworkTime],
        wait: Callable[[], None],
        **options: object,
    ) -> None:
        super().__init__(**options)
        self._rules = rules
        self._time = network_time
        self._wait = wait

    def _check_extensions(self, extensions: dict[str, object]) -> None:
        super()._check_extensions(extensions)
        for name in ("cookiejar", "timeout", "legacy_ssl", "keep_header_casing"):
            extensions.pop(name, None)

    def _send(self, request: Request) -> Response:
        try:
            return self._followed(request)
        except MediaError as error:
            raise TransportError(cause=error) from error

    def _followed(self, request: Request) -> Response:
        """Send a request, and those that its answer points to."""
        url, method, body = request.url, request.method, _body_bytes(request.data)
        headers = {k: v for k, v in self._get_headers(request).items() if v is not None}
        jar = self._get_cookiejar(request)
        self._require_allowed(url)
        for _ in range(MAX_REDIRECTS + 1):
            self._wait()
            sent = dict(headers)
            cookies = jar.get_cookie_header(url)
            if cookies and not any(name.lower() == "cookie" for name in sent):
                sent["Cookie"] = cookies
            answer, line = self._answer(url, method, body, sent)
            response = _CheckedResponse(answer, url, line, self._time())
            jar.extract_cookies(response, urllib.request.Request(url))  # noqa: S310 - is not opened: says whose cookies they are
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                if 200 <= response.status < 300:
                    return response
                raise HTTPError(response)
            response.close()
            target = urljoin(url, location)
            self._require_allowed(target)
            if response.status == 303 or (
                response.status in (301, 302) and method == "POST"
            ):
                method, body = "HEAD" if method == "HEAD" else "GET", None
                headers = _without(headers, "content-length", "content-type")
            if _origin(target) != _origin(url):
                headers = _without(headers, *_PRIVATE)
            url = target
        message = f"{shown_uri(request.url)!r} points elsewhere too often"
        raise MediaError(codes.TOO_MANY_REDIRECTS, message)

    def _require_allowed(self, url: str) -> None:
        if require_scheme(url, self._rules.allowed_schemes) not in _HTTP:
            message = f"{shown_uri(url)!r}: only HTTP may be asked"
            raise MediaError(codes.SCHEME_NOT_ALLOWED, message)

    def _answer(
        self, url: str, method: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[HTTPResponse, Line]:
        name = shown_uri(url)
        line = Line(place_of(url, name), self._rules, name)
        headers = {**_without(headers, "host"), "Accept-Encoding": "identity"}
        try:
            answer = self._time().bounded(
                lambda: line.ask(headers, method=method, body=body),
                on_timeout=line.end,
            )
        except FAILURES as error:
            line.close()
            raise _meaning_of(error, name, self._time()) from error
        except MediaError:
            line.close()
            raise
        return answer, line


class _CheckedResponse(Response):  # type: ignore[misc]  # yt-dlp has no types
    """An answer whose body has a size and an end."""

    def __init__(
        self, answer: HTTPResponse, url: str, line: Line, network_time: NetworkTime
    ) -> None:
        super().__init__(
            fp=io.BytesIO(), url=url, headers=answer.headers, status=answer.status
        )
        self._answer = answer
        self._line = line
        self._time = network_time
        self._n_read = 0
        self._kept = b""
        self._is_over = False

    def read(self, amt: int | None = None) -> bytes:
        """Return so many bytes, fewer at the end; all where no number is given."""
        wanted = MAX_PAGE_BYTES + 1 if amt is None or amt < 0 else amt
        found = bytearray(self._kept[:wanted])
        self._kept = self._kept[len(found) :]
        while len(found) < wanted and not self._is_over:
            piece = self._piece()
            used = wanted - len(found)
            found += piece[:used]
            self._kept = piece[used:]
        return bytes(found)

    def info(self) -> Message:
        """Return the headers, under the name that cookie jars ask for them."""
        headers: Message = self.headers
        return headers

    def close(self) -> None:
        """Close the connection, whatever has not been read."""
        self._is_over = True
        # Closing what is still being sent may fail; it is given up anyway.
        with contextlib.suppress(*FAILURES):
            self._answer.close()
        self._line.close()
        super().close()

    def _piece(self) -> bytes:
        try:
            self._time.left_s()
            piece = self._answer.read1(_PIECE_BYTES, decode_content=True)
        except MediaError as error:
            raise TransportError(cause=error) from error
        except (DecodeError, *FAILURES) as error:
            cause = _meaning_of(error, shown_uri(self.url), self._time)
            raise TransportError(cause=cause) from error
        if not piece:
            self._is_over = True
            self._line.close()
        self._n_read += len(piece)
        if self._n_read > MAX_PAGE_BYTES:
            message = f"{shown_uri(self.url)!r}: more than {MAX_PAGE_BYTES} bytes"
            raise TransportError(cause=MediaError(TOO_LONG_PAGE, message))
        return bytes(piece)


def _meaning_of(error: Exception, name: str, network_time: NetworkTime) -> MediaError:
    """Return what an error of a connection means."""
    # Which of two clocks of one length ends a silent connection is chance.
    if isinstance(error, TimeoutError | ReadTimeoutError):
        try:
            return network_time.stalled()
        except MediaError as used:  # the time for all of it
            return used
    message = f"{name!r}: the connection broke: {told(error)}"
    return MediaError(codes.CONNECTION_FAILED, message, is_permanent=False)


def _body_bytes(data: object) -> bytes | None:
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, io.IOBase):
        return bytes(data.read())
    if isinstance(data, (list, tuple)) or hasattr(data, "__iter__"):
        return b"".join(data)
    message = f"expected bytes to send, got {type(data).__name__}"
    raise RequestError(message)


def _without(headers: dict[str, str], *names: str) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower() not in names}


def _origin(url: str) -> tuple[bool, str, int]:
    place = place_of(url, shown_uri(url))
    return place.is_secure, place.host, place.port
