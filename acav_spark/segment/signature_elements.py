"""Which parts of a picture the 380 elements of a frame signature compare.

The construction is that of the MPEG-7 video signature (ISO/IEC 15938-3 Amd. 4): a
picture is divided into 32 by 32 cells, and each element compares means of luma over
areas that are made of cells. The standard's own table of areas is not used here: the
areas are drawn once, by the rule below, so that signatures are not conformant and can
be compared with one another only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

N_CELLS: Final = 32
N_ELEMENTS: Final = 380
N_WORDS: Final = 5
N_PER_WORD: Final = 5
N_CORNERS: Final = (N_CELLS + 1) ** 2
# How many elements there are of each family; an element's threshold is its family's.
FAMILIES: Final = {
    "average": 30,
    "beside": 85,
    "above": 85,
    "surround": 60,
    "checkerboard": 60,
    "apart": 60,
}
# Elements of words are of large areas: these change least when a video is cropped or
# coded anew. Every family but averages gives each word an element.
_WORD_SIDES: Final = (16, 20, 24, 28)
_SIDES: Final = (6, 8, 8, 12, 12, 16, 20, 24)
# No element has more corners: a checkerboard of 2 by 2 has nine.
_MAX_CORNERS: Final = 9
# The 64-bit golden ratio and the multipliers of splitmix64.
_STEP: Final = 0x9E3779B97F4A7C15
_MIXERS: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_MASK: Final = 2**64 - 1

# Left, top, right, bottom in cells, right and bottom exclusive.
Area = tuple[int, int, int, int]


@dataclass(frozen=True)
class Element:
    """The mean of luma over some areas, less that over others.

    Parameters
    ----------
    family : str
        One of ``FAMILIES``.
    plus, minus : tuple of (sign, area)
        The areas that make up each side; a sign of -1 cuts an area out.
    """

    family: str
    plus: tuple[tuple[int, Area], ...]
    minus: tuple[tuple[int, Area], ...]


@cache
def elements() -> tuple[Element, ...]:
    """Return the 380 elements; the first 25 make the five words, in order."""
    draws = _draws(seed=15938)
    seen: set[Element] = set()
    families = [name for name in FAMILIES if name != "average"]
    words = [
        _new_element(family, _WORD_SIDES, draws, seen)
        for _ in range(N_WORDS)
        for family in families
    ]
    rest = [
        _new_element(family, _SIDES, draws, seen)
        for family, n in FAMILIES.items()
        for _ in range(n - (N_WORDS if family in families else 0))
    ]
    return (*words, *rest)


@dataclass(frozen=True)
class Weights:
    """Elements as sums over a summed-area table, for one size of picture.

    Parameters
    ----------
    corners : ndarray of int64, shape (9, 380)
        Places in the table of 33 by 33 corners, row by row.
    factors : ndarray of int64, shape (9, 380)
        What to multiply them by; 0 where an element has fewer corners.
    scales : ndarray of float64, shape (380,)
        Luma levels of an element of 1.
    rows, columns : ndarray of int64, shape (33,)
        Pixel rows and columns at which cells begin, and the end.
    """

    corners: NDArray[np.int64]
    factors: NDArray[np.int64]
    scales: NDArray[np.float64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


# Eight milliseconds each; videos of a collection have a few sizes.
@lru_cache(maxsize=16)
def weights_for(width: int, height: int) -> Weights:
    """Return the elements' weights for pictures of 32 by 32 pixels or more."""
    rows = np.arange(N_CELLS + 1) * height // N_CELLS
    columns = np.arange(N_CELLS + 1) * width // N_CELLS
    corners = np.zeros((_MAX_CORNERS, N_ELEMENTS), dtype=np.int64)
    factors = np.zeros((_MAX_CORNERS, N_ELEMENTS), dtype=np.int64)
    scales = np.empty(N_ELEMENTS)
    for index, element in enumerate(elements()):
        n_plus = _n_pixels(element.plus, rows, columns)
        n_minus = _n_pixels(element.minus, rows, columns)
        # mean - mean = (sum * n_minus - sum * n_plus) / (n_plus * n_minus), whose
        # upper part is whole: a flat picture gives 0, not the rounding of floats.
        totals: dict[int, int] = {}
        for factor, areas in ((n_minus, element.plus), (-n_plus, element.minus)):
            for sign, area in areas:
                for corner, one in _corners(area):
                    totals[corner] = totals.get(corner, 0) + sign * one * factor
        kept = [(corner, factor) for corner, factor in totals.items() if factor]
        for place, (corner, factor) in enumerate(kept):
            corners[place, index], factors[place, index] = corner, factor
        scales[index] = 1.0 / (n_plus * n_minus)
    return Weights(corners, factors, scales, rows, columns)


