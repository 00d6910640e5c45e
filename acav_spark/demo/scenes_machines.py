"""Painters of a train, a clock, a wheel, a siren, a saw and a radar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from acav_spark.demo.canvas import Canvas, Image, Painter


def train(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a long body with windows that passes without end."""
    height, width = canvas.height, canvas.width
    top = int(rng.uniform(0.25, 0.5) * height)
    bottom = top + int(rng.uniform(0.22, 0.34) * height)
    window = rng.uniform(0.18, 0.3) * width
    speed = canvas.rate_hz * window * rng.choice([-1.0, 1.0]) * rng.uniform(1.0, 2.0)
    body = canvas.colour(rng.normal(0.97, 0.06), rng.uniform(0.4, 0.9), contrast=45)
    glass = canvas.colour(rng.uniform(), rng.uniform(0, 0.3), contrast=-25)

    def paint(image: Image, time_s: float) -> None:
        cv2.rectangle(image, (0, top), (width, bottom), body, -1)
        first = (speed * time_s + canvas.phase * window) % window - window
        for left in np.arange(first, width, window):
            corner = (int(left + 0.2 * window), top + (bottom - top) // 5)
            other = (int(left + 0.8 * window), top + (bottom - top) // 2)
            cv2.rectangle(image, corner, other, glass, -1)
        cv2.line(image, (0, bottom + 3), (width, bottom + 3), body, 1)

    return paint


def clock(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a pendulum under a dial."""
    height, width = canvas.height, canvas.width
    pivot = np.array([rng.uniform(0.35, 0.65) * width, rng.uniform(0.2, 0.3) * height])
    length = rng.uniform(0.4, 0.6) * height
    swing = rng.uniform(0.25, 0.5)
    dial, bob = (
        int(rng.uniform(0.1, 0.16) * height),
        int(rng.uniform(0.05, 0.09) * height),
    )
    hue = rng.normal(0.09, 0.05)
    wood = canvas.colour(hue, rng.uniform(0.2, 0.7), contrast=55)
    metal = canvas.colour(hue + 0.04, rng.uniform(0.2, 0.9), contrast=80)

    def paint(image: Image, time_s: float) -> None:
        turn = np.pi * (canvas.rate_hz * time_s + canvas.phase)
        angle = swing * np.cos(turn)
        end = pivot + length * np.array([np.sin(angle), np.cos(angle)])
        centre, tip = pivot.astype(int).tolist(), end.astype(int).tolist()
        cv2.line(image, centre, tip, wood, 2, cv2.LINE_AA)
        cv2.circle(image, tip, bob, metal, -1, cv2.LINE_AA)
        cv2.circle(image, centre, dial, wood, -1, cv2.LINE_AA)
        cv2.circle(image, centre, dial - 3, metal, 1, cv2.LINE_AA)

    return paint


def wheel(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a wheel with spokes that turns."""
    height, width = canvas.height, canvas.width
    centre = (int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.4, 0.6) * height))
    radius = int(rng.uniform(0.24, 0.4) * height)
    n_spokes = int(rng.integers(3, 7))
    sense = float(rng.choice([-1.0, 1.0]))
    colour = canvas.colour(rng.normal(0.3, 0.06), rng.uniform(0.2, 0.7), contrast=65)

    def paint(image: Image, time_s: float) -> None:
        turn = 2 * np.pi * sense * (canvas.rate_hz * time_s + canvas.phase)
        angles = turn + 2 * np.pi * np.arange(n_spokes) / n_spokes
        for x, y in zip(np.cos(angles), np.sin(angles), strict=True):
            tip = (int(centre[0] + radius * x), int(centre[1] + radius * y))
            cv2.line(image, centre, tip, colour, 2, cv2.LINE_AA)
        cv2.circle(image, centre, radius, colour, 3, cv2.LINE_AA)
        cv2.circle(image, centre, max(radius // 6, 2), colour, -1, cv2.LINE_AA)

    return paint


def siren(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint two lamps that blink in turn."""
    height, width = canvas.height, canvas.width
    middle, level = rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height
    apart = rng.uniform(0.12, 0.2) * width
    radius = int(rng.uniform(0.08, 0.14) * height)
    hues = (rng.normal(0.0, 0.04), rng.normal(0.62, 0.06))
    lit = [canvas.colour(hue, rng.uniform(0.6, 1), contrast=75) for hue in hues]
    box = canvas.colour(0, 0, contrast=-25)

    def paint(image: Image, time_s: float) -> None:
        on = int((canvas.rate_hz * time_s + canvas.phase) % 1.0 >= 0.5)
        left, right = int(middle - 1.9 * apart), int(middle + 1.9 * apart)
        top, bottom = int(level - 1.5 * radius), int(level + 1.5 * radius)
        cv2.rectangle(image, (left, top), (right, bottom), box, -1)
        centre = (int(middle + (2 * on - 1) * apart), int(level))
        cv2.circle(image, centre, radius, lit[on], -1, cv2.LINE_AA)
        cv2.circle(image, centre, int(1.4 * radius), lit[on], 1, cv2.LINE_AA)

    return paint


def saw(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a blade that goes to and fro over a beam."""
    height, width = canvas.height, canvas.width
    level, stroke = rng.uniform(0.4, 0.65) * height, rng.uniform(0.1, 0.18) * width
    middle, half = rng.uniform(0.4, 0.6) * width, rng.uniform(0.25, 0.33) * width
    deep = rng.uniform(0.07, 0.13) * height
    steel = canvas.colour(rng.normal(0.6, 0.05), rng.uniform(0, 0.25), contrast=70)
    wood = canvas.colour(rng.normal(0.08, 0.04), rng.uniform(0.3, 0.8), contrast=30)
    teeth = np.arange(-half, half, width / 20)

    def paint(image: Image, time_s: float) -> None:
        x = middle + stroke * np.cos(np.pi * (canvas.rate_hz * time_s + canvas.phase))
        beam = (int(middle - 0.08 * width), int(level + deep))
        end = (int(middle + 0.08 * width), height)
        cv2.rectangle(image, beam, end, wood, -1)
        top = (int(x - half), int(level - deep / 2))
        cv2.rectangle(image, top, (int(x + half), int(level + deep / 2)), steel, -1)
        for tooth in teeth:
            root, tip = (int(x + tooth), int(level + deep / 2)), int(level + deep)
            cv2.line(image, root, (int(x + tooth + width / 40), tip), steel, 1)

    return paint


def radar(rng: np.random.Generator, canvas: Canvas) -> Painter:
    """Paint a beam that sweeps a round screen."""
    height, width = canvas.height, canvas.width
    centre = (
        int(rng.uniform(0.35, 0.65) * width),
        int(rng.uniform(0.45, 0.55) * height),
    )
    radius = int(rng.uniform(0.3, 0.44) * height)
    hue = rng.normal(0.36, 0.06)
    screen = canvas.colour(hue, rng.uniform(0.2, 0.6), contrast=20)
    beam = canvas.colour(hue, rng.uniform(0.3, 0.9), contrast=75)

    def paint(image: Image, time_s: float) -> None:
        turn = 360 * ((canvas.rate_hz * time_s + canvas.phase) % 1.0)
        cv2.circle(image, centre, radius, screen, -1, cv2.LINE_AA)
        cv2.circle(image, centre, radius // 2, beam, 1, cv2.LINE_AA)
        axes = (radius, radius)
        cv2.ellipse(image, centre, axes, turn, -40, 0, beam, -1, cv2.LINE_AA)

    return paint
