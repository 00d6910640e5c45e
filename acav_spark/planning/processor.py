"""Processor time of a process and of everything that it has started."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EVERY_S = 2.0

Key = tuple[int, float]
"""Process id and time of its start: ids are given again."""


class Times(NamedTuple):
    """Seconds of a process itself, and of children that it has waited for."""

    own: float
    waited: float


def lost_seconds(before: Mapping[Key, Times], now: Mapping[Key, Times]) -> float:
    """Return the time of processes that ended and that nobody has waited for.

    Parameters
    ----------
    before, now : mapping of (int, float) to Times
        What two looks at a process and its descendants saw.

    Returns
    -------
    float
        What those had that are gone now, less what the others' waiting has added.

    Examples
    --------
    A child of 5 s is gone; its parent has waited for it, or not:

    >>> parent, child = (1, 0.0), (2, 0.0)
    >>> seen = {parent: Times(1.0, 0.0), child: Times(5.0, 0.0)}
    >>> lost_seconds(seen, {parent: Times(1.0, 5.0)})
    0.0
    >>> lost_seconds(seen, {parent: Times(1.0, 0.0)})
    5.0
    """
    gone = sum(sum(times) for key, times in before.items() if key not in now)
    added = sum(
        times.waited - before[key].waited for key, times in now.items() if key in before
    )
    return max(0.0, gone - added)


class Clock:
    """Wall clock and processor time of a process and its descendants.

    Parameters
    ----------
    pid : int, optional
        The process; by default this one.

    Notes
    -----
    Processes that end count by what their parents waited for, as far as that tells
    them from short-lived ones that no look saw. Spark's workers end
    without that, and count by the last look, which ``watching`` takes every two
    seconds.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid
        self._lock = threading.Lock()
        self._lost = 0.0
        self._seen: dict[Key, Times] = _family(pid)
        self._lap = (time.perf_counter(), self._total())

    def look(self) -> float:
        """Return the processor time so far, since each process began, in seconds."""
        with self._lock:
            now = _family(self._pid)
            self._lost += lost_seconds(self._seen, now)
            self._seen = now
            return self._total()

    def lap(self) -> tuple[float, float]:
        """Return wall clock and processor time since the start or the last lap."""
        wall, core = time.perf_counter(), self.look()
        before = self._lap
        self._lap = (wall, core)
        return wall - before[0], max(0.0, core - before[1])

    @contextmanager
    def watching(self) -> Iterator[Clock]:
        """Look every two seconds meanwhile."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(_EVERY_S):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def _total(self) -> float:
        return self._lost + sum(sum(times) for times in self._seen.values())


def _family(pid: int | None) -> dict[Key, Times]:
    """Return the times of a process and its descendants."""
    try:
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return {}
    found = {}
    for process in family:
        try:
            times, started = process.cpu_times(), process.create_time()
        except psutil.NoSuchProcess:
            # It has ended since it was listed; the next look finds what became of it.
            continue
        found[process.pid, started] = Times(
            times.user + times.system, times.children_user + times.children_system
        )
    return found