@cache
def family_elements() -> tuple[NDArray[np.int64], ...]:
    """Return the places of each family's elements."""
    names = np.array([element.family for element in elements()])
    return tuple(np.flatnonzero(names == family) for family in FAMILIES)


def _new_element(
    family: str, sides: tuple[int, ...], draws: Iterator[int], seen: set[Element]
) -> Element:
    """Return the next element drawn that is not there yet."""
    while True:
        area = _area(sides, draws)
        other = _area(sides, draws)
        if family == "apart" and _overlap(area, other):
            continue
        element = _element(family, area, other)
        if element not in seen:
            seen.add(element)
            return element


def _element(family: str, area: Area, other: Area) -> Element:
    left, top, right, bottom = area
    x, y = (left + right) // 2, (top + bottom) // 2
    plus: tuple[tuple[int, Area], ...] = ((1, area),)
    minus: tuple[tuple[int, Area], ...] = ((1, other),)
    if family == "average":
        # Against the whole picture's, so that brightness does not count.
        minus = ((1, (0, 0, N_CELLS, N_CELLS)),)
    elif family == "beside":
        plus, minus = ((1, (left, top, x, bottom)),), ((1, (x, top, right, bottom)),)
    elif family == "above":
        plus, minus = ((1, (left, top, right, y)),), ((1, (left, y, right, bottom)),)
    elif family == "surround":
        dx, dy = (right - left) // 4, (bottom - top) // 4
        inner = (left + dx, top + dy, right - dx, bottom - dy)
        plus, minus = ((1, inner),), ((1, area), (-1, inner))
    elif family == "checkerboard":
        plus = ((1, (left, top, x, y)), (1, (x, y, right, bottom)))
        minus = ((1, (x, top, right, y)), (1, (left, y, x, bottom)))
    return Element(family, plus, minus)


def _area(sides: tuple[int, ...], draws: Iterator[int]) -> Area:
    width = sides[next(draws) % len(sides)]
    height = sides[next(draws) % len(sides)]
    left = next(draws) % (N_CELLS - width + 1)
    top = next(draws) % (N_CELLS - height + 1)
    return left, top, left + width, top + height


def _overlap(a: Area, b: Area) -> bool:
    """Return whether areas share more than a quarter of the smaller one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((s[2] - s[0]) * (s[3] - s[1]) for s in (a, b))
    return width > 0 and height > 0 and width * height * 4 > smaller


def _corners(area: Area) -> Iterator[tuple[int, int]]:
    left, top, right, bottom = area
    for x, y, sign in (
        (left, top, 1),
        (right, top, -1),
        (left, bottom, -1),
        (right, bottom, 1),
    ):
        yield y * (N_CELLS + 1) + x, sign


def _n_pixels(
    areas: tuple[tuple[int, Area], ...],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> int:
    return sum(
        sign * int((columns[x1] - columns[x0]) * (rows[y1] - rows[y0]))
        for sign, (x0, y0, x1, y1) in areas
    )


def _draws(seed: int) -> Iterator[int]:
    """Yield splitmix64's numbers: the same with every version of every library."""
    state = seed
    while True:
        state = (state + _STEP) & _MASK
        value = state
        for shift, multiplier in _MIXERS:
            value = ((value ^ (value >> shift)) * multiplier) & _MASK
        yield (value ^ (value >> 31)) >> 16
