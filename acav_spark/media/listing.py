"""Every file below a folder or of a pattern, so that nothing is silently missing."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError, StageError
from acav_spark.media import codes
from acav_spark.media.uri import path_from_uri, uri_from_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = re.compile(r"[*?\[]")
_FOLDER_PROBLEMS = (codes.PERMISSION_DENIED, codes.UNREADABLE)


@dataclass(frozen=True)
class ListedFile:
    """One entry of a listing.

    Parameters
    ----------
    uri : str
        Its ``file://`` URI.
    size_bytes : int, optional
        Its size; None where it has a problem.
    problem : str, optional
        Code of ``acav_spark.media.codes`` for an entry that must not be opened.
    """

    uri: str
    size_bytes: int | None = None
    problem: str | None = None


def list_media(location: str | os.PathLike[str]) -> Iterator[ListedFile]:
    """List the files of a folder, a glob or a single path, sorted by path.

    Parameters
    ----------
    location : str or path
        Folder (listed with everything below it, hidden files too), file, or pattern
        with ``*``, ``?``, ``[...]`` and ``**``, each also as a ``file://`` URI. What
        exists under its literal name is never read as a pattern.

    Yields
    ------
    ListedFile
        Symbolic links to files inside the folder are files. Those that lead out of
        it, to nothing, or to a folder, and everything that is no regular file, are
        listed with their problem.

    Raises
    ------
    StageError
        If there is no such folder or file, or none to which a pattern could apply.
    """
    path = _local_path(location)
    if os.path.lexists(path):
        return _list_tree(path) if path.is_dir() else iter([_entry(path, path.parent)])
    base, pattern = _split_pattern(path)
    if pattern is None or not base.is_dir():
        msg = (
            f"input.uri: expected an existing folder, file or pattern, got {path}; "
            f"there is no {path if pattern is None else base}. Check the path."
        )
        raise StageError(msg)
    return _list_matching(base, pattern)


def _local_path(location: str | os.PathLike[str]) -> Path:
    """Return an absolute path; relative ones count from the working directory."""
    text = os.fspath(location)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:", text) or os.path.lexists(text):
        return Path(text).absolute()
    try:
        return path_from_uri(text)
    except MediaError as error:
        msg = f"input.uri: expected a local folder, file or pattern; {error.message}."
        raise StageError(msg) from error


def _split_pattern(path: Path) -> tuple[Path, str | None]:
    """Return the folder above the first pattern, and the pattern below it."""
    for position, part in enumerate(path.parts):
        if _MAGIC.search(part):
            return Path(*path.parts[:position]), "/".join(path.parts[position:])
    return path, None


def _list_matching(base: Path, pattern: str) -> Iterator[ListedFile]:
    expression = re.compile(_pattern_expression(pattern), re.DOTALL)
    # A folder that cannot be listed may hide matches, unless only the base counts.
    is_deep = "/" in pattern or "**" in pattern
    for path, listed in _walk(base, base):
        is_match = expression.fullmatch(str(path.relative_to(base)))
        if is_match or (is_deep and listed.problem in _FOLDER_PROBLEMS):
            yield listed


def _list_tree(root: Path) -> Iterator[ListedFile]:
    for _, listed in _walk(root, root):
        yield listed


def _walk(folder: Path, root: Path) -> Iterator[tuple[Path, ListedFile]]:
    """Yield what is below a folder in the order of the paths' bytes."""
    try:
        with os.scandir(folder) as entries:
            children = [
                (os.fsencode(entry.name), Path(entry.path), _is_folder(entry))
                for entry in entries
            ]
    except PermissionError:
        uri = uri_from_path(folder)
        yield folder, ListedFile(uri, problem=codes.PERMISSION_DENIED)
        return
    except OSError:
        # Removed since its parent was read, or a broken file system.
        yield folder, ListedFile(uri_from_path(folder), problem=codes.UNREADABLE)
        return
    # A folder sorts as its contents do, by its name and a slash.
    children.sort(key=lambda child: child[0] + b"/" if child[2] else child[0])
    for _, path, is_folder in children:
        if is_folder:
            yield from _walk(path, root)
        else:
            yield path, _entry(path, root)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _entry(path: Path, root: Path) -> ListedFile:
    """Return one entry that is no folder, with its problem if it has one."""
    uri = uri_from_path(path)
    try:
        facts = path.stat()
    except PermissionError:
        return ListedFile(uri, problem=codes.PERMISSION_DENIED)
    except OSError:  # also a loop of links
        return ListedFile(uri, problem=codes.NOT_FOUND)
    if path.is_symlink() and not _is_inside(path, root):
        return ListedFile(uri, problem=codes.OUTSIDE_INPUT)
    if stat.S_ISDIR(facts.st_mode):
        return ListedFile(uri, problem=codes.DIRECTORY_LINK)
    if not stat.S_ISREG(facts.st_mode):
        return ListedFile(uri, problem=codes.NOT_A_REGULAR_FILE)
    return ListedFile(uri, size_bytes=facts.st_size)


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _pattern_expression(pattern: str) -> str:
    """Return the regular expression of a glob; ``**`` stands for any folders."""
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        match = re.match(r"\[(!?)(\]?[^\]/]*)\]", rest)
        if rest.startswith("**/"):
            pieces.append("(?:[^/]+/)*")
            position += 3
        elif rest == "**":
            pieces.append(".*")
            position += 2
        elif rest[0] in "*?":
            pieces.append("[^/]*" if rest[0] == "*" else "[^/]")
            position += 1
        elif match:
            members = re.sub(r"([\\\[\]^&~|])", r"\\\1", match[2])
            pieces.append(f"[{'^/' if match[1] else ''}{members}]")
            position += match.end()
        else:
            pieces.append(re.escape(rest[0]))
            position += 1
    return "".join(pieces)
