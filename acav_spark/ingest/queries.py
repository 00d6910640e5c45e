"""Search queries from word lists (paper, section 3.1).

The paper searches with "combinations of search queries with diverse sets of keywords,
locations, events, categories"; it does not say which. Ours are the lists of a folder,
which anybody may edit.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError
from acav_spark.ingest.ids import stable_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: Final = {
    "keyword": "keywords.txt",
    "location": "locations.txt",
    "event": "events.txt",
    "category": "categories.txt",
}
"""Files of the words that a template's place takes."""

TEMPLATES: Final = "templates.txt"
OWN_LISTS: Final = Path(__file__).resolve().parents[1] / "conf" / "queries"
"""Folder of the package's own lists."""

_PLACE = re.compile(r"\{([a-z]+)\}")
# Templates in a row that give nothing new before the list counts as at its end.
_MAX_BARREN_ROUNDS = 200


@dataclass(frozen=True)
class WordLists:
    """Words and templates, each in the order of their file.

    Parameters
    ----------
    words : dict of str to tuple of str
        Words of each kind of ``KINDS``.
    templates : tuple of str
        Such as ``{keyword} {location}``.
    """

    words: dict[str, tuple[str, ...]]
    templates: tuple[str, ...]

    @property
    def n_combinations(self) -> int:
        """Number of queries there are at most: alike ones count once more."""
        total = 0
        for template in self.templates:
            product = 1
            for kind in _PLACE.findall(template):
                product *= len(self.words[kind])
            total += product
        return total


def read_word_lists(folder: Path = OWN_LISTS) -> WordLists:
    """Return the lists of a folder; a file that it lacks is the package's own.

    One word or phrase a line; what begins with ``#`` is a comment.

    Raises
    ------
    ConfigError
        If there is no such folder, a list is empty, or a template is not one.
    """
    if not folder.is_dir():
        msg = (
            f"word lists: expected a folder with files such as keywords.txt, got "
            f"{str(folder)!r}. Copy {OWN_LISTS} and edit it."
        )
        raise ConfigError(msg)
    words = {kind: _lines(folder, name) for kind, name in KINDS.items()}
    templates = _lines(folder, TEMPLATES)
    for template in templates:
        places = _PLACE.findall(template)
        if not places or not set(places) <= set(KINDS):
            known = ", ".join(f"{{{kind}}}" for kind in KINDS)
            msg = (
                f"{TEMPLATES}: expected some of {known} in each template, got "
                f"{template!r}."
            )
            raise ConfigError(msg)
    return WordLists(words, templates)


def search_queries(lists: WordLists, *, seed: int = 0) -> Iterator[str]:
    """Yield queries, each once, in an order whose every beginning is diverse.

    Parameters
    ----------
    lists : WordLists
        Words and templates.
    seed : int, default 0
        Of the order.

    Yields
    ------
    str
        Templates take turns. Each walks through all words of its lists before it uses
        one a second time; in which order depends on the hash of word, seed and round.
        So the first n queries use every template n / len(templates) times, and every
        word of a list about equally often, give or take one for each template. It ends
        where hardly a combination is left that was not there.

    Notes
    -----
    The same lists and seed give the same queries on every machine, and a longer list
    begins with the shorter. Memory is that of the queries yielded, to see repetitions.
    """
    seen: set[str] = set()
    wheels = [
        [
            (place.span(), _shuffled(lists.words[place[1]], f"{t}:{p}", seed))
            for p, place in enumerate(_PLACE.finditer(template))
        ]
        for t, template in enumerate(lists.templates)
    ]
    n_barren = 0
    while n_barren < _MAX_BARREN_ROUNDS and len(seen) < lists.n_combinations:
        n_before = len(seen)
        for template, places in zip(lists.templates, wheels, strict=True):
            query = template
            # From the end, so that the places before stay where they are.
            for (start, end), words in reversed(places):
                query = query[:start] + next(words) + query[end:]
            query = " ".join(query.split())
            if query not in seen:
                seen.add(query)
                yield query
        n_barren = n_barren + 1 if len(seen) == n_before else 0


def write_queries(
    path: Path, lists: WordLists, *, n_queries: int, seed: int = 0
) -> int:
    """Write the first queries to a file, one a line; return how many there were.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    queries = list(itertools.islice(search_queries(lists, seed=seed), n_queries))
    try:
        path.write_text("".join(f"{query}\n" for query in queries), encoding="utf-8")
    except OSError as error:
        msg = f"--out: expected a file that can be written, got {path} ({error})."
        raise ConfigError(msg) from error
    return len(queries)


def _shuffled(words: tuple[str, ...], place: str, seed: int) -> Iterator[str]:
    """Yield all words, then all in another order, and so on without end."""
    for turn in itertools.count():
        yield from sorted(words, key=lambda w: stable_hash(seed, f"{place}:{turn}:{w}"))


def _lines(folder: Path, name: str) -> tuple[str, ...]:
    path = folder / name
    if not path.exists():
        path = OWN_LISTS / name
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"word lists: expected a text file in UTF-8, got {path} ({error})."
        raise ConfigError(msg) from error
    stripped = (line.strip() for line in text.splitlines())
    lines = dict.fromkeys(line for line in stripped if line and line[0] != "#")
    if not lines:
        msg = f"word lists: expected at least one line in {path}, got none."
        raise ConfigError(msg)
    return tuple(lines)
