"""An HTTP server on loopback that behaves, or misbehaves, as its paths say."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ETAG = '"one"'


@dataclass
class Request:
    """What a client asked for, and how often it asked at that path before."""

    path: str
    headers: dict[str, str]
    n_before: int

    def range(self, size: int) -> tuple[int, int]:
        """Return the wanted range [first, end); the whole file without one."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if found is None:
            return 0, size
        return int(found[1]), min(int(found[2]) + 1, size)


@dataclass
class MediaServer:
    """A server of one file; ``answers`` says what its paths do.

    An answer returns bytes, sent as they are; None hangs until the server stops.
    """

    content: bytes
    answers: dict[str, Callable[[Request], list[bytes] | None]] = field(
        default_factory=dict
    )
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    is_over: threading.Event = field(default_factory=threading.Event)

    def uri(self, path: str, host: str = "127.0.0.1") -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{host}:{self.port}{path}"

    def n_body_requests(self, path: str) -> int:
        """Return how many requests for more than the first byte came."""
        return sum(
            r.path == path and r.headers.get("range") != "bytes=0-0"
            for r in self.requests
        )

    def ranges(self, request: Request, **changed: str) -> list[bytes]:
        """Answer as a good server does; ``changed`` headers (with _ for -)."""
        size = len(self.content)
        first, end = request.range(size)
        headers = {"ETag": ETAG}
        status = "200 OK"
        if "range" in request.headers:
            status = "206 Partial Content"
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        return answer(self.content[first:end], status, headers)

    def whole(self, _: Request) -> list[bytes]:
        """Answer as a server without ranges does."""
        return answer(self.content)

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            stack.enter_context(connection)
            stream = stack.enter_context(connection.makefile("rb"))
            while line := stream.readline():
                path = line.split()[1].decode()
                headers: dict[str, str] = {}
                while (header := stream.readline().strip()) != b"":
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                n_before = sum(r.path == path for r in self.requests)
                request = Request(path, headers, n_before)
                self.requests.append(request)
                pieces = self.answers[path.partition("?")[0]](request)
                if pieces is None:
                    self.is_over.wait()
                    return
                for piece in pieces:
                    connection.sendall(piece)
                if b"close" in pieces[0]:
                    return


def answer(
    body: bytes, status: str = "200 OK", headers: dict[str, str] | None = None
) -> list[bytes]:
    """Return a whole answer; headers replace those that fit the body."""
    fields = {"Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in fields.items())]
    return ["\r\n".join([*lines, "", ""]).encode(), body]


@contextlib.contextmanager
def running(
    content: bytes, *, certificate: Path | None = None
) -> Iterator[MediaServer]:
    """Run a server in threads; every connection is over when the body ends."""
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = MediaServer(content, tls=tls)
    connections: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threading.Thread(
                    target=server.serve, args=(connection,), daemon=True
                ).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield server
        server.is_over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
