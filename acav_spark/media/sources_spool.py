"""Remote files as the decoding child gets them: bytes by place, from a nameless file.

The child has no network. It asks its parent for bytes (``acav_spark.media.piped``), and
the parent takes them from a temporary file without a name, which the system removes
when its last holder ends, however that comes about. What the server gives by ranges is
fetched when first asked for, and every byte once; what it does not is fetched whole at
the start. So a source never transfers more than the size of its file, and a byte read
twice is the same both times.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from typing import TYPE_CHECKING, Final, Protocol

from acav_spark.errors import MediaError
from acav_spark.media import codes
from acav_spark.media.closing import Closing
from acav_spark.media.uri import stem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from acav_spark.media.sources_rules import NetworkTime, SourceRules

BLOCK_BYTES: Final = 512 * 1024
# A request takes that many blocks at most; from one, it doubles while reading goes on
# from where it was. Seeking thus wastes little, and reading through costs few requests.
_MAX_BLOCKS: Final = 16
_MAX_WAIT_S: Final = 30.0


class Remote(Protocol):
    """A file on the network, before it is read.

    Errors are ``MediaError``; those that are not permanent are tried again.

    Attributes
    ----------
    uri, name : str
        Where it is; the same for messages, without what may be a credential.
    """

    uri: str
    name: str

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [first, end), all of them or an error."""
        ...

    def all_pieces(self) -> Iterator[bytes]:
        """Yield the whole file from its beginning, all of it or an error."""
        ...

    def close(self) -> None:
        """Close its connection."""
        ...


class RemoteSource(Closing):
    """A remote file whose bytes the parent has in a nameless temporary file.

    Parameters
    ----------
    remote : Remote
        Where bytes come from; closed with this.
    rules : SourceRules
        Limits and tries.
    network_time : NetworkTime
        What is left for the network.
    """

    def __init__(
        self, remote: Remote, rules: SourceRules, network_time: NetworkTime
    ) -> None:
        self.name = remote.name
        self.size_bytes = 0
        self.n_fetched_bytes = 0
        self._remote = remote
        self._rules = rules
        self._time = network_time
        # Without a name, so that nothing is left when the process is killed. The
        # child has no access to it: it gets bytes through its pipe.
        self._file = tempfile.TemporaryFile(prefix="acav-", buffering=0)  # noqa: SIM115 - closed by close()

    @property
    def stem(self) -> str:
        """The file's name without folder and ending."""
        return stem_of(self._remote.uri)

    @property
    def network_s(self) -> float:
        """Seconds that were spent on the network so far."""
        return self._time.used_s

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return up to so many bytes from a place; none beyond the end.

        Raises
        ------
        MediaError
            What went wrong with the source.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the temporary file and the connection back."""
        self._file.close()
        self._remote.close()

    def _stored(self, offset: int, n_bytes: int) -> bytes:
        return os.pread(self._file.fileno(), n_bytes, offset)

    def _store(self, piece: bytes, offset: int) -> None:
        self.n_fetched_bytes += len(piece)
        view = memoryview(piece)
        try:
            while len(view):
                n_written = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[n_written:], offset + n_written
        except OSError as error:
            message = (
                f"{self.name!r}: its temporary file in {tempfile.gettempdir()} cannot "
                f"be written ({error}). Free space there, or set TMPDIR"
            )
            raise MediaError(
                codes.NO_TEMPORARY_SPACE, message, is_permanent=False
            ) from error

    def _with_retries(self, attempt: Callable[[], None]) -> None:
        retrying(attempt, self._rules, self._time, self.name)


class RangeSource(RemoteSource):
    """A file of known size whose server gives ranges: blocks on demand, each once.

    Parameters
    ----------
    remote, rules, network_time
        As in ``RemoteSource``.
    size_bytes : int
        Size of the file.
    """

    def __init__(
        self,
        remote: Remote,
        rules: SourceRules,
        network_time: NetworkTime,
        *,
        size_bytes: int,
    ) -> None:
        super().__init__(remote, rules, network_time)
        self.size_bytes = size_bytes
        self._has = bytearray(-(-size_bytes // BLOCK_BYTES))
        self._next_block = 0
        self._n_ahead = 1

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return up to so many bytes from a place; fetch the blocks that lack."""
        end = min(offset + n_bytes, self.size_bytes)
        if offset >= end:
            return b""
        block, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        while (block := self._has.find(0, block, last + 1)) >= 0:
            self._fetch(block, last)
        return self._stored(offset, end - offset)

    def _fetch(self, block: int, last_wanted: int) -> None:
        """Fetch the missing blocks from ``block`` on, some of them ahead."""
        is_onward = block == self._next_block
        self._n_ahead = min(2 * self._n_ahead, _MAX_BLOCKS) if is_onward else 1
        wanted = max(block + self._n_ahead, last_wanted + 1)
        wanted = min(wanted, block + _MAX_BLOCKS, len(self._has))
        known = self._has.find(1, block, wanted)
        stop = wanted if known < 0 else known
        end = min(stop * BLOCK_BYTES, self.size_bytes)
        place = block * BLOCK_BYTES

        def attempt() -> None:
            nonlocal place
            for piece in self._remote.pieces(place, end):
                self._store(piece, place)
                place += len(piece)

        self._with_retries(attempt)
        self._has[block:stop] = b"\1" * (stop - block)
        self._next_block = stop


