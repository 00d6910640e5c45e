"""Keywords in columns of text, millions of characters at once.

``KeywordMatcher`` makes a string, folds it and parts it into words for every text. Here
a compiled loop goes over the bytes of Arrow's columns and does all that for characters
whose folding does not depend on their neighbours. Text in which it does (marks that
combine, Jamo) is folded first, and text of rare planes goes to ``KeywordMatcher``, so
that both always agree.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from acav_spark.ingest.arrow_text import text_bytes
from acav_spark.ingest.kernels import phrases, scanning
from acav_spark.ingest.words import QUOTES, character_kind, fold, is_invisible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from acav_spark.ingest.words import KeywordMatcher

NOT_FOUND = scanning.NOT_FOUND

# Two planes hold what people write; Han of the third is rare enough to go the long way.
_N_CODES = 0x20000
_KINDS = {
    "": scanning.BREAK,
    "letter": scanning.LETTER,
    "katakana": scanning.KATAKANA,
    "alone": scanning.ALONE,
    "mark": scanning.MARK,
    "alone_mark": scanning.ALONE_MARK,
    "'": scanning.APOSTROPHE,
}
# Han and Hangul syllables are many, stay as they are, and are of one kind each.
_UNIFORM = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4))


class BatchMatcher:
    """Finds the keywords of a matcher in columns of text.

    Parameters
    ----------
    matcher : KeywordMatcher
        What is looked for.

    Notes
    -----
    Some 3 ns a character; memory is 0.7 MB of tables and a few times the keywords.
    """

    def __init__(self, matcher: KeywordMatcher) -> None:
        self._matcher = matcher
        machine = matcher.automaton
        words = list(machine.word_ids)
        self._codes = np.array([ord(c) for word in words for c in word], np.int32)
        self._word_starts = _starts(len(word) for word in words)
        self._word_slots = _slots(len(words))
        phrases.fill_words(self._codes, self._word_starts, self._word_slots)
        steps = [
            (state, word, following)
            for state, by_word in enumerate(machine.steps)
            for word, following in by_word.items()
        ]
        self._steps = np.array(steps, np.int32).reshape(-1, 3)
        self._step_slots = _slots(len(steps))
        phrases.fill_steps(self._steps, self._step_slots)
        self._states = np.stack(
            [
                np.array(column, np.int32)
                for column in (machine.fallbacks, machine.depths, machine.ends)
            ],
            axis=1,
        )
        self._lengths = np.array(machine.lengths, np.int32)

    def find(
        self, columns: Sequence[pa.Array], wanted: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """Return the place of the first keyword of each row, or ``NOT_FOUND``.

        Parameters
        ----------
        columns : sequence of pyarrow.Array, each of n_rows
            Of strings, or of lists of strings: the texts of a row, in their order.
        wanted : ndarray of bool, shape (n_rows,)
            Rows to look at; the others count as having none.

        Returns
        -------
        ndarray of int32, shape (n_rows,)
            As ``KeywordMatcher.find_index`` of all texts of the row.
        """
        places = np.where(wanted, NOT_FOUND, scanning.UNDECIDED).astype(np.int32)
        for column in columns:
            before = places.copy()
            self._scan(column, _characters(), places)
            undecided = (places == scanning.UNDECIDED) & (before == NOT_FOUND)
            if undecided.any():
                rows = np.flatnonzero(undecided)
                places[rows] = self._find_folded(column.take(pa.array(rows)))
        places[~wanted] = NOT_FOUND
        return places

    def _find_folded(self, column: pa.Array) -> NDArray[np.int32]:
        """Return the places of rows of which the loop saw that it cannot fold them."""
        values = column.to_pylist()
        texts = [v if isinstance(v, list) else [v] for v in values]
        folded = [[fold(text or "") for text in row] for row in texts]
        places = np.full(len(column), NOT_FOUND, np.int32)
        self._scan(pa.array(folded, pa.list_(pa.string())), _folded(), places)
        for row in np.flatnonzero(places == scanning.UNDECIDED):
            place = self._matcher.find_index(texts[row])
            places[row] = NOT_FOUND if place is None else place
        return places

    def _scan(
        self, column: pa.Array, characters: _Characters, places: NDArray[np.int32]
    ) -> None:
        data, text_starts, row_starts = _layout(column)
        scanning.first_phrases(
            data,
            text_starts,
            row_starts,
            *characters,
            self._codes,
            self._word_starts,
            self._word_slots,
            self._steps,
            self._step_slots,
            self._states,
            self._lengths,
            places,
        )


def _layout(
    column: pa.Array,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return the bytes of a column, where its texts begin, and its rows' texts."""
    if pa.types.is_list(column.type):
        # Nulls have no texts once lists are made anew.
        row_starts = _starts(
            column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        )
        column = column.flatten()
    else:
        row_starts = np.arange(len(column) + 1, dtype=np.int64)
    data, starts = text_bytes(column)
    return data, starts, row_starts


