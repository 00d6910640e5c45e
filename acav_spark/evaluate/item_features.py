"""Features of single pictures and sounds, by the networks that see clips."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.evaluate.item_files import SOUND_RATE_HZ
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from acav_spark.evaluate.feature_cache import FeatureCache
    from acav_spark.evaluate.item_sources import Items
    from acav_spark.features.extractor import Extractor

_logger = logging.getLogger(__name__)

Transform = Literal["none", "rotate_90_ccw", "flip_horizontal"]
"""What is done to a picture first (paper, section 4.1)."""

REVISION: Final = "1"
"""Changes with whatever changes features here: fitting, resizing, resampling."""

_SHOWN = 7 / 8  # networks of ImageNet see 224 of 256 pixels
_BATCH = 256
_LOG_EVERY_S = 60.0


def transformed(pictures: NDArray[np.uint8], transform: Transform) -> NDArray[np.uint8]:
    """Return pictures, (n, height, width, 3), turned or mirrored.

    Examples
    --------
    A quarter turn against the clock brings the right column to the top:

    >>> import numpy as np
    >>> picture = np.array([[1, 2], [3, 4]], np.uint8).reshape(1, 2, 2, 1)
    >>> transformed(picture, "rotate_90_ccw")[0, :, :, 0].tolist()
    [[2, 4], [1, 3]]
    >>> transformed(picture, "flip_horizontal")[0, :, :, 0].tolist()
    [[2, 1], [4, 3]]
    """
    if transform == "rotate_90_ccw":
        return np.ascontiguousarray(np.rot90(pictures, axes=(1, 2)))
    if transform == "flip_horizontal":
        return np.ascontiguousarray(pictures[:, :, ::-1])
    return pictures


def fitted_picture(picture: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Return a square picture as a frame of side ``short_side``, all of it to be seen.

    Networks of ImageNet crop the middle 7/8 of a frame, which would take the borders of
    a picture that is small and filled. So the picture is enlarged (bilinear) to just
    that part, and its edges are repeated around it.
    """
    inner = int(short_side * _SHOWN)
    before = (short_side - inner) // 2
    after = short_side - inner - before
    enlarged = cv2.resize(picture, (inner, inner), interpolation=cv2.INTER_LINEAR)
    around = ((before, after), (before, after), (0, 0))
    return np.pad(enlarged, around, mode="edge")


def item_features(
    items: Items, extractor: Extractor, *, transform: Transform = "none"
) -> tuple[NDArray[np.float32], ...]:
    """Return the features of all items, a matrix (n_items, n_dimensions) a layer.

    Parameters
    ----------
    items : Items
        Pictures for a network that looks, sounds for one that listens. A picture is a
        clip of one frame.
    extractor : Extractor
        Any of the package's or of one's own.
    transform : {"none", "rotate_90_ccw", "flip_horizontal"}
        What is done to pictures first.

    Raises
    ------
    ConfigError
        If the network sees other things than the items are.
    ValueError
        If a feature is not finite.
    """
    layers = [np.empty((len(items), d), np.float32) for d in extractor.dimensions]
    n_done, started = 0, time.monotonic()
    told = started
    for batch in _batches(_clips(items, extractor, transform)):
        for vectors in extractor.extract(batch):
            for layer, vector in zip(layers, vectors, strict=True):
                layer[n_done] = vector
            n_done += 1
        now = time.monotonic()
        if now - told > _LOG_EVERY_S:
            told = now
            _logger.info(
                "extracting source=%s extractor=%s items=%d/%d seconds=%.0f",
                items.source,
                extractor.name,
                n_done,
                len(items),
                now - started,
            )
    for number, layer in enumerate(layers, start=1):
        if not np.isfinite(layer).all():
            broken = np.flatnonzero(~np.isfinite(layer).all(axis=1))
            msg = (
                f"{items.source}: expected finite features of {extractor.name}, got "
                f"others in layer {number} of {len(broken)} items, such as "
                f"{broken[:5].tolist()}."
            )
            raise ValueError(msg)
    return tuple(layers)


def cached_features(
    items: Items,
    extractor: Extractor,
    cache: FeatureCache,
    *,
    transform: Transform = "none",
) -> tuple[NDArray[np.float32], ...]:
    """Return what ``item_features`` does, kept in a cache from the first time on."""
    key = {
        "source": items.source,
        "items": items.digest,
        "transform": transform,
        "extractor": extractor.version,
        "revision": REVISION,
    }
    name = f"{items.source}_{transform}_{extractor.name}"
    return cache.layers(
        name, key, lambda: item_features(items, extractor, transform=transform)
    )


def require_seeing(items_are: str, extractor: Extractor, source: str) -> None:
    """Refuse a network that sees other things than a source's items are.

    Parameters
    ----------
    items_are : {"pictures", "sounds"}
        What the items are.
    extractor : Extractor
        The network.
    source : str
        For the message.

    Raises
    ------
    ConfigError
        If it does not look at pictures, or not listen to sounds of 16 kHz.
    """
    if items_are == "pictures":
        is_met = (
            extractor.video_sampling is not None and extractor.audio_sampling is None
        )
        rule = "a network for pictures, such as mobilenet_v2_tf or resnet50"
    else:
        sampling = extractor.audio_sampling
        is_met = (
            extractor.video_sampling is None
            and sampling is not None
            and sampling.sample_rate_hz == SOUND_RATE_HZ
        )
        rule = f"a network for sound at {SOUND_RATE_HZ} Hz, such as yamnet or vggish"
    if not is_met:
        msg = f"{source}: expected {rule}, got {extractor.name}."
        raise ConfigError(msg)


def _clips(
    items: Items, extractor: Extractor, transform: Transform
) -> Iterator[DecodedClip]:
    """Yield each item as the clip that the network expects."""
    if items.pictures is not None:
        require_seeing("pictures", extractor, items.source)
        if extractor.video_sampling is None:  # refused above; the type checker's doubt
            return
        short_side = extractor.video_sampling.short_side
        for i in range(len(items)):
            picture = transformed(items.pictures[i : i + 1], transform)[0]
            frame = fitted_picture(picture, short_side)
            yield DecodedClip(
                f"{items.source} {i}",
                frames=frame[None],
                frame_times_s=np.zeros(1, np.float64),
            )
        return
    require_seeing("sounds", extractor, items.source)
    for i, sound in enumerate(items.sounds or ()):
        yield DecodedClip(
            f"{items.source} {i}", waveform=sound, sample_rate_hz=SOUND_RATE_HZ
        )


def _batches(clips: Iterator[DecodedClip]) -> Iterator[list[DecodedClip]]:
    batch: list[DecodedClip] = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
