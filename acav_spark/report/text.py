"""The funnel for the terminal, in the words of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.report import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from acav_spark.report.model import FunnelStep, ReasonCount


def funnel_table(
    steps: Sequence[FunnelStep],
    rejections: Sequence[ReasonCount] = (),
    failures: Sequence[ReasonCount] = (),
) -> Table:
    """Return how many videos and clips came in, went, and were selected.

    Parameters
    ----------
    steps : sequence of FunnelStep
        The funnel, from what was found to what was published.
    rejections, failures : sequence of ReasonCount
        What went, by reason and by code.

    Returns
    -------
    rich.table.Table
        Ready to print; foreign text in it can neither style nor steer the terminal.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("Funnel", no_wrap=True)
    table.add_column("n", justify="right", style="bold", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("kept", justify="right", style="dim", no_wrap=True)
    table.add_column("", style="dim", overflow="fold")
    if not steps:
        table.add_row(_plain(wording.NO_FUNNEL))
    before: FunnelStep | None = None
    for step in steps:
        kept = wording.step_share(
            step.n,
            before.n if before else None,
            same_unit=before is not None and before.unit == step.unit,
        )
        table.add_row(
            _plain(step.label),
            wording.count(step.n),
            _plain(step.unit, limit=20),
            kept,
            _plain(step.note),
        )
        before = step
    _add_reasons(table, wording.REJECTED, wording.NOTHING_REJECTED, rejections)
    _add_reasons(table, wording.FAILED, wording.NOTHING_FAILED, failures)
    return table


def _add_reasons(
    table: Table, heading: str, nothing: str, reasons: Sequence[ReasonCount]
) -> None:
    """Append a part to the table: a heading, then a row a reason."""
    table.add_row()
    if not reasons:
        table.add_row(_plain(nothing))
        return
    total = wording.count(sum(reason.n for reason in reasons))
    table.add_row(_plain(heading, style="bold"), total)
    for reason in reasons:
        where = _plain(reason.stage, limit=40)
        if reason.example:
            where.append(f", {wording.EXAMPLE}: ")
            where.append(wording.middle_cut(reason.example, 60))
        table.add_row(
            _plain(f"  {reason.reason}"), wording.count(reason.n), "", "", where
        )


def _plain(text: str, *, limit: int = 160, style: str = "") -> Text:
    """Return foreign text that rich takes literally."""
    from rich.text import Text

    indent = len(text) - len(text.lstrip(" "))
    return Text(" " * indent + wording.one_line(text, limit), style=style)
