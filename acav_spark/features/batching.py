"""How many clips an extractor gets at once, and what happens when they do not fit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.errors import AcavError, DeviceMemoryError, MediaError, StageError
from acav_spark.features.extraction import Extracted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from acav_spark.features.extraction import Item
    from acav_spark.features.extractor import Extractor
    from acav_spark.media.types import DecodedClip

EXTRACTOR_FAILED: Final = "extractor_failed"
"""Failure code: the extractor raised an error on the clip alone."""
DEVICE_MEMORY: Final = "device_memory"
"""Failure code: the device has no memory for the clip alone."""
MAX_BATCH: Final = 256
FIRST: Final = 8
_logger = logging.getLogger(__name__)
# Full batches of one size that are timed, after one that warms up.
_N_TIMED: Final = 2
# A doubled batch has to be so much faster a clip, or the former size stays.
_WORTH_IT: Final = 1.05


class BatchSize:
    """Finds the size of the batches of one extractor while it works.

    Starts small and doubles as long as clips get cheaper by it, each size judged by
    full batches only. What did not fit into the device's memory is never tried again.

    Parameters
    ----------
    fixed : int, default 0
        Size to use from the start and to keep, but for lack of memory; 0 to find one.
    first : int, default 8
        Size to begin with, where one is to be found.
    """

    def __init__(self, fixed: int = 0, first: int = FIRST) -> None:
        self.current = fixed or min(first, MAX_BATCH)
        self._limit = fixed or MAX_BATCH
        self._is_settled = bool(fixed)
        self._best = (0.0, self.current)  # clips/s, size
        self._rates: list[float] = []

    def took(self, n_clips: int, seconds: float) -> None:
        """Take note of a batch that went through."""
        if self._is_settled or n_clips != self.current:
            return
        self._rates.append(n_clips / max(seconds, 1e-9))
        if len(self._rates) <= _N_TIMED:
            return
        rate = max(self._rates[1:])
        self._rates = []
        if rate < self._best[0] * _WORTH_IT:
            self._settle(self._best[1])
            return
        self._best = (rate, self.current)
        if 2 * self.current > self._limit:
            self._settle(self.current)
        else:
            self.current *= 2

    def did_not_fit(self, n_clips: int) -> None:
        """Take note of a batch that the device had no memory for."""
        self._limit = max(min(self._limit, n_clips // 2), 1)
        if self.current > self._limit:
            self._settle(self._limit)

    def _settle(self, size: int) -> None:
        self.current = size
        self._is_settled = True
        self._rates = []


def extract_batch(
    name: str,
    extractor: Extractor,
    pairs: Sequence[tuple[Item, DecodedClip]],
    size: BatchSize,
    *,
    begun: Callable[[], list[tuple[NDArray[np.float32], ...]]] | None = None,
) -> list[Extracted]:
    """Return what an extractor makes of some clips, one entry each, in order.

    A batch that does not fit into the device's memory, or on which the extractor
    raises an error, is halved until it goes through, or a single clip is to blame.
    What was ``begun`` is waited for in place of extracting anew.

    Raises
    ------
    StageError
        If the extractor returns something else than one tuple of vectors, of the
        dimensions it declares, for each clip: vectors could be those of other clips.
    AcavError
        What else the extractor raises of the project's own errors: it cannot work.
    """
    try:
        if begun is not None:
            vectors = begun()
        else:
            vectors = extractor.extract([clip for _, clip in pairs])
    except DeviceMemoryError as error:
        _logger.warning(
            "%s: no device memory for %d clips at once; trying %d",
            *(name, len(pairs), max(len(pairs) // 2, 1)),
        )
        problem = MediaError(DEVICE_MEMORY, f"{name}: {error}", is_permanent=False)
    except MediaError as error:
        problem = MediaError(
            error.code, f"{name}: {error.message}", is_permanent=error.is_permanent
        )
    except AcavError:  # weights, packages or a device that are missing for all clips
        raise
    except Exception as error:  # becomes a row of failures
        message = f"{name}: {type(error).__name__}: {error}"
        problem = MediaError(EXTRACTOR_FAILED, message)
    else:
        _require_fitting(name, extractor, vectors, len(pairs))
        return [
            Extracted(item, name, tuple(layers))
            for (item, _), layers in zip(pairs, vectors, strict=True)
        ]
    if len(pairs) == 1:
        return [Extracted(pairs[0][0], name, error=problem)]
    half = len(pairs) // 2
    results = [
        *extract_batch(name, extractor, pairs[:half], size),
        *extract_batch(name, extractor, pairs[half:], size),
    ]
    # A clip that does not fit alone says nothing about how many others do.
    if problem.code == DEVICE_MEMORY and not any(
        one.error is not None and one.error.code == DEVICE_MEMORY for one in results
    ):
        size.did_not_fit(len(pairs))
    return results


def _require_fitting(
    name: str, extractor: Extractor, vectors: object, n_clips: int
) -> None:
    is_list = isinstance(vectors, list)
    shapes = [
        tuple(np.shape(layer) for layer in layers)
        for layers in (vectors if is_list else ())  # type: ignore[attr-defined]  # is_list
    ]
    if not is_list or shapes != [tuple((d,) for d in extractor.dimensions)] * n_clips:
        got = f"{len(shapes)} of shapes {shapes[:1]}" if is_list else type(vectors)
        msg = (
            f"extractor {name}: expected a list of {n_clips} tuples of vectors of "
            f"dimensions {extractor.dimensions}, got {got}. Correct its extract() or "
            "its dimensions."
        )
        raise StageError(msg)
