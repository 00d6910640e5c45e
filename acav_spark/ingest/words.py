"""Words of text in any script, and whether some of them are among given ones."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Characters that are inside words but not seen; a zero-width space (U+200B) is not
# among them, since Thai and Khmer part words with it.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060\ufeff"))
QUOTES = "\u2018\u2019\u02bc\u00b4"
"""Characters that count as the apostrophe of ASCII."""
_RESPELLINGS = {**_INVISIBLE, **dict.fromkeys(map(ord, QUOTES), "'")}
_RESPELT = tuple(map(chr, _RESPELLINGS))

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
    # Few texts have any of them, and translating costs ten times what all else does.
    if any(character in text for character in _RESPELT):
        text = text.translate(_RESPELLINGS)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def is_invisible(character: str) -> bool:
    """Return whether a character is inside words but not seen."""
    return ord(character) in _INVISIBLE


def character_kind(folded: str) -> str:
    """Return what one folded character is to words.

    Returns
    -------
    str
        ``letter``, ``katakana``, ``alone`` (a word by itself), ``mark``,
        ``alone_mark`` (of a script without spaces), an apostrophe, or nothing.
    """
    if folded == "'":
        return folded
    is_alone = re.match(f"[{_SPACELESS}]", folded) is not None
    if unicodedata.category(folded)[0] == "M":
        return "alone_mark" if is_alone else "mark"
    if not folded.isalnum():
        return ""
    if re.match(f"[{_KATAKANA}]", folded):
        return "katakana"
    return "alone" if is_alone else "letter"


class KeywordMatcher:
    """Finds whole words and phrases in text, without regard to case.

    Parameters
    ----------
    keywords : iterable of str
        Words, or phrases of several words that have to follow each other.

    Attributes
    ----------
    keywords : tuple of str
        As given.
    automaton : TokenAutomaton
        What finds them.

    Raises
    ------
    ValueError
        If a keyword has no letter or digit.

    Notes
    -----
    Never half a word: ``art`` is not in ``party``. In scripts without spaces between
    words (Chinese, Hiragana, Thai, ...) a keyword is found wherever its characters
    follow each other. One automaton over words finds all keywords at once (Aho and
    Corasick 1975): n words cost O(n) look-ups, however many keywords there are.
    """

    def __init__(self, keywords: Iterable[str]) -> None:
        self.keywords = tuple(keywords)
        phrases = [tokens(keyword) for keyword in self.keywords]
        for keyword, words in zip(self.keywords, phrases, strict=True):
            if not words:
                msg = (
                    "KeywordMatcher: expected a letter or digit in each keyword, got "
                    f"{keyword!r}."
                )
                raise ValueError(msg)
        self.automaton = TokenAutomaton(phrases)

    def find(self, texts: Iterable[str | None]) -> str | None:
        """Return the first keyword that one of the texts has, or None.

        A phrase has to be within one text. Of keywords that begin at the same word,
        the one that was given first counts.
        """
        place = self.find_index(texts)
        return None if place is None else self.keywords[place]

    def find_index(self, texts: Iterable[str | None]) -> int | None:
        """Return the place of that keyword among ``keywords``, or None."""
        if not self.keywords:
            return None
        for text in texts:
            if text:
                found = self.automaton.first(tokens(text))
                if found is not None:
                    return found
        return None


class TokenAutomaton:
    """Finds phrases in a sequence of words, all at once (Aho and Corasick 1975).

    Parameters
    ----------
    phrases : sequence of list of str
        Words of each phrase, none empty. Of equal phrases the first counts.

    Attributes
    ----------
    word_ids : dict of str to int
        Words of the phrases, from 0.
    steps : list of dict of int to int
        From each state, the next one by word; state 0 has read nothing of a phrase.
    fallbacks, depths : list of int
        Of each state: the state of its longest proper ending, and its words.
    ends : list of int
        The longest phrase that ends in a state, or -1.
    lengths : list of int
        Words of each phrase.
    """

    def __init__(self, phrases: Sequence[list[str]]) -> None:
        self.word_ids: dict[str, int] = {}
        self.steps: list[dict[int, int]] = [{}]
        self.depths = [0]
        self.ends = [-1]
        self.lengths = [len(phrase) for phrase in phrases]
        for index, phrase in enumerate(phrases):
            self._add(phrase, index)
        self.fallbacks = self._linked()

    def first(self, words: Iterable[str]) -> int | None:
        """Return the phrase that begins first; of several there, the first given."""
        state, best = 0, (-1, -1)
        for place, word in enumerate(words):
            state = self._next(state, self.word_ids.get(word))
            found = self.ends[state]
            if found >= 0:
                here = (place + 1 - self.lengths[found], found)
                if best[1] < 0 or here < best:
                    best = here
            # What is still being read begins later than what was found.
            if best[1] >= 0 and place + 1 - self.depths[state] > best[0]:
                break
        return best[1] if best[1] >= 0 else None

    def _next(self, state: int, word: int | None) -> int:
        if word is None:
            return 0
        while word not in self.steps[state]:
            if state == 0:
                return 0
            state = self.fallbacks[state]
        return self.steps[state][word]

    def _add(self, phrase: list[str], index: int) -> None:
        state = 0
        for word in phrase:
            word_id = self.word_ids.setdefault(word, len(self.word_ids))
            following = self.steps[state].get(word_id)
            if following is None:
                following = self.steps[state][word_id] = len(self.steps)
                self.steps.append({})
                self.depths.append(self.depths[state] + 1)
                self.ends.append(-1)
            state = following
        if self.ends[state] < 0:
            self.ends[state] = index

    def _linked(self) -> list[int]:
        """Return the states to fall back to, and let ends count for longer states."""
        fallbacks = [0] * len(self.steps)
        queue = deque(self.steps[0].values())
        while queue:
            state = queue.popleft()
            if self.ends[state] < 0:
                self.ends[state] = self.ends[fallbacks[state]]
            for word, following in self.steps[state].items():
                place = fallbacks[state]
                while place and word not in self.steps[place]:
                    place = fallbacks[place]
                fallbacks[following] = self.steps[place].get(word, 0)
                queue.append(following)
        return fallbacks


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
