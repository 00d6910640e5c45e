from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from planted_signatures import PlantedClip, planted_clip, planted_copy, sound_of

from acav_spark.duplicates import ClipEvidence, CopyRule, are_copies

RULE = CopyRule(
    min_similarity=0.4,
    min_agreement=0.85,
    max_bit_errors=0.3,
    min_similarity_with_sound=0.3,
    min_agreement_with_sound=0.65,
)


def _are_copies(
    first: list[PlantedClip], second: list[PlantedClip], rule: CopyRule = RULE
) -> list[bool]:
    a, b = (ClipEvidence(*zip(*of, strict=True)) for of in (first, second))
    return [bool(one) for one in are_copies(a, b, rule)]


def _noisy(fingerprint: bytes, share: float, rng: np.random.Generator) -> bytes:
    """Return a fingerprint with so many bits turned."""
    bits = np.unpackbits(np.frombuffer(fingerprint, np.uint8))
    return np.packbits(bits ^ (rng.random(len(bits)) < share)).tobytes()


@pytest.mark.parametrize(
    ("similarity", "agreement", "wrong_bits", "is_copy"),
    [
        (0.8, 0.97, 0.0, True),
        # A copy that was dubbed, and one that is silent.
        (0.8, 0.97, 0.5, True),
        (0.8, 0.97, None, True),
        # Much alike: the sound decides.
        (0.8, 0.75, 0.2, True),
        (0.42, 0.97, 0.2, True),
        (0.8, 0.75, 0.5, False),
        (0.8, 0.75, None, False),
        (0.25, 0.97, 0.5, False),
        # The same music over other pictures.
        (0.8, 0.3, 0.0, False),
        (0.1, 0.97, 0.0, False),
    ],
)
def test_pictures_decide_alone_or_with_the_sound(
    rng: np.random.Generator,
    similarity: float,
    agreement: float,
    wrong_bits: float | None,
    is_copy: bool,  # noqa: FBT001 - given by name
) -> None:
    clips = [planted_clip(rng, has_sound=True) for _ in range(5)]
    copies = [
        planted_copy(clip, similarity, rng, agreement=agreement)._replace(
            fingerprint=b""
            if wrong_bits is None
            else _noisy(clip.fingerprint, wrong_bits, rng)
        )
        for clip in clips
    ]
    assert _are_copies(clips, copies) == [is_copy] * 5
    assert _are_copies(copies, clips) == [is_copy] * 5


def test_each_limit_counts(rng: np.random.Generator) -> None:
    clip = planted_clip(rng, has_sound=True)
    by_picture = planted_copy(clip, 0.7, rng)._replace(fingerprint=sound_of(rng))
    by_sound = planted_copy(clip, 0.5, rng, agreement=0.8)
    assert _are_copies([clip] * 2, [by_picture, by_sound]) == [True, True]
    for limit, limited in (
        ("min_similarity", by_picture),
        ("min_agreement", by_picture),
        ("min_similarity_with_sound", by_sound),
        ("min_agreement_with_sound", by_sound),
    ):
        strict = dataclasses.replace(RULE, **{limit: 0.995})
        assert _are_copies([clip], [limited], strict) == [False]
    noisy = by_sound._replace(fingerprint=_noisy(by_sound.fingerprint, 0.1, rng))
    assert _are_copies([clip], [noisy]) == [True]
    deaf = dataclasses.replace(RULE, max_bit_errors=0.05)
    assert _are_copies([clip], [noisy], deaf) == [False]


def test_two_black_clips_and_two_others_are_no_copies(rng: np.random.Generator) -> None:
    sound = sound_of(rng)
    black = planted_clip(rng, is_flat=True)._replace(fingerprint=sound)
    other = planted_clip(rng)
    assert _are_copies([black, other], [black, planted_clip(rng)]) == [False, False]
