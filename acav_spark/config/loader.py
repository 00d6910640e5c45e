"""Read a configuration from YAML and ``--set`` overrides, or say all that is wrong."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from acav_spark.config.models import Config
from acav_spark.config.problems import (
    Problem,
    explain,
    nearest,
    override_target,
    report,
)
from acav_spark.config.schema import Slot, slot_of_field, takes_text, walk
from acav_spark.config.yaml_tree import (
    MAX_BYTES,
    Mark,
    YamlSyntaxError,
    dotted,
    parse_yaml,
)
from acav_spark.config.yaml_tree import Path as KeyPath
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OVERRIDES = "--set"
DEFAULTS = "the built-in defaults"


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where it came from.

    Parameters
    ----------
    config : Config
        The resolved values: defaults, then the file, then the overrides.
    source : str
        Where they came from, for people: ``conf/local.yaml with 2 overrides``.
    """

    config: Config
    source: str


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Return the configuration that a file and overrides make.

    Parameters
    ----------
    path : Path or None
        YAML file, in UTF-8, of sections and values; None for the defaults alone. An
        empty file and an empty section stand for their defaults.
    overrides : sequence of str
        ``section.key=value`` each, later ones win. The value is read as YAML, save
        where the key takes text: there it is taken as it stands.

    Raises
    ------
    ConfigError
        With all problems at once: file, line, key path, rule, value, what to do.
    """
    draft = _Draft()
    if path is not None:
        draft.add_file(path)
    for text in overrides:
        draft.add_override(text)
    config = draft.validated()
    parts = [str(path)] if path is not None else [DEFAULTS]
    if overrides:
        parts.append(f"{len(overrides)} override{'s' if len(overrides) > 1 else ''}")
    return LoadedConfig(config, " with ".join(parts))


class _Draft:
    """Values on their way to a configuration, with their marks and problems."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._marks: dict[KeyPath, Mark] = {}
        self._file = ""
        self._overridden: list[KeyPath] = []
        self._unreadable: set[KeyPath] = set()
        self._problems: dict[str, list[Problem]] = {OVERRIDES: []}

    def add_file(self, path: Path) -> None:
        """Take the values of a YAML file; one that cannot be read at all is raised."""
        self._file = str(path)
        try:
            tree = parse_yaml(_read_text(path))
        except YamlSyntaxError as error:
            problem = Problem(error.line, error.message)
            raise ConfigError(report({self._file: [problem]})) from error
        values = {} if tree.value is None else tree.value
        if not isinstance(values, dict):
            kind = "a list" if isinstance(values, list) else f"{str(values)[:60]!r}"
            rule = "expected sections such as 'ingest:' with keys below them"
            problem = Problem(1, f"{rule}, got {kind}.")
            raise ConfigError(report({self._file: [problem]}))
        # A section whose keys are all commented out means its defaults.
        self._values = {
            key: {} if value is None and _is_section((key,)) else value
            for key, value in values.items()
        }
        self._marks, self._unreadable = tree.marks, tree.unreadable
        found = self._problems[OVERRIDES]
        self._problems = {
            self._file: [Problem(line, text) for line, text in tree.problems],
            OVERRIDES: found,
        }

    def add_override(self, text: str) -> None:
        """Take one ``a.b=c``."""
        name, equals, written = text.partition("=")
        name = name.strip()
        if not equals or not name:
            self._fail(f"expected section.key=value, got {text[:60]!r}.")
            return
        target = override_target(name)
        if isinstance(target, Problem):
            self._fail(target.text)
            return
        path, slot = target
        # Of a place that takes a list too, brackets make one.
        openers = "'\"" if slot.annotation is str else "'\"["
        if takes_text(slot) and not written.startswith(tuple(openers)):
            value: object = written
            marks: dict[KeyPath, Mark] = {(): Mark(0, written, is_plain=True)}
        else:
            try:
                tree = parse_yaml(written)
            except YamlSyntaxError as error:
                self._fail(f"{name}: {error.message}")
                return
            value, marks = tree.value, tree.marks
            for _, problem in tree.problems:
                self._fail(f"{name}: {problem}")
            self._unreadable |= {(*path, *below) for below in tree.unreadable}
        if value is None and slot.model is not None:
            value = {}
        if self._put(path, value):
            self._overridden.append(path)
            self._marks = {
                key: mark
                for key, mark in self._marks.items()
                if key[: len(path)] != path
            }
            for below, mark in marks.items():
                self._marks[*path, *below] = Mark(0, mark.text, mark.is_plain)

    def validated(self) -> Config:
        """Return the configuration, or raise all that is wrong."""
        config, errors = self._validate()
        if errors is not None and self._take_as_written(errors):
            config, errors = self._validate()
        if errors is not None:
            for path, text in explain(errors.errors(include_url=False), self._marks):
                if path not in self._unreadable:
                    self._add(path, text)
        if config is None or any(self._problems.values()):
            raise ConfigError(report(self._problems)) from errors
        return config

    def _validate(self) -> tuple[Config | None, ValidationError | None]:
        try:
            return Config.model_validate(self._values), None
        except ValidationError as error:
            return None, error

    def _take_as_written(self, errors: ValidationError) -> bool:
        """Put back the text of plain scalars where text is wanted and no type is lost.

        That is below ``spark``, since Spark's settings are text (``4``, ``true``), and
        in overrides, since a shell has no types. Elsewhere in a file it is an error.
        """
        is_changed = False
        for error in errors.errors(include_url=False):
            path, slot = walk(error["loc"])
            mark = self._marks.get(path)
            if error["type"] != "string_type" or mark is None or not takes_text(slot):
                continue
            is_free = path[0] == "spark" or self._is_overridden(path)
            if is_free and mark.is_plain and mark.text:
                is_changed = self._put(path, mark.text) or is_changed
        return is_changed

    def _put(self, path: KeyPath, value: object) -> bool:
        """Set the value at ``path``, making room for it; False when there is none."""
        where: object = self._values
        for depth, key in enumerate(path):
            is_last = depth == len(path) - 1
            if isinstance(where, list) and isinstance(key, int):
                if key >= len(where):
                    self._fail(
                        f"{dotted(path)}: expected an item from 0 to {len(where) - 1}, "
                        f"got {key}. Give the whole list: "
                        f"{dotted(path[:depth])}=[...]."
                    )
                    return False
                if is_last:
                    where[key] = value
                else:
                    where = where[key]
            elif isinstance(where, dict):
                if is_last:
                    where[key] = value
                else:
                    if where.get(str(key)) is None:
                        where[str(key)] = _room(path[: depth + 1])
                    where = where[str(key)]
            else:
                # The file has a value of the wrong kind here, and is told so.
                return False
        return True

    def _add(self, path: KeyPath, text: str) -> None:
        if self._is_overridden(path) or not self._file:
            self._fail(text)
            return
        line = 0
        for length in range(len(path), 0, -1):
            if path[:length] in self._marks:
                line = self._marks[path[:length]].line
                break
        self._problems[self._file].append(Problem(line, text))

    def _is_overridden(self, path: KeyPath) -> bool:
        return any(path[: len(over)] == over for over in self._overridden)

    def _fail(self, text: str) -> None:
        self._problems[OVERRIDES].append(Problem(0, f"{OVERRIDES} {text}"))


