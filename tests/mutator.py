"""A seeded mutator: malformed media files out of good ones.

Blind damage (bits, stretches, blocks, tails) finds what every reader must survive;
damage that knows the format (boxes, tables, elements, pages) gets past the demuxer's
first look, to where sizes and times are believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from media_layout import (
    MP4_TABLES,
    Part,
    ebml_elements,
    mp4_boxes,
    ogg_checksum,
    ogg_pages,
    swapped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_T = TypeVar("_T")
_MAGIC_SIZES = (0, 1, 7, 8, 2**31 - 1, 2**31, 2**32 - 1)


class Mutant(NamedTuple):
    """A malformed file: where it comes from and what was done to it, and its bytes."""

    name: str
    data: bytes


class _Damage:
    """Does one kind of damage to a file, by the draws of a generator."""

    def __init__(self, data: bytes, rng: np.random.Generator) -> None:
        self.data = bytearray(data)
        self._rng = rng

    def truncated_tail(self) -> None:
        del self.data[self._below(len(self.data)) :]

    def zeroed_stretch(self) -> None:
        first, last = self._stretch()
        self.data[first:last] = bytes(last - first)

    def random_stretch(self) -> None:
        first, last = self._stretch()
        self.data[first:last] = self._rng.bytes(last - first)

    def flipped_bits(self) -> None:
        for _ in range(1 + self._below(64)):
            self.data[self._below(len(self.data))] ^= 1 << self._below(8)

    def flipped_bits_of_header(self) -> None:
        for _ in range(1 + self._below(16)):
            self.data[self._below(min(len(self.data), 600))] ^= 1 << self._below(8)

    def shuffled_blocks(self) -> None:
        size = 512 << self._below(6)
        first = self._below(min(len(self.data), 4096))
        rest = bytes(self.data[first:])
        blocks = [rest[at : at + size] for at in range(0, len(rest), size)]
        order = self._rng.permutation(len(blocks))
        self.data[first:] = b"".join(blocks[place] for place in order)

    def repeated_block(self) -> None:
        first, last = self._stretch()
        self.data[last:last] = self.data[first:last] * (1 + self._below(20))

    def lost_block(self) -> None:
        first, last = self._stretch()
        del self.data[first:last]

    def box_size(self) -> None:
        box = self._choice(mp4_boxes(self.data))
        self._write(box.start, 4, self._wrong_number(box.end - box.start))

    def box_type(self) -> None:
        boxes = mp4_boxes(self.data)
        box, other = self._choice(boxes), self._choice(boxes)
        self.data[box.start + 4 : box.start + 8] = other.kind

    def sample_table(self) -> None:
        tables = [b for b in mp4_boxes(self.data) if b.kind in MP4_TABLES]
        table = self._choice(tables)
        self._scribble(table.body, table.end)

    def mp4_header(self) -> None:
        headers = [
            box
            for box in mp4_boxes(self.data)
            if box.kind in (b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"stsd", b"elst")
        ]
        header = self._choice(headers)
        self._scribble(header.body, header.end)

    def swapped_tracks(self) -> None:
        boxes = mp4_boxes(self.data)
        kind = self._choice([b"trak", b"mdhd", b"stbl", b"stsd", b"stco", b"stsz"])
        self._swap_two([box for box in boxes if box.kind == kind])

    def element_size(self) -> None:
        element = self._choice(ebml_elements(self.data))
        length = element.body - element.start - len(element.kind)
        limit = 1 << 7 * length
        size = self._wrong_number(element.end - element.body) % limit
        place = element.start + len(element.kind)
        self._write(place, length, size | limit)

    def element_value(self) -> None:
        elements = ebml_elements(self.data)
        small = [part for part in elements if 0 < part.end - part.body <= 8]
        element = self._choice(small)
        self._write(element.body, element.end - element.body, self._wrong_number(0))

    def element_type(self) -> None:
        elements = ebml_elements(self.data)
        element = self._choice(elements)
        same = [part for part in elements if len(part.kind) == len(element.kind)]
        kind = self._choice(same).kind
        self.data[element.start : element.start + len(kind)] = kind

    def block_header(self) -> None:
        blocks = [e for e in ebml_elements(self.data) if e.kind in (b"\xa3", b"\xa1")]
        for _ in range(1 + self._below(20)):
            place = self._choice(blocks).body + self._below(4)
            self.data[place] = self._below(256)

    def swapped_elements(self) -> None:
        kind = self._choice([b"\xae", b"\xa3", b"\x1f\x43\xb6\x75"])
        self._swap_two([e for e in ebml_elements(self.data) if e.kind == kind])

    def page_header(self) -> None:
        page = self._choice(ogg_pages(self.data))
        first, last = self._choice([(4, 6), (6, 14), (14, 18), (18, 22), (26, 29)])
        noise = self._rng.bytes(last - first)
        self.data[page.start + first : page.start + last] = noise
        self._sign(page)

    def page_checksum(self) -> None:
        pages = ogg_pages(self.data)
        for _ in range(1 + self._below(len(pages))):
            page = self._choice(pages)
            self.data[page.start + 22 : page.start + 26] = self._rng.bytes(4)

    def page_content(self) -> None:
        for _ in range(1 + self._below(8)):
            page = self._choice(ogg_pages(self.data))
            if page.body < page.end:
                first = page.body + self._below(page.end - page.body)
                last = min(first + 1 + self._below(200), page.end)
                self.data[first:last] = self._rng.bytes(last - first)
                self._sign(page)

    def swapped_pages(self) -> None:
        for _ in range(1 + self._below(5)):
            self._swap_two(ogg_pages(self.data))

    def _sign(self, page: Part) -> None:
        """Make a page's checksum right again, so that its damage is believed."""
        self.data[page.start + 22 : page.start + 26] = bytes(4)
        checksum = ogg_checksum(self.data[page.start : page.end])
        self.data[page.start + 22 : page.start + 26] = checksum.to_bytes(4, "little")

    def _scribble(self, first: int, last: int) -> None:
        """Put wrong numbers into some of the words of a stretch."""
        for _ in range(1 + self._below(6)):
            n_words = max((last - first) // 4, 1)
            # The words in front are versions, counts and scales: hit them more often.
            word = self._below(min(n_words, 6 if self._below(2) else n_words))
            self._write(first + 4 * word, 4, self._wrong_number(self._below(1000)))

    def _swap_two(self, parts: list[Part]) -> None:
        if len(parts) < 2:
            return
        one, other = sorted(self._rng.choice(len(parts), 2, replace=False).tolist())
        self.data = swapped(self.data, parts[one], parts[other])

    def _write(self, place: int, n_bytes: int, value: int) -> None:
        raw = (value % (1 << 8 * n_bytes)).to_bytes(n_bytes, "big")
        self.data[place : place + n_bytes] = raw[: max(len(self.data) - place, 0)]

    def _wrong_number(self, right: int) -> int:
        choice = self._below(4)
        if choice == 0:
            return right + self._below(64) - 32
        if choice == 1:
            return right << self._below(20)
        if choice == 2:
            return int(self._rng.integers(0, 2**32))
        return self._choice(_MAGIC_SIZES)

    def _stretch(self) -> tuple[int, int]:
        first = self._below(len(self.data))
        length = 2 ** self._below(16)
        return first, min(first + length, len(self.data))

    def _below(self, limit: int) -> int:
        return int(self._rng.integers(0, limit))

    def _choice(self, items: Sequence[_T]) -> _T:
        return items[self._below(len(items))]


_BLIND = (
    _Damage.truncated_tail,
    _Damage.zeroed_stretch,
    _Damage.random_stretch,
    _Damage.flipped_bits,
    _Damage.flipped_bits_of_header,
    _Damage.shuffled_blocks,
    _Damage.repeated_block,
    _Damage.lost_block,
)
_OF_MP4 = (
    _Damage.box_size,
    _Damage.box_type,
    _Damage.sample_table,
    _Damage.mp4_header,
    _Damage.swapped_tracks,
)
_OF_WEBM = (
    _Damage.element_size,
    _Damage.element_value,
    _Damage.element_type,
    _Damage.block_header,
    _Damage.swapped_elements,
)
_OF_OGG = (
    _Damage.page_header,
    _Damage.page_checksum,
    _Damage.page_content,
    _Damage.swapped_pages,
)


def mutants(sources: Mapping[str, bytes], n: int, seed: int) -> Iterator[Mutant]:
    """Yield ``n`` malformed files, of each source and kind of damage in turn.

    Parameters
    ----------
    sources : mapping of str to bytes
        Good files by name: mp4, WebM or Ogg by their first bytes.
    n : int
        How many.
    seed : int
        Mutant i depends on the sources, the seed and i, and nothing else.
    """
    names = sorted(sources)
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        kinds = _kinds(sources[name])
        damage = kinds[number // len(names) % len(kinds)]
        made = _Damage(sources[name], rng)
        damage(made)
        if bytes(made.data) == sources[name]:
            # The draw changed nothing (two equal tables were swapped, say).
            made.flipped_bits()
        yield Mutant(f"{number:03d} {damage.__name__} {name}", bytes(made.data))


def _kinds(data: bytes) -> tuple[Callable[[_Damage], None], ...]:
    if data.startswith(b"OggS"):
        return (*_OF_OGG, *_BLIND)
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return (*_OF_WEBM, *_BLIND)
    return (*_OF_MP4, *_BLIND)
