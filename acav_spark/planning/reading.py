"""Read the planner's files: strict models, and errors that say all that is wrong."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from acav_spark.config.yaml_tree import MAX_BYTES, YamlSyntaxError, parse_yaml
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

_MAX_SHOWN = 60
_MAX_PROBLEMS = 20


class Strict(BaseModel):
    """Base of what is read: unknown keys are refused, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Strict)


def read_values(path: Path, model: type[Model]) -> Model:
    """Return the values of a YAML or JSON file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8; JSON is YAML.
    model : type of Strict
        What it must hold.

    Raises
    ------
    ConfigError
        If there is no such file, it cannot be read, or it does not hold what it
        must: with the key, the rule, the value and what to do.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        msg = (
            f"{path}: expected a file that can be read, got {error.strerror}. Name "
            "another one, or leave the option out for the package's own."
        )
        raise ConfigError(msg) from error
    if len(raw) > MAX_BYTES:
        msg = f"{path}: expected at most {MAX_BYTES} bytes, got {len(raw)}."
        raise ConfigError(msg)
    try:
        tree = parse_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        msg = f"{path}: expected text in UTF-8, got {error}. Save it as UTF-8."
        raise ConfigError(msg) from error
    except YamlSyntaxError as error:
        msg = f"{path}: line {error.line}: {error.message}"
        raise ConfigError(msg) from error
    if tree.problems:
        lines = [f"line {line}: {text}" for line, text in tree.problems]
        raise ConfigError(_message(str(path), lines))
    return checked(tree.value, model, str(path))


def checked(value: object, model: type[Model], source: str) -> Model:
    """Return plain values as a model.

    Raises
    ------
    ConfigError
        With everything that is wrong with them.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        lines = [_line(one, model) for one in error.errors(include_url=False)]
        raise ConfigError(_message(source, lines)) from error


def _message(source: str, lines: list[str]) -> str:
    plural = "" if len(lines) == 1 else "s"
    shown = [f"  {line}" for line in lines[:_MAX_PROBLEMS]]
    if len(lines) > _MAX_PROBLEMS:
        shown.append(f"  ... and {len(lines) - _MAX_PROBLEMS} more.")
    return "\n".join([f"{source} has {len(lines)} problem{plural}.", *shown])


def _line(error: ErrorDetails, model: type[Strict]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] == "extra_forbidden":
        known = _known_keys(model, error["loc"][:-1])
        wrong = str(error["loc"][-1])
        near = difflib.get_close_matches(wrong, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        return f"{where}: unknown key{hint} Known keys: {', '.join(known)}."
    if error["type"] == "missing":
        return f"{where}: expected a value, got none. Add the key."
    got = repr(error["input"])
    if len(got) > _MAX_SHOWN:
        got = got[: _MAX_SHOWN - 3] + "..."
    rule = error["msg"].removeprefix("Value error, ").rstrip(".")
    rule = rule[0].lower() + rule[1:]
    return f"{where}: {rule}, got {got}. Correct the value."


def _known_keys(model: type[Strict], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the model that a path leads to."""
    schema = model.model_json_schema()
    node: Mapping[str, object] = schema
    for part in path:
        node = _resolved(node, schema)
        properties = cast("Mapping[str, Mapping[str, object]]", node.get("properties"))
        if properties and part in properties:
            node = properties[str(part)]
        else:
            below = node.get("additionalProperties") or node.get("items") or {}
            node = cast("Mapping[str, object]", below)
    node = _resolved(node, schema)
    return sorted(cast("Mapping[str, object]", node.get("properties", {})))


def _resolved(
    node: Mapping[str, object], schema: Mapping[str, object]
) -> Mapping[str, object]:
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    definitions = cast("Mapping[str, Mapping[str, object]]", schema["$defs"])
    return definitions[reference.rsplit("/", 1)[-1]]
