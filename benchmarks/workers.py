"""What the processes that this one started have used: processor time and memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from types import TracebackType


def processor_seconds() -> float:
    """Return the processor time of all processes below this one, gone ones too."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
        total += times.children_user + times.children_system
    return total


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
