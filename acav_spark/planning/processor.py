"""Processor time of a process and of everything that it has started."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psutil


def tree_seconds(pid: int | None = None) -> float:
    """Return the processor time so far of a process and its descendants, in seconds.

    Parameters
    ----------
    pid : int, optional
        The process; by default this one.

    Notes
    -----
    Children that have ended count by what their parents waited for. What ended after
    its parent is missing.
    """
    try:
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            # It has just ended: its parent's children have its time at the next look.
            continue
        total += times.user + times.system
        total += times.children_user + times.children_system
    return total


@dataclass
class Clock:
    """Wall clock and processor time of this process and its descendants.

    Examples
    --------
    >>> clock = Clock()
    >>> wall_s, core_s = clock.lap()
    """

    wall: float = field(default_factory=time.perf_counter)
    core: float = field(default_factory=tree_seconds)

    def lap(self) -> tuple[float, float]:
        """Return what has gone by since the start or the last lap."""
        wall, core = time.perf_counter(), tree_seconds()
        gone = wall - self.wall, max(0.0, core - self.core)
        self.wall, self.core = wall, core
        return gone
