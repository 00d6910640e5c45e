"""Painters of a ball, a bell, fireworks and music."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from acav_spark.demo.canvas import Canvas, Image, Painter


def ball(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a ball that bounces, with its shadow."""
    height, width = canvas.height, canvas.width
    radius = int(rng.uniform(0.08, 0.16) * height)
    ground = rng.uniform(0.75, 0.9) * height
    bounce = rng.uniform(0.3, 0.55) * height
    middle, sway = rng.uniform(0.3, 0.7) * width, rng.uniform(0, 0.2) * width
    colour = canvas.colour(rng.normal(0.97, 0.07), rng.uniform(0.5, 0.95), contrast=70)
    shade = canvas.colour(0, 0, contrast=-18)

    def paint(image: Image, time_s: float) -> None:
        turn = canvas.rate_hz * time_s + canvas.phase
        x = middle + sway * np.sin(0.6 * time_s)
        y = ground - radius - bounce * 4 * (turn % 1.0) * (1 - turn % 1.0)
        cv2.ellipse(
            image,
            (int(x), int(ground)),
            (radius, radius // 4 + 1),
            0,
            0,
            360,
            shade,
            -1,
        )
        cv2.circle(image, (int(x), int(y)), radius, colour, -1, cv2.LINE_AA)

    return paint


def bell(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a bell that swings about its crown."""
    height, width = canvas.height, canvas.width
    crown = np.array(
        [rng.uniform(0.35, 0.65) * width, rng.uniform(0.12, 0.25) * height]
    )
    size = rng.uniform(0.4, 0.55) * height
    swing = rng.uniform(0.25, 0.55)
    brass = canvas.colour(rng.normal(0.12, 0.04), rng.uniform(0.3, 0.9), contrast=70)
    dark = canvas.colour(rng.normal(0.12, 0.04), 0.3, contrast=30)
    outline = size * np.array(
        [[-0.08, 0], [0.08, 0], [0.2, 0.25], [0.24, 0.6], [0.4, 0.85], [-0.4, 0.85],
         [-0.24, 0.6], [-0.2, 0.25]]
    )  # fmt: skip

    def paint(image: Image, time_s: float) -> None:
        turn = np.pi * (canvas.rate_hz * time_s + canvas.phase)
        angle = swing * np.cos(turn)
        cosine, sine = np.cos(angle), np.sin(angle)
        rotate = np.array([[cosine, -sine], [sine, cosine]])
        shape = (outline @ rotate + crown).astype(np.int32)
        clapper = (np.array([0.0, 0.95 * size]) @ rotate + crown).astype(int).tolist()
        cv2.circle(image, clapper, int(0.09 * size), dark, -1, cv2.LINE_AA)
        cv2.fillPoly(image, [shape], brass, cv2.LINE_AA)

    return paint


def fireworks(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint sparks that burst from a point and fall."""
    height, width = canvas.height, canvas.width
    n_sparks = int(rng.integers(24, 48))
    angle = rng.uniform(0, 2 * np.pi, n_sparks)
    reach = rng.uniform(0.2, 0.4) * height * rng.uniform(0.5, 1.0, n_sparks)
    places = rng.uniform(0.25, 0.75, (64, 2)) * (width, 0.7 * height)
    hues = rng.normal(rng.uniform(), 0.12, 64)
    saturation = rng.uniform(0.2, 0.9)

    def paint(image: Image, time_s: float) -> None:
        turn = canvas.rate_hz * time_s + canvas.phase
        number, age = int(turn) % len(places), turn % 1.0
        if age > 0.85:
            return
        spread = reach * (1 - (1 - age) ** 3)
        x = places[number, 0] + spread * np.cos(angle)
        y = places[number, 1] + spread * np.sin(angle) + 0.15 * height * age**2
        colour = canvas.colour(hues[number], saturation, contrast=85 * (1 - 0.7 * age))
        for spark in np.stack([x, y], axis=1).astype(int).tolist():
            cv2.circle(image, spark, 2, colour, -1)

    return paint


def music(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint bars that jump to another height with each note."""
    height, width = canvas.height, canvas.width
    n_bars = int(rng.integers(6, 11))
    left, right = rng.uniform(0.08, 0.2) * width, rng.uniform(0.8, 0.92) * width
    base, tall = rng.uniform(0.75, 0.92) * height, rng.uniform(0.35, 0.6) * height
    heights = rng.uniform(0.15, 1.0, (64, n_bars))
    hue = rng.normal(0.75, 0.06)
    spread = rng.uniform(0.0, 0.25)
    colours = [
        canvas.colour(hue + spread * bar / n_bars, rng.uniform(0.3, 0.9), contrast=60)
        for bar in range(n_bars)
    ]
    step = (right - left) / n_bars

    def paint(image: Image, time_s: float) -> None:
        turn = canvas.rate_hz * time_s + canvas.phase
        fade = 1.0 - 0.5 * (turn % 1.0)
        for bar, high in enumerate(heights[int(turn) % len(heights)]):
            corner = (int(left + step * bar), int(base - tall * high * fade))
            other = (int(left + step * (bar + 0.75)), int(base))
            cv2.rectangle(image, corner, other, colours[bar], -1)

    return paint
