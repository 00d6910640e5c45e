"""The parent's side of remote media: answers what the decoding child asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError
from acav_spark.media.piped import MAX_READ_BYTES
from acav_spark.media.sources_spool import RemoteSource
from acav_spark.media.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ServedCall:
    """The arguments of one call as they are sent, and the source behind one of them.

    Parameters
    ----------
    arguments : mapping
        Of the operation. Paths become text; at most one is a ``RemoteSource``.

    Attributes
    ----------
    sent : dict
        Fields of the request: ``arguments``, and ``source`` where there is one.
    error : MediaError or None
        What went wrong with the source: the reason, whatever the child makes of it.
    """

    def __init__(self, arguments: Mapping[str, object]) -> None:
        self.error: MediaError | None = None
        self._source: RemoteSource | None = None
        plain = dict(arguments)
        self.sent: dict[str, object] = {"arguments": plain}
        for name, value in arguments.items():
            if isinstance(value, RemoteSource):
                self._source = value
                self.sent["source"] = {
                    "argument": name,
                    "name": value.name,
                    "size_bytes": value.size_bytes,
                }
                del plain[name]
            elif isinstance(value, os.PathLike):
                plain[name] = os.fspath(value)

    @property
    def network_s(self) -> float:
        """Seconds that the source has spent on the network; no time of the decoder."""
        return 0.0 if self._source is None else self._source.network_s

    def reply(self, asked: object) -> dict[str, object]:
        """Return the bytes that the child asked for as ``[place, length]``.

        Raises
        ------
        WireError
            If that is not what it asked, or there is no source.
        """
        match asked:
            case [int(place), int(n_bytes)] if (
                self._source is not None
                and place >= 0
                and 0 < n_bytes <= MAX_READ_BYTES
            ):
                pass
            case _:
                msg = f"range: expected [place, length] of a source, got {asked!r:.80}."
                raise WireError(msg)
        if self.error is None:
            try:
                return {"data": self._source.read(place, n_bytes)}
            except MediaError as error:
                self.error = error
        # The child gives up its file; what was wrong with it is known here.
        return {"data": b""}
