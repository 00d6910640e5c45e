"""Clips that nobody filmed, and copies of them changed as real copies are.

Pictures of an original are a random field with the spectrum and the mean of real
pictures, to which the movement of a real clip is added, mirrored and shifted: what
hardly moves there hardly moves here. Its sound is noise in 33 bands whose loudness
wanders. A copy gets the changes that were measured between one real clip and one copy
of it, all of the same pair: which stretches are matched and which of their elements
differ, which share of the words stays, which bits of the fingerprint are wrong, and
by how much it was shifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import av
import numpy as np
from copies import LENGTH_S
from scipy.ndimage import gaussian_filter1d

from acav_spark.duplicates import paired_bit_errors
from acav_spark.segment.fingerprint import FRAME_S, HOP_S, LAG, N_BITS
from acav_spark.segment.signature import SignatureMeter, coarse_signature
from acav_spark.segment.signature_elements import N_CELLS, N_WORDS
from acav_spark.segment.stretches import (
    N_BYTES,
    N_VALUES,
    packed_elements,
    stretch_elements,
    ternary_elements,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Few pictures have few words, which makes strangers more alike, not less.
_RATE: Final = 2
_N_FRAMES: Final = LENGTH_S * _RATE
_N_BANDS: Final = N_BITS + 1
# Loudness of a band wanders in steps of half a hop.
_STEP_S: Final = HOP_S / 2
_BAG_BITS: Final = 248


class Signed(NamedTuple):
    """What a clip is compared by."""

    signature: bytes
    elements: bytes
    fingerprint: bytes


@dataclass(frozen=True)
class Change:
    """What lies between a real clip and a copy of it.

    Parameters
    ----------
    kind : str
        Which of ``copies.COPIES``.
    matched : ndarray of int64, shape (n_stretches,)
        The original's stretch that each stretch of the copy shows.
    from_elements, to_elements : ndarray of int8, shape (n_stretches, 380)
        Elements of both.
    kept_words : float
        Mean Jaccard index of the words of matched stretches.
    shift : int
        Place in the original's fingerprint at which the copy's begins.
    wrong_bits : ndarray of uint32, shape (n_words,)
        Bits that differ; empty where there is no sound.
    duration_s : float
        Length of the copy.
    """

    kind: str
    matched: NDArray[np.int64]
    from_elements: NDArray[np.int8]
    to_elements: NDArray[np.int8]
    kept_words: float
    shift: int
    wrong_bits: NDArray[np.uint32]
    duration_s: float


def measured_change(
    kind: str, original: Signed, copy: Signed, duration_s: float
) -> Change:
    """Return what changed between a clip and a copy."""
    a, b = (
        ternary_elements(np.frombuffer(one.elements, np.uint8).reshape(-1, N_BYTES))
        for one in (original, copy)
    )
    scores = b.astype(np.int64) @ a.T.astype(np.int64)
    matched = scores.argmax(axis=1)
    bags = [unpacked(one.signature)[..., :N_VALUES] for one in (original, copy)]
    n = min(len(bags[1]), len(matched))
    ours, theirs = bags[1][:n], bags[0][matched[:n]]
    jaccard = (ours & theirs).sum(axis=2) / np.maximum((ours | theirs).sum(axis=2), 1)
    shift, wrong = _wrong_bits(original.fingerprint, copy.fingerprint)
    return Change(
        kind, matched, a[matched], b, float(jaccard.mean()), shift, wrong, duration_s
    )


def _wrong_bits(original: bytes, copy: bytes) -> tuple[int, NDArray[np.uint32]]:
    a, b = (np.frombuffer(one, "<u4") for one in (original, copy))
    best: tuple[float, int, NDArray[np.uint32]] = (1.0, 0, np.empty(0, np.uint32))
    for shift in range(max(len(a) - 30, 0)):
        n = min(len(a) - shift, len(b))
        one, other = a[shift : shift + n], b[:n]
        (errors,) = paired_bit_errors([one.tobytes()], [other.tobytes()])
        same_place = np.where((one != 0) & (other != 0), one ^ other, 0)
        share = np.bitwise_count(same_place).mean() / N_BITS
        if errors < 0.4 and share < best[0]:
            best = (float(share), shift, same_place)
    return best[1], best[2]


def cells_of(path: Path) -> NDArray[np.float32]:
    """Return the pictures of a clip in 32 by 32 cells, two a second."""
    kept: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if float(frame.time or 0.0) * _RATE >= len(kept):
                small = frame.reformat(
                    width=N_CELLS, height=N_CELLS, format="gray", interpolation="AREA"
                )
                kept.append(small.to_ndarray().astype(np.uint8))
    cells = np.stack(kept).astype(np.float32)
    # Clips that are shorter go on from their start.
    return cells[np.arange(_N_FRAMES) % len(cells)]


class ClipMaker:
    """Makes originals and copies.

    Parameters
    ----------
    films : sequence of ndarray of float32, shape (20, 32, 32)
        Pictures of real clips.
    changes : sequence of Change
        Of which copies get one each.
    """

    def __init__(self, films: list[NDArray[np.float32]], changes: list[Change]) -> None:
        self._films = films
        self._changes = changes
        self._sounding = [one for one in changes if len(one.wrong_bits)]
        means = np.stack([film.mean(axis=0) for film in films])
        means -= means.mean(axis=(1, 2), keepdims=True)
        means /= means.std(axis=(1, 2), keepdims=True)
        self._template = means.mean(axis=0)
        self._spectrum = np.abs(np.fft.fft2(means - self._template)).mean(axis=0)

    def film(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return pictures that nobody took, shape (20, 32, 32)."""
        real = self._films[rng.integers(len(self._films))]
        mean = real.mean(axis=0)
        moved = np.rot90(real - mean, int(rng.integers(4)), axes=(1, 2))
        if rng.random() < 0.5:
            moved = moved[:, :, ::-1]
        noise = np.fft.fft2(rng.standard_normal((N_CELLS, N_CELLS)))
        field = np.fft.ifft2(noise / np.abs(noise) * self._spectrum).real
        picture = self._template + field * rng.uniform(0.8, 1.2)
        picture *= max(float(mean.std()), 5.0) / picture.std()
        film = picture + mean.mean() + moved
        pictures: NDArray[np.uint8] = np.clip(np.rint(film), 0, 255).astype(np.uint8)
        return pictures

    def original(self, rng: np.random.Generator) -> Signed:
        """Return a clip of ten seconds."""
        meter = SignatureMeter()
        for number, picture in enumerate(self.film(rng)):
            meter.add(number / _RATE, picture)
        times_s, sampled = meter.samples
        whole = (0.0, float(LENGTH_S))
        return Signed(
            coarse_signature(meter.times_s, meter.words, *whole),
            stretch_elements(times_s, sampled, *whole),
            sound(rng),
        )

    def copy(self, of: Signed, rng: np.random.Generator) -> tuple[Signed, Change]:
        """Return a copy, and what was done."""
        change = self._changes[rng.integers(len(self._changes))]
        heard = change
        if of.fingerprint and not len(change.wrong_bits):
            kin = [one for one in self._sounding if one.kind == change.kind]
            heard = kin[rng.integers(len(kin))]
        copied = Signed(
            _changed_words(of.signature, change, rng),
            _changed_elements(of.elements, change),
            _changed_sound(of.fingerprint, heard),
        )
        return copied, change


