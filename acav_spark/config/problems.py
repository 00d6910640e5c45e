"""Say what is wrong with a configuration: where, the rule, the value, what to do."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from acav_spark.config.models import Config
from acav_spark.config.schema import ROOT, Slot, expectation, number, walk
from acav_spark.config.yaml_tree import Mark, Path, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic_core import ErrorDetails

_MAX_SHOWN = 60
MAX_PROBLEMS = 50

# Errors of pydantic whose text we wrote ourselves, in validators.
_OWN_WORDS = ("value_error", "assertion_error")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, and where.

    Parameters
    ----------
    line : int
        Line of the file, from 1; 0 when no line is to blame.
    text : str
        Key path, rule, value, and what to do.
    """

    line: int
    text: str

    def __str__(self) -> str:
        """Return the problem as one line of a message."""
        return f"line {self.line}: {self.text}" if self.line else self.text


def report(problems: Mapping[str, Sequence[Problem]]) -> str:
    """Return the message about all problems, by the source that has them."""
    found = {source: items for source, items in problems.items() if items}
    n_problems = sum(len(items) for items in found.values())
    verb = "has" if len(found) == 1 else "have"
    plural = "" if n_problems == 1 else "s"
    lines = [f"{' and '.join(found)} {verb} {n_problems} problem{plural}."]
    shown = [str(item) for items in found.values() for item in sorted(items)]
    lines += [f"  {text}" for text in shown[:MAX_PROBLEMS]]
    if n_problems > MAX_PROBLEMS:
        lines.append(f"  ... and {n_problems - MAX_PROBLEMS} more.")
    return "\n".join(lines)


def explain(
    errors: Iterable[ErrorDetails], marks: Mapping[Path, Mark]
) -> list[tuple[Path, str]]:
    """Turn pydantic's errors into one message for each place.

    Parameters
    ----------
    errors : iterable of dict
        What ``ValidationError.errors()`` returned.
    marks : mapping of path to Mark
        How each scalar was written.

    Returns
    -------
    list of (path, str)
        The place and the message, beginning with its dotted path. A required key
        that is missing beside an unknown one that is near it is left out: that is
        one misspelling.
    """
    messages: dict[Path, str] = {}
    unknown: list[Path] = []
    missing: list[Path] = []
    for error in errors:
        path, slot = walk(error["loc"])
        kind = error["type"]
        if kind == "extra_forbidden":
            unknown.append((*path, *error["loc"][len(path) :][:1]))
        elif kind == "missing":
            missing.append(path)
        elif kind in _OWN_WORDS:
            where = _blamed(path, slot, error["msg"])
            words = error["msg"].split(", ", 1)[1].rstrip(".")
            messages.setdefault(where, f"{words}.")
        elif path not in messages:
            mark = marks.get(path, Mark(0))
            messages[path] = _wrong_value(slot, error["input"], mark)
    for path in unknown:
        messages[path] = unknown_key(path, _names(path[:-1]))
    misspelt = {
        (*path[:-1], nearest(str(path[-1]), _names(path[:-1]))) for path in unknown
    }
    for path in missing:
        if path not in misspelt:
            messages[path] = f"this key is required. {_describe(walk(path)[1])}".strip()
    return [(path, f"{dotted(path)}: {text}") for path, text in messages.items()]


