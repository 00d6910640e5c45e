"""Texts that hold a list of tags, parted without making strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acav_spark.compiling import compiled, inlined

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUOTE = 34
_COMMA = 44
_OPENING = 91
_ESCAPE = 92
_CLOSING = 93
_BAR = 124


@inlined
def _is_wide_space(first: int, second: int, third: int) -> bool:
    """Return whether three bytes of UTF-8 are a space as ``str.isspace`` has them."""
    if first == 0xE2 and second == 0x80:
        return third <= 0x8A or third in (0xA8, 0xA9, 0xAF)
    return (
        (first == 0xE1 and second == 0x9A and third == 0x80)
        or (first == 0xE2 and second == 0x81 and third == 0x9F)
        or (first == 0xE3 and second == 0x80 and third == 0x80)
    )


@inlined
def _is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@inlined
def _after_spaces(data: NDArray[np.uint8], place: int, end: int) -> int:
    """Return where text goes on after the spaces that it begins with."""
    while place < end:
        byte = data[place]
        if _is_space(byte):
            place += 1
        elif byte == 0xC2 and place + 1 < end and data[place + 1] in (0x85, 0xA0):
            place += 2
        elif (
            byte >= 0xE1
            and place + 2 < end
            and _is_wide_space(byte, data[place + 1], data[place + 2])
        ):
            place += 3
        else:
            break
    return place


@inlined
def _before_spaces(data: NDArray[np.uint8], place: int, end: int) -> int:
    """Return where text ends before the spaces that it ends in."""
    while place < end:
        byte = data[end - 1]
        if _is_space(byte):
            end -= 1
        elif byte < 0x80:
            break
        elif byte in (0x85, 0xA0) and place + 1 < end and data[end - 2] == 0xC2:
            end -= 2
        elif place + 2 < end and _is_wide_space(data[end - 3], data[end - 2], byte):
            end -= 3
        else:
            break
    return end


@inlined
def _is_nothing(data: NDArray[np.uint8], place: int, end: int) -> bool:
    """Return whether text is ``[]`` or ``[none]`` in any case."""
    if end - place == 2:
        return data[place] == _OPENING and data[place + 1] == _CLOSING
    if end - place != 6 or data[place] != _OPENING or data[end - 1] != _CLOSING:
        return False
    n, o, e = data[place + 1] | 32, data[place + 2] | 32, data[place + 4] | 32
    return n == 110 and o == 111 and data[place + 3] | 32 == 110 and e == 101


@inlined
def _after_blanks(data: NDArray[np.uint8], place: int, end: int) -> int:
    """Return where JSON goes on after what it allows between values."""
    while place < end and (
        data[place] == 32 or data[place] in (9, 10, 13)  # tab and line ends
    ):
        place += 1
    return place


@inlined
def _kept(
    data: NDArray[np.uint8],
    place: int,
    end: int,
    found: NDArray[np.uint8],
    n_bytes: int,
) -> int:
    """Copy a tag; return how many bytes there are now."""
    for i in range(place, end):
        found[n_bytes + i - place] = data[i]
    return n_bytes + end - place


@compiled
def split_tags(
    data: NDArray[np.uint8],
    text_starts: NDArray[np.int64],
    max_bytes: int,
    max_tags: int,
    found: NDArray[np.uint8],
    tag_starts: NDArray[np.int32],
    row_starts: NDArray[np.int32],
    is_hard: NDArray[np.bool_],
) -> None:
    """Write the tags of each text: parted by bars, else by commas, or a JSON list.

    Parameters
    ----------
    data : ndarray of uint8
        Texts in UTF-8, one after another.
    text_starts : ndarray of int64, shape (n_rows + 1,)
        Where each begins in ``data``.
    max_bytes, max_tags : int
        Longer texts, and those of more tags, are hard.
    found : ndarray of uint8, at least as long as the texts
        Written: the tags, one after another, without spaces and quotes around them.
    tag_starts : ndarray of int32, at least half as long, and ``n_rows + 1``
        Written: where each begins in ``found``.
    row_starts : ndarray of int32, shape (n_rows + 1,)
        Written: where the tags of each row begin in ``tag_starts``.
    is_hard : ndarray of bool, shape (n_rows,)
        Written: texts of other forms, which get no tags: escapes in JSON, values that
        are not text, lists as Python prints them, what is too long.
    """
    n_tags, n_bytes = 0, 0
    tag_starts[0] = 0
    for row in range(is_hard.size):
        row_starts[row] = n_tags
        begin, end = text_starts[row], text_starts[row + 1]
        is_hard[row] = end - begin > max_bytes
        place = _after_spaces(data, begin, end)
        if place == end or is_hard[row]:
            continue
        first_tag, first_byte, n_parts = n_tags, n_bytes, 1
        if data[place] == _OPENING:
            if _is_nothing(data, place, _before_spaces(data, place, end)):
                continue
            # JSON of plain text alone: anything else is left to a whole parser.
            is_hard[row] = place > begin
            place = _after_blanks(data, place + 1, end)
            while not is_hard[row]:
                is_hard[row] = True
                if place >= end or data[place] != _QUOTE:
                    break
                start = place + 1
                place = start
                while (
                    place < end
                    and data[place] >= 32
                    and data[place] not in (_QUOTE, _ESCAPE)
                ):
                    place += 1
                if place >= end or data[place] != _QUOTE:
                    break
                tag = _after_spaces(data, start, place)
                stop = _before_spaces(data, tag, place)
                if tag < stop:
                    n_bytes = _kept(data, tag, stop, found, n_bytes)
                    n_tags += 1
                    tag_starts[n_tags] = n_bytes
                place = _after_blanks(data, place + 1, end)
                if place >= end or n_parts > max_tags:
                    break
                is_hard[row] = False
                if data[place] == _COMMA:
                    n_parts += 1
                    place = _after_blanks(data, place + 1, end)
                else:
                    is_hard[row] = data[place] != _CLOSING or place + 1 != end
                    break
        else:
            separator = _COMMA
            for i in range(begin, end):
                if data[i] == _BAR:
                    separator = _BAR
                    break
            start = begin
            for i in range(begin, end + 1):
                if i < end and data[i] != separator:
                    continue
                tag = _after_spaces(data, start, i)
                stop = _before_spaces(data, tag, i)
                while tag < stop and data[tag] == _QUOTE:
                    tag += 1
                while tag < stop and data[stop - 1] == _QUOTE:
                    stop -= 1
                tag = _after_spaces(data, tag, stop)
                stop = _before_spaces(data, tag, stop)
                if tag < stop:
                    n_bytes = _kept(data, tag, stop, found, n_bytes)
                    n_tags += 1
                    tag_starts[n_tags] = n_bytes
                n_parts += i < end
                start = i + 1
            is_hard[row] = n_parts > max_tags
        if is_hard[row]:
            n_tags, n_bytes = first_tag, first_byte
    row_starts[is_hard.size] = n_tags
