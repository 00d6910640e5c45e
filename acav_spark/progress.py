"""Progress of a stage: a bar with an estimate on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from rich.console import Console

_logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """What a stage tells about its progress."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Begin a stage of ``total`` units."""

    def at(self, done: float) -> None:
        """Tell how many units are done, fractions allowed."""

    def finish(self) -> None:
        """End the stage."""


class SilentReporter:
    """Tells nothing: for notebooks and tests."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Begin a stage."""

    def at(self, done: float) -> None:
        """Tell how many units are done."""

    def finish(self) -> None:
        """End the stage."""


class BarReporter:
    """Draws a bar with the time left on a terminal.

    Parameters
    ----------
    console : Console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def start(self, stage: str, total: int, unit: str) -> None:
        """Begin a stage of ``total`` units."""
        self._progress.start()
        self._task = self._progress.add_task(stage, total=total, unit=unit)

    def at(self, done: float) -> None:
        """Tell how many units are done."""
        if self._task is not None:
            self._progress.update(self._task, completed=round(done))

    def finish(self) -> None:
        """End the stage and take its bar away."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

        self._progress.stop()


class Rate:
    """Units a second and seconds left, from the start of a stage.

    Parameters
    ----------
    total : int
        Units of the whole stage.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = time.monotonic()

    def at(self, done: float) -> tuple[float, float]:
        """Return units a second so far, and the seconds that the rest would take."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = done / seconds
        left = (self._total - done) / rate if rate > 0 else float("inf")
        return rate, left
