"""Clips to extract from, what comes of them, and one decode for all extractors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError
from acav_spark.media.isolated import decode_clip_isolated
from acav_spark.media.sandbox import shared_sandbox
from acav_spark.media.sources import LatestSource
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.features.extractor import Extractor
    from acav_spark.media.sandbox import Limits
    from acav_spark.media.sources import Source, SourceRules


@dataclass(frozen=True)
class Item:
    """One clip and the extractors that it lacks.

    Parameters
    ----------
    item_id, uri : str
        The clip and the file it lies in.
    start_s, end_s : float
        Where it lies, in seconds.
    extractors : list of str
        Names of the extractors wanted.
    """

    item_id: str
    uri: str
    start_s: float
    end_s: float
    extractors: list[str]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What decoding one item gave: a clip for each extractor, or what went wrong.

    Parameters
    ----------
    item : Item
        Which one.
    clips : dict of str to DecodedClip
        By extractor; empty if it failed.
    error : MediaError or None
        What went wrong.
    """

    item: Item
    clips: dict[str, DecodedClip]
    error: MediaError | None = None

    @property
    def n_bytes(self) -> int:
        """Memory of its arrays; those that extractors share count once."""
        arrays = {
            id(array): array.nbytes
            for clip in self.clips.values()
            for array in (clip.frames, clip.frame_times_s, clip.waveform)
            if array is not None
        }
        return sum(arrays.values())


@dataclass(frozen=True, eq=False)
class Extracted:
    """Vectors of one clip from one extractor, or what went wrong.

    Parameters
    ----------
    item : Item
        Which clip, from which file.
    extractor : str
        By which extractor.
    layers : tuple of ndarray of float32
        One vector for each layer; empty if it failed.
    error : MediaError or None
        What went wrong.
    """

    item: Item
    extractor: str
    layers: tuple[NDArray[np.float32], ...] = ()
    error: MediaError | None = None


class SandboxedDecoder:
    """Decodes clips in child processes, one for each lane.

    Parameters
    ----------
    extractors : mapping of str to Extractor
        Their samplings say what is decoded.
    sources : SourceRules
        Which sources may be opened.
    limits : Limits
        What one clip may take.
    """

    def __init__(
        self,
        extractors: Mapping[str, Extractor],
        *,
        sources: SourceRules,
        limits: Limits,
    ) -> None:
        self._extractors = extractors
        self._sources = sources
        self._limits = limits

    def decode(
        self, lane: int, items: Iterable[Item]
    ) -> Generator[Decoded, None, None]:
        """Return what each item decodes to, in order, one at a time as asked for.

        A source is opened once for items that follow one another.
        """
        with LatestSource(self._sources) as latest:
            for item in items:
                # No name here: a generator would hold the clip until the next one.
                yield self._decoded(lane, item, latest)

    def abandon(self, lane: int) -> None:
        """End what a lane is decoding; nobody waits for it any more."""
        shared_sandbox(self._limits, lane).abandon()

    def _decoded(self, lane: int, item: Item, latest: LatestSource) -> Decoded:
        try:
            return Decoded(item, self._clips(lane, item, latest.open(item.uri)))
        except MediaError as error:
            return Decoded(item, {}, error)

    def _clips(self, lane: int, item: Item, source: Source) -> dict[str, DecodedClip]:
        """Decode a clip once, and deal out what each extractor asked for."""
        wanted = {name: self._extractors[name] for name in item.extractors}
        video = list(
            dict.fromkeys(e.video_sampling for e in wanted.values() if e.video_sampling)
        )
        audio = list(
            dict.fromkeys(e.audio_sampling for e in wanted.values() if e.audio_sampling)
        )
        decoded = decode_clip_isolated(
            shared_sandbox(self._limits, lane),
            source,
            item.start_s,
            item.end_s,
            video=video,
            audio=audio,
        )
        clips = {}
        for name, extractor in wanted.items():
            seen, heard = extractor.video_sampling, extractor.audio_sampling
            clips[name] = DecodedClip(
                item.item_id,
                frames=decoded.frames[video.index(seen)][0] if seen else None,
                frame_times_s=decoded.frames[video.index(seen)][1] if seen else None,
                waveform=decoded.waveforms[audio.index(heard)] if heard else None,
                sample_rate_hz=heard.sample_rate_hz if heard else None,
            )
        return clips


def grouped_by_source(items: Iterable[Item]) -> list[list[Item]]:
    """Return items in groups of those of one file that follow one another."""
    return [list(group) for _, group in itertools.groupby(items, lambda i: i.uri)]
