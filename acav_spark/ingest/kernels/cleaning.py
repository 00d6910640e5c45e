"""Texts as a model that names languages wants them, without making strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray


@inlined
def _begins(data: NDArray[np.uint8], place: int, end: int, with_what: int) -> bool:
    """Return whether text goes on with four given bytes, packed into a number."""
    if place + 4 > end:
        return False
    found = 0
    for i in range(4):
        found = found << 8 | np.int64(data[place + i])
    return found == with_what


@inlined
def _after_address(data: NDArray[np.uint8], place: int, end: int) -> int:
    """Return where an address ends that begins here; ``place`` where none does."""
    after = place
    if _begins(data, place, end, 0x68747470):  # "http"
        after = place + 4
        if after < end and data[after] == 115:  # "s"
            after += 1
        is_one = (
            after + 2 < end
            and data[after] == 58
            and data[after + 1] == 47
            and data[after + 2] == 47
        )
        after = after + 3 if is_one else place
    elif _begins(data, place, end, 0x7777772E):  # "www."
        after = place + 4
    if after in (place, end) or not 33 <= data[after] <= 126:
        return place
    while after < end and 33 <= data[after] <= 126:
        after += 1
    return after


@inlined
def _width(byte: int) -> int:
    """Return the bytes of a character of UTF-8 by its first one."""
    if byte < 0x80:
        return 1
    if byte < 0xE0:
        return 2
    return 3 if byte < 0xF0 else 4


@compiled
def clean_texts(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    n_characters: int,
    lower: NDArray[np.int32],
    found: NDArray[np.uint8],
    found_starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
) -> None:
    """Write texts without addresses, on one line, in lower case, cut.

    Parameters
    ----------
    data : ndarray of uint8
        Texts in UTF-8, one after another.
    starts : ndarray of int64, shape (n_texts + 1,)
        Where each begins in ``data``.
    n_characters : int
        Characters that are left at most; of twice as many all else is not looked at.
    lower : ndarray of int32, shape (n_codes,)
        Lower case of each code point; those beyond have none.
    found : ndarray of uint8, four bytes for each character that may be left
        Written: the cleaned texts, one after another.
    found_starts : ndarray of int64, shape (n_texts + 1,)
        Written: where each begins in ``found``.
    lengths : ndarray of int32, shape (n_texts,)
        Written: characters of each.
    """
    n_bytes = 0
    found_starts[0] = 0
    for text in range(lengths.size):
        place, end = starts[text], starts[text + 1]
        # Where the characters end that are looked at.
        stop, n_seen = place, 0
        if end - place <= 2 * n_characters:
            stop = end
        else:
            while stop < end and n_seen < 2 * n_characters:
                stop = min(stop + _width(data[stop]), end)
                n_seen += 1
        n_left = 0
        while place < stop and n_left < n_characters:
            byte = data[place]
            if byte in (10, 13, 95):  # line ends and "_"
                while place < stop and data[place] in (10, 13, 95):
                    place += 1
                found[n_bytes] = 32
                n_bytes += 1
            elif byte < 0x80:
                after = place
                if byte in (104, 119):
                    after = _after_address(data, place, stop)
                if after > place:
                    place = after
                    found[n_bytes] = 32
                else:
                    found[n_bytes] = lower[byte]
                    place += 1
                n_bytes += 1
            else:
                width = min(_width(byte), stop - place)
                code = np.int64(byte) & (0x7F >> width)
                for i in range(1, width):
                    code = code << 6 | np.int64(data[place + i] & 0x3F)
                place += width
                if code < lower.size:
                    code = np.int64(lower[code])
                n_bytes = _written(code, found, n_bytes)
            n_left += 1
        lengths[text] = n_left
        found_starts[text + 1] = n_bytes


@inlined
def _written(code: int, found: NDArray[np.uint8], n_bytes: int) -> int:
    """Write a code point in UTF-8; return how many bytes there are now."""
    if code < 0x80:
        found[n_bytes] = code
        return n_bytes + 1
    if code < 0x800:
        found[n_bytes] = 0xC0 | code >> 6
        found[n_bytes + 1] = 0x80 | code & 0x3F
        return n_bytes + 2
    if code < 0x10000:
        found[n_bytes] = 0xE0 | code >> 12
        found[n_bytes + 1] = 0x80 | code >> 6 & 0x3F
        found[n_bytes + 2] = 0x80 | code & 0x3F
        return n_bytes + 3
    found[n_bytes] = 0xF0 | code >> 18
    found[n_bytes + 1] = 0x80 | code >> 12 & 0x3F
    found[n_bytes + 2] = 0x80 | code >> 6 & 0x3F
    found[n_bytes + 3] = 0x80 | code & 0x3F
    return n_bytes + 4
