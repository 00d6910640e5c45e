"""What the demo corpus shows and plays, decided from (seed, video index) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE_HZ = 16_000
FRAME_SIZES = ((160, 120), (192, 144), (192, 108), (176, 132))
FRAME_RATES = (12, 15)
MIN_SHOT_S, MAX_SHOT_S = 4.6, 5.8
MIN_LUMA, MAX_LUMA, LUMA_STEP = 62.0, 190.0, 55.0


@dataclass(frozen=True)
class ThingClass:
    """A kind of thing: how it looks and how it sounds carry the same name.

    Parameters
    ----------
    name : str
        Name, as in ``labels.csv``.
    weight : float
        Its share of the shots, relative to the other classes.
    min_rate_hz, max_rate_hz : float
        Range of what happens again and again in it: bounces, ticks, waves.
    """

    name: str
    weight: float
    min_rate_hz: float
    max_rate_hz: float


CLASSES = (
    ThingClass("rain", 1.4, 1.0, 2.0),
    ThingClass("train", 1.3, 1.0, 1.8),
    ThingClass("ball", 1.3, 1.2, 2.2),
    ThingClass("bird", 1.2, 2.6, 4.4),
    ThingClass("sea", 1.2, 0.25, 0.5),
    ThingClass("music", 1.1, 2.0, 4.0),
    ThingClass("clock", 1.1, 1.6, 3.0),
    ThingClass("fire", 1.0, 2.0, 4.0),
    ThingClass("bubbles", 1.0, 0.6, 1.5),
    ThingClass("wheel", 0.9, 0.5, 1.4),
    ThingClass("saw", 0.9, 1.0, 2.2),
    ThingClass("bees", 0.9, 0.8, 1.6),
    ThingClass("siren", 0.8, 0.9, 1.8),
    ThingClass("bell", 0.8, 0.6, 1.1),
    ThingClass("fireworks", 0.7, 0.6, 1.1),
    ThingClass("radar", 0.7, 0.4, 0.8),
)
CLASS_BY_NAME = {thing.name: thing for thing in CLASSES}


@dataclass(frozen=True)
class ShotPlan:
    """One shot: what is seen, what is heard, and the numbers that vary both.

    Parameters
    ----------
    visual_class, audio_class : str
        Names in ``CLASSES``; equal where picture and sound correspond.
    n_frames : int
        Length of the shot.
    luma : float
        Mean brightness of the background, 0 to 255.
    visual_rate_hz, audio_rate_hz : float
        How often the thing moves and sounds; equal where they correspond.
    seed : tuple of int
        Entropy of everything else in the shot.
    """

    visual_class: str
    audio_class: str
    n_frames: int
    luma: float
    visual_rate_hz: float
    audio_rate_hz: float
    seed: tuple[int, int, int]

    @property
    def is_corresponding(self) -> bool:
        """Whether the sound belongs to what is seen."""
        return self.visual_class == self.audio_class


@dataclass(frozen=True)
class VideoPlan:
    """One video of the corpus: its name, format and shots in their order."""

    file_name: str
    width: int
    height: int
    frame_rate: int
    shots: tuple[ShotPlan, ...]

    @property
    def shot_times_s(self) -> list[tuple[float, float]]:
        """Start and end of each shot in seconds, half-open."""
        ends = np.cumsum([shot.n_frames for shot in self.shots]) / self.frame_rate
        starts = [0.0, *ends[:-1].tolist()]
        return list(zip(starts, ends.tolist(), strict=True))


def plan_video(index: int, *, seed: int) -> VideoPlan:
    """Return the plan of one video; a function of ``(seed, index)`` and nothing else.

    Half of the shots (rounded up or down by a coin) get the sound of another class.
    """
    rng = np.random.default_rng([seed, index])
    n_shots = int(rng.integers(3, 6))
    n_matching = (n_shots + int(rng.integers(2))) // 2
    is_matching = rng.permutation(np.arange(n_shots) < n_matching)
    width, height = FRAME_SIZES[int(rng.integers(len(FRAME_SIZES)))]
    frame_rate = FRAME_RATES[int(rng.integers(len(FRAME_RATES)))]
    shots: list[ShotPlan] = []
    luma = float(rng.uniform(MIN_LUMA, MAX_LUMA))
    for number in range(n_shots):
        visual = _draw_class(rng)
        audio = visual if is_matching[number] else _draw_other(rng, visual)
        visual_rate = _draw_rate(rng, visual)
        audio_rate = _draw_rate(rng, audio)
        shots.append(
            ShotPlan(
                visual_class=visual,
                audio_class=audio,
                n_frames=round(float(rng.uniform(MIN_SHOT_S, MAX_SHOT_S)) * frame_rate),
                luma=luma,
                visual_rate_hz=visual_rate,
                audio_rate_hz=visual_rate if visual == audio else audio_rate,
                seed=(seed, index, number),
            )
        )
        luma = _next_luma(rng, luma)
    return VideoPlan(
        file_name=f"video_{index:04d}.mp4",
        width=width,
        height=height,
        frame_rate=frame_rate,
        shots=tuple(shots),
    )


def _draw_class(rng: np.random.Generator) -> str:
    """Return the name of a class, drawn by weight."""
    weights = np.array([thing.weight for thing in CLASSES])
    return CLASSES[int(rng.choice(len(CLASSES), p=weights / weights.sum()))].name


def _draw_other(rng: np.random.Generator, name: str) -> str:
    """Return the name of another class, each as likely."""
    others = [thing.name for thing in CLASSES if thing.name != name]
    return others[int(rng.integers(len(others)))]


def _draw_rate(rng: np.random.Generator, name: str) -> float:
    """Return a rate within the range of the class."""
    thing = CLASS_BY_NAME[name]
    return float(rng.uniform(thing.min_rate_hz, thing.max_rate_hz))


def _next_luma(rng: np.random.Generator, luma: float) -> float:
    """Return a brightness far enough from the last shot's for a cut to be seen."""
    room_below = max(luma - LUMA_STEP - MIN_LUMA, 0.0)
    room_above = max(MAX_LUMA - LUMA_STEP - luma, 0.0)
    step = float(rng.uniform(0.0, room_below + room_above))
    if step < room_below:
        return MIN_LUMA + step
    return luma + LUMA_STEP + step - room_below
