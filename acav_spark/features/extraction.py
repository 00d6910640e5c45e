"""From clips to vectors: one decode for all extractors, ids beside the payload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.errors import MediaError
from acav_spark.features.vectors import encode_fp16
from acav_spark.media.isolated import decode_clip_isolated
from acav_spark.media.sandbox import shared_sandbox
from acav_spark.media.sources import LatestSource
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acav_spark.features.extractor import Extractor
    from acav_spark.media.sandbox import Limits
    from acav_spark.media.sources import Source, SourceRules

EXTRACTOR_FAILED = "extractor_failed"
"""Failure code: the extractor raised an error on the clip alone."""


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


@dataclass(frozen=True)
class Extracted:
    """Vectors of one clip from one extractor, or what went wrong.

    Parameters
    ----------
    item_id, uri, extractor : str
        Which clip, from which file, by which extractor.
    layers : tuple of bytes
        Little-endian fp16 vectors; empty if it failed.
    error : MediaError or None
        What went wrong.
    """

    item_id: str
    uri: str
    extractor: str
    layers: tuple[bytes, ...] = ()
    error: MediaError | None = None


def extract_items(
    items: Sequence[Item],
    extractors: Mapping[str, Extractor],
    *,
    sources: SourceRules,
    limits: Limits,
) -> list[Extracted]:
    """Return the vectors of some clips, one entry for each clip and extractor wanted.

    Each clip is decoded once in the sandbox of this process, its source opened once
    for clips that follow one another; an extractor gets all clips of the call that
    want it at once.
    """
    results: list[Extracted] = []
    waiting: dict[str, list[tuple[Item, DecodedClip]]] = {}
    with LatestSource(sources) as latest:
        for item in items:
            wanted = {name: extractors[name] for name in item.extractors}
            try:
                decoded = _decode(item, latest.open(item.uri), wanted, limits)
            except MediaError as error:
                results.extend(
                    Extracted(item.item_id, item.uri, name, error=error)
                    for name in wanted
                )
                continue
            for name, clip in decoded.items():
                waiting.setdefault(name, []).append((item, clip))
    for name, pairs in waiting.items():
        results.extend(_run(name, extractors[name], pairs))
    return results


def _decode(
    item: Item,
    source: Source,
    extractors: Mapping[str, Extractor],
    limits: Limits,
) -> dict[str, DecodedClip]:
    """Decode a clip once, and deal out what each extractor asked for."""
    video = list(
        dict.fromkeys(e.video_sampling for e in extractors.values() if e.video_sampling)
    )
    audio = list(
        dict.fromkeys(e.audio_sampling for e in extractors.values() if e.audio_sampling)
    )
    decoded = decode_clip_isolated(
        shared_sandbox(limits),
        source,
        item.start_s,
        item.end_s,
        video=video,
        audio=audio,
    )
    clips = {}
    for name, extractor in extractors.items():
        seen, heard = extractor.video_sampling, extractor.audio_sampling
        clips[name] = DecodedClip(
            item.item_id,
            frames=decoded.frames[video.index(seen)][0] if seen else None,
            frame_times_s=decoded.frames[video.index(seen)][1] if seen else None,
            waveform=decoded.waveforms[audio.index(heard)] if heard else None,
            sample_rate_hz=heard.sample_rate_hz if heard else None,
        )
    return clips


def _run(
    name: str, extractor: Extractor, pairs: Sequence[tuple[Item, DecodedClip]]
) -> list[Extracted]:
    """Run an extractor; when a batch fails, on each clip by itself."""
    try:
        vectors = extractor.extract([clip for _, clip in pairs])
    except Exception as error:  # becomes a row of failures
        if len(pairs) > 1:
            return [one for pair in pairs for one in _run(name, extractor, [pair])]
        item = pairs[0][0]
        message = f"{name}: {type(error).__name__}: {error}"
        failed = MediaError(EXTRACTOR_FAILED, message)
        return [Extracted(item.item_id, item.uri, name, error=failed)]
    results = []
    for (item, _), layers in zip(pairs, vectors, strict=True):
        try:
            encoded = tuple(encode_fp16(layer) for layer in layers)
        except MediaError as error:
            results.append(Extracted(item.item_id, item.uri, name, error=error))
        else:
            results.append(Extracted(item.item_id, item.uri, name, encoded))
    return results
