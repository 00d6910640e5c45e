"""Looking for phrases in UTF-8 text, character by character, without making strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.compiling import compiled, inlined
from acav_spark.ingest.kernels.phrases import code_hash, longer, state_after, word_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What a character does to the word before it.
BREAK: Final = 0
LETTER: Final = 1
KATAKANA: Final = 2
ALONE: Final = 3
MARK: Final = 4
ALONE_MARK: Final = 5
APOSTROPHE: Final = 6
UNSEEN: Final = 7
SEVERAL: Final = 8
ODD: Final = 9
KIND_BITS: Final = 0x0F

# What else a character can do when text is normalised: move among combining characters,
# or melt with the one before or after it.
COMBINING: Final = 0x10
MELTS_BACK: Final = 0x20
MELTS_ON: Final = 0x40

NOT_FOUND: Final = -1
UNDECIDED: Final = -2

_NOTHING = 0  # kind of word that is read: none, or one of LETTER, KATAKANA, ALONE
_QUOTE = 39
_INSIDE = 1
_FIRST = 2
_RUN = 256  # bytes of a text that are looked at before what is found in them
_NEVER = 1 << 62


@inlined
def _better(
    states: NDArray[np.int32],
    lengths: NDArray[np.int32],
    state: int,
    n_words: int,
    best: int,
    best_start: int,
) -> tuple[int, int]:
    """Return the phrase to tell after a word, and where it begins."""
    phrase = np.int64(states[state, 2])
    if phrase >= 0:
        start = n_words - np.int64(lengths[phrase])
        if start < best_start or (start == best_start and phrase < best):
            return phrase, start
    return best, best_start


@inlined
def _read_on(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    plain: NDArray[np.uint8],
    read: NDArray[np.int32],
    n_read: int,
) -> int:
    """Read the letters that stand last in a range; return how many the word has now."""
    last = read.size - 1
    while n_read == 0 and start < end and plain[data[start]] == 0:
        start += 1
    for i in range(start, end):
        read[min(n_read, last)] = plain[data[i]]
        n_read += 1
    return n_read


@compiled
def first_phrases(
    data: NDArray[np.uint8],
    text_starts: NDArray[np.int64],
    row_starts: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    folded: NDArray[np.int32],
    several: NDArray[np.int32],
    classes: NDArray[np.uint8],
    codes: NDArray[np.int32],
    word_starts: NDArray[np.int64],
    word_slots: NDArray[np.int32],
    steps: NDArray[np.int32],
    step_slots: NDArray[np.int32],
    states: NDArray[np.int32],
    lengths: NDArray[np.int32],
    found: NDArray[np.int32],
) -> None:
    """Write for each row the first phrase of its first text that has one.

    Parameters
    ----------
    data : ndarray of uint8
        Texts in UTF-8, one after another.
    text_starts : ndarray of int64, shape (n_texts + 1,)
        Where each begins in ``data``.
    row_starts : ndarray of int64, shape (n_rows + 1,)
        Where the texts of each row begin in ``text_starts``.
    kinds, folded : ndarray of uint8 and int32, shape (n_codes,)
        What each code point does to words and, in the upper bits, to its neighbours,
        and what it is folded to; those beyond are ``ODD``.
    several : ndarray of int32, shape (n, 2)
        Kinds and codes of what ``SEVERAL`` are folded to: ``folded`` has the row before
        the first, which has their number.
    classes : ndarray of uint8, shape (n_codes, 2)
        Combining classes at the beginning and end of each code point, 0 for none.
    codes, word_starts, word_slots : ndarray of int32, int64 and int32
        Words of the phrases, and their hash table; see ``phrases.fill_words``.
    steps, step_slots : ndarray of int32
        Steps of the automaton, and their hash table; see ``phrases.fill_steps``.
    states : ndarray of int32, shape (n_states, 3)
        State to fall back to, depth, and phrase that ends there or -1.
    lengths : ndarray of int32, shape (n_phrases,)
        Words of each phrase.
    found : ndarray of int32, shape (n_rows,)
        Rows that are not ``NOT_FOUND`` are left alone; else written: the phrase, or
        ``UNDECIDED`` where an ``ODD`` character, characters that change each other when
        they are normalised, or broken UTF-8 came before it was known.
    """
    longest = 0
    for word in range(word_starts.size - 1):
        longest = max(longest, word_starts[word + 1] - word_starts[word])
    read = np.empty(longest + 1, np.int32)
    # Bytes of ASCII but the apostrophe, and what letters and digits are folded to.
    plain = np.zeros(256, np.uint8)
    is_plain = np.zeros(256, np.bool_)
    for byte in range(128):
        is_plain[byte] = byte != _QUOTE
        if kinds[byte] & KIND_BITS == LETTER:
            plain[byte] = folded[byte]
    word_ends = np.empty(_RUN + 1, np.int64)
    word_hashes = np.empty(_RUN + 1, np.uint64)
    # By hash: whether a word may be in a phrase, and whether it may begin one. Most
    # words may not, and of those that may, most do nothing where no phrase is begun.
    last_may_be = np.uint64(8 * word_slots.size - 1)
    may_be = np.zeros(8 * word_slots.size, np.uint8)
    for step in range(-word_starts.size + 1, steps.shape[0]):
        word, what = step + word_starts.size - 1, _INSIDE
        if step >= 0:
            if steps[step, 0] != 0:
                continue
            word, what = np.int64(steps[step, 1]), _FIRST
        mixed = np.uint64(0)
        for i in range(word_starts[word], word_starts[word + 1]):
            mixed = longer(mixed, codes[i])
        may_be[np.int64(code_hash(mixed, 0) & last_may_be)] |= what
    for row in range(found.size):
        if found[row] != NOT_FOUND:
            continue
        for text in range(row_starts[row], row_starts[row + 1]):
            place, end = text_starts[text], text_starts[text + 1]
            kind, n_read, is_quoted = _NOTHING, 0, False
            mixed = np.uint64(0)
            state, n_words = 0, 0
            best, best_start = -1, _NEVER
            is_over = False
            flags, ends, n_more, more = 0, 0, 0, 0
            while not is_over:
                if n_more > 0:
                    what, code = several[more, 0], np.int64(several[more, 1])
                    more, n_more = more + 1, n_more - 1
                elif place < end:
                    byte = data[place]
                    if is_plain[byte] and kind <= LETTER and not is_quoted:
                        # Most text. First where the words of a run end, and their
                        # hashes: without a branch for each character, since to guess
                        # where words end costs more than all else.
                        start, stop = place, min(end, place + _RUN)
                        n_ends = 0
                        was_letter = np.uint64(kind)
                        while place < stop and is_plain[data[place]]:
                            letter = np.uint64(plain[data[place]])
                            is_letter = np.uint64(letter != 0)
                            word_ends[n_ends] = place
                            word_hashes[n_ends] = mixed
                            n_ends += np.int64(was_letter & ~is_letter)
                            mixed = longer(mixed, letter) * is_letter
                            was_letter = is_letter
                            place += 1
                        for i in range(n_ends):
                            n_words += 1
                            slot = np.int64(code_hash(word_hashes[i], 0) & last_may_be)
                            if not may_be[slot] & (_FIRST if state == 0 else _INSIDE):
                                # Nothing is being read that began before what was
                                # found.
                                state, n_read = 0, 0
                                start = word_ends[i]
                                if best >= 0:
                                    is_over = True
                                    break
                                continue
                            n_read = _read_on(
                                data, start, word_ends[i], plain, read, n_read
                            )
                            start = word_ends[i]
                            word = -1
                            if n_read <= longest:
                                word = word_of(
                                    word_hashes[i],
                                    read,
                                    n_read,
                                    codes,
                                    word_starts,
                                    word_slots,
                                )
                            n_read = 0
                            state = state_after(state, word, steps, step_slots, states)
                            best, best_start = _better(
                                states, lengths, state, n_words, best, best_start
                            )
                            if best >= 0 and n_words - states[state, 1] > best_start:
                                is_over = True
                                break
                        if is_over:
                            break
                        kind = _NOTHING
                        if was_letter:
                            kind = LETTER
                            n_read = _read_on(data, start, place, plain, read, n_read)
                        flags, ends = np.int64(kinds[data[place - 1]]), 0
                        continue
                    # One code point; broken UTF-8 is no character at all.
                    code, width = np.int64(byte), 1
                    if byte >= 0x80:
                        if byte >= 0xF0:
                            code, width = code & 0x07, 4
                        elif byte >= 0xE0:
                            code, width = code & 0x0F, 3
                        else:
                            code, width = code & 0x1F, 2
                        if place + width > end:
                            best = UNDECIDED
                            break
                        for i in range(1, width):
                            code = code << 6 | np.int64(data[place + i] & 0x3F)
                    place += width
                    if code >= kinds.size:
                        best = UNDECIDED
                        break
                    bits = np.int64(kinds[code])
                    what = bits & KIND_BITS
                    if what == UNSEEN:
                        continue
                    if what == ODD or (
                        bits & MELTS_BACK and (flags & MELTS_ON or ends)
                    ):
                        best = UNDECIDED
                        break
                    if bits & COMBINING:
                        # Out of order, they would be put in order.
                        begins = classes[code, 0]
                        if begins and begins < ends:
                            best = UNDECIDED
                            break
                        ends = classes[code, 1]
                    else:
                        ends = 0
                    flags = bits
                    code = np.int64(folded[code])
                    if what == SEVERAL:
                        more, n_more = code + 1, several[code, 0]
                        continue
                else:
                    what, code, is_over = BREAK, 0, True
                grows = (
                    (kind == LETTER and what in (LETTER, MARK))
                    or (kind == KATAKANA and what == KATAKANA)
                    or (kind in (KATAKANA, ALONE) and what in (MARK, ALONE_MARK))
                )
                if kind == LETTER and what == APOSTROPHE and not is_quoted:
                    is_quoted = True
                    continue
                if not grows and kind != _NOTHING:
                    # A word is over: look it up, and go on with the automaton.
                    word = -1
                    if n_read <= longest:
                        word = word_of(
                            mixed, read, n_read, codes, word_starts, word_slots
                        )
                    state = state_after(state, word, steps, step_slots, states)
                    n_words += 1
                    best, best_start = _better(
                        states, lengths, state, n_words, best, best_start
                    )
                    # What is still being read begins later than what was found.
                    if best >= 0 and n_words - states[state, 1] > best_start:
                        break
                    kind, n_read, mixed = _NOTHING, 0, np.uint64(0)
                    is_quoted = False
                if what in (BREAK, APOSTROPHE):
                    continue
                if kind == _NOTHING:
                    if what == MARK:
                        kind = LETTER
                    elif what == ALONE_MARK:
                        kind = ALONE
                    else:
                        kind = np.int64(what)
                if is_quoted:
                    read[min(n_read, longest)] = _QUOTE
                    n_read += 1
                    mixed = longer(mixed, _QUOTE)
                    is_quoted = False
                read[min(n_read, longest)] = code
                n_read += 1
                mixed = longer(mixed, code)
            if best != -1:
                found[row] = best
                break