def sound(rng: np.random.Generator) -> bytes:
    """Return the fingerprint of noise in bands whose loudness wanders."""
    per_frame = round(FRAME_S / _STEP_S)
    n_steps = round(LENGTH_S / _STEP_S)
    level = rng.standard_normal((n_steps, _N_BANDS))
    level = gaussian_filter1d(level, rng.uniform(1.0, 8.0), axis=0)
    level = gaussian_filter1d(level, rng.uniform(0.3, 1.5), axis=1)
    power = np.exp(2 * level / level.std())
    power *= rng.gamma(2.0, size=power.shape)
    window = np.hanning(per_frame + 2)[1:-1] ** 2
    frames = np.lib.stride_tricks.sliding_window_view(power, per_frame, axis=0)
    energies = frames[:: round(HOP_S / _STEP_S)] @ window
    steps = energies[:, :-1] - energies[:, 1:]
    bits = steps[LAG:] > steps[:-LAG]
    return np.packbits(bits, axis=1, bitorder="little").tobytes()


def _changed_words(coarse: bytes, change: Change, rng: np.random.Generator) -> bytes:
    """Return the matched stretches, with so many words of each that have gone."""
    bags = unpacked(coarse)
    bags = bags[np.minimum(change.matched, len(bags) - 1)]
    changed = np.zeros_like(bags)
    stays = 2 * change.kept_words / (1 + change.kept_words)
    for word in range(N_WORDS):
        goes = rng.random(N_VALUES) >= stays
        places = np.arange(N_VALUES)
        places[goes] = rng.integers(N_VALUES, size=int(goes.sum()))
        stretches, values = np.nonzero(bags[:, word, :N_VALUES])
        changed[stretches, word, places[values]] = True
    return np.packbits(changed, axis=-1, bitorder="little").tobytes()


def _changed_elements(elements: bytes, change: Change) -> bytes:
    """Return the matched stretches; an element that differed there differs here."""
    packed = np.frombuffer(elements, np.uint8).reshape(-1, N_BYTES)
    ours = ternary_elements(packed[np.minimum(change.matched, len(packed) - 1)])
    before, after = change.from_elements, change.to_elements
    is_turned = before * after == -1
    new = np.where(is_turned, -ours, 0)
    # What was near zero, or went there, takes a sign where it has none.
    new = np.where(ours == 0, after + before * (after == 0), new)
    return packed_elements(np.where(before == after, ours, new)).tobytes()


def _changed_sound(fingerprint: bytes, change: Change) -> bytes:
    words = np.frombuffer(fingerprint, "<u4")[change.shift :]
    n = min(len(words), len(change.wrong_bits))
    return (words[:n] ^ change.wrong_bits[:n]).tobytes()


def unpacked(coarse: bytes) -> NDArray[np.bool_]:
    """Return the bits of a coarse signature, shape (n_stretches, 5, 248)."""
    raw = np.frombuffer(coarse, np.uint8).reshape(-1, N_WORDS, _BAG_BITS // 8)
    return np.unpackbits(raw, axis=-1, bitorder="little").astype(np.bool_)
