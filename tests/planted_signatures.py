"""What clips are compared by, made without videos, and copies of a wanted likeness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from acav_spark.segment.signature import FINE_FRAME, STRETCH_BYTES
from acav_spark.segment.signature_elements import N_ELEMENTS, N_WORDS
from acav_spark.segment.stretches import N_BYTES, N_VALUES, packed_elements

_N_BITS = 248


class PlantedClip(NamedTuple):
    """What a clip is compared by."""

    signature: bytes
    elements: bytes
    fingerprint: bytes = b""


def planted_clip(
    rng: np.random.Generator, *, is_flat: bool = False, has_sound: bool = False
) -> PlantedClip:
    """Return a clip of six stretches that is like no other one."""
    looks = rng.choice([-1, 0, 1], size=(6, N_ELEMENTS)) * (not is_flat)
    return PlantedClip(
        signature(rng, is_flat=is_flat),
        packed_elements(looks).tobytes(),
        sound_of(rng) if has_sound else b"",
    )


def planted_copy(
    clip: PlantedClip,
    similarity: float,
    rng: np.random.Generator,
    *,
    agreement: float = 0.95,
) -> PlantedClip:
    """Return a copy with so much of the words and elements, and the same sound."""
    return PlantedClip(
        copy_of(clip.signature, similarity, rng),
        looks_like(clip.elements, agreement, rng),
        clip.fingerprint,
    )


def sound_of(rng: np.random.Generator, n_words: int = 92) -> bytes:
    """Return a fingerprint that is like no other one."""
    return rng.integers(1, 2**32, size=n_words, dtype=np.uint32).tobytes()


def looks_like(elements: bytes, agreement: float, rng: np.random.Generator) -> bytes:
    """Return elements of which so many bytes stay that they agree so far."""
    packed = np.frombuffer(elements, np.uint8).reshape(-1, N_BYTES).copy()
    goes = rng.random(packed.shape) >= agreement
    packed[goes] = rng.integers(N_VALUES, size=int(goes.sum()))
    return packed.tobytes()


def signature(
    rng: np.random.Generator, *, n_stretches: int = 6, is_flat: bool = False
) -> bytes:
    """Return a coarse signature whose stretches share most of their words."""
    bits = np.zeros((n_stretches, N_WORDS, _N_BITS), dtype=np.bool_)
    if is_flat:
        bits[:, :, 121] = True
        return _packed(bits)
    for word in range(N_WORDS):
        pool = rng.choice(N_VALUES, size=12, replace=False)
        for stretch in range(n_stretches):
            bits[stretch, word, pool[stretch : stretch + 6]] = True
    return _packed(bits)


def copy_of(coarse: bytes, similarity: float, rng: np.random.Generator) -> bytes:
    """Return a copy in which so much of each stretch's words is the same.

    Of n words k = 2 n s / (1 + s) stay, and as many others come as go.
    """
    raw = np.frombuffer(coarse, dtype=np.uint8).reshape(-1, N_WORDS, _N_BITS // 8)
    bits = np.unpackbits(raw, axis=-1, bitorder="little")[..., :N_VALUES]
    found = bits.astype(np.bool_)
    # A word that goes goes everywhere, and another one comes in its place.
    changed = np.zeros((len(raw), N_WORDS, _N_BITS), dtype=np.bool_)
    stays = 2 * similarity / (1 + similarity)
    for word in range(N_WORDS):
        goes = rng.random(N_VALUES) >= stays
        order = np.arange(N_VALUES)
        order[goes] = rng.permutation(N_VALUES)[: int(goes.sum())]
        stretches, values = np.nonzero(found[:, word])
        changed[stretches, word, order[values]] = True
    return _packed(changed)


def fine_of(rng: np.random.Generator, *, n_frames: int = 30) -> bytearray:
    """Return a fine signature of three seconds of one picture."""
    frames = np.zeros(n_frames, dtype=FINE_FRAME)
    frames["time_ms"] = np.arange(n_frames) * 100
    frames["confidence"] = 200
    frames["elements"] = rng.integers(N_VALUES, size=frames["elements"].shape[1])
    return bytearray(frames.tobytes())


def _packed(bits: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> bytes:
    packed = np.packbits(bits, axis=-1, bitorder="little").tobytes()
    assert len(packed) % STRETCH_BYTES == 0
    return packed
