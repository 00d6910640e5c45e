"""Read lengths of time in the forms that video metadata has them."""

from __future__ import annotations

import datetime as dt
import math
import re
from decimal import Decimal
from numbers import Real

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_CLOCK = re.compile(r"(?:([0-9]+):)?([0-9]{1,3}):([0-9]{1,2}(?:\.[0-9]+)?)", re.ASCII)
# Years and months have no fixed length, and no video lasts one.
_ISO_8601 = re.compile(
    r"P(?:([0-9]+(?:\.[0-9]+)?)W)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)D)?"
    r"(?:T(?:([0-9]+(?:\.[0-9]+)?)H)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)M)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)S)?)?",
    re.ASCII,
)
_ISO_UNITS_S = (7 * 86_400, 86_400, 3_600, 60, 1)
_MAX_CHARS = 64


def parse_duration(value: object) -> float | None:
    """Return a length of time in seconds, or None where ``value`` has none.

    Parameters
    ----------
    value : object
        A number of seconds, a ``timedelta``, or text: seconds (``217``, ``217.5``),
        ISO 8601 (``PT3M20S``, ``P1DT2H``) or a clock (``3:20``, ``1:02:03``).

    Returns
    -------
    float or None
        Finite and not negative. None for what is missing, negative or in no form
        above; a caller that needs a duration then has to measure it.
    """
    if isinstance(value, str):
        seconds = _from_text(value.strip())
    elif isinstance(value, dt.timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, Real | Decimal) and not isinstance(value, bool):
        seconds = float(value)
    else:
        return None
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    return seconds


def _from_text(text: str) -> float | None:
    if not text or len(text) > _MAX_CHARS:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3])
        # With hours before them, minutes are two digits of a clock too.
        if seconds >= 60 or (clock[1] is not None and minutes >= 60):
            return None
        return hours * 3600 + minutes * 60 + seconds
    iso = _ISO_8601.fullmatch(text.upper())
    if iso is None or not any(iso.groups()):
        return None
    return sum(
        float(part) * unit
        for part, unit in zip(iso.groups(), _ISO_UNITS_S, strict=True)
        if part is not None
    )
