"""Files of HTTP servers, by ranges or whole: answers are checked, not believed.

Each redirect is checked as the first URI was: its scheme, and its host's addresses.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urljoin

from urllib3.exceptions import HTTPError, IncompleteRead, ReadTimeoutError

from acav_spark._version import __version__
from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.sources_connection import FAILURES, Line, place_of, told
from acav_spark.media.sources_spool import RetryLaterError, require_size
from acav_spark.media.uri import require_scheme, shown_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.response import HTTPResponse

    from acav_spark.media.sources_connection import Place
    from acav_spark.media.sources_rules import NetworkTime, SourceRules

MAX_REDIRECTS: Final = 5
_PIECE_BYTES: Final = 256 * 1024
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PASSING: Final = (408, 425, 429)
_HEADERS: Final = {
    "User-Agent": f"acav_spark/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
# What may not be set from outside: it decides which bytes come, and how.
_OWN_HEADERS: Final = (
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-range",
    "range",
    "transfer-encoding",
)
_PRIVATE: Final = ("authorization", "cookie")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_PAGE: Final = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I)


class HttpRemote:
    """A file of an HTTP server, opened: where it is and what it is are known.

    Parameters
    ----------
    uri : str
        ``http://`` or ``https://``.
    rules : SourceRules
        Schemes, addresses and limits.
    network_time : NetworkTime
        What is left for the network; running while any method is called.
    headers : mapping of str to str, optional
        Further headers of every request, such as a user agent. Cookies and credentials
        among them go to the first server alone.

    Attributes
    ----------
    name : str
        The URI for messages.
    size_bytes : int or None
        Size of the file where the server gives ranges of it; None where it does not.
    """

    def __init__(
        self,
        uri: str,
        rules: SourceRules,
        network_time: NetworkTime,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.uri = uri
        self._headers = {
            name: value
            for name, value in (headers or {}).items()
            if name.lower() not in _OWN_HEADERS
        }
        self.name = shown_uri(uri)
        self.size_bytes: int | None = None
        self._rules = rules
        self._time = network_time
        self._place = place_of(uri, self.name)
        self._line: Line | None = None
        self._validators: tuple[str | None, str | None] | None = None

    @property
    def validators(self) -> tuple[str | None, str | None]:
        """ETag and Last-Modified of the opened file, which tell it from a later one."""
        return self._validators or (None, None)

    def open(self) -> None:
        """Ask for the first byte: follow redirects, learn size and validators.

        Raises
        ------
        MediaError
            What is wrong with the URI, the address, the server or its answer.
        """
        self._place = place_of(self.uri, self.name)
        self._validators = None
        self.close()
        for _ in range(MAX_REDIRECTS + 1):
            response = self._answer({"Range": "bytes=0-0"})
            if response.status not in _REDIRECTS:
                break
            self._place = self._redirected(response)
            self.close()
        else:
            message = f"{self.name!r} points elsewhere more than {MAX_REDIRECTS} times"
            raise MediaError(codes.TOO_MANY_REDIRECTS, message)
        if response.status == 206:
            stated = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if stated is not None:
                self._require_usable(response)
                self._require_range(response, 0, 1)
                self._validators = _validators(response)
                self.size_bytes = int(stated[3])
                for _ in self._body(response, 1, is_head=True):
                    pass
                return
        elif response.status not in (200, 416):
            self._refuse(response)
        # Without ranges, or with a size that nobody knows: the whole file then.
        self.close()

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [first, end) of the file that was opened.

        Raises
        ------
        MediaError
            ``source_changed`` if it is another file by now, ``wrong_range`` and others
            for answers to something else.
        """
        headers = {"Range": f"bytes={first}-{end - 1}"}
        etag, modified = self.validators
        if etag is not None and not etag.startswith("W/"):
            headers["If-Range"] = etag
        response = self._answer(headers)
        if response.status in (200, 412, 416):
            # The whole file in place of a range: it is no longer that of before.
            self._fail(
                codes.SOURCE_CHANGED,
                f"gave ranges before, and now answers {response.status}",
            )
        if response.status != 206:
            self._refuse(response)
        self._require_usable(response)
        if _validators(response) != (etag, modified):
            self._fail(codes.SOURCE_CHANGED, "has another ETag or date than before")
        self._require_range(response, first, end)
        yield from self._body(response, end - first, is_head=first == 0)

    def all_pieces(self) -> Iterator[bytes]:
        """Yield the whole file."""
        response = self._answer({})
        if response.status != 200:
            self._refuse(response)
        self._require_usable(response)
        stated = response.length_remaining
        if stated is not None:
            require_size(stated, self._rules.max_bytes, self.name)
        yield from self._body(response, stated, is_head=True)

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _answer(self, headers: dict[str, str]) -> HTTPResponse:
        """Send a request to the present place; return the answer with its headers."""
        if self._line is None or not self._line.is_usable:
            self.close()
            self._line = Line(self._place, self._rules, self.name)
        line = self._line
        all_headers = {**_HEADERS, **self._further_headers(), **headers}
        try:
            return self._time.bounded(
                lambda: line.ask(all_headers), on_timeout=line.end
            )
        except FAILURES as error:
            self._raise_failed(error)
        except MediaError:
            self.close()
            raise

    def _further_headers(self) -> dict[str, str]:
        first, now = place_of(self.uri, self.name), self._place
        if (first.is_secure, first.host, first.port) == (
            now.is_secure,
            now.host,
            now.port,
        ):
            return self._headers
        return {k: v for k, v in self._headers.items() if k.lower() not in _PRIVATE}

    def _redirected(self, response: HTTPResponse) -> Place:
        location = response.headers.get("Location")
        if not location:
            self._fail(codes.INVALID_RESPONSE, "points elsewhere without saying where")
        try:
            uri = urljoin(self._place.uri, location)
        except ValueError as error:
            message = f"{self.name!r} leads to no valid URI"
            raise MediaError(codes.INVALID_URI, message) from error
        if require_scheme(uri, self._rules.allowed_schemes) not in ("http", "https"):
            message = f"{self.name!r} leads to {shown_uri(uri)!r}: only HTTP may follow"
            raise MediaError(codes.SCHEME_NOT_ALLOWED, message)
        return place_of(uri, self.name)

    def _body(
        self, response: HTTPResponse, n_stated: int | None, *, is_head: bool
    ) -> Iterator[bytes]:
        """Yield a body as it comes; it has the stated length or it is an error."""
        line = self._line
        if line is None:
            return
        n_got = 0
        # A read ends after a silence, which a server that sends a byte now and then
        # can put off for long; this ends it when the time is used up.
        watch = threading.Timer(self._time.left_s(), line.end)
        watch.daemon = True
        watch.start()
        try:
            while piece := response.read1(_PIECE_BYTES):
                self._time.left_s()
                if n_got == 0 and is_head and _PAGE.match(piece[:1024]):
                    self._fail(codes.WEB_PAGE, "is a web page, by its first bytes")
                n_got += len(piece)
                if n_stated is not None and n_got > n_stated:
                    self._fail(codes.WRONG_LENGTH, f"sent more than {n_stated} bytes")
                yield piece
        except FAILURES as error:
            self._raise_failed(error)
        finally:
            watch.cancel()
        self._time.left_s()
        if n_stated is not None and n_got < n_stated:
            found = f"sent {n_got} of {n_stated} bytes"
            self._fail(codes.INCOMPLETE_DOWNLOAD, found)
        if n_stated is not None and line.has_more():
            self._fail(codes.WRONG_LENGTH, f"sent more than {n_stated} bytes")

    def _require_usable(self, response: HTTPResponse) -> None:
        """Refuse what is compressed or a web page by its headers."""
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            self._fail(
                codes.ENCODED_CONTENT,
                f"came as {encoding[:40]!r}, which was not asked for",
                is_permanent=True,
            )
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            self._fail(codes.WEB_PAGE, "is a web page, by its Content-Type")

    def _require_range(self, response: HTTPResponse, first: int, end: int) -> None:
        stated = response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(stated)
        expected = f"bytes {first}-{end - 1}/..."
        if found is None or (int(found[1]), int(found[2])) != (first, end - 1):
            self._fail(codes.WRONG_RANGE, f"answered {expected!r} with {stated[:80]!r}")
        length = response.length_remaining
        if length is not None and length != end - first:
            self._fail(codes.WRONG_RANGE, f"answered {expected!r} with {length} bytes")
        if self.size_bytes is not None and int(found[3]) != self.size_bytes:
            self._fail(
                codes.SOURCE_CHANGED,
                f"had {self.size_bytes} bytes, and now has {found[3]}",
            )

    def _refuse(self, response: HTTPResponse) -> NoReturn:
        """Raise what a status means that brings no file."""
        status = response.status
        self.close()
        message = f"{self.name!r}: the server answered {status}"
        if status in _PASSING or status >= 500:
            error = RetryLaterError(codes.SERVER_ERROR, message, is_permanent=False)
            with contextlib.suppress(ValueError):  # also a date: then our own wait
                error.wait_s = float(response.headers.get("Retry-After", "0"))
            raise error
        if status in (404, 410):
            raise MediaError(codes.NOT_FOUND, message)
        if status in (401, 403, 407, 451):
            raise MediaError(codes.PERMISSION_DENIED, message)
        if 400 <= status < 500:
            raise MediaError(codes.REQUEST_REFUSED, message)
        raise MediaError(codes.INVALID_RESPONSE, message, is_permanent=False)

    def _fail(self, code: str, found: str, *, is_permanent: bool = False) -> NoReturn:
        """Raise an error of this source, and leave its connection."""
        self.close()
        raise MediaError(code, f"{self.name!r} {found}", is_permanent=is_permanent)

    def _raise_failed(self, error: Exception) -> NoReturn:
        """Raise what an error of the connection means."""
        self.close()
        self._time.left_s()
        if isinstance(error, TimeoutError | ReadTimeoutError):
            raise self._time.stalled() from error
        code = codes.CONNECTION_FAILED
        cause = error.args[-1] if error.args else None
        if any(
            isinstance(one, IncompleteRead | http.client.IncompleteRead)
            for one in (error, cause)
        ):
            code = codes.INCOMPLETE_DOWNLOAD
        elif isinstance(error, http.client.HTTPException | HTTPError) and not (
            isinstance(error, OSError) or isinstance(cause, OSError)
        ):
            code = codes.INVALID_RESPONSE
        message = f"{self.name!r}: the connection broke: {told(error)}"
        raise MediaError(code, message, is_permanent=False) from error


def _validators(response: HTTPResponse) -> tuple[str | None, str | None]:
    return response.headers.get("ETag"), response.headers.get("Last-Modified")