def _is_section(path: KeyPath) -> bool:
    done, slot = walk(path)
    return done == path and (slot.model is not None or slot.child("") is not None)


def _room(path: KeyPath) -> object:
    """Return what an override finds where the file says nothing: the default."""
    done, slot = walk(path)
    if done != path or slot.model is not None:
        return {}
    default = _default(path)
    return {} if default is None else default


def _default(path: KeyPath) -> object:
    """Return a fresh copy of a field's default, as plain values."""
    slot: Slot = walk(path[:-1])[1]
    field = slot.model.model_fields.get(str(path[-1])) if slot.model else None
    if field is None or slot_of_field(field).model is not None:
        return None
    default = field.get_default(call_default_factory=True)
    if isinstance(default, list):
        return [
            item.model_dump() if isinstance(item, BaseModel) else copy.deepcopy(item)
            for item in default
        ]
    return copy.deepcopy(default)


def _read_text(path: Path) -> str:
    """Return the text of a configuration file, or raise what keeps it from us."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(_not_found(path)) from error
    except IsADirectoryError as error:
        msg = f"{path}: expected a YAML file, got a folder. Name a file in it."
        raise ConfigError(msg) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{path}: cannot be read: {reason}. Check the path and its permissions."
        raise ConfigError(msg) from error
    if len(content) > MAX_BYTES:
        msg = (
            f"{path}: expected at most {MAX_BYTES // 1024} KiB of configuration, got "
            "more. Is it the right file?"
        )
        raise ConfigError(msg)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x}"
        msg = (
            f"{path}: expected UTF-8 text, got the byte {byte} on line {line}. Save "
            "the file as UTF-8."
        )
        raise ConfigError(msg) from error


def _not_found(path: Path) -> str:
    """Return the message about a file that is not there, with one that is near."""
    near = None
    if path.parent.is_dir():
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
        near = nearest(path.name, names)
    suggestion = f" Did you mean {path.parent / near}?" if near else ""
    return f"{path}: expected an existing YAML file, got none.{suggestion}"
