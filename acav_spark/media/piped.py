"""Remote media inside the decoding child: a file whose bytes come through the pipe."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError
from acav_spark.media import codes

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_READ_BYTES = 2**20
"""Bytes that are asked for at once, at most."""


@dataclass(frozen=True)
class PipedMedia(os.PathLike[str]):
    """A remote file, in the place of a path; the parent process has its bytes.

    Parameters
    ----------
    name : str
        Its URI, for messages; as a path it names no file.
    size_bytes : int
        Its size.
    fetch : callable
        From place and number of bytes, at most ``MAX_READ_BYTES``, to bytes.
    """

    name: str
    size_bytes: int
    fetch: Callable[[int, int], bytes]

    def __fspath__(self) -> str:
        return self.name

    def open(self) -> PipedFile:
        """Return it opened for reading, at its start."""
        return PipedFile(self)


class PipedFile(io.RawIOBase):
    """A remote file opened for reading.

    Parameters
    ----------
    media : PipedMedia
        Which.
    """

    def __init__(self, media: PipedMedia) -> None:
        super().__init__()
        self._media = media
        self._place = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be sought in: yes."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the start, the present place or the end."""
        origins = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._place,
            os.SEEK_END: self._media.size_bytes,
        }
        place = origins[whence] + offset
        if place < 0:
            # As the system does it, which FFmpeg expects of broken files.
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._place = place
        return place

    def read(self, n_bytes: int = -1, /) -> bytes:
        """Return up to so many bytes; all that are left for -1."""
        left = max(self._media.size_bytes - self._place, 0)
        if n_bytes < 0:
            pieces = []
            while piece := self.read(MAX_READ_BYTES):
                pieces.append(piece)
            return b"".join(pieces)
        wanted = min(n_bytes, left, MAX_READ_BYTES)
        if wanted == 0:
            return b""
        piece = self._media.fetch(self._place, wanted)
        # FFmpeg's buffer takes no byte more than it asked for.
        if len(piece) != wanted:
            message = f"{self._media.name!r} gave {len(piece)} of {wanted} bytes"
            raise MediaError(codes.UNREADABLE, message, is_permanent=False)
        self._place += wanted
        return piece
