"""What downloading costs this machine, beside a bare loop that reads and writes.

    python benchmarks/bench_download.py --json FILE

A server in a process of its own gives files by ranges on loopback. In turns are
measured, in processor time of the asking process:

- bare: urllib3 reads a file and writes it;
- fetch: ``fetch_file``, with its checks, its partial file and the waits' accounts;
- page: ``YtDlpSite.find`` on a page with a video, in the thread's kept session;
- anew: the same in a new session each time.

Every file is compared with the server's before a figure is told.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import urllib3
from record import about

from acav_spark.download.fetching import fetch_file
from acav_spark.download.findings import default_selector
from acav_spark.download.partial import PartialFile
from acav_spark.download.rate import RateLimit
from acav_spark.download.sites import YtDlpSite
from acav_spark.media import SourceRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

RULES: Final = SourceRules(allowed_schemes=("http",), allow_private_addresses=True)
PAGE: Final = b'<html><title>A film</title><video src="/a.mp4"></video></html>'
N_PAGES: Final = 10


def content_of(n_mib: int) -> bytes:
    """Return the bytes of the file."""
    return np.random.default_rng(0).bytes(n_mib * 2**20)


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives one file by ranges, and a page that names it."""

    protocol_version = "HTTP/1.1"
    content = b""

    def do_GET(self) -> None:
        """Answer a request."""
        body, kind = (self.content, "video/mp4")
        if self.path == "/page":
            body, kind = PAGE, "text/html"
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        first, _, last = asked.partition("-")
        whole = len(body)
        if asked:
            body = body[int(first) : int(last) + 1]
            self.send_response(206)
            span = f"bytes {first}-{int(first) + len(body) - 1}/{whole}"
            self.send_header("Content-Range", span)
        else:
            self.send_response(200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(n_mib: int, told: Connection) -> None:
    """Serve until the process is ended."""
    Handler.content = content_of(n_mib)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(server.server_address[1])
    server.serve_forever()


@contextlib.contextmanager
def running(n_mib: int) -> Iterator[str]:
    """Run the server in a process of its own; give its address."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(n_mib, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def bare(address: str, path: Path) -> None:
    """Read a file, and write it."""
    with urllib3.PoolManager() as pool, path.open("wb") as file:
        answer = pool.request("GET", f"{address}/a.mp4", preload_content=False)
        for piece in answer.stream(256 * 1024):
            file.write(piece)


def fetch(address: str, path: Path) -> None:
    """Fetch a file as a download does."""
    with PartialFile(path) as partial:
        partial.discard()
        fetch_file(f"{address}/a.mp4", partial, RULES, limit=RateLimit(10**12))


def in_turns(
    runs: dict[str, Callable[[], None]], n_repeats: int
) -> dict[str, list[float]]:
    """Return the seconds of processor time of each, after a run that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(n_repeats + 1):
        for name, run in runs.items():
            began_s = time.process_time()
            run()
            if number:
                seconds[name].append(time.process_time() - began_s)
    return seconds


def main() -> None:
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    selector = default_selector(360)
    kept = YtDlpSite(RULES, format_selector=selector)
    with running(options.mib) as address, tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "a.part"

        def pages(site: Callable[[], YtDlpSite]) -> None:
            for _ in range(N_PAGES):
                assert site().find(f"{address}/page").uri == f"{address}/a.mp4"

        for run in (bare, fetch):
            run(address, path)
            assert path.read_bytes() == content_of(options.mib)
        seconds = in_turns(
            {
                "bare": lambda: bare(address, path),
                "fetch": lambda: fetch(address, path),
                "page": lambda: pages(lambda: kept),
                "anew": lambda: pages(
                    lambda: YtDlpSite(RULES, format_selector=selector)
                ),
            },
            options.repeats,
        )
    median = {name: statistics.median(values) for name, values in seconds.items()}
    figures = {
        "bare_ms_per_mib": 1000 * median["bare"] / options.mib,
        "fetch_ms_per_mib": 1000 * median["fetch"] / options.mib,
        "fetch_to_bare": median["fetch"] / median["bare"],
        "page_ms": 1000 * median["page"] / N_PAGES,
        "page_anew_ms": 1000 * median["anew"] / N_PAGES,
    }
    for name, value in figures.items():
        print(f"{name:<18} {value:8.2f}")
    record = {
        **about("acav_spark", "yt-dlp", "urllib3"),
        "mib": options.mib,
        "repeats": options.repeats,
        **figures,
        "seconds": seconds,
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
