"""Sample-level sets from a folder of videos: own sound, or another clip's.

The construction that the paper makes of Kinetics-Sounds (section 4.1): "a positive set
contains pairs of audio and visual channels of the same video, and a negative set
contains randomly permuted pairs".
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from acav_spark.errors import StageError
from acav_spark.evaluate.clip_features import clip_features
from acav_spark.evaluate.retrieval_set import Negatives, RetrievalSet, Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from acav_spark.evaluate.clip_features import ClipFeatures, Progress
    from acav_spark.features.extractor import Extractor
    from acav_spark.media.sandbox import Limits

Foreign = Literal["other_video", "any"]
"""Whose sound a negative has: a piece's of another video, or by a plain permutation,
which may leave it the sound of its own video and even its own."""

_FEWEST_VIDEOS = 4

_logger = logging.getLogger(__name__)


def clip_sets(
    folder: Path,
    cache: Path,
    *,
    networks: Sequence[Extractor],
    piece_s: float = 2.0,
    max_pieces: int | None = None,
    name: str = "clips",
    n_clusters: int = 32,
    n_runs: int = 5,
    negatives: Negatives = "whole",
    foreign: Foreign = "other_video",
    min_loudness: float = 1e-4,
    seed: int = 0,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[RetrievalSet, RetrievalSet]]:
    """Return a train and a test set for each run, from the videos of a folder.

    Parameters
    ----------
    folder, cache, piece_s, max_pieces, limits, progress
        As of ``clip_features``: videos, where features are kept, and how long pieces
        are.
    networks : sequence of two Extractor
        One that looks and one that listens, as from ``clip_networks``.
    name : str, default "clips"
        Name of the set.
    n_clusters : int, default 32
        Number of centroids, in place of a number of classes, which is not known of a
        folder; Kinetics-Sounds has 32 classes.
    n_runs : int, default 5
        Runs, each with another split and other negatives.
    negatives, foreign, seed
        As of ``paired``.
    min_loudness : float, default 1e-4
        Root mean square of the samples (full scale is 1) below which a piece is left
        out: silence belongs to no picture.

    Raises
    ------
    StageError
        If the folder has too few videos with sound.
    ValueError
        If an option is not what it should be, or one video has so many of the pieces
        that others have no sound for it.

    Notes
    -----
    All this is done at the call, before a set is asked for. The log has a warning for
    each file and piece that cannot be read; ``clip_features`` returns them.
    """
    _require_options(n_clusters, n_runs, negatives, foreign)
    features = clip_features(
        folder,
        cache,
        networks,
        piece_s=piece_s,
        max_pieces=max_pieces,
        limits=limits,
        progress=progress,
    )
    for failed in features.failed:
        _logger.warning(
            "left out: file=%r start_s=%g code=%s message=%s",
            failed.file,
            failed.start_s,
            failed.code,
            failed.message,
        )
    audible = np.flatnonzero(features.loudness >= min_loudness)
    n_videos = len(np.unique(features.sources[audible]))
    if n_videos < _FEWEST_VIDEOS:
        msg = (
            f"clips in {folder}: expected pieces with sound of at least "
            f"{_FEWEST_VIDEOS} videos, so that train and test have other videos' "
            f"sound, got {len(audible)} of {n_videos}. Add videos."
        )
        raise StageError(msg)
    runs = _runs(
        features,
        audible,
        name=name,
        n_clusters=n_clusters,
        n_runs=n_runs,
        negatives=negatives,
        foreign=foreign,
        seed=seed,
    )
    # They share their features: what is wrong with a late run is told now.
    return iter(list(runs))


def halves_by_source(
    sources: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of two halves of one even size that share no source.

    Parameters
    ----------
    sources : ndarray of int64, shape (n_pieces,)
        Source of each piece.
    rng : numpy.random.Generator
        Decides which sources go where, and which pieces of the larger half are left
        out.

    Notes
    -----
    The source with most pieces first, each goes to the half that is smaller so far;
    sources of equal size come in random order.
    """
    names, counts = np.unique(sources, return_counts=True)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    members: list[list[int]] = [[], []]
    sizes = [0, 0]
    for position in order.tolist():
        half = int(rng.integers(2)) if sizes[0] == sizes[1] else int(np.argmin(sizes))
        members[half].append(position)
        sizes[half] += int(counts[position])
    n_kept = min(sizes) // 2 * 2
    first, second = (
        np.sort(rng.permutation(np.flatnonzero(np.isin(sources, names[m])))[:n_kept])
        for m in members
    )
    return first, second


