"""Words of text in any script, and whether some of them are among given ones."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Characters that are inside words but not seen; a zero-width space (U+200B) is not
# among them, since Thai and Khmer part words with it.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060\ufeff"))
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u00b4", "''''")

# Scripts that write words without spaces: here every character is a token, so that a
# keyword is found inside a run of them. Han, Hiragana, Bopomofo, Thai, Lao, Tibetan,
# Burmese, Khmer.
_SPACELESS = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u309f\u3105-\u312f\u31a0-\u31bf"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0e7f\u0e80-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
)
# A run of Katakana is one word: that is how Japanese writes words of other languages.
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"


def tokens(text: str) -> list[str]:
    """Return the words of text, in one spelling of case and width.

    Parameters
    ----------
    text : str
        Text in any script.

    Returns
    -------
    list of str
        NFKC-normalised and case-folded. A word is a run of letters, marks and digits,
        with apostrophes inside it (``don't``); a run of Katakana is one word; in
        scripts without spaces between words every character stands for itself.
        Everything else (punctuation, underscores, emoji) parts words.
    """
    return _tokens(fold(text))


def _tokens(folded: str) -> list[str]:
    return _token_pattern().findall(folded)


def fold(text: str) -> str:
    """Return text in one spelling: NFKC, case-folded, no invisible characters."""
    if text.isascii():
        return text.lower()
    text = text.translate(_APOSTROPHES)
    folded = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold()
    return unicodedata.normalize("NFKC", folded)


class KeywordMatcher:
    """Finds whole words and phrases in text, without regard to case.

    Parameters
    ----------
    keywords : iterable of str
        Words, or phrases of several words that have to follow each other.

    Raises
    ------
    ValueError
        If a keyword has no letter or digit.

    Notes
    -----
    Never half a word: ``art`` is not in ``party``. In scripts without spaces between
    words (Chinese, Hiragana, Thai, ...) a keyword is found wherever its characters
    follow each other. Text that has no keyword's first word anywhere costs one search
    for each of these; other text O(n) look-ups for n words.
    """

    def __init__(self, keywords: Iterable[str]) -> None:
        self._phrases: dict[str, list[tuple[list[str], str]]] = {}
        for keyword in keywords:
            words = tokens(keyword)
            if not words:
                msg = (
                    "KeywordMatcher: expected a letter or digit in each keyword, got "
                    f"{keyword!r}."
                )
                raise ValueError(msg)
            self._phrases.setdefault(words[0], []).append((words, keyword))

    def find(self, texts: Iterable[str | None]) -> str | None:
        """Return the first keyword that one of the texts has, or None.

        A phrase has to be within one text.
        """
        if not self._phrases:
            return None
        return next((found for text in texts if text for found in self._in(text)), None)

    def _in(self, text: str) -> Iterator[str]:
        """Yield the keywords of one text, in the order of their places."""
        folded = fold(text)
        if not any(first in folded for first in self._phrases):
            return
        words = _tokens(folded)
        for place, word in enumerate(words):
            for phrase, keyword in self._phrases.get(word, ()):
                if words[place : place + len(phrase)] == phrase:
                    yield keyword


@functools.cache
def _token_pattern() -> re.Pattern[str]:
    """Return the pattern of one token; made once, in some tens of milliseconds."""
    # Python's \w leaves out combining marks, without which Hindi words fall apart.
    mark = f"[{_marks()}]"
    alone = f"[{_SPACELESS}]"
    letter = rf"(?:(?!{alone})(?![{_KATAKANA}])[^\W_]|(?!{alone}){mark})"
    return re.compile(
        rf"[{_KATAKANA}]{mark}*(?:[{_KATAKANA}]{mark}*)*"
        rf"|{letter}+(?:'{letter}+)*"
        rf"|(?={alone})(?:[^\W_]|{mark})(?:{mark})*"
    )


def _marks() -> str:
    """Return the combining marks of Unicode as ranges of a character class."""
    ranges: list[list[int]] = []
    for code in range(0x300, 0x1F000):
        if unicodedata.category(chr(code))[0] != "M":
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
