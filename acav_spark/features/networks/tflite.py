"""Reads the weights of a LiteRT (TensorFlow Lite) file: no code, no interpreter.

The file is a FlatBuffer (``flatbuffers.dev``, Internals): a table begins with the
distance back to its vtable, which has the place of each field. The field numbers are
those of TensorFlow Lite's published schema, version 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TFLITE_MARK: Final = b"TFL3"
CONV_2D: Final = 3
DEPTHWISE_CONV_2D: Final = 4
FULLY_CONNECTED: Final = 9
_DEQUANTIZE: Final = 6

_TYPES: Final[dict[int, np.dtype[Any]]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    2: np.dtype("<i4"),
    3: np.dtype("u1"),
    4: np.dtype("<i8"),
    9: np.dtype("i1"),
}
_MAX_ITEMS = 100_000


@dataclass(frozen=True)
class Operation:
    """One step of the graph that has weights.

    Parameters
    ----------
    code : int
        ``CONV_2D``, ``DEPTHWISE_CONV_2D`` or ``FULLY_CONNECTED``.
    kernel : ndarray of float32
        (out, height, width, in), depthwise (1, height, width, channels), fully
        connected (out, in).
    bias : ndarray of float32, shape (out,)
        Zeros where the file has none.
    """

    code: int
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def weighted_operations(content: bytes) -> list[Operation]:
    """Return the operations with constant weights, in the order in which they run.

    Quantised weights are scaled back: ``scale * (q - zero_point)``, along the axis
    that the file names.

    Raises
    ------
    ValueError
        If the file is not a whole LiteRT file.
    """
    if content[4:8] != TFLITE_MARK:
        msg = f"tflite: expected the mark {TFLITE_MARK!r} at 4, got {content[4:8]!r}."
        raise ValueError(msg)
    try:
        return list(_operations(content))
    except (struct.error, IndexError, KeyError) as error:
        msg = f"tflite: expected a whole file, got a broken one ({error!r})."
        raise ValueError(msg) from error


def _operations(content: bytes) -> Iterator[Operation]:
    model = _Table.root(content)
    # The newer field holds what the older cannot.
    codes = [max(code.int8(0), code.int32(3)) for code in model.tables(1)]
    graph = model.tables(2)[0]
    tensors, buffers = graph.tables(0), model.tables(4)
    packed: dict[int, int] = {}  # what runs as float32 and is stored in less
    for step in graph.tables(3):
        code, inputs = codes[step.int32(0)], step.int32s(1)
        if code == _DEQUANTIZE:
            packed[step.int32s(2)[0]] = inputs[0]
        if code not in (CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED):
            continue
        kernel = _constant(tensors[packed.get(inputs[1], inputs[1])], buffers)
        if kernel is None:
            continue
        bias = None
        if len(inputs) > 2 and inputs[2] >= 0:
            bias = _constant(tensors[inputs[2]], buffers)
        n_out = kernel.shape[3 if code == DEPTHWISE_CONV_2D else 0]
        yield Operation(
            code, kernel, np.zeros(n_out, np.float32) if bias is None else bias
        )


def _constant(tensor: _Table, buffers: list[_Table]) -> NDArray[np.float32] | None:
    """Return a tensor's numbers as float32; None if it is computed."""
    raw = buffers[tensor.uint32(2)].uint8s(0)
    if not raw:
        return None
    kind = _TYPES[tensor.int8(1)]
    values = np.frombuffer(raw, kind).reshape(tensor.int32s(0))
    scaling = tensor.table(4)
    scale = np.array(scaling.float32s(2) if scaling else [], np.float32)
    if scaling is None or scale.size == 0:
        return np.array(values, np.float32)  # not the file's bytes, which are locked
    zero = np.array(scaling.int64s(3) or [0] * scale.size, np.int64)
    shape = [1] * values.ndim
    if scale.size > 1:
        shape[scaling.int32(6)] = scale.size
    shifted = values.astype(np.int64) - zero.reshape(shape if zero.size > 1 else [])
    with np.errstate(over="ignore"):  # told below
        scaled = (shifted * scale.reshape(shape).astype(np.float64)).astype(np.float32)
    if not np.isfinite(scaled).all():
        msg = f"tflite: expected finite weights, got scales up to {scale.max()}."
        raise ValueError(msg)
    return scaled


class _Table:
    """A table of a FlatBuffer at a place of the file."""

    def __init__(self, content: bytes, place: int) -> None:
        self._content = content
        self._place = place
        self._vtable = place - self._read("<i", place)
        self._vtable_size = self._read("<H", self._vtable)

    @classmethod
    def root(cls, content: bytes) -> _Table:
        """Return the table that the file begins with."""
        return cls(content, struct.unpack_from("<I", content, 0)[0])

    def _read(self, form: str, place: int) -> int:
        # A negative place would count from the end.
        if place < 0:
            msg = f"place {place} before the file's begin"
            raise IndexError(msg)
        return int(struct.unpack_from(form, self._content, place)[0])

    def _field(self, number: int) -> int:
        """Return the place of a field; 0 if it is at its default."""
        entry = 4 + 2 * number
        if entry + 2 > self._vtable_size:
            return 0
        offset = self._read("<H", self._vtable + entry)
        return self._place + offset if offset else 0

    def _number(self, form: str, number: int) -> int:
        place = self._field(number)
        return self._read(form, place) if place else 0

    def int8(self, number: int) -> int:
        return self._number("<b", number)

    def int32(self, number: int) -> int:
        return self._number("<i", number)

    def uint32(self, number: int) -> int:
        return self._number("<I", number)

    def table(self, number: int) -> _Table | None:
        place = self._field(number)
        return self._at(place) if place else None

    def _at(self, place: int) -> _Table:
        return _Table(self._content, place + self._read("<I", place))

    def _vector(self, number: int) -> tuple[int, int]:
        """Return the place of a vector's first item, and how many it has."""
        place = self._field(number)
        if not place:
            return 0, 0
        place += self._read("<I", place)
        return place + 4, self._read("<I", place)

    def tables(self, number: int) -> list[_Table]:
        first, n_items = self._vector(number)
        if n_items > _MAX_ITEMS:
            msg = f"{n_items} tables"
            raise IndexError(msg)
        return [self._at(first + 4 * i) for i in range(n_items)]

    def uint8s(self, number: int) -> bytes:
        first, n_items = self._vector(number)
        if first + n_items > len(self._content):
            msg = f"{n_items} bytes at {first} of {len(self._content)}"
            raise IndexError(msg)
        return self._content[first : first + n_items]

    def _numbers(self, form: str, number: int) -> list[float]:
        first, n_items = self._vector(number)
        return list(struct.unpack_from(f"<{n_items}{form}", self._content, first))

    def int32s(self, number: int) -> list[int]:
        return [int(x) for x in self._numbers("i", number)]

    def int64s(self, number: int) -> list[int]:
        return [int(x) for x in self._numbers("q", number)]

    def float32s(self, number: int) -> list[float]:
        return self._numbers("f", number)
