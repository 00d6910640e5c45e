"""One file fetched by ranges into a partial file, from where that ends.

The servers are asked by the same code that serves remote media to the decoder
(``acav_spark.media.sources_http``): the same addresses are refused, redirects checked,
answers distrusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from acav_spark.errors import AcavError, MediaError
from acav_spark.media import codes
from acav_spark.media.sources_http import HttpRemote
from acav_spark.media.sources_rules import NetworkTime, SourceRules
from acav_spark.media.sources_spool import require_size, retrying
from acav_spark.media.uri import require_scheme, shown_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from acav_spark.download.partial import PartialFile
    from acav_spark.download.rate import RateLimit

RANGE_BYTES: Final = 8 * 2**20
"""Asked for at once. Some hosts slow down requests for more than 10 MiB; and what a
retry finds already there is kept to the byte, so that smaller ones would gain nothing.
"""


class StoppedError(AcavError):
    """A download that was told to stop; what arrived is kept."""


def fetch_file(
    uri: str,
    partial: PartialFile,
    rules: SourceRules,
    *,
    version: str = "",
    headers: Mapping[str, str] | None = None,
    limit: RateLimit,
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Fetch what is missing of a file.

    Parameters
    ----------
    uri : str
        ``http`` or ``https``, as far as the rules allow it.
    partial : PartialFile
        Where it goes; has the whole file afterwards.
    rules : SourceRules
        Schemes, addresses and limits.
    version : str
        Which format of the video, for what is continued.
    headers : mapping of str to str, optional
        Headers that the site wants.
    limit : RateLimit
        Waits as bytes arrive.
    is_stopped : callable
        Asked before each piece is written.

    Raises
    ------
    MediaError
        What was wrong with address, server or file. What had arrived stays, unless it
        is of a file that has changed since.
    StoppedError
        If it was told to stop.
    """
    name = shown_uri(uri)
    scheme = require_scheme(uri, rules.allowed_schemes)
    if scheme not in ("http", "https"):
        message = f"{name!r}: only http and https are downloaded, not {scheme!r}"
        raise MediaError(codes.SCHEME_NOT_ALLOWED, message)
    network_time = NetworkTime(rules, name)
    remote = HttpRemote(uri, rules, network_time, headers=headers)

    def require_wanted() -> None:
        if is_stopped():
            message = f"{name}: stopped"
            raise StoppedError(message)

    def store(pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            require_wanted()
            require_size(partial.n_bytes + len(piece), rules.max_bytes, name)
            partial.write(piece)
            limit.take(len(piece))

    def whole() -> None:
        partial.begin_anew()
        store(remote.all_pieces())

    def partial_to(end: int) -> Callable[[], None]:
        def attempt() -> None:
            # A try may have failed behind its last byte.
            if partial.n_bytes < end:
                store(remote.pieces(partial.n_bytes, end))

        return attempt

    try:
        retrying(remote.open, rules, network_time, name)
        # Somebody else may have the file by now.
        require_wanted()
        if remote.size_bytes is None:
            retrying(whole, rules, network_time, name)
        else:
            require_size(remote.size_bytes, rules.max_bytes, name)
            partial.begin(version, remote.size_bytes, remote.validators)
            while partial.n_bytes < remote.size_bytes:
                end = min(partial.n_bytes + RANGE_BYTES, remote.size_bytes)
                retrying(partial_to(end), rules, network_time, name)
    except MediaError as error:
        if error.code in _SPOILT:
            partial.discard()
        raise
    finally:
        remote.close()
        partial.close()
    if partial.n_bytes == 0:
        partial.discard()
        raise MediaError(codes.EMPTY_FILE, f"{name!r} has no bytes")


# What is there is not the beginning of the file.
_SPOILT: Final = (
    codes.SOURCE_CHANGED,
    codes.WEB_PAGE,
    codes.WRONG_LENGTH,
    codes.DOWNLOAD_TOO_LARGE,
)
