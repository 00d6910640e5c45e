"""What sources of media may be opened, and how long and large they may be."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from acav_spark.errors import MediaError
from acav_spark.media import codes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


@dataclass(frozen=True)
class SourceRules:
    """Which sources may be opened, and what one may take.

    Parameters
    ----------
    allowed_schemes : tuple of str, default ("file",)
        Schemes of the URIs; a plain path counts as ``file``.
    allow_private_addresses : bool, default False
        Whether hosts inside one's own network may be connected to.
    max_bytes : int, default 2 GiB
        Size of a remote file.
    total_s : float, default 600
        Seconds that may be spent on the network for one opened source.
    stall_s : float, default 30
        Seconds within which an answer must begin, and after which a silent one ends.
    n_tries : int, default 3
        How often a request is made that fails for a passing reason.
    first_wait_s : float, default 0.5
        Wait before the second try; it doubles before each further one.
    """

    allowed_schemes: tuple[str, ...] = ("file",)
    allow_private_addresses: bool = False
    max_bytes: int = 2 * 2**30
    total_s: float = 600.0
    stall_s: float = 30.0
    n_tries: int = 3
    first_wait_s: float = 0.5


class NetworkTime:
    """The network time of one source: what is used, and what is left of it.

    Parameters
    ----------
    rules : SourceRules
        The limits.
    name : str
        The source, for messages.

    Attributes
    ----------
    used_s : float
        Seconds that were used so far.
    """

    def __init__(self, rules: SourceRules, name: str) -> None:
        self._rules = rules
        self._name = name
        self.used_s = 0.0
        self._began_s: float | None = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the time of the body as used."""
        self._began_s = time.monotonic()
        try:
            yield
        finally:
            self.used_s += time.monotonic() - self._began_s
            self._began_s = None

    def left_s(self) -> float:
        """Return the seconds that are left of the total.

        Raises
        ------
        MediaError
            ``download_time_limit`` if none are.
        """
        running_s = 0.0 if self._began_s is None else time.monotonic() - self._began_s
        left_s = self._rules.total_s - self.used_s - running_s
        if left_s <= 0:
            message = f"{self._name!r} took longer than {self._rules.total_s:g} s"
            raise MediaError(codes.DOWNLOAD_TIME_LIMIT, message, is_permanent=False)
        return left_s

    def stalled(self) -> MediaError:
        """Return the error of a source that is silent; raise if the total is used."""
        self.left_s()
        message = f"{self._name!r} sent nothing for {self._rules.stall_s:g} s"
        return MediaError(codes.DOWNLOAD_STALLED, message, is_permanent=False)

    def bounded(
        self,
        function: Callable[[], T],
        *,
        on_timeout: Callable[[], None] = lambda: None,
    ) -> T:
        """Return what a function returns within the time for one answer.

        Names are looked up, TLS is agreed on and headers are read by calls that have
        no limit in all, or none that a server could not stretch. Such a call runs in
        a thread, which is left behind when it takes too long.

        Parameters
        ----------
        function : callable
            What to call.
        on_timeout : callable
            Called when it takes too long, to end it (by closing its connection).

        Raises
        ------
        MediaError
            ``download_stalled`` or ``download_time_limit``; and what the function
            raises.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(function())
            except BaseException as error:
                errors.append(error)

        limit_s = min(self._rules.stall_s, self.left_s())
        thread = threading.Thread(target=run, name="acav source", daemon=True)
        thread.start()
        thread.join(limit_s)
        if thread.is_alive():
            on_timeout()
            raise self.stalled()
        if errors:
            raise errors[0]
        return results[0]