class SpooledSource(RemoteSource):
    """A file whose server gives no ranges: fetched whole when it is opened."""

    def __init__(
        self, remote: Remote, rules: SourceRules, network_time: NetworkTime
    ) -> None:
        super().__init__(remote, rules, network_time)
        try:
            self._with_retries(self._fetch)
        except BaseException:
            self.close()
            raise
        if self.size_bytes == 0:
            self.close()
            raise MediaError(codes.EMPTY_FILE, f"{self.name!r} has no bytes")

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return up to so many bytes from a place."""
        return self._stored(offset, n_bytes)

    def _fetch(self) -> None:
        self._file.truncate(0)
        self.size_bytes = 0
        for piece in self._remote.all_pieces():
            require_size(self.size_bytes + len(piece), self._rules.max_bytes, self.name)
            self._store(piece, self.size_bytes)
            self.size_bytes += len(piece)


def require_size(size_bytes: int, max_bytes: int, name: str) -> None:
    """Raise ``download_too_large`` for a file beyond the limit."""
    if size_bytes > max_bytes:
        message = (
            f"{name!r} has {size_bytes} bytes or more; input.max_download_mb allows "
            f"{max_bytes / 2**20:g} MiB"
        )
        raise MediaError(codes.DOWNLOAD_TOO_LARGE, message)


class RetryLaterError(MediaError):
    """A passing error of a server that said when to come again (Retry-After)."""

    wait_s: float = 0.0


def retrying(
    attempt: Callable[[], None],
    rules: SourceRules,
    network_time: NetworkTime,
    name: str,
) -> None:
    """Do what may fail for a passing reason, several times with growing waits.

    Raises
    ------
    MediaError
        The last error; a permanent one, or the end of the time, at once.
    """
    with network_time.counted():
        for n_failed in range(1, rules.n_tries + 1):
            try:
                attempt()
            except MediaError as error:
                is_last = n_failed == rules.n_tries
                if error.is_permanent or is_last or error.code in _NEVER_TWICE:
                    raise
                wait_s = rules.first_wait_s * 2 ** (n_failed - 1) * _spread(name)
                if isinstance(error, RetryLaterError):
                    wait_s = max(wait_s, min(error.wait_s, _MAX_WAIT_S))
                if wait_s >= network_time.left_s():
                    raise
                time.sleep(wait_s)
            else:
                return


# A file that changed can only be read from its beginning again, by another attempt of
# the whole item; a full disk does not empty within a second.
_NEVER_TWICE: Final = (
    codes.SOURCE_CHANGED,
    codes.DOWNLOAD_TIME_LIMIT,
    codes.NO_TEMPORARY_SPACE,
)


def _spread(name: str) -> float:
    """Return a factor in [1, 2) by the source: many workers do not retry at once."""
    digest = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=4).digest()
    return 1.0 + int.from_bytes(digest, "big") / 2**32
