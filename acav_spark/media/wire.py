"""Messages between a process and its decoding child: JSON and raw buffers.

No pickle: a decoder that was taken over can answer wrong values, never run code in
its parent. A message is a fixed prefix (magic, length of the header, length of the
buffers), a JSON header, and the buffers one after another, each padded to 16 bytes
so that arrays lie aligned in the received block.
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PREFIX: Final = struct.Struct("<4sIQ")
_MAGIC: Final = b"ACW1"
_ALIGNMENT: Final = 16
_BUFFER_KEY: Final = "__buffer__"
_BYTES: Final = "bytes"
_INTEGERS: Final = ("uint8", "uint32", "int16", "int32", "int64")
_DTYPES: Final = frozenset(["bool", *_INTEGERS, "float16", "float32", "float64"])
MAX_HEADER_BYTES: Final = 16 * 2**20
MAX_DIMENSIONS: Final = 8


class WireError(ValueError):
    """A message that is not of the agreed form, or larger than agreed."""


def encode_message(values: Mapping[str, object]) -> list[bytes | memoryview]:
    """Return the pieces of a message, to be written one after another.

    Parameters
    ----------
    values : mapping
        JSON values, NumPy arrays and bytes, nested in lists and dicts as wished.
        Tuples become lists.

    Raises
    ------
    WireError
        For other values, other dtypes, keys that are not text, or too long a header.
    """
    buffers: list[np.ndarray | bytes] = []
    tree = _tree(values, buffers)
    shapes = [
        [_BYTES, [len(buffer)]]
        if isinstance(buffer, bytes)
        else [buffer.dtype.name, list(buffer.shape)]
        for buffer in buffers
    ]
    header = json.dumps({"values": tree, "buffers": shapes}).encode("ascii")
    if len(header) > MAX_HEADER_BYTES:
        msg = f"header: expected at most {MAX_HEADER_BYTES} bytes, got {len(header)}."
        raise WireError(msg)
    pieces: list[bytes | memoryview] = [b"", header]
    n_buffer_bytes = 0
    for buffer in buffers:
        view = _byte_view(buffer)
        padding = -len(view) % _ALIGNMENT
        pieces += [view, bytes(padding)]
        n_buffer_bytes += len(view) + padding
    pieces[0] = _PREFIX.pack(_MAGIC, len(header), n_buffer_bytes)
    return pieces


def read_message(
    read_exactly: Callable[[int], bytearray], *, max_bytes: int
) -> dict[str, object]:
    """Read one message and return its values; arrays share the received block.

    Parameters
    ----------
    read_exactly : callable
        Returns exactly so many bytes, or raises.
    max_bytes : int
        Largest sum of the buffers that is accepted.

    Raises
    ------
    WireError
        If the message is not well-formed or too large; the stream is then of no
        further use.
    """
    magic, n_header, n_buffers = _PREFIX.unpack(bytes(read_exactly(_PREFIX.size)))
    if magic != _MAGIC or n_header > MAX_HEADER_BYTES or n_buffers > max_bytes:
        msg = (
            f"prefix: expected {_MAGIC!r}, a header of at most {MAX_HEADER_BYTES} and "
            f"buffers of at most {max_bytes} bytes, got {magic!r}, {n_header}, "
            f"{n_buffers}."
        )
        raise WireError(msg)
    try:
        header = json.loads(bytes(read_exactly(n_header)))
    except (ValueError, RecursionError) as error:
        msg = "header: expected JSON."
        raise WireError(msg) from error
    if not isinstance(header, dict) or header.keys() != {"values", "buffers"}:
        msg = "header: expected the keys values and buffers."
        raise WireError(msg)
    buffers = _buffers(header["buffers"], read_exactly(n_buffers))
    try:
        values = _values(header["values"], buffers)
    except RecursionError as error:
        msg = "header: nested too deeply."
        raise WireError(msg) from error
    if not isinstance(values, dict):
        msg = f"values: expected an object, got {type(values).__name__}."
        raise WireError(msg)
    return values


def _tree(value: object, buffers: list[np.ndarray | bytes]) -> object:
    """Return a value as JSON, its arrays moved to ``buffers``."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return _tree(value.item(), buffers)
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _DTYPES or value.ndim > MAX_DIMENSIONS:
            msg = f"array: expected one of {sorted(_DTYPES)}, got {value.dtype}."
            raise WireError(msg)
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        buffers.append(np.asarray(little, order="C"))
        return {_BUFFER_KEY: len(buffers) - 1}
    if isinstance(value, bytes | bytearray | memoryview):
        buffers.append(bytes(value))
        return {_BUFFER_KEY: len(buffers) - 1}
    if isinstance(value, list | tuple):
        return [_tree(item, buffers) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key == _BUFFER_KEY:
                msg = f"key: expected text other than {_BUFFER_KEY!r}, got {key!r}."
                raise WireError(msg)
        return {key: _tree(item, buffers) for key, item in value.items()}
    msg = f"value: expected JSON, an array or bytes, got {type(value).__name__}."
    raise WireError(msg)


def _byte_view(buffer: np.ndarray | bytes) -> memoryview:
    if isinstance(buffer, bytes) or buffer.size == 0:
        return memoryview(buffer if isinstance(buffer, bytes) else b"")
    return buffer.reshape(-1).view(np.uint8).data


def _buffers(shapes: object, block: bytearray) -> list[np.ndarray | bytes]:
    """Return the arrays that lie in a received block."""
    if not isinstance(shapes, list):
        msg = "buffers: expected a list."
        raise WireError(msg)
    buffers: list[np.ndarray | bytes] = []
    offset = 0
    for item in shapes:
        name, shape = _checked_shape(item)
        itemsize = 1 if name == _BYTES else np.dtype(name).itemsize
        n_items = math.prod(shape)
        n_bytes = n_items * itemsize
        if n_bytes > len(block) - offset:
            msg = f"buffers: expected {n_bytes} bytes, got {len(block) - offset}."
            raise WireError(msg)
        if name == _BYTES:
            buffers.append(bytes(memoryview(block)[offset : offset + n_bytes]))
        else:
            buffers.append(_array(block, offset, name, shape))
        offset += n_bytes + -n_bytes % _ALIGNMENT
    if offset != len(block):
        msg = f"buffers: expected {offset} bytes, got {len(block)}."
        raise WireError(msg)
    return buffers


def _array(
    block: bytearray, offset: int, name: str, shape: Sequence[int]
) -> np.ndarray:
    dtype = np.dtype(name).newbyteorder("<")
    try:
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.ndarray(shape, dtype, buffer=block, offset=offset)
    except ValueError as error:
        msg = f"buffers: expected a possible shape, got {shape}."
        raise WireError(msg) from error


def _checked_shape(item: object) -> tuple[str, Sequence[int]]:
    """Return dtype and shape of one buffer as the header states them."""
    if isinstance(item, list) and len(item) == 2:
        name, shape = item
        if (
            isinstance(name, str)
            and (name in _DTYPES or name == _BYTES)
            and isinstance(shape, list)
            and len(shape) <= MAX_DIMENSIONS
            and all(type(n) is int and 0 <= n < 2**48 for n in shape)
            and (name != _BYTES or len(shape) == 1)
        ):
            return name, shape
    msg = f"buffers: expected [dtype, shape], got {str(item)[:100]}."
    raise WireError(msg)


def _values(tree: object, buffers: list[np.ndarray | bytes]) -> object:
    """Return the tree with its arrays put back."""
    if isinstance(tree, list):
        return [_values(item, buffers) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if _BUFFER_KEY not in tree:
        return {key: _values(item, buffers) for key, item in tree.items()}
    index = tree[_BUFFER_KEY]
    if type(index) is not int or not 0 <= index < len(buffers) or len(tree) != 1:
        msg = f"values: expected a buffer below {len(buffers)}, got {index!r:.100}."
        raise WireError(msg)
    return buffers[index]