def unknown_key(path: Path, known: Sequence[str]) -> str:
    """Return the message about a key that no model has."""
    guess = _elsewhere(str(path[-1])) or nearest(str(path[-1]), known)
    suggestion = f"; did you mean '{guess}'?" if guess else "."
    return f"unknown key{suggestion} Known keys: {', '.join(sorted(known))}."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` most likely stands for, or None."""
    plain = {_plain(key): key for key in known}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _elsewhere(name: str) -> str | None:
    """Return the full path of a key of this name, if just one section has it."""
    found = [
        f"{section}.{_plain(name)}"
        for section in Config.model_fields
        if _plain(name) in _names((section,))
    ]
    return found[0] if len(found) == 1 else None


def _names(path: Path) -> list[str]:
    """Return the keys that the section at ``path`` has."""
    return _names_of(walk(path)[1])


def _names_of(slot: Slot) -> list[str]:
    return list(slot.model.model_fields) if slot.model is not None else []


def _blamed(path: Path, slot: Slot, message: str) -> Path:
    """Return the field that a rule of a whole section speaks of first."""
    if slot.model is not None:
        for word in re.findall(r"\w+", message):
            if word in slot.model.model_fields:
                return (*path, word)
    return path


def _describe(slot: Slot) -> str:
    return f"Give {expectation(slot)}."


def _wrong_value(slot: Slot, value: object, mark: Mark) -> str:
    """Return the message about a value of the wrong type, range or choice."""
    return f"expected {expectation(slot)}, got {_shown(value, mark)}." + _advice(
        slot, value, mark
    )


def _shown(value: object, mark: Mark) -> str:
    """Return a value with its kind, as it was written, and cut when long."""
    text = mark.text if mark.text is not None else str(value)
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"text {_cut(value)!r}"
    if isinstance(value, bool):
        written = _cut(text).lower()
        return written if written in ("true", "false") else f"{written}, a boolean"
    if isinstance(value, int | float):
        return _cut(text if mark.text is not None else number(value))
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        keys = ", ".join(str(key) for key in list(value)[:5])
        return f"a mapping with keys {keys}" if keys else "an empty mapping"
    if isinstance(value, BaseModel):
        return f"a {type(value).__name__}"
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def _advice(slot: Slot, value: object, mark: Mark) -> str:
    """Return what to write instead, where the slip is a known one."""
    if isinstance(value, float) and not math.isfinite(value):
        return " Write a finite number."
    if value is None:
        return " Remove the key to use its default."
    kinds = {slot.annotation, *get_args(slot.annotation)}
    wants_number = bool(kinds & {int, float}) or "a whole number" in expectation(slot)
    if isinstance(value, str) and wants_number:
        return _number_advice(value, mark, is_whole=float not in kinds)
    if isinstance(value, bool) and mark.text is not None and not wants_number:
        quoted = f"Write '{mark.text}', in quotes"
        if mark.text.lower() in ("on", "off", "yes", "no"):
            truth = str(value).lower()
            return f" {quoted}: YAML 1.1 reads {mark.text} as {truth}."
        return f" {quoted}." if str in kinds else ""
    if isinstance(value, int | float) and str in kinds and mark.text is not None:
        return f" Write '{mark.text}', in quotes."
    if isinstance(value, str) and slot.model is not None and "name" in _names_of(slot):
        return f" Write {{name: {_cut(value)}}}."
    item = slot.child(0)
    if isinstance(value, str) and item is not None and item.model is None:
        return f" Write [{_cut(value)}]."
    return ""


def _number_advice(value: str, mark: Mark, *, is_whole: bool) -> str:
    """Return how to write a number that YAML 1.1 reads as text."""
    match = re.fullmatch(
        r"\s*([-+]?)([0-9]*)\.?([0-9]*)(?:[eE]([-+]?)([0-9]+))?\s*", value
    )
    if match is None or not (match[2] or match[3]):
        return ""
    if not mark.is_plain:
        return f" Write {value.strip()} without quotes." if match[5] is None else ""
    if match[5] is None:
        return ""
    if is_whole:
        # Beyond this exponent nobody means a count.
        if len(match[5]) > 2 or float(value) != int(float(value)):
            return ""
        better = str(int(float(value)))
    else:
        sign, whole, part = match[1], match[2] or "0", match[3] or "0"
        better = f"{sign}{whole}.{part}e{match[4] or '+'}{match[5]}"
    return f" Write {better}: YAML 1.1 reads {value.strip()} as text."


def override_target(text: str) -> tuple[Path, Slot] | Problem:
    """Return the place that a dotted path names, or why there is none.

    In a mapping with free keys (``spark``, ``input.columns``) the rest of the text is
    one key, dots and all.
    """
    slot: Slot = ROOT
    path: list[str | int] = []
    parts = text.split(".")
    while parts:
        key: str | int = parts.pop(0)
        if slot.child("") is not None:
            key, parts = ".".join([str(key), *parts]), []
        elif slot.child(0) is not None and str(key).isdecimal():
            key = int(key)
        child = slot.child(key) if key != "" else None
        if child is None:
            known = _names(tuple(path))
            where = dotted((*path, key))
            if not known:
                return Problem(0, f"{where}: {dotted(tuple(path))} has no keys inside.")
            return Problem(0, f"{where}: {unknown_key((*path, key), known)}")
        slot = child
        path.append(key)
        if slot.annotation is Any:
            path, parts = [*path, *parts], []
    return tuple(path), slot
