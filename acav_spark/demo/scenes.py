"""How the things of the demo corpus look: one painter for each class.

A painter is made once for a shot, drawing size, speed and colour from the generator,
and then draws the thing at any time. Colours overlap between classes on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.demo import scenes_machines, scenes_nature, scenes_play
from acav_spark.demo.canvas import (
    Canvas,
    Image,
    Painter,
    background,
    camera,
    distractors,
)

if TYPE_CHECKING:
    from acav_spark.demo.plan import ShotPlan

Scene = Callable[[np.random.Generator, Canvas], Painter]


def render_shot(
    shot: ShotPlan, *, width: int, height: int, frame_rate: int, phase: float
) -> Iterator[Image]:
    """Yield the RGB frames of a shot, each uint8 of shape (height, width, 3)."""
    rng = np.random.default_rng([*shot.seed, 1])
    canvas = Canvas(width, height, shot.luma, shot.visual_rate_hz, phase)
    scene, hue = SCENES[shot.visual_class]
    backdrop = background(rng, canvas, hue=hue)
    paint_thing = scene(rng, canvas)
    paint_distractors = distractors(rng, canvas)

    def painted(time_s: float) -> Image:
        image = backdrop.copy()
        paint_distractors(image, time_s)
        paint_thing(image, time_s)
        return image

    shoot = camera(rng, canvas, first=painted(0.0))
    for number in range(shot.n_frames):
        time_s = number / frame_rate
        yield shoot(painted(time_s), time_s)


# Each painter with the hue around which its backgrounds vary.
SCENES: dict[str, tuple[Scene, float]] = {
    "rain": (scenes_nature.rain, 0.6),
    "train": (scenes_machines.train, 0.3),
    "ball": (scenes_play.ball, 0.1),
    "bird": (scenes_nature.bird, 0.55),
    "sea": (scenes_nature.sea, 0.55),
    "clock": (scenes_machines.clock, 0.1),
    "fire": (scenes_nature.fire, 0.65),
    "wheel": (scenes_machines.wheel, 0.3),
    "siren": (scenes_machines.siren, 0.65),
    "bell": (scenes_play.bell, 0.1),
    "bubbles": (scenes_nature.bubbles, 0.5),
    "bees": (scenes_nature.bees, 0.3),
    "saw": (scenes_machines.saw, 0.1),
    "radar": (scenes_machines.radar, 0.4),
    "fireworks": (scenes_play.fireworks, 0.65),
    "music": (scenes_play.music, 0.8),
}
