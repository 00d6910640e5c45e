"""Connections to HTTP servers at checked addresses, which can be ended from outside.

urllib3's connections are used without its pools, redirects and retries: a connection
goes to an address that was checked, for the host that was asked for (Host header,
server name and certificate). Proxies, cookies and passwords of the environment are not
used: behind a proxy nobody could tell which address is connected to.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import select
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.sources_address import checked_addresses
from acav_spark.media.uri import shown_uri

if TYPE_CHECKING:
    from urllib3.response import HTTPResponse

    from acav_spark.media.sources_rules import SourceRules

FAILURES: Final = (HTTPError, http.client.HTTPException, OSError)
"""What connections raise."""


@dataclass(frozen=True)
class Place:
    """Where requests go to.

    Parameters
    ----------
    uri : str
        The whole URI.
    is_secure : bool
        Whether by TLS.
    host, port
        Which server; an IPv6 address without brackets.
    host_header, target : str
        What the request says: host and port, path and query.
    """

    uri: str
    is_secure: bool
    host: str
    port: int
    host_header: str
    target: str


def place_of(uri: str, name: str) -> Place:
    """Return the parts of a URI of HTTP, escaped as requests need them.

    Raises
    ------
    MediaError
        ``invalid_uri``; ``name`` says of which source.
    """
    try:
        parts = parse_url(uri)
    except HTTPError as error:
        message = f"{name!r} leads to no valid URI of HTTP: {shown_uri(uri)!r}"
        raise MediaError(codes.INVALID_URI, message) from error
    if not parts.host or parts.netloc is None:
        message = f"{name!r} leads to a URI without a host: {shown_uri(uri)!r}"
        raise MediaError(codes.INVALID_URI, message)
    is_secure = parts.scheme == "https"
    return Place(
        uri,
        is_secure,
        host=parts.host.strip("[]"),
        port=parts.port or (443 if is_secure else 80),
        host_header=parts.netloc,
        target=parts.request_uri,
    )


class Line:
    """One connection, or an attempt at one, that another thread may end.

    Parameters
    ----------
    place : Place
        Where to connect to.
    rules : SourceRules
        Which addresses are allowed; silence that ends a read.
    name : str
        The source, for messages.
    """

    def __init__(self, place: Place, rules: SourceRules, name: str) -> None:
        self._place = place
        self._rules = rules
        self._name = name
        self._is_ended = False
        self._connection: HTTPConnection | None = None
        # A second handle of the socket: urllib3 closes its own at the last byte.
        self._socket: socket.socket | None = None

    def ask(
        self, headers: dict[str, str], *, method: str = "GET", body: bytes | None = None
    ) -> HTTPResponse:
        """Send a request and return the answer, its body not read yet.

        Raises
        ------
        MediaError
            What is wrong with the host or its addresses; ``FAILURES`` for the rest.
        """
        connection = self._connection or self._connect()
        connection.request(
            method,
            self._place.target,
            body=body,
            headers={"Host": self._place.host_header, **headers},
            preload_content=False,
            decode_content=False,
        )
        return connection.getresponse()

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent on it."""
        connection = self._connection
        return connection is not None and connection.is_connected

    def has_more(self) -> bool:
        """Whether bytes have arrived behind the end of a body; unknown for TLS."""
        sock = self._socket
        if sock is None or self._place.is_secure:
            return False
        with contextlib.suppress(OSError):
            is_readable = bool(select.select([sock], [], [], 0)[0])
            return is_readable and bool(sock.recv(1, socket.MSG_PEEK))
        return False

    def end(self) -> None:
        """Make a thread that waits for this connection stop; callable from any."""
        self._is_ended = True
        connecting = None if self._connection is None else self._connection.sock
        for sock in (self._socket, connecting):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        if self._socket is not None:
            self._socket.close()

    def _connect(self) -> HTTPConnection:
        """Connect to the first address that answers, after all were checked."""
        place = self._place
        addresses = checked_addresses(
            place.host,
            place.port,
            allow_private=self._rules.allow_private_addresses,
            name=self._name,
        )
        failed: Exception | None = None
        for address in addresses:
            if self._is_ended:
                break
            # Noted before it connects, so that it can be ended while it does.
            self._connection = connection = self._connection_to(address)
            try:
                connection.connect()
            except FAILURES as error:
                connection.close()
                self._connection, failed = None, error
                continue
            self._socket = socket.socket(fileno=os.dup(connection.sock.fileno()))
            return connection
        message = f"{self._name!r}: no connection to {place.host!r}: {told(failed)}"
        raise MediaError(
            codes.CONNECTION_FAILED, message, is_permanent=False
        ) from failed

    def _connection_to(self, address: str) -> HTTPConnection:
        place, timeout_s = self._place, self._rules.stall_s
        if not place.is_secure:
            return HTTPConnection(address, place.port, timeout=timeout_s)
        return HTTPSConnection(
            address,
            place.port,
            timeout=timeout_s,
            server_hostname=place.host,
            ssl_context=ssl.create_default_context(),
        )


def told(error: Exception | None) -> str:
    """Return an error in few words, without the URIs that libraries put into them."""
    words = re.sub(r"(?:[a-z0-9]+://|url: )\S+", "...", str(error))
    return f"{type(error).__name__}: {words[:200]}"
