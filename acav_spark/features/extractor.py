"""What an extractor is: the interface that every network and handcrafted set fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

LayerVectors = "tuple[NDArray[np.float32], ...]"


@runtime_checkable
class Extractor(Protocol):
    """Turns decoded clips into one vector for each of its layers.

    Attributes
    ----------
    name : str
        Key in ``features.extractor``.
    modality : str
        What it looks at: ``visual``, ``audio``, ``text``, ...
    version : str
        Changes whenever the vectors may change (code, weights, preprocessing).
    dimensions : tuple of int
        Length of each layer's vector, layer 1 (early) first.
    video_sampling : VideoSampling or None
        Frames it wants; None when it does not look.
    audio_sampling : AudioSampling or None
        Waveform it wants; None when it does not listen.
    wants_gpu : bool
        Whether an accelerator makes it faster.

    Three more are looked for and need not be there: ``preferred_batch`` (int), clips
    that it should get at once to begin with; ``placement_options`` (tuple of str),
    options that say where it runs and never change a vector; and ``begin(clips)``,
    which queues their work on a device and returns at once a function without
    arguments that waits for what ``extract(clips)`` returns, or None to have
    ``extract`` called. While it waits, the next clips may have been begun.
    """

    name: str
    modality: str
    version: str
    dimensions: tuple[int, ...]
    video_sampling: VideoSampling | None
    audio_sampling: AudioSampling | None
    wants_gpu: bool

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Return, for each clip in order, one float32 vector for each layer.

        A clip's vectors do not depend on the other clips of the batch.
        """
        ...
