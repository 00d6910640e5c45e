"""Painters of rain, sea, fire, birds, bubbles and bees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from acav_spark.demo.canvas import Canvas, Image, Painter


def rain(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint streaks that fall at a slant."""
    height, width = canvas.height, canvas.width
    n_drops = int(rng.integers(50, 110))
    place = rng.uniform(0, 1, (n_drops, 2)) * (width, height * 1.2)
    fall = rng.uniform(1.0, 2.2) * height * rng.uniform(0.8, 1.2, n_drops)
    length = rng.uniform(0.05, 0.12) * height
    slant = rng.uniform(-0.3, 0.3)
    colour = canvas.colour(rng.normal(0.58, 0.06), rng.uniform(0, 0.4), contrast=60)

    def paint(image: Image, time_s: float) -> None:
        y = (place[:, 1] + fall * time_s) % (height * 1.2) - length
        x = (place[:, 0] + slant * y) % width
        heads = np.stack([x, y], axis=1)
        tails = np.stack([x + slant * length, y + length], axis=1)
        streaks = np.stack([heads, tails], axis=1).astype(np.int32)
        cv2.polylines(image, list(streaks), False, colour, 1)

    return paint


def sea(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint bands of waves that swell and sink."""
    height, width = canvas.height, canvas.width
    n_bands = int(rng.integers(3, 6))
    horizon = rng.uniform(0.35, 0.55) * height
    swell = rng.uniform(0.03, 0.07) * height
    length = rng.uniform(0.3, 0.7) * width
    hue = rng.normal(0.55, 0.06)
    saturation = rng.uniform(0.2, 0.8)
    colours = [
        canvas.colour(hue, saturation, contrast=contrast)
        for contrast in np.linspace(10, 55, n_bands)
    ]
    drift = rng.uniform(0.03, 0.1, n_bands) * width * rng.choice([-1.0, 1.0])
    x = np.arange(0, width + 4, 4)

    def paint(image: Image, time_s: float) -> None:
        heave = np.sin(2 * np.pi * (canvas.rate_hz * time_s + canvas.phase))
        for number, colour in enumerate(colours):
            level = horizon + (height - horizon) * number / n_bands
            crest = np.sin(2 * np.pi * (x + drift[number] * time_s) / length + number)
            y = level + swell * (2.0 * heave + crest)
            top = np.stack([x, y], axis=1)
            shape = np.concatenate([top, [[width + 4, height], [0, height]]])
            cv2.fillPoly(image, [shape.astype(np.int32)], colour)

    return paint


def fire(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint tongues that rise, shrink and flicker."""
    height, width = canvas.height, canvas.width
    n_tongues = int(rng.integers(18, 36))
    middle, spread = rng.uniform(0.35, 0.65) * width, rng.uniform(0.05, 0.13) * width
    base, rise = rng.uniform(0.8, 0.95) * height, rng.uniform(0.35, 0.6) * height
    size = rng.uniform(0.05, 0.09) * height
    offset, beat = rng.uniform(0, 1, n_tongues), rng.uniform(0.8, 1.6, n_tongues)
    aside = rng.normal(0, spread, n_tongues)
    hue = rng.normal(0.06, 0.03)
    colours = [
        canvas.colour(hue + rng.normal(0, 0.03), rng.uniform(0.5, 0.95), contrast=70)
        for _ in range(n_tongues)
    ]
    wobble = rng.uniform(0, 2 * np.pi, n_tongues)

    def paint(image: Image, time_s: float) -> None:
        life = (offset + beat * time_s) % 1.0
        flicker = np.sin(2 * np.pi * canvas.rate_hz * beat * time_s + wobble)
        x = middle + aside * (1 - 0.6 * life) + 0.3 * spread * flicker
        y = base - rise * life
        radius = size * (1.15 - life) * (1 + 0.3 * flicker)
        for number in np.argsort(life):
            cv2.circle(
                image,
                (int(x[number]), int(y[number])),
                max(int(radius[number]), 1),
                colours[number],
                -1,
                cv2.LINE_AA,
            )

    return paint


def bird(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a few birds that flap across."""
    height, width = canvas.height, canvas.width
    n_birds = int(rng.integers(3, 8))
    place = rng.uniform(0, 1, (n_birds, 2)) * (width, 0.7 * height) + (0, 0.08 * height)
    speed = rng.uniform(0.1, 0.3) * width * rng.choice([-1.0, 1.0])
    span = rng.uniform(0.05, 0.11) * width
    flap = canvas.rate_hz * rng.uniform(0.9, 1.1, n_birds)
    offset = rng.uniform(0, 1, n_birds)
    colour = canvas.colour(rng.normal(0.8, 0.06), rng.uniform(0.2, 0.7), contrast=75)

    def paint(image: Image, time_s: float) -> None:
        lift = np.sin(2 * np.pi * (flap * time_s + offset)) * 0.8 * span
        x = (place[:, 0] + speed * time_s) % (width + 2 * span) - span
        y = place[:, 1]
        wings = np.stack(
            [
                np.stack([x - span, y - lift], axis=1),
                np.stack([x, y], axis=1),
                np.stack([x + span, y - lift], axis=1),
            ],
            axis=1,
        )
        cv2.polylines(
            image, list(wings.astype(np.int32)), False, colour, 2, cv2.LINE_AA
        )

    return paint


def bubbles(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint rings that rise, grow and wobble."""
    height, width = canvas.height, canvas.width
    n_bubbles = int(rng.integers(8, 18))
    place = rng.uniform(0, 1, (n_bubbles, 2)) * (width, 1.2 * height)
    rise = rng.uniform(0.25, 0.5) * height * rng.uniform(0.7, 1.3, n_bubbles)
    size = rng.uniform(0.03, 0.07, n_bubbles) * height
    wobble = rng.uniform(0, 2 * np.pi, n_bubbles)
    colour = canvas.colour(rng.normal(0.5, 0.08), rng.uniform(0.1, 0.7), contrast=70)

    def paint(image: Image, time_s: float) -> None:
        y = 1.1 * height - (place[:, 1] + rise * time_s) % (1.2 * height)
        swing = np.sin(2 * np.pi * canvas.rate_hz * time_s + wobble)
        x = place[:, 0] + 0.02 * width * swing
        radius = size * (1.5 - 0.5 * y / height)
        for centre_x, centre_y, ring in zip(x, y, radius, strict=True):
            centre = (int(centre_x), int(centre_y))
            cv2.circle(image, centre, max(int(ring), 2), colour, 1, cv2.LINE_AA)

    return paint


def bees(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a swarm of dots that dart about."""
    height, width = canvas.height, canvas.width
    n_bees = int(rng.integers(10, 24))
    middle = rng.uniform(0.35, 0.65, 2) * (width, height)
    reach = rng.uniform(0.1, 0.3, (n_bees, 2, 1)) * (height, height, height)
    speed_hz = canvas.rate_hz * rng.uniform(0.3, 1.2, (n_bees, 2, 3))
    offset = rng.uniform(0, 2 * np.pi, (n_bees, 2, 3))
    radius = max(int(rng.uniform(0.012, 0.025) * height), 1)
    colour = canvas.colour(rng.normal(0.12, 0.05), rng.uniform(0.2, 0.9), contrast=80)

    def paint(image: Image, time_s: float) -> None:
        waves = np.sin(2 * np.pi * speed_hz * time_s + offset)
        for x, y in (middle + (0.5 * reach * waves).sum(axis=2)).astype(int).tolist():
            cv2.circle(image, (x, y), radius, colour, -1)

    return paint
