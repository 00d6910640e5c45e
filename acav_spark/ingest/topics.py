"""Lists of keywords by topic: those of ``conf/keywords/``, and users' own files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

from acav_spark.errors import ConfigError
from acav_spark.ingest.words import tokens

_MAX_BYTES = 64 << 20


class Topic(NamedTuple):
    """A topic's name and its words and phrases, in the order of the file."""

    name: str
    keywords: tuple[str, ...]


def packaged_topics() -> list[str]:
    """Return the names of the topics that the package has lists of, sorted."""
    files = resources.files("acav_spark").joinpath("conf/keywords").iterdir()
    return sorted(f.name[:-4] for f in files if f.name.endswith(".txt"))


def read_topic(name: str) -> Topic:
    """Return a topic of the package, or of a file.

    Parameters
    ----------
    name : str
        Name of a packaged topic, or the path of a text file in UTF-8 that ends in
        ``.txt``: a word or phrase a line, ``#`` begins a comment. Such a topic goes
        by the file's name without its ending.

    Raises
    ------
    ConfigError
        If there is no such topic or file, or it cannot be used: not UTF-8, no
        keyword, or a line without a letter or digit.
    """
    if name.endswith(".txt"):
        path = Path(name).expanduser()
        label = path.stem
        try:
            if path.stat().st_size > _MAX_BYTES:
                _refuse(name, f"expected at most {_MAX_BYTES >> 20} MiB")
            data = path.read_bytes()
        except OSError as error:
            msg = (
                f"ingest.excluded_topics: expected a readable file of keywords, got "
                f"{name!r} ({error.strerror}). Check the path."
            )
            raise ConfigError(msg) from error
    else:
        known = packaged_topics()
        if name not in known:
            _refuse(name, f"expected one of {', '.join(known)}, or the path of a .txt")
        label = name
        files = resources.files("acav_spark").joinpath("conf/keywords")
        data = files.joinpath(f"{name}.txt").read_bytes()
    return Topic(label, _keywords(data, name))


def _keywords(data: bytes, name: str) -> tuple[str, ...]:
    """Return the keywords of a file, each once."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        msg = f"ingest.excluded_topics: expected text in UTF-8, got {name!r}: {error}."
        raise ConfigError(msg) from error
    found: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        # A '#' within a line ends the keyword only after a space: c# is a word.
        text = "" if line.lstrip().startswith("#") else line.split(" #")[0].strip()
        if not text:
            continue
        if not tokens(text):
            rule = f"expected a letter or digit in each keyword, got {text[:60]!r}"
            _refuse(name, f"{rule} in line {number}")
        found[text] = None
    if not found:
        _refuse(name, "expected at least one keyword")
    return tuple(found)


def _refuse(name: str, rule: str) -> None:
    msg = f"ingest.excluded_topics: {rule}; got {name!r}."
    raise ConfigError(msg)
