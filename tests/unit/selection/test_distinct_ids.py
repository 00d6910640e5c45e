"""Ids are found distinct by hashes; only a proof counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from acav_spark.selection.distinct_ids import have_distinct_hashes
from acav_spark.selection.kernels.hashing import hash_strings

IDS = [f"clip-{number}" for number in range(50)] + ["", "ä", "clip-1 "]


def fnv1a(text: str) -> int:
    """Return the hash by its definition."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def pieces_of(ids: list[str]) -> list[pa.Array]:
    """Return ids as slices of Arrow arrays, one of them empty."""
    whole = pa.array(["aside", *ids])
    return [whole.slice(1, 20), pa.array([], pa.string()), whole.slice(21)]


def test_the_hash_is_fnv_1a_of_the_bytes() -> None:
    text = "".join(IDS).encode()
    ends = np.cumsum([0, *(len(name.encode()) for name in IDS)], dtype=np.int32)
    hashes = np.empty(len(IDS), dtype=np.uint64)

    hash_strings(ends, np.frombuffer(text, dtype=np.uint8), hashes)

    assert hashes.tolist() == [fnv1a(name) for name in IDS]


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_different_ids_are_distinct_and_a_double_is_found_anywhere(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acav_spark.selection.distinct_ids._PIECE", piece)
    n = len(IDS)

    assert have_distinct_hashes(pieces_of(IDS), n)
    for place in range(n):
        doubled = [*IDS[:place], IDS[place - 1], *IDS[place + 1 :]]
        assert not have_distinct_hashes(pieces_of(doubled), n)


@pytest.mark.parametrize("n_ids", [0, 1])
def test_none_and_one_are_distinct(n_ids: int) -> None:
    assert have_distinct_hashes([pa.array(IDS[:n_ids], pa.string())], n_ids)


def test_long_strings_are_hashed_too() -> None:
    assert have_distinct_hashes([pa.array(IDS, pa.large_string())], len(IDS))


@pytest.mark.parametrize("ids", [IDS[:-1], [*IDS, "one more"], [*IDS[:-1], None]])
def test_too_few_too_many_and_empty_ids_prove_nothing(ids: list[str | None]) -> None:
    assert not have_distinct_hashes([pa.array(ids, pa.string())], len(IDS))
