from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.duplicates import paired_bit_errors, sound_keys, sounds


def _sound(rng: np.random.Generator, n_words: int) -> bytes:
    words = rng.integers(1, 2**32, size=n_words, dtype=np.uint32)
    words[rng.random(n_words) < 0.1] = 0
    return words.tobytes()


def _errors(first: bytes, second: bytes) -> float:
    """Return the least share over all shifts, word by word."""
    a, b = (np.frombuffer(one, "<u4").tolist() for one in (first, second))
    shares = []
    for shift in range(-len(a), len(b) + 1):
        pairs = [
            (one, b[place + shift])
            for place, one in enumerate(a)
            if 0 <= place + shift < len(b) and one and b[place + shift]
        ]
        if len(pairs) >= sounds.MIN_OVERLAP:
            n_errors = sum((one ^ other).bit_count() for one, other in pairs)
            shares.append(n_errors / 32 / len(pairs))
    return min(shares, default=math.nan)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6),
    st.integers(0, 2**32),
)
def test_errors_are_those_of_all_shifts(
    sizes: list[tuple[int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first = [_sound(rng, n) for n, _ in sizes]
    second = [_sound(rng, n) for _, n in sizes]
    expected = [_errors(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(paired_bit_errors(first, second), expected)


def test_many_pairs_are_compared_in_parts(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "_AT_ONCE", 100)
    first = [_sound(rng, int(n)) for n in rng.integers(30, 50, size=9)]
    second = [_sound(rng, int(n)) for n in rng.integers(30, 50, size=9)]
    expected = [_errors(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(paired_bit_errors(first, second), expected)


def test_a_part_with_wrong_bits_is_found_where_it_lies(
    rng: np.random.Generator,
) -> None:
    words = rng.integers(1, 2**32, size=90, dtype=np.uint32)
    part = words[25:65].copy()
    part[7] ^= np.uint32(0b1011)
    part[9] = 0
    errors = paired_bit_errors(
        [words.tobytes(), part.tobytes(), b"", words.tobytes()],
        [part.tobytes(), words.tobytes(), words.tobytes(), words[:29].tobytes()],
    )
    assert errors[:2].tolist() == [3 / 32 / 39] * 2
    assert np.isnan(errors[2:]).all()


def test_keys_are_the_same_ones_of_what_is_shared(rng: np.random.Generator) -> None:
    words = rng.integers(1, 2**32, size=90, dtype=np.uint32)
    part = np.concatenate([words[40:], np.zeros(5, np.uint32), words[50:70]])
    keys = sound_keys(words.tobytes(), 30, seed=3)
    assert len(set(keys.tolist())) == len(keys) == 30
    everything = sound_keys(words.tobytes(), 1000, seed=3)
    assert len(everything) == 90
    assert set(keys.tolist()) < set(everything.tolist())
    shared = set(keys.tolist()) & set(sound_keys(part.tobytes(), 30, seed=3).tolist())
    # Half of the thirty least ones lie in the half that is shared.
    assert 8 <= len(shared) <= 24
    assert not set(keys.tolist()) & set(sound_keys(words.tobytes(), 90, 4).tolist())
    assert len(sound_keys(np.zeros(9, np.uint32).tobytes(), 9, seed=3)) == 0


def test_keys_stay_those_of_earlier_versions() -> None:
    words = np.array([5, 6, 7], dtype="<u4").tobytes()
    assert sound_keys(words, 2, seed=0).tolist() == [
        7290780432327808730,
        -4257144620492740283,
    ]


def test_what_are_no_words_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4 bytes, got 5"):
        paired_bit_errors([b"\1" * 5], [b""])
    with pytest.raises(ValueError, match="multiple of 4 bytes, got 3"):
        sound_keys(b"\1" * 3, 2, seed=0)
    with pytest.raises(ValueError, match="shorter"):
        paired_bit_errors([b"", b""], [b""])