def paired(
    sources: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    n_layers: tuple[int, int],
    negatives: Negatives = "whole",
    foreign: Foreign = "other_video",
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Return which pieces keep their own sound, and whose picture and sound each has.

    Parameters
    ----------
    sources : ndarray of int64, shape (n_pieces,)
        Source of each piece; an even number of them.
    rng : numpy.random.Generator
        Draws the negatives and their sounds.
    n_layers : tuple of two int
        Layers of the picture and of the sound.
    negatives : {"whole", "per_layer"}, default "whole"
        ``whole``: a negative has all layers of the sound of one other piece.
        ``per_layer``: each layer of both sides but the picture's first is of another
        piece, as in the authors' code, which permutes every layer by itself; even two
        layers of one side do not belong together then.
    foreign : {"other_video", "any"}, default "other_video"
        Whose sound a negative has.

    Returns
    -------
    is_positive : ndarray of bool, shape (n_pieces,)
        Half of the pieces, and of each source half of its pieces, or one more or less:
        a set of sources that are easy to match is no better than another.
    first, second : ndarray of int64, shape (n_pieces, n_layers)
        Rows of the pieces whose picture and whose sound it is. In each layer every
        piece is used once.

    Raises
    ------
    ValueError
        If the number of pieces is odd, or one source has more than half of the
        negatives.
    """
    n_pieces = len(sources)
    if n_pieces % 2:
        msg = (
            "paired: expected an even number of pieces, for as many positives as "
            f"negatives, got {n_pieces}. Leave one out."
        )
        raise ValueError(msg)
    shuffled = rng.permutation(n_pieces)
    names = np.unique(sources)
    place = rng.permutation(len(names))[np.searchsorted(names, sources)]
    in_turn = shuffled[np.argsort(place[shuffled], kind="stable")]
    is_positive = np.zeros(n_pieces, dtype=np.bool_)
    is_positive[in_turn[::2]] = True
    negative = np.flatnonzero(~is_positive)
    first, second = (
        np.repeat(np.arange(n_pieces)[:, None], n, axis=1) for n in n_layers
    )
    permutation = permutation_apart if foreign == "other_video" else _permutation
    if negatives == "per_layer":
        for layer in [*first.T[1:], *second.T]:
            layer[negative] = negative[permutation(sources[negative], rng)]
    else:
        second[negative] = negative[permutation(sources[negative], rng)][:, None]
    return is_positive, first, second


def permutation_apart(
    groups: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return a random permutation that takes no row to one of its own group.

    Parameters
    ----------
    groups : ndarray of int64, shape (n,)
        Group of each row.
    rng : numpy.random.Generator
        Draws it.

    Raises
    ------
    ValueError
        If one group has more than half of the rows: there is no such permutation.

    Notes
    -----
    A uniform permutation, in which each row that meets its own group changes places
    with a random one of those that mend it. There is always one: of the rows of other
    groups, some are not matched with this one. Nearly uniform; in groups of one size it
    treats all alike.
    """
    n = len(groups)
    largest = int(np.unique(groups, return_counts=True)[1].max(initial=0))
    if 2 * largest > n:
        msg = (
            "negatives: expected no source with more than half of the pieces, got one "
            f"with {largest} of {n}. Add videos, or set max_pieces."
        )
        raise ValueError(msg)
    permutation = rng.permutation(n)
    for row in rng.permutation(np.flatnonzero(groups[permutation] == groups)).tolist():
        own = groups[row]
        if groups[permutation[row]] != own:
            continue  # mended as another's partner
        partners = np.flatnonzero((groups != own) & (groups[permutation] != own))
        partner = int(rng.choice(partners))
        permutation[[row, partner]] = permutation[[partner, row]]
    return permutation


def _permutation(
    groups: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    return rng.permutation(len(groups))


def _runs(
    features: ClipFeatures,
    audible: NDArray[np.int64],
    *,
    name: str,
    n_clusters: int,
    n_runs: int,
    negatives: Negatives,
    foreign: Foreign,
    seed: int,
) -> Iterator[tuple[RetrievalSet, RetrievalSet]]:
    """Yield the sets of each run; ``audible`` are the pieces that take part."""
    every = np.arange(len(features.sources))
    first, second = (
        Side(modality, network, pool, np.repeat(every[:, None], len(pool), axis=1))
        for modality, network, pool in zip(
            ("visual", "audio"), features.networks, features.layers, strict=True
        )
    )
    for run in range(n_runs):
        rng = np.random.default_rng([seed, run])
        sets = []
        for is_test, half in enumerate(
            halves_by_source(features.sources[audible], rng)
        ):
            pieces = audible[half]
            sources = features.sources[pieces]
            is_positive, seen, heard = paired(
                sources,
                rng,
                n_layers=(first.n_layers, second.n_layers),
                negatives=negatives,
                foreign=foreign,
            )
            sets.append(
                RetrievalSet(
                    name=name,
                    run=run,
                    first=replace(first, rows=pieces[seen]),
                    second=replace(second, rows=pieces[heard]),
                    is_positive=is_positive,
                    classes=np.full(len(pieces), -1),
                    is_test=bool(is_test),
                    n_classes=n_clusters,
                    negatives=negatives,
                    sources=sources,
                )
            )
        yield sets[0], sets[1]


def _require_options(
    n_clusters: int, n_runs: int, negatives: str, foreign: str
) -> None:
    """Refuse options before anything is read."""
    for name, value, is_met, rule in (
        ("n_clusters", n_clusters, n_clusters >= 1, "at least 1"),
        ("n_runs", n_runs, n_runs >= 1, "at least 1"),
        ("negatives", negatives, negatives in get_args(Negatives), get_args(Negatives)),
        ("foreign", foreign, foreign in get_args(Foreign), get_args(Foreign)),
    ):
        if not is_met:
            msg = f"clip_sets: {name}: expected {rule}, got {value!r}."
            raise ValueError(msg)
