"""Where the parts of an mp4, Matroska or Ogg file lie, as far as damage needs it.

ISO/IEC 14496-12 (boxes), RFC 8794 (EBML), RFC 3533 (Ogg pages).
"""

from __future__ import annotations

from typing import NamedTuple

_MP4_PARENTS = frozenset(
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta")
)
MP4_TABLES = frozenset(
    (b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64", b"elst")
)
_EBML_PARENTS = frozenset(
    bytes.fromhex(kind)
    for kind in (
        *("1a45dfa3", "18538067", "1f43b675", "1654ae6b", "1549a966", "1c53bb6b"),
        *("114d9b74", "ae", "e0", "e1", "a0", "bb", "b7"),
    )
)
_OGG_POLYNOMIAL = 0x04C11DB7


class Part(NamedTuple):
    """A box, element or page: [start, end), its content from ``body`` on."""

    start: int
    body: int
    end: int
    kind: bytes


def mp4_boxes(data: bytes | bytearray) -> list[Part]:
    """Return the boxes of a file, parents before what is in them."""
    boxes: list[Part] = []
    _add_boxes(data, 0, len(data), boxes)
    return boxes


def _add_boxes(
    data: bytes | bytearray, first: int, last: int, boxes: list[Part]
) -> None:
    place = first
    while place + 8 <= last:
        size = int.from_bytes(data[place : place + 4], "big")
        body, kind = place + 8, bytes(data[place + 4 : place + 8])
        if size == 1:
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        end = min(place + size, last) if size >= 8 else last
        boxes.append(Part(place, body, end, kind))
        if kind in _MP4_PARENTS:
            _add_boxes(data, body, end, boxes)
        place = end


def ebml_elements(data: bytes | bytearray) -> list[Part]:
    """Return the elements of a file, parents before what is in them."""
    elements: list[Part] = []
    place = 0
    while place < len(data):
        kind_length = _vint_length(data[place])
        size_place = place + kind_length
        if size_place >= len(data):
            break
        size_length = _vint_length(data[size_place])
        body = size_place + size_length
        size = int.from_bytes(data[size_place:body], "big") & (1 << 7 * size_length) - 1
        kind = bytes(data[place:size_place])
        end = min(body + size, len(data))
        elements.append(Part(place, body, end, kind))
        place = body if kind in _EBML_PARENTS else end
    return elements


def _vint_length(first_byte: int) -> int:
    return 9 - first_byte.bit_length()


def ogg_pages(data: bytes | bytearray) -> list[Part]:
    """Return the pages of a file."""
    pages: list[Part] = []
    place = bytes(data).find(b"OggS")
    while place >= 0 and place + 27 <= len(data):
        n_segments = data[place + 26]
        body = place + 27 + n_segments
        end = min(body + sum(data[place + 27 : body]), len(data))
        pages.append(Part(place, body, end, b"OggS"))
        place = bytes(data).find(b"OggS", end)
    return pages


def ogg_checksum(page: bytes | bytearray) -> int:
    """Return the checksum of a page whose checksum field is zero (RFC 3533, 6)."""
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            is_carried = register & 0x80000000
            register = (register << 1) & 0xFFFFFFFF
            if is_carried:
                register ^= _OGG_POLYNOMIAL
    return register


def swapped(data: bytearray, one: Part, other: Part) -> bytearray:
    """Return the file with two parts in each other's place, if they do not nest."""
    if one.end > other.start:
        return data
    return bytearray().join(
        (
            data[: one.start],
            data[other.start : other.end],
            data[one.end : other.start],
            data[one.start : one.end],
            data[other.end :],
        )
    )
