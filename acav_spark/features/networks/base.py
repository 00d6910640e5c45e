"""What all networks have in common: loading once, passes of bounded size, means."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from acav_spark.errors import DeviceMemoryError, MediaError, StageError
from acav_spark.features.networks.device import find_place
from acav_spark.features.networks.options import (
    PLACEMENT_OPTIONS,
    NetworkOptions,
    Published,
    chosen_weights,
)
from acav_spark.features.networks.weights import weights_file
from acav_spark.media.codes import NO_FRAMES, NO_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from acav_spark.features.networks.device import Floats, Place, View
    from acav_spark.media.types import AudioSampling, DecodedClip, VideoSampling

Vectors = tuple["Floats", ...]

_logger = logging.getLogger(__name__)


class Network:
    """A pretrained network as an extractor (``acav_spark.features.extractor``).

    A clip becomes *views*, what the network takes at once (a stack of frames, one
    frame, 0.96 s of sound). Views of all clips go through in passes of at most
    ``views_per_pass``; a clip's vector is the mean of its views', in float64. On a GPU
    each pass has the same shape, its rest filled up, since which algorithm the library
    takes, and so the last bits, depend on the shape. So a clip's vectors depend on its
    neighbours by the rounding of the numbers computed in at most (some algorithms add
    up in an order that depends on a view's place in the pass).

    Parameters
    ----------
    **options
        Those of ``acav_spark.features.networks.options.NetworkOptions``.

    Attributes
    ----------
    preferred_batch : int
        Clips of ten seconds that fill whole passes; fewer leave part of the last one
        empty.
    views_per_pass, views_per_cpu_pass : int
        Views that go through at once, on a GPU and on a CPU: what bounds memory for
        activations. A CPU is faster while these fit its caches.

    Raises
    ------
    ConfigError
        For unusable options; weights are looked for when the first clip comes.
    """

    name: str
    modality: str
    dimensions: tuple[int, ...]
    video_sampling: VideoSampling | None = None
    audio_sampling: AudioSampling | None = None
    wants_gpu = True

    placement_options: tuple[str, ...] = PLACEMENT_OPTIONS

    # Changes with whatever changes vectors: sampling, preprocessing, taps, pooling.
    revision: ClassVar[str] = "1"
    published: ClassVar[Published]
    views_per_pass: int
    views_per_cpu_pass: int
    preferred_batch: int

    def __init__(self, **options: object) -> None:
        self._options = NetworkOptions(**options)  # type: ignore[arg-type]  # checked there
        self._weights = chosen_weights(self.name, self._options, self.published)
        self._module: torch.nn.Module | None = None
        self._place: Place | None = None
        self._n_views = self.views_per_pass

    @property
    def version(self) -> str:
        """Name, revision and sampling, weights, and numbers where they are chosen."""
        words = [f"{self.name}/{self.revision}", *self._settings()]
        words.append(self._weights.version)
        if self._options.precision != "auto":
            words.append(self._options.precision)
        return " ".join(words)

    def extract(self, clips: Sequence[DecodedClip]) -> list[tuple[Floats, ...]]:
        """Return, for each clip in order, one float32 vector for each layer.

        Raises
        ------
        MediaError
            With code ``no_frames`` or ``no_samples`` for a clip without what it wants.
        ValueError
            If a clip was decoded in another way than asked for.
        DeviceMemoryError
            If the accelerator has no memory for a single view.
        ConfigError
            If weights are not to be had, or are not this network's.
        """
        return self._begun(clips)() if clips else []

    def begin(self, clips: Sequence[DecodedClip]) -> Callable[[], list[Vectors]] | None:
        """Queue the work of some clips on a GPU; return what waits for their vectors.

        While the GPU computes, the next clips can be begun: it then never waits.

        Returns
        -------
        callable or None
            Without arguments; returns what ``extract`` would. None on a CPU, which has
            no queue.

        Raises
        ------
        Exception
            As ``extract``; waiting raises StageError if the GPU itself failed.
        """
        if not clips or not self._loaded()[1].is_gpu:
            return None
        return self._begun(clips)

    def _begun(self, clips: Sequence[DecodedClip]) -> Callable[[], list[Vectors]]:
        views: list[View] = []
        ends = []
        for clip in clips:
            views.extend(self._views(clip))
            ends.append(len(views))
        with _failures_of_the_device(self.name):
            waiting = self._run(views)

        def finish() -> list[Vectors]:
            with _failures_of_the_device(self.name):
                layers = waiting()
            means = [
                part.mean(axis=0, dtype=np.float64).astype(np.float32)
                for part in np.split(layers, ends[:-1])
            ]
            edges = np.cumsum(self.dimensions)[:-1]
            return [tuple(np.split(mean, edges)) for mean in means]

        return finish

    def _settings(self) -> list[str]:
        """Return, for the version, options of its own that change vectors."""
        return []

    def _views(self, clip: DecodedClip) -> list[View]:
        """Return what of a clip the network takes at once; all of one shape."""
        raise NotImplementedError

    def _build(self) -> torch.nn.Module:
        """Return the module: from (n_views, ...) to one (n_views, d) for each layer."""
        raise NotImplementedError

    def _load(self, module: torch.nn.Module, path: Path) -> None:
        """Fill the module's parameters from a file whose hash was checked."""
        raise NotImplementedError

    def _prepare(self, module: torch.nn.Module, place: Place) -> None:
        """Make a filled module faster where it will run, without another result."""

    def _run(self, views: Sequence[View]) -> Callable[[], Floats]:
        """Return what waits for the layers of each view, (n_views, sum of dimensions).

        Results stay on the device until the end: while it computes one pass, the views
        of the next are put together here and copied to it.
        """
        import torch

        results: list[torch.Tensor] = []
        first = 0
        while first < len(views):
            part = views[first : first + self._n_views]
            result = self._pass(part)
            if result is not None:
                results.append(result)
                first += len(part)
                continue
            # Outside of the handler: its traceback would hold the tensors.
            self._give_memory_back()
            if len(part) == 1:
                msg = (
                    f"{self.name}: expected memory for one view of shape "
                    f"{part[0].shape}, got none on {self._place}. Use a larger GPU, or "
                    "fewer processes on it."
                )
                raise DeviceMemoryError(msg)
            self._n_views = len(part) // 2
            _logger.warning(
                "not enough GPU memory: extractor=%s views_per_pass=%d",
                self.name,
                self._n_views,
            )
        return self._loaded()[1].brought(torch.cat(results))

    def _pass(self, views: Sequence[View]) -> torch.Tensor | None:
        """Begin to compute the layers of some views; None if memory is short."""
        import torch

        module, place = self._loaded()
        try:
            tensor = place.gathered(views, self._n_views)
            with place.numbers():
                layers = [layer.float() for layer in module(tensor)]
                return torch.cat(layers, dim=1)[: len(views)]
        except torch.OutOfMemoryError:
            return None

    def _loaded(self) -> tuple[torch.nn.Module, Place]:
        """Return the module where it runs; the first time it is built and filled."""
        if self._module is not None and self._place is not None:
            return self._module, self._place
        place = find_place(self._options.device, self._options.precision)
        import torch

        if self._weights.seed is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self._weights.seed)
                module = self._build()
        else:
            file = weights_file(
                self._weights,
                cache_dir=self._options.cache_dir,
                allow_private_addresses=self._options.allow_private_addresses,
            )
            module = self._build()
            self._load(module, file)
        module = module.eval().requires_grad_(requires_grad=False)
        self._prepare(module, place)
        module = module.to(place.device)
        if place.is_gpu:
            module = _laid_out(module, place.dtype)
        else:
            self._n_views = min(self._n_views, self.views_per_cpu_pass)
        if self._options.compile:
            module = torch.compile(module, dynamic=False)  # type: ignore[assignment]  # a callable like it
        self._module, self._place = module, place
        return module, place

    def _give_memory_back(self) -> None:
        import torch

        if self._place is not None and self._place.is_gpu:
            torch.cuda.empty_cache()


