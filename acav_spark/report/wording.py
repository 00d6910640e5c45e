"""How numbers, times and foreign text are written, on the page and in the terminal."""

from __future__ import annotations

import math
import re
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

STAGE = "stage"
STEP = "step"
REASON = "reason"
CODE = "code"
EXAMPLE = "example"
OF_STEP_BEFORE = "of the step before"
REJECTED = "Rejected, by reason"
FAILED = "Failed, by code"
NOTHING_REJECTED = "Nothing was rejected."
NOTHING_FAILED = "Nothing failed."
NO_FUNNEL = "Nothing has been counted yet."
NOT_KNOWN = "\N{EN DASH}"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def count(n: int) -> str:
    """Return a count with its thousands set apart: ``12,345``."""
    return f"{n:,}"


def share(fraction: float) -> str:
    """Return a share in per cent with one decimal: ``12.5 %``."""
    return f"{100 * fraction:.1f} %" if math.isfinite(fraction) else NOT_KNOWN


def clock(seconds: float | None) -> str:
    """Return a time in the source as ``m:ss.s`` (``h:mm:ss.s`` from an hour on)."""
    if seconds is None or not math.isfinite(seconds):
        return NOT_KNOWN
    tenths = round(abs(seconds) * 10)
    sign = "-" if seconds < 0 and tenths else ""
    minutes, rest = divmod(tenths, 600)
    tail = f"{rest // 10:02d}.{rest % 10}"
    if minutes < 60:
        return f"{sign}{minutes}:{tail}"
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{tail}"


def elapsed(seconds: float | None) -> str:
    """Return how long something took: ``0.4 s``, ``2 min 05 s``, ``3 h 07 min``."""
    if seconds is None or not math.isfinite(seconds):
        return NOT_KNOWN
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def information(nats: float | None) -> str:
    """Return an amount of information, in millinats (mnat) below a tenth of a nat."""
    if nats is None or not math.isfinite(nats):
        return NOT_KNOWN
    if abs(nats) < 0.1:
        return f"{1000 * nats:.3g} mnat"
    return f"{nats:.3f} nats"


def moment(when: datetime) -> str:
    """Return a time to the second in UTC; one without a zone is taken as UTC."""
    aware = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return aware.strftime("%Y-%m-%d %H:%M:%S UTC")


def printable(text: str) -> str:
    """Return text without what may not reach a file, a terminal or a reader's eye.

    Controls and lone surrogates become replacement characters; marks that turn the
    direction of writing go, so that nothing can be read backwards.
    """
    return _UNSAFE.sub(REPLACEMENT, _TURNS.sub("", text))


def one_line(text: str, limit: int = 160) -> str:
    """Return foreign text, printable, on one line, cut at the end beyond ``limit``."""
    # Cut first: a title may be megabytes long, and most of it is never looked at.
    flat = printable(" ".join(text[: 4 * limit].split()))
    is_cut = len(flat) > limit or len(text) > 4 * limit
    return flat[: limit - 1] + "…" if is_cut else flat


def middle_cut(text: str, limit: int = 48) -> str:
    """Return foreign text on one line, cut in the middle; of a URI the end tells."""
    flat = one_line(text[:limit] + text[-limit:] if len(text) > 2 * limit else text)
    if len(flat) <= limit:
        return flat
    head = limit // 4
    return f"{flat[:head]}…{flat[-(limit - 1 - head) :]}"


def step_share(n: int, before: int | None, *, same_unit: bool) -> str:
    """Return the share of the step before, or nothing where units or sense differ."""
    if before is None or not same_unit or before <= 0 or n > before:
        return ""
    return share(n / before)
