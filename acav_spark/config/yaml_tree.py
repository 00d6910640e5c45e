"""Read YAML into plain values that remember the line and the text of each.

Only what JSON has is allowed (no tags of other kinds), nothing is given twice, and
size, depth and the number of values are bounded, so a hostile file costs little.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

Path = tuple["str | int", ...]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
# Aliases repeat what they stand for; this bounds what a few lines can grow to.
MAX_VALUES = 20_000

_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + name for name in ("null", "bool", "int", "float", "str")}


@dataclass(frozen=True)
class Mark:
    """Where a value stands, and how a scalar was written.

    Parameters
    ----------
    line : int
        Line, from 1.
    text : str, optional
        A scalar's text before YAML gave it a type; None for lists and mappings.
    is_plain : bool
        Whether that text stood without quotes.
    """

    line: int
    text: str | None = None
    is_plain: bool = False


@dataclass
class Tree:
    """Plain values, the mark of each by its path, and what is wrong with them.

    ``unreadable`` are the paths whose values stand in for what could not be read.
    """

    value: object = None
    marks: dict[Path, Mark] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    unreadable: set[Path] = field(default_factory=set)


class YamlSyntaxError(ValueError):
    """Text that is not YAML; ``line`` counts from 1, and 0 means nowhere special."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as people know it, less dates: 2026-01-01 stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, regexp)
        for tag, regexp in resolvers
        if tag in _SCALARS or tag == _TAG + "merge"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str) -> Tree:
    """Return the values of one YAML document.

    Problems with single values (given twice, of a tag that is not allowed) are
    collected in the tree; the first of two values is kept.

    Raises
    ------
    YamlSyntaxError
        If the text is not YAML, is more than one document, or is nested too deep.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise YamlSyntaxError(*_syntax_problem(error, text)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{error.character:04X} is not allowed in YAML."
        raise YamlSyntaxError(line, message) from error
    except RecursionError as error:
        raise YamlSyntaxError(0, _TOO_DEEP) from error
    tree = Tree()
    if node is not None:
        tree.value = _Builder(loader, tree).build(node, ())
    return tree


_TOO_DEEP = f"lists and mappings are nested more than {MAX_DEPTH} deep."


class _Builder:
    """Turns nodes into plain values, noting marks and problems in a tree."""

    def __init__(self, loader: _Loader, tree: Tree) -> None:
        self._loader = loader
        self._tree = tree
        self._n_values = 0

    def build(self, node: yaml.Node, path: Path) -> object:
        """Return the value of a node and of all below it."""
        line = node.start_mark.line + 1
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            message = f"more than {MAX_VALUES} values, counting repeated aliases."
            raise YamlSyntaxError(line, message)
        # An alias to what contains it ends here too.
        if len(path) > MAX_DEPTH:
            raise YamlSyntaxError(line, _TOO_DEEP)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            self._tree.marks[path] = Mark(line)
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            self._tree.marks[path] = Mark(line)
            return [self.build(v, (*path, i)) for i, v in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            self._tree.marks[path] = Mark(line, node.value, node.style is None)
            return self._scalar(node, path)
        self._tree.marks[path] = Mark(line)
        self._tree.unreadable.add(path)
        self._problem(line, path, f"the tag {node.tag} is not allowed. Remove it.")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        """Return a mapping; keys are text, and each stands once."""
        values: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _TAG + "merge":
                self._problem(
                    line, path, "merging by << is not supported. Write the keys out."
                )
                continue
            if key_node.tag != _TAG + "str":
                text = str(key_node.value) if key_node.id == "scalar" else key_node.id
                self._problem(
                    line,
                    path,
                    f"expected text as key, got {text[:60]}, which YAML 1.1 reads as "
                    f"{key_node.tag.removeprefix(_TAG)}. Put it in quotes.",
                )
                continue
            key = str(key_node.value)
            if key in values:
                self._problem(
                    line,
                    (*path, key),
                    f"given twice, first on line {lines[key]}. Keep one.",
                )
                continue
            values[key], lines[key] = self.build(value_node, (*path, key)), line
            mark = self._tree.marks.get((*path, key))
            if mark is not None:
                self._tree.marks[*path, key] = Mark(line, mark.text, mark.is_plain)
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        """Return a scalar as YAML 1.1 types it."""
        try:
            return self._loader.construct_object(node)
        except (ValueError, LookupError, yaml.YAMLError):
            kind = node.tag.removeprefix(_TAG)
            line = node.start_mark.line + 1
            self._tree.unreadable.add(path)
            self._problem(line, path, f"{node.value[:60]!r} cannot be read as {kind}.")
            return None

    def _problem(self, line: int, path: Path, message: str) -> None:
        where = dotted(path)
        self._tree.problems.append((line, f"{where}: {message}" if where else message))


def dotted(path: Path) -> str:
    """Return a path as people write it: ``features.extractors.0.name``."""
    return ".".join(str(key) for key in path)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """Return the line and the message for what PyYAML says about the text."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 0
    problem = str(error.problem)
    lines = text.splitlines()
    shown = lines[line - 1].strip()[:80] if 0 < line <= len(lines) else ""
    if "'\\t'" in problem:
        return line, "a tab where YAML wants spaces. Indent with spaces only."
    if "another document" in problem:
        return line, "expected one YAML document, got a second one. Remove the '---'."
    hint = ""
    if "mapping values are not allowed" in problem:
        hint = " Put text that contains ': ' in quotes, and align keys of one level."
    elif "alias" in f"{error.context} {problem}":
        hint = " Put text that begins with * in quotes."
    elif "cannot start any token" in problem:
        hint = " Put text that begins with this character in quotes."
    elif "escape" in problem:
        hint = " Use single quotes: in double quotes, \\ begins an escape."
    elif "block mapping start" in problem or "<block end>" in problem:
        hint = " Indent keys of one level by the same number of spaces."
    return line, f"not valid YAML: {problem} in {shown!r}.{hint}"
