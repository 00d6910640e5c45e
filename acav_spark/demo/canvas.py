"""What all scenes of the demo corpus share: background, light, camera, noise."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]
Painter = Callable[[Image, float], None]

_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])
_N_NOISE_FRAMES = 5


@dataclass(frozen=True)
class Canvas:
    """Size and light of a shot, as the painters of things see it.

    Parameters
    ----------
    width, height : int
        Size of a frame in pixels.
    luma : float
        Mean brightness of the background.
    rate_hz : float
        How often the thing moves.
    phase : float
        Where in its period the thing starts, 0 to 1.
    """

    width: int
    height: int
    luma: float
    rate_hz: float
    phase: float

    def colour(self, hue: float, saturation: float, *, contrast: float) -> Colour:
        """Return an RGB colour that stands out against the background.

        It is ``contrast`` levels brighter on a dark background, darker on a bright one.
        """
        luma = self.luma + (contrast if self.luma < 126 else -contrast)
        rgb = np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, 1.0)) * 255
        rgb *= np.clip(luma, 16, 240) / max(float(rgb @ _LUMA_WEIGHTS), 1.0)
        red, green, blue = np.clip(rgb, 0, 255).tolist()
        return (red, green, blue)


def background(rng: np.random.Generator, canvas: Canvas, *, hue: float) -> Image:
    """Return a background: a gradient, blotches, and things that stand about.

    Its hue is drawn around ``hue``; its mean brightness is ``canvas.luma``.
    """
    height, width = canvas.height, canvas.width
    tilt = rng.uniform(-0.25, 0.25)
    ramp = np.linspace(-tilt, tilt, height)[:, None] * np.ones((1, width))
    cells = int(rng.integers(3, 12))
    blotches = cv2.resize(
        rng.standard_normal((cells, cells)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    shade = 1.0 + ramp + rng.uniform(0.02, 0.12) * blotches
    rgb = colorsys.hsv_to_rgb(
        (hue + rng.normal(0, 0.06)) % 1.0, rng.uniform(0.1, 0.4), 1.0
    )
    image = shade[:, :, None] * np.array(rgb)[None, None, :]
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(-0.1, 0.9, 2) * (width, height)
        size = rng.uniform(0.05, 0.3, 2) * (width, height)
        box = (
            slice(max(int(y), 0), int(y + size[1]) + 1),
            slice(max(int(x), 0), int(x + size[0]) + 1),
        )
        image[box] *= rng.uniform(0.6, 1.4, 3)
    image = np.clip(image, 0.05, None)
    for _ in range(3):  # clipping at 255 darkens: a few turns settle the mean
        image = np.minimum(
            image * canvas.luma / float((image @ _LUMA_WEIGHTS).mean()), 255
        )
    return np.asarray(image, dtype=np.uint8)


def distractors(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Return a painter of up to three small things that cross the picture."""
    height, width = canvas.height, canvas.width
    n_things = int(rng.choice(4, p=[0.45, 0.3, 0.15, 0.1]))
    things = [
        (
            rng.uniform(0, 1, 2) * (width, height),
            rng.normal(0, 0.12, 2) * width,
            int(rng.uniform(0.012, 0.035) * width) + 1,
            canvas.colour(
                rng.uniform(), rng.uniform(0, 0.9), contrast=rng.uniform(-60, 60)
            ),
        )
        for _ in range(n_things)
    ]

    def paint(image: Image, time_s: float) -> None:
        for start, speed, radius, colour in things:
            x, y = start + speed * time_s
            centre = (int(x % width), int(y % height))
            cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA)

    return paint


def camera(
    rng: np.random.Generator, canvas: Canvas, *, first: Image
) -> Callable[[Image, float], Image]:
    """Return what the camera does to a painted frame: exposure, shake, noise.

    The exposure brings the first frame to the mean brightness of the canvas, whatever
    was painted, so that neighbouring shots always differ by what was planned.
    """
    exposure = canvas.luma / max(float((first @ _LUMA_WEIGHTS).mean()), 1.0)
    height, width = canvas.height, canvas.width
    shake = 0.0 if rng.uniform() < 0.6 else float(rng.uniform(0.3, 1.2))
    shake_hz = rng.uniform(0.3, 1.5, 2)
    shake_phase = rng.uniform(0, 2 * np.pi, 2)
    drift, drift_hz = float(rng.uniform(0, 0.06)), float(rng.uniform(0.05, 0.3))
    sigma = float(rng.uniform(0.5, 4))
    noise = rng.normal(0, sigma, (_N_NOISE_FRAMES, height, width, 1))
    noise_frames = np.repeat(noise, 3, axis=3).astype(np.int16)

    def shoot(image: Image, time_s: float) -> Image:
        if shake:
            x, y = shake * np.sin(2 * np.pi * shake_hz * time_s + shake_phase)
            move = np.array([[1, 0, x], [0, 1, y]], dtype=np.float32)
            moved = cv2.warpAffine(
                image, move, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
            image = np.asarray(moved, dtype=np.uint8)
        gain = exposure * (1 + drift * np.sin(2 * np.pi * drift_hz * time_s))
        lit = cv2.convertScaleAbs(image, alpha=gain)
        grain = noise_frames[int(time_s * 1000) % _N_NOISE_FRAMES]
        return np.asarray(cv2.add(lit, grain, dtype=cv2.CV_8U), dtype=np.uint8)

    return shoot
