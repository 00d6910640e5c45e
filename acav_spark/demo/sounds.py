"""How the things of the demo corpus sound: one synthesiser for each class.

What repeats sounds at the times ``(m - phase) / rate_hz``, where the picture of the
same class bounces, ticks or turns; so a corresponding shot is also in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from acav_spark.demo.plan import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from acav_spark.demo.plan import ShotPlan

Wave = NDArray[np.float64]
Synthesiser = Callable[[np.random.Generator, int, float, float], Wave]


def synthesise_shot(shot: ShotPlan, *, n_samples: int, phase: float) -> Wave:
    """Return the sound of a shot, peak below 1, at ``SAMPLE_RATE_HZ``.

    Loudness, noise and, in a quarter of the shots, a second faint source vary.
    """
    rng = np.random.default_rng([*shot.seed, 2])
    wave = SOUNDS[shot.audio_class](rng, n_samples, shot.audio_rate_hz, phase)
    wave = wave / _rms(wave)
    if rng.uniform() < 0.25:
        others = [name for name in SOUNDS if name != shot.audio_class]
        other = SOUNDS[others[int(rng.integers(len(others)))]]
        faint = other(rng, n_samples, float(rng.uniform(0.5, 2.0)), rng.uniform())
        wave += faint / _rms(faint) * 10 ** (rng.uniform(-22, -10) / 20)
    noise = _coloured_noise(rng, n_samples)
    wave += noise * 10 ** (rng.uniform(-34, -14) / 20)
    wave *= 10 ** (rng.uniform(-30, -14) / 20) / _rms(wave)
    return np.asarray(0.98 * np.tanh(wave / 0.98))


def _times(n_samples: int) -> Wave:
    """Return the time of each sample in seconds."""
    return np.arange(n_samples, dtype=np.float64) / SAMPLE_RATE_HZ


def _rms(wave: Wave) -> float:
    """Return the root of the mean square, never zero."""
    return float(np.sqrt(np.mean(wave**2))) + 1e-9


def _filtered(
    wave: Wave, *, low_hz: float | None = None, high_hz: float | None = None
) -> Wave:
    """Return the wave between two frequencies (second-order Butterworth)."""
    result = wave
    for edge, kind in ((low_hz, "highpass"), (high_hz, "lowpass")):
        if edge is not None:
            sections = butter(2, edge, kind, fs=SAMPLE_RATE_HZ, output="sos")
            result = sosfilt(sections, result)
    return np.asarray(result)


def _coloured_noise(rng: np.random.Generator, n_samples: int) -> Wave:
    """Return noise of root mean square 1, white or dull by chance."""
    noise = rng.standard_normal(n_samples)
    noise = _filtered(
        noise, high_hz=float(np.exp(rng.uniform(np.log(400), np.log(7000))))
    )
    return noise / _rms(noise)


def _place(pattern: Wave, starts_s: NDArray[np.float64], n_samples: int) -> Wave:
    """Return silence with the pattern added at each start inside it."""
    wave = np.zeros(n_samples + len(pattern))
    for start in np.round(starts_s * SAMPLE_RATE_HZ).astype(int):
        if 0 <= start < n_samples:
            wave[start : start + len(pattern)] += pattern
    return wave[:n_samples]


def _beats(n_samples: int, rate_hz: float, phase: float) -> NDArray[np.float64]:
    """Return the times of a regular event."""
    duration_s = n_samples / SAMPLE_RATE_HZ
    numbers = np.arange(int(duration_s * rate_hz) + 2, dtype=np.float64)
    return np.asarray((numbers - phase) / rate_hz)


def _decay(time_constant_s: float, *, length: float = 6.0) -> tuple[Wave, Wave]:
    """Return the times and the envelope of something struck."""
    times = _times(int(time_constant_s * length * SAMPLE_RATE_HZ))
    return times, np.exp(-times / time_constant_s)


def _rain(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return hiss, with drops near by."""
    hiss = _filtered(rng.standard_normal(n_samples), low_hz=rng.uniform(500, 1500))
    times, envelope = _decay(0.004)
    drop = envelope * np.sin(2 * np.pi * rng.uniform(1500, 3500) * times)
    n_drops = rng.poisson(8 * rate_hz * n_samples / SAMPLE_RATE_HZ)
    starts = rng.uniform(0, n_samples / SAMPLE_RATE_HZ, n_drops) + 0 * phase
    return hiss + rng.uniform(0.5, 2.0) * _place(drop, starts, n_samples)


