"""Threads that work through items as they come, and can be told to stop."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

# One that waits for a silent server is left behind: it writes nothing any more.
_STOP_WAIT_S = 2.0


class Workers(Generic[T, R]):
    """A few threads that do the same to many items.

    Not an executor of the standard library: that one waits for its threads when the
    interpreter ends, and one that waits for a silent server would hold Ctrl-C up.

    Parameters
    ----------
    work : callable
        What is done to an item. Its errors are raised where the results are read.
    n_workers : int
        How many threads.
    stop : Event
        Set where ``work`` shall end early.
    """

    def __init__(
        self, work: Callable[[T], R], n_workers: int, stop: threading.Event
    ) -> None:
        self._work = work
        self._stop = stop
        self._n_workers = n_workers
        self._tasks: queue.Queue[T | None] = queue.Queue()
        self._results: queue.Queue[tuple[R | None, BaseException | None]] = (
            queue.Queue()
        )
        self._threads = [
            threading.Thread(target=self._run, name=f"acav download {n}", daemon=True)
            for n in range(n_workers)
        ]

    def results(self, items: Iterable[T]) -> Iterator[R]:
        """Yield results as they come; items are taken as workers get free.

        Whatever ends the reading, an error or Ctrl-C, also ends the threads.
        """
        for thread in self._threads:
            thread.start()
        n_waiting = 0
        try:
            for item in items:
                self._tasks.put(item)
                n_waiting += 1
                if n_waiting >= self._n_workers:
                    yield self._result()
                    n_waiting -= 1
            while n_waiting:
                yield self._result()
                n_waiting -= 1
        except BaseException:
            self._stop.set()
            raise
        finally:
            for _ in self._threads:
                self._tasks.put(None)
            until_s = time.monotonic() + _STOP_WAIT_S
            for thread in self._threads:
                thread.join(max(0.0, until_s - time.monotonic()))

    def _result(self) -> R:
        result, error = self._results.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _run(self) -> None:
        while (item := self._tasks.get()) is not None:
            try:
                self._results.put((self._work(item), None))
            except BaseException as error:
                self._results.put((None, error))
