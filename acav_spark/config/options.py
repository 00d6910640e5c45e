"""List every option with its type, default and meaning, read off the models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from acav_spark.config.models import Config
from acav_spark.config.schema import Slot, expectation, slot_of_field, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Option:
    """One option of the configuration.

    Parameters
    ----------
    path : str
        Dotted path, as ``--set`` takes it; ``[]`` stands for each item of a list.
    type : str
        ``integer``, ``list of text``, ...
    default : str
        Default as YAML writes it in one line; empty where a value is required.
    allowed : str
        What it takes, in words.
    description : str
        What it does.
    """

    path: str
    type: str
    default: str
    allowed: str
    description: str


def describe_options() -> list[Option]:
    """Return all options, in the order of the models."""
    return list(_options(Config, ""))


def options_markdown() -> str:
    """Return the reference of all options, as Markdown with a table a section."""
    lines = [
        "# Configuration",
        "",
        "Every option, by section. This page is generated from the models in",
        "`acav_spark/config/models.py`.",
        "",
        "A file in `conf/` holds sections and values in YAML; what it leaves out has",
        "its default. On the command line, `--set section.key=value` overrides one",
        "value. `acav config` prints the values that a run would use.",
    ]
    section = ""
    for option in describe_options():
        head = option.path.split(".")[0]
        if head != section:
            section = head
            lines += ["", f"## {section}", "", *_section_head(section)]
            lines += ["| option | takes | default | meaning |", "|---|---|---|---|"]
        default = f"`{option.default}`" if option.default else "required"
        cells = [f"`{option.path}`", option.allowed, default, option.description]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _section_head(section: str) -> list[str]:
    """Return the section's own sentence and an empty line, if it has one."""
    model = slot_of_field(Config.model_fields[section]).model
    text = (model.__doc__ or "").strip().split("\n")[0] if model is not None else ""
    return [text, ""] if text else []


def _options(model: type[BaseModel], prefix: str) -> Iterator[Option]:
    """Yield the options of a model and of the models inside it."""
    for name, field in model.model_fields.items():
        slot = slot_of_field(field)
        if slot.model is not None:
            yield from _options(slot.model, f"{prefix}{name}.")
            continue
        path = f"{prefix}{name}"
        item = slot.child(0)
        item_model = item.model if item is not None else None
        yield Option(
            path=path,
            type=type_name(slot),
            default=_default(field),
            allowed=_allowed(slot, item_model),
            description=field.description or "",
        )
        if item_model is not None:
            yield from _options(item_model, f"{path}[].")


def _allowed(slot: Slot, item_model: type[BaseModel] | None) -> str:
    """Return what a place takes; the keys of items have options of their own."""
    words = expectation(slot)
    return words.split(", each item")[0] if item_model is not None else words


def _default(field: FieldInfo) -> str:
    """Return a default in one line that YAML reads back; empty if there is none."""
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True)
    if isinstance(default, str):
        return default or "''"
    if isinstance(default, list):
        default = [
            item.model_dump(exclude_defaults=True)
            if isinstance(item, BaseModel)
            else item
            for item in default
        ]
    return json.dumps(default, ensure_ascii=False)