def _starts(lengths: Iterable[int]) -> NDArray[np.int64]:
    found = np.fromiter(lengths, np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(found)])


def _slots(n_items: int) -> NDArray[np.int32]:
    """Return free slots of a hash table, at least three for each item."""
    return np.full(1 << max(3 * n_items, 4).bit_length(), -1, np.int32)


class _Characters(NamedTuple):
    """What each character does to words; see ``first_phrases`` of the loops."""

    kinds: NDArray[np.uint8]
    folded: NDArray[np.int32]
    several: NDArray[np.int32]
    classes: NDArray[np.uint8]


@functools.cache
def _folded() -> _Characters:
    """Return the tables for text that is folded: each character stands as it is."""
    kinds, folded, several, classes = _characters()
    kinds = (kinds & scanning.KIND_BITS).astype(np.uint8)
    # What folding changes or takes away is not to be seen; where it is, all is open.
    is_stable = (folded == np.arange(_N_CODES)) & (kinds != scanning.UNSEEN)
    kinds[~is_stable | (kinds == scanning.SEVERAL)] = scanning.ODD
    return _Characters(kinds, folded, several, classes)


@functools.cache
def _characters() -> _Characters:
    """Return the tables of all characters; made once, in some 0.2 s."""
    kinds = np.full(_N_CODES, scanning.BREAK, np.uint8)
    folded = np.arange(_N_CODES, dtype=np.int32)
    several: list[tuple[int, int]] = []
    classes = np.zeros((_N_CODES, 2), np.uint8)
    firsts, seconds = _melting()
    uniform = {code for low, high in _UNIFORM for code in range(low + 1, high)}
    for code in range(_N_CODES):
        character = chr(code)
        category = unicodedata.category(character)
        if code in uniform or category == "Cn":
            continue
        if category == "Cs":
            kinds[code] = scanning.ODD
            continue
        if is_invisible(character):
            kinds[code] = scanning.UNSEEN
            continue
        plain = fold(character)
        found = [_KINDS[character_kind(c)] for c in plain]
        if set(found) <= {scanning.BREAK}:
            kinds[code] = scanning.BREAK
        elif len(plain) == 1:
            kinds[code], folded[code] = found[0], ord(plain)
        else:
            kinds[code], folded[code] = scanning.SEVERAL, len(several)
            several += [(len(plain), 0), *zip(found, map(ord, plain), strict=True)]
        # Twice normalised: as it is, quotes made one, and case-folded.
        texts = ("'" if character in QUOTES else character, plain)
        apart = [unicodedata.normalize("NFKD", text) for text in texts]
        begins = [unicodedata.combining(text[0]) for text in apart]
        ends = [unicodedata.combining(text[-1]) for text in apart]
        if any((*begins, *ends)):
            kinds[code] |= scanning.COMBINING
            classes[code] = min(filter(None, begins), default=0), max(ends)
        if any(text[0] in seconds for text in apart):
            kinds[code] |= scanning.MELTS_BACK
        together = unicodedata.normalize("NFKC", "".join(texts))
        if not firsts.isdisjoint((*apart[0], *apart[1], *together)):
            kinds[code] |= scanning.MELTS_ON
    for low, high in _UNIFORM:
        kinds[low:high] = kinds[low]
    # Syllables of Hangul without a last consonant take one on.
    kinds[0xAC00:0xD7A4] &= scanning.KIND_BITS
    kinds[0xAC00:0xD7A4:28] |= scanning.MELTS_ON
    return _Characters(kinds, folded, np.array(several, np.int32), classes)


def _melting() -> tuple[frozenset[str], frozenset[str]]:
    """Return which characters normalisation can melt with one after, or before them."""
    # Hangul: leading consonants, vowels, and closing consonants.
    firsts = {chr(code) for code in range(0x1100, 0x1113)}
    firsts |= {chr(code) for code in range(0xAC00, 0xD7A4, 28)}
    seconds = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for code in range(_N_CODES):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            firsts.add(chr(int(parts[0], 16)))
            seconds.add(chr(int(parts[1], 16)))
    return frozenset(firsts), frozenset(seconds)
