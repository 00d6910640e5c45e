"""Threads take items as they get free, and end with those who read their results."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from acav_spark.download.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator


def _running() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("acav download")]


def test_everything_is_done_once_and_no_item_is_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    def square(number: int) -> int:
        return number * number

    found = []
    for result in Workers(square, 3, threading.Event()).results(items()):
        found.append(result)
        assert len(taken) <= len(found) + 3
    assert sorted(found) == [n * n for n in range(50)]
    assert _running() == []


def test_an_error_of_the_work_is_raised_where_results_are_read() -> None:
    def work(number: int) -> int:
        return 1 // number

    with pytest.raises(ZeroDivisionError):
        list(Workers(work, 2, threading.Event()).results([1, 0, 1]))
    assert _running() == []


def test_threads_are_told_to_stop_when_reading_ends_early() -> None:
    stop = threading.Event()

    def work(number: int) -> int:
        if number:
            stop.wait(60)
        return number

    results = Workers(work, 2, stop).results(range(5))
    assert next(iter(results)) == 0
    results.close()  # type: ignore[attr-defined]
    assert stop.is_set()
    assert _running() == []
