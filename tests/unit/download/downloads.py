"""What the tests of downloads share."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from samples import write_video

from acav_spark.download import DownloadRules
from acav_spark.media import SourceRules

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from media_server import Request

LOOPBACK = SourceRules(
    allowed_schemes=("http",),
    allow_private_addresses=True,
    stall_s=5.0,
    total_s=30.0,
    n_tries=2,
    first_wait_s=0.001,
)
RULES = DownloadRules(sources=LOOPBACK, n_workers=1)


@functools.cache
def film() -> bytes:
    """Return the bytes of a small video with picture and sound."""
    with tempfile.TemporaryDirectory() as folder:
        return write_video(Path(folder) / "a.mp4", 5, duration_s=2.0).read_bytes()


def rows_of(path: Path) -> list[dict[str, object]]:
    """Return the rows of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def ranges_asked(requests: list[Request], path: str) -> list[str]:
    """Return the ranges of the requests for more than a first byte."""
    found = (r.headers.get("range", "") for r in requests if r.path == path)
    return [asked for asked in found if asked not in ("", "bytes=0-0")]


class ThenSilence(list[bytes]):
    """Pieces of an answer, after which nothing comes for as long as the test lasts."""

    def __init__(self, pieces: list[bytes], until: threading.Event) -> None:
        super().__init__(pieces)
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        yield from super().__iter__()
        self._until.wait()
