"""Write a configuration down: as YAML, as a hash, as a list of differences."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acav_spark.config.models import Config

# 64 bits: among a million settings, two share a hash with a chance of 3e-8.
_HASH_DIGITS = 16
_MAX_SHOWN = 200
_NOT_SET = "(not set)"
# What Spark's own spark.redaction.regex hides, and object-store keys.
_SECRET = re.compile(r"secret|password|token|access[.]?key|account[.]?key", re.I)
_REDACTED = "*********(redacted)"


def to_yaml(config: Config) -> str:
    """Return every value of a configuration as YAML that ``load_config`` reads back."""
    return yaml.dump(
        config.model_dump(mode="python"),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )


def redacted(config: Config) -> Config:
    """Return a configuration fit to be stored and shown: without Spark's secrets."""
    spark = {
        key: _REDACTED if _SECRET.search(key) else value
        for key, value in config.spark.items()
    }
    return config.model_copy(update={"spark": spark})


class _Dumper(yaml.SafeDumper):
    """Writes text that has control characters or line ends with escapes.

    In single quotes PyYAML would fold some of these (U+0085) into spaces.
    """


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def config_hash(config: Config) -> str:
    """Return 16 hex digits that stand for all values of a configuration.

    See Also
    --------
    section_hash : what a stage's rows are stamped with.
    """
    return section_hash(config)


def section_hash(*parts: object) -> str:
    """Return 16 hex digits that stand for these values, in this order.

    Parameters
    ----------
    *parts : object
        Sections, dataclasses, mappings with text keys, lists, tuples, text, numbers,
        booleans and None, nested as needed.

    Raises
    ------
    ValueError
        For values of other kinds, numbers that are not finite, and keys that are not
        text: none of these has one spelling.

    Notes
    -----
    The first 16 hex digits of the SHA-256 of canonical JSON: keys sorted, no spaces,
    ASCII, whole floats as integers (``5.0`` is ``5``), tuples as lists, sections with
    all their fields, also those at their defaults. So neither the order of keys nor
    the way a number is written changes the hash, while ``true`` and ``1`` differ.
    A field added to a section changes its hash, and rows made before it no longer
    count as made under the same setting.
    """
    text = _canonical_json(list(parts))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_HASH_DIGITS]


def diff(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Return one line for each value that differs, sorted by path.

    Examples
    --------
    >>> diff({"clustering": {"seed": 0}}, {"clustering": {"seed": 1}})
    ['clustering.seed: 0 -> 1']
    """
    before, after = _flat(old, ""), _flat(new, "")
    return [
        f"{path}: {before.get(path, _NOT_SET)} -> {after.get(path, _NOT_SET)}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _flat(values: Mapping[str, object], prefix: str) -> dict[str, str]:
    """Return the values at the ends of nested mappings, as text, by dotted path."""
    found: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{path}.")
        else:
            found[path] = _shown(value)
    return found


def _shown(value: object) -> str:
    """Return a value in one line; different values look different, also when cut."""
    text = json.dumps(_canonical(value))
    if isinstance(value, str) and _is_unmistakable(value):
        text = value
    if len(text) <= _MAX_SHOWN:
        return text
    return f"{text[: _MAX_SHOWN - 25]}... [{section_hash(value)}]"


def _is_unmistakable(text: str) -> bool:
    """Return whether text without quotes still looks like text, in one line."""
    try:
        json.loads(text)
    except ValueError:
        return text.isprintable() and text == text.strip() != ""
    return False


def _canonical_json(value: object) -> str:
    return json.dumps(
        _canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def _canonical(value: object) -> object:
    """Return what canonical JSON is made of."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            msg = f"section_hash: expected finite numbers, got {value}."
            raise ValueError(msg)
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, BaseModel):
        return _canonical(value.model_dump(mode="python"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _canonical(dataclasses.asdict(value))
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        strange = [key for key in value if not isinstance(key, str)]
        if strange:
            msg = f"section_hash: expected text as keys, got {strange[:5]}."
            raise ValueError(msg)
        return {key: _canonical(item) for key, item in value.items()}
    msg = (
        "section_hash: expected text, numbers, booleans, None, lists, mappings or "
        f"sections, got {type(value).__name__}. Convert it first."
    )
    raise ValueError(msg)