def require_frames(clip: DecodedClip, sampling: VideoSampling) -> NDArray[np.uint8]:
    """Return a clip's frames, (n_frames, height, width, 3).

    Raises
    ------
    MediaError
        ``no_frames`` if there are none.
    ValueError
        If they have another size than was asked for.
    """
    frames = clip.frames
    if frames is None or frames.size == 0:
        message = f"clip {clip.clip_id}: no frame was decoded"
        raise MediaError(NO_FRAMES, message)
    if min(frames.shape[1:3]) != sampling.short_side:
        msg = (
            f"clip {clip.clip_id}: expected frames with a short side of "
            f"{sampling.short_side} pixels, got {frames.shape}."
        )
        raise ValueError(msg)
    return frames


def require_waveform(clip: DecodedClip, sampling: AudioSampling) -> Floats:
    """Return a clip's samples; what is not finite is silence.

    Raises
    ------
    MediaError
        ``no_samples`` if there are none.
    ValueError
        If they have another rate than was asked for.
    """
    if clip.waveform is None or clip.waveform.size == 0:
        message = f"clip {clip.clip_id}: no sound was decoded"
        raise MediaError(NO_SAMPLES, message)
    if clip.sample_rate_hz != sampling.sample_rate_hz:
        msg = (
            f"clip {clip.clip_id}: expected a waveform at {sampling.sample_rate_hz} "
            f"Hz, got {clip.sample_rate_hz}."
        )
        raise ValueError(msg)
    return np.nan_to_num(clip.waveform, nan=0.0, posinf=0.0, neginf=0.0)


def centre_crop(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the middle ``size`` x ``size`` pixels of frames, a view of them."""
    _, height, width, _ = frames.shape
    top, left = (height - size) // 2, (width - size) // 2
    return frames[:, top : top + size, left : left + size]


@contextlib.contextmanager
def _failures_of_the_device(name: str) -> Iterator[None]:
    """Tell errors of a GPU, which then is of no use to this process, from a clip's."""
    import torch

    try:
        yield
    except getattr(torch, "AcceleratorError", ()) as error:
        msg = (
            f"{name}: expected the GPU to go on, got {error}. Another process can use "
            "it again, if it is not broken: run the task anew."
        )
        raise StageError(msg) from error


def _laid_out(module: torch.nn.Module, dtype: torch.dtype | None) -> torch.nn.Module:
    """Turn kernels into what tensor cores take: their layout, and half precision.

    Automatic mixed precision would do the latter anew in every pass. Batch norm's
    numbers stay in float32, as it has them.
    """
    import torch

    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for part in module.modules():
        is_norm = isinstance(part, torch.nn.modules.batchnorm._NormBase)
        for parameter in part.parameters(recurse=False):
            if parameter.ndim in layouts:
                parameter.data = parameter.data.contiguous(
                    memory_format=layouts[parameter.ndim]
                )
            if dtype is not None and not is_norm:
                parameter.data = parameter.data.to(dtype)
    return module
