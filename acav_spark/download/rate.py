"""A limit of bytes a second that all downloads share."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([KMG]?)", re.I)


def parse_rate(text: str) -> int:
    """Return the bytes a second of ``500K``, ``2M``, ``1.5M`` or a plain number.

    K, M and G are powers of 1024, as yt-dlp and wget have them.

    Raises
    ------
    ConfigError
        If it is none, or less than one byte.
    """
    match = _RATE.fullmatch(text.strip())
    rate = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if rate < 1:
        msg = (
            "--rate-limit: expected bytes a second, such as 500K or 2M, got "
            f"{text[:50]!r}."
        )
        raise ConfigError(msg)
    return rate


class RateLimit:
    """Makes threads wait so that together they take at most so many bytes a second.

    Parameters
    ----------
    bytes_per_s : float, optional
        None for no limit.
    clock, sleep : callable
        Seconds that pass, and how to wait; for tests.

    Notes
    -----
    Who takes n bytes puts the moment from which the next may be taken n / rate later,
    and waits until its own: what was not used while nobody asked is not saved up.
    """

    def __init__(
        self,
        bytes_per_s: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_from_s = -float("inf")

    def take(self, n_bytes: int) -> None:
        """Wait until so many bytes that arrived are within the limit."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now_s = self._clock()
            begin_s = max(now_s, self._free_from_s)
            self._free_from_s = begin_s + n_bytes / self._bytes_per_s
            wait_s = self._free_from_s - now_s
        if wait_s > 0:
            self._sleep(wait_s)
