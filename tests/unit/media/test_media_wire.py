from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from acav_spark.media.wire import (
    MAX_HEADER_BYTES,
    WireError,
    encode_message,
    read_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_INTEGERS = ["uint8", "uint32", "int16", "int32", "int64"]
_DTYPES = ["bool", *_INTEGERS, "float16", "float32", "float64"]

_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text()
    | st.just("lone surrogate \udcff")
    | st.binary(max_size=50)
    | st_numpy.arrays(
        st.sampled_from(_DTYPES).map(np.dtype),
        st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
_trees = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def _reader(block: bytes) -> Callable[[int], bytearray]:
    position = 0

    def read_exactly(n_bytes: int) -> bytearray:
        nonlocal position
        part = block[position : position + n_bytes]
        if len(part) != n_bytes:
            raise EOFError
        position += n_bytes
        return bytearray(part)

    return read_exactly


def _block(values: dict[str, object]) -> bytes:
    return b"".join(bytes(piece) for piece in encode_message(values))


def _is_same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        same_form = a.dtype == b.dtype and a.shape == b.shape
        return same_form and a.tobytes() == b.tobytes()
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(
            _is_same(x, y) for x, y in zip(a, b, strict=True)
        )
    return type(a) is type(b) and a == b


@given(st.dictionaries(st.text(max_size=5), _trees, max_size=5))
def test_what_is_sent_arrives(values: dict[str, object]) -> None:
    arrived = read_message(_reader(_block(values)), max_bytes=10**6)
    assert _is_same(arrived, values)


def test_arrays_arrive_aligned_writable_and_in_order() -> None:
    values: dict[str, object] = {
        "a": np.arange(3, dtype=np.uint8),
        "b": np.arange(12.0).reshape(3, 4).T,
        "c": np.arange(4, dtype=">i4"),
    }

    arrived = read_message(_reader(_block(values)), max_bytes=10**6)

    for key, value in values.items():
        array = arrived[key]
        assert isinstance(array, np.ndarray)
        assert array.flags.aligned
        assert array.flags.writeable
        np.testing.assert_array_equal(array, np.asarray(value))


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        np.array(["text"]),
        np.array([None], dtype=object),
        {1: "a"},
        {"__buffer__": 0},
        np.zeros((1,) * 9),
        1j,
    ],
)
def test_values_that_cannot_be_sent_are_refused(value: object) -> None:
    with pytest.raises(WireError, match="expected"):
        encode_message({"x": value})


def test_too_long_a_header_is_refused_before_it_is_sent() -> None:
    with pytest.raises(WireError, match="header"):
        encode_message({"x": "a" * MAX_HEADER_BYTES})


def test_a_message_larger_than_agreed_is_refused_before_it_is_read() -> None:
    block = _block({"x": np.zeros(1000, dtype=np.uint8)})
    with pytest.raises(WireError, match="at most 999"):
        read_message(_reader(block), max_bytes=999)


def _raw(header: bytes, body: bytes = b"", n_body: int | None = None) -> bytes:
    n_bytes = len(body) if n_body is None else n_body
    return struct.pack("<4sIQ", b"ACW1", len(header), n_bytes) + header + body


def _with_buffers(buffers: object, values: object = None, body: bytes = b"") -> bytes:
    header = {"values": {} if values is None else values, "buffers": buffers}
    return _raw(json.dumps(header).encode(), body)


@pytest.mark.parametrize(
    "block",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        struct.pack("<4sIQ", b"ACW1", 2**32 - 1, 0),
        struct.pack("<4sIQ", b"ACW1", 2, 2**63),
        _raw(b"not json"),
        _raw(b"\xff\xfe"),
        _raw(b"[]"),
        _raw(b"{}"),
        _raw(b'{"values": 1, "buffers": []}'),
        _raw(b'{"values": [], "buffers": []}'),
        _raw(b'{"values": {}, "buffers": {}}'),
        _raw(b'{"values": {}, "buffers": [], "more": 1}'),
        _raw(b"[" * 100_000),
        _raw(b'{"values": {"n": ' + b"9" * 10_000 + b'}, "buffers": []}'),
        _with_buffers([["object", [1]]], body=bytes(16)),
        _with_buffers([["uint8", [17]]], body=bytes(16)),
        _with_buffers([["uint8", [-1]]]),
        _with_buffers([["uint8", [1.0]]], body=bytes(16)),
        _with_buffers([["uint8", [True]]], body=bytes(16)),
        _with_buffers([["uint8", [2**47, 2**47, 0]]]),
        _with_buffers([["uint8", [2**40, 2**40]]]),
        _with_buffers([["uint8", [1] * 9]], body=bytes(16)),
        _with_buffers([["bytes", [1, 1]]], body=bytes(16)),
        _with_buffers([["uint8"]]),
        _with_buffers([[["uint8"], [1]]], body=bytes(16)),
        _with_buffers(["uint8"]),
        _with_buffers([], body=bytes(16)),
        _with_buffers([], values={"a": {"__buffer__": 0}}),
        _with_buffers([["uint8", [1]]], {"a": {"__buffer__": -1}}, bytes(16)),
        _with_buffers([["uint8", [1]]], {"a": {"__buffer__": True}}, bytes(16)),
        _with_buffers([["uint8", [1]]], {"a": {"__buffer__": 0, "b": 1}}, bytes(16)),
        _with_buffers([["uint8", [1]]], {"__buffer__": 0}, bytes(16)),
    ],
)
def test_hostile_messages_are_refused(block: bytes) -> None:
    with pytest.raises(WireError):
        read_message(_reader(block), max_bytes=1000)


@given(st.binary(max_size=200))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    with pytest.raises((WireError, EOFError)):
        read_message(_reader(_raw(noise)), max_bytes=1000)


@given(st.data())
def test_a_damaged_message_is_refused_or_read(data: st.DataObject) -> None:
    block = bytearray(_block({"a": np.arange(5), "b": [b"xyz", {"c": 1.5}]}))
    place = data.draw(st.integers(0, len(block) - 1))
    block[place] = data.draw(st.integers(0, 255))
    try:
        values = read_message(_reader(bytes(block)), max_bytes=1000)
    except (WireError, EOFError):
        return
    assert isinstance(values, dict)
