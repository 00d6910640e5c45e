"""What the processes that this one started have used: processor time and memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from types import TracebackType


_seen: dict[tuple[int, float], float] = {}


def processor_seconds() -> float:
    """Return the processor time of all processes below this one.

    Spark's daemon waits for none of its workers, which end after a minute without work:
    their time is nobody's then. What was seen of them at the last call stays counted.
    """
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
            _seen[process.pid, process.create_time()] = times.user + times.system
        except psutil.Error:
            continue
    return sum(_seen.values())


class WorkerMemory:
    """Looks at this process's Python workers, and keeps the most that one held."""

    def __init__(self) -> None:
        self.largest_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> WorkerMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                try:
                    if "python" in process.name():
                        held = process.memory_info().rss / 2**20
                        self.largest_mib = max(self.largest_mib, held)
                except psutil.Error:
                    continue