def _train(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return rumble, and wheels that clack in pairs."""
    rumble = _filtered(rng.standard_normal(n_samples), high_hz=rng.uniform(120, 260))
    times, envelope = _decay(0.025)
    clack = envelope * _filtered(rng.standard_normal(len(times)), high_hz=1800)
    beats = _beats(n_samples, rate_hz, phase)
    pairs = np.concatenate([beats, beats + rng.uniform(0.12, 0.18)])
    return rumble / _rms(rumble) + rng.uniform(2.0, 5.0) * _place(
        clack, pairs, n_samples
    )


def _ball(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return thumps of a low, falling tone."""
    times, envelope = _decay(rng.uniform(0.04, 0.09))
    pitch = rng.uniform(80, 170)
    thump = envelope * np.sin(
        2 * np.pi * pitch * (times + 0.01 * np.exp(-times / 0.02))
    )
    slap = np.exp(-times / 0.006) * rng.standard_normal(len(times))
    pattern = thump + rng.uniform(0.05, 0.3) * slap
    return _place(pattern, _beats(n_samples, rate_hz, phase), n_samples)


def _bird(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return chirps in small groups."""
    times = _times(int(rng.uniform(0.06, 0.11) * SAMPLE_RATE_HZ))
    start_hz, sweep_hz = rng.uniform(2300, 4200), rng.uniform(-1200, 1800)
    turns = start_hz * times + 0.5 * sweep_hz / times[-1] * times**2
    chirp = np.hanning(len(times)) * np.sin(2 * np.pi * turns)
    beats = _beats(n_samples, rate_hz, phase)
    sings = rng.uniform(0, 1, len(beats)) < 0.65
    return _place(chirp, beats[sings], n_samples) + 1e-3 * rng.standard_normal(
        n_samples
    )


def _sea(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return noise that swells and sinks slowly."""
    noise = _filtered(rng.standard_normal(n_samples), high_hz=rng.uniform(600, 2200))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * (rate_hz * _times(n_samples) + phase))
    return noise * (rng.uniform(0.05, 0.25) + swell**1.5)


def _clock(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return short bright ticks."""
    times, envelope = _decay(rng.uniform(0.004, 0.01))
    tick = envelope * np.sin(2 * np.pi * rng.uniform(1800, 4200) * times)
    tick += 0.5 * envelope**2 * rng.standard_normal(len(times))
    return _place(tick, _beats(n_samples, rate_hz, phase), n_samples)


def _fire(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return a low roar with crackles at random."""
    roar = _filtered(rng.standard_normal(n_samples), high_hz=rng.uniform(150, 450))
    times, envelope = _decay(0.005)
    crackle = envelope * rng.standard_normal(len(times))
    n_crackles = rng.poisson(4 * rate_hz * n_samples / SAMPLE_RATE_HZ)
    starts = rng.uniform(0, n_samples / SAMPLE_RATE_HZ, n_crackles) + 0 * phase
    crackles = _place(crackle, starts, n_samples)
    return roar / _rms(roar) + rng.uniform(1.0, 2.5) * crackles / _rms(crackles)


def _wheel(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return the hum of an engine, stronger once each turn."""
    times = _times(n_samples)
    wander = 1 + 0.02 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * times)
    turns = 2 * np.pi * np.cumsum(rng.uniform(60, 130) * wander) / SAMPLE_RATE_HZ
    slope = rng.uniform(0.8, 1.4)
    hum = sum(np.sin(h * turns) / h**slope for h in range(1, 18))
    throb = 1 + rng.uniform(0.2, 0.5) * np.sin(2 * np.pi * (rate_hz * times + phase))
    return np.asarray(hum * throb)


def _siren(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return two tones in turn."""
    times = _times(n_samples)
    low_hz = rng.uniform(450, 800)
    is_high = ((rate_hz * times + phase) % 1.0) >= 0.5
    turns = np.cumsum(np.where(is_high, low_hz * rng.uniform(1.25, 1.5), low_hz))
    angle = 2 * np.pi * turns / SAMPLE_RATE_HZ
    return np.asarray(
        np.sin(angle)
        + rng.uniform(0.1, 0.5) * np.sin(2 * angle)
        + 0.2 * np.sin(3 * angle)
    )


def _bell(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return strokes whose partials ring on."""
    times = _times(int(3.0 * SAMPLE_RATE_HZ))
    pitch, ring_s = rng.uniform(260, 620), rng.uniform(0.5, 1.1)
    stroke = np.zeros(len(times))
    for number, ratio in enumerate((0.5, 1.0, 1.19, 1.5, 2.0, 2.66, 4.1)):
        fade = np.exp(-times / (ring_s / (1 + 0.5 * number)))
        stroke += (
            rng.uniform(0.3, 1.0) * fade * np.sin(2 * np.pi * pitch * ratio * times)
        )
    return _place(stroke, _beats(n_samples, rate_hz, phase), n_samples)


def _bubbles(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return blips whose tone rises, at random."""
    times, envelope = _decay(rng.uniform(0.012, 0.025))
    pitch = rng.uniform(350, 800)
    blip = envelope * np.sin(2 * np.pi * pitch * (times + 6 * times**2))
    n_blips = rng.poisson(5 * rate_hz * n_samples / SAMPLE_RATE_HZ)
    starts = rng.uniform(0, n_samples / SAMPLE_RATE_HZ, n_blips) + 0 * phase
    return _place(blip, starts, n_samples) + 1e-3 * rng.standard_normal(n_samples)


def _bees(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return a buzz that wavers."""
    times = _times(n_samples)
    waver = _filtered(rng.standard_normal(n_samples), high_hz=4 * rate_hz)
    pitch = rng.uniform(190, 300) * (1 + 0.04 * waver / _rms(waver))
    turns = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(h * turns) / h**0.7 for h in range(1, 14))
    near = 1 + 0.4 * np.sin(2 * np.pi * (0.4 * rate_hz * times + phase))
    return np.asarray(buzz * near)


def _saw(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return rasps, one for each stroke."""
    rasp = _filtered(
        rng.standard_normal(n_samples), low_hz=rng.uniform(900, 1800), high_hz=5000
    )
    turn = (rate_hz * _times(n_samples) + phase) % 1.0
    return rasp * (0.03 + np.sin(np.pi * turn) ** 2)


def _radar(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return a ping for each turn, with its echo."""
    times, envelope = _decay(rng.uniform(0.08, 0.16))
    ping = envelope * np.sin(2 * np.pi * rng.uniform(900, 1500) * times)
    beats = _beats(n_samples, rate_hz, phase)
    echo = 0.35 * _place(ping, beats + 0.3 / rate_hz, n_samples)
    return _place(ping, beats, n_samples) + echo


def _fireworks(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return booms that rumble on, and crackles after them."""
    times, envelope = _decay(rng.uniform(0.12, 0.25))
    boom = envelope * _filtered(rng.standard_normal(len(times)), high_hz=500)
    spark = np.zeros(len(times))
    where = rng.integers(0, len(times), 40)
    spark[where] = rng.normal(0, 0.3, 40)
    tail = envelope * _filtered(spark, low_hz=2500)
    pattern = boom / _rms(boom) + rng.uniform(0.2, 0.6) * tail / _rms(tail)
    return _place(pattern, _beats(n_samples, rate_hz, phase), n_samples)


def _music(
    rng: np.random.Generator, n_samples: int, rate_hz: float, phase: float
) -> Wave:
    """Return notes of a scale, one after another."""
    times, envelope = _decay(rng.uniform(0.15, 0.4) / rate_hz, length=4.0)
    root = rng.uniform(220, 440)
    scale = root * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)
    notes = [
        envelope
        * (np.sin(2 * np.pi * hz * times) + 0.4 * np.sin(4 * np.pi * hz * times))
        for hz in scale
    ]
    wave = np.zeros(n_samples)
    for beat in _beats(n_samples, rate_hz, phase):
        note = notes[int(rng.integers(len(notes)))]
        wave += _place(note, np.array([beat]), n_samples)
    return wave


SOUNDS: dict[str, Synthesiser] = {
    "rain": _rain,
    "train": _train,
    "ball": _ball,
    "bird": _bird,
    "sea": _sea,
    "clock": _clock,
    "fire": _fire,
    "wheel": _wheel,
    "siren": _siren,
    "bell": _bell,
    "bubbles": _bubbles,
    "bees": _bees,
    "saw": _saw,
    "radar": _radar,
    "fireworks": _fireworks,
    "music": _music,
}
