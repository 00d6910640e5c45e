"""What each place of the configuration expects, in words, read off the models.

Error messages and the generated list of options say the same, since both ask here.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
)

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from acav_spark.config.models import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Path = tuple["str | int", ...]


@dataclass(frozen=True)
class Slot:
    """One place that takes a value.

    Parameters
    ----------
    annotation : object
        Its type, without ``Annotated``.
    metadata : tuple
        Constraints on it, as pydantic keeps them.
    allowed : str
        What it takes, in words, where a type and a range cannot say it; else empty.
    """

    annotation: Any
    metadata: tuple[object, ...] = ()
    allowed: str = ""

    @property
    def model(self) -> type[BaseModel] | None:
        """The section's model, or None for a plain value."""
        is_model = isinstance(self.annotation, type) and issubclass(
            self.annotation, BaseModel
        )
        return self.annotation if is_model else None

    def child(self, key: str | int) -> Slot | None:
        """Return the place under ``key``, or None when there is no such place."""
        model = self.model
        if model is not None:
            field = model.model_fields.get(str(key))
            return slot_of_field(field) if field is not None else None
        origin, args = get_origin(self.annotation), get_args(self.annotation)
        if origin is list and isinstance(key, int):
            return _slot(args[0])
        if origin is dict and isinstance(key, str):
            return _slot(args[1])
        return None


ROOT = Slot(Config)


def slot_of_field(field: FieldInfo) -> Slot:
    """Return the place that a field of a model describes."""
    return _slot(field.annotation, field.metadata, field.json_schema_extra)


def walk(path: Sequence[str | int]) -> tuple[Path, Slot]:
    """Follow ``path`` from the top as far as places exist.

    Returns
    -------
    path : tuple of str and int
        The part that exists.
    slot : Slot
        The place at its end.
    """
    slot, done = ROOT, 0
    for key in path:
        child = slot.child(key)
        if child is None:
            break
        slot, done = child, done + 1
    return tuple(path[:done]), slot


def takes_text(slot: Slot) -> bool:
    """Return whether a place takes text, or text or a list, and no other scalar."""
    if get_origin(slot.annotation) in (Union, types.UnionType):
        options = [_slot(arg).annotation for arg in get_args(slot.annotation)]
        scalars = [option for option in options if get_origin(option) is not list]
        return scalars == [str]
    return slot.annotation is str


def expectation(slot: Slot) -> str:
    """Return what a place takes, in words: ``a number in (0, 1]``."""
    if slot.allowed:
        return slot.allowed
    annotation = slot.annotation
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(expectation(_slot(arg)) for arg in args)
    if origin is Literal:
        choices = ", ".join(repr(arg) for arg in args)
        return choices if len(args) == 1 else f"one of {choices}"
    if origin is list:
        return (
            f"a list{_length(slot.metadata)}, each item {expectation(_slot(args[0]))}"
        )
    if origin is dict:
        return f"a mapping from text to {expectation(_slot(args[1]))}"
    if slot.model is not None:
        return f"a mapping with keys from: {', '.join(slot.model.model_fields)}"
    if annotation is str and any(isinstance(m, MinLen) for m in slot.metadata):
        return "text that is not empty"
    names = {bool: "true or false", int: "a whole number", float: "a number"}
    names |= {str: "text", Any: "any plain value", type(None): "null"}
    return names.get(annotation, str(annotation)) + _range(slot.metadata)


def type_name(slot: Slot) -> str:
    """Return the type of a place in short: ``number``, ``list of text``."""
    annotation = slot.annotation
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_name(_slot(arg)) for arg in args))
    if origin is Literal:
        return "text"
    if origin is list:
        return f"list of {type_name(_slot(args[0]))}"
    if origin is dict:
        return f"mapping to {type_name(_slot(args[1]))}"
    if slot.model is not None:
        return "mapping"
    names = {bool: "boolean", int: "integer", float: "number", str: "text", Any: "any"}
    names |= {type(None): "null"}
    return names.get(annotation, str(annotation))


def number(value: float) -> str:
    """Return a number as a person writes it: no exponent, no trailing zeros."""
    if isinstance(value, int) or (value == int(value) and abs(value) < 2**53):
        return str(int(value))
    return repr(value)


def _slot(
    annotation: object, metadata: Iterable[object] = (), extra: object = None
) -> Slot:
    """Return a place, with what ``Annotated`` wraps around its type taken apart."""
    found = list(metadata)
    allowed = extra.get("allowed", "") if isinstance(extra, dict) else ""
    if get_origin(annotation) is Annotated:
        annotation, *wrapped = get_args(annotation)
        for item in wrapped:
            if isinstance(item, FieldInfo):
                found += item.metadata
                more = item.json_schema_extra
                if not allowed and isinstance(more, dict):
                    allowed = str(more.get("allowed", ""))
            else:
                found.append(item)
    return Slot(annotation, tuple(found), allowed)


def _length(metadata: Iterable[object]) -> str:
    """Return the words for the least length of a list."""
    least = next((m.min_length for m in metadata if isinstance(m, MinLen)), 0)
    if not least:
        return ""
    return f" of at least {least} item{'s' if least > 1 else ''}"


def _range(metadata: Iterable[object]) -> str:
    """Return the words for the bounds of a number."""
    low = high = ""
    is_low_open = is_high_open = False
    for bound in metadata:
        if isinstance(bound, Ge | Gt):
            is_low_open = isinstance(bound, Gt)
            low = number(getattr(bound, "gt" if is_low_open else "ge"))
        elif isinstance(bound, Le | Lt):
            is_high_open = isinstance(bound, Lt)
            high = number(getattr(bound, "lt" if is_high_open else "le"))
    if low and high:
        left, right = "(" if is_low_open else "[", ")" if is_high_open else "]"
        return f" in {left}{low}, {high}{right}"
    if low:
        return f" above {low}" if is_low_open else f" of at least {low}"
    if high:
        return f" below {high}" if is_high_open else f" of at most {high}"
    return ""
