"""Features of a folder's videos, cut into pieces of equal length, kept on disk.

What a sample-level data set is built from: the picture and the sound of each piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from acav_spark.errors import MediaError, StageError
from acav_spark.evaluate.piece_features import Failed, PieceReader, VideoPieces
from acav_spark.features.registry import create_extractor
from acav_spark.media import codes
from acav_spark.media.listing import list_media
from acav_spark.media.sandbox import Limits
from acav_spark.media.uri import path_from_uri

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from acav_spark.features.extractor import Extractor

Progress = Callable[[int, int], None]
"""Called with the number of videos done and the number of all."""

_PIECE_S: Final = (0.25, 60.0)


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """Both sides of the pieces of a folder's videos, in the order of file and time.

    Parameters
    ----------
    files : tuple of str
        Paths of the videos below the folder, sorted.
    sources : ndarray of int64, shape (n_pieces,)
        The video of each piece, a position in ``files``.
    starts_s : ndarray of float64, shape (n_pieces,)
        Where each piece begins, in seconds.
    loudness : ndarray of float64, shape (n_pieces,)
        Root mean square of the samples, of 1 at full scale.
    layers : tuple of tuple of ndarray of float32
        For the picture and for the sound, a matrix (n_pieces, n_dimensions) for each
        layer from early to late.
    networks : tuple of str
        Versions of the two networks: name, sampling and weights.
    failed : tuple of Failed
        What could not be read.
    """

    files: tuple[str, ...]
    sources: NDArray[np.int64]
    starts_s: NDArray[np.float64]
    loudness: NDArray[np.float64]
    layers: tuple[tuple[NDArray[np.float32], ...], ...]
    networks: tuple[str, ...]
    failed: tuple[Failed, ...]


def clip_networks(
    folder: Path, *, n_frames: int = 32, device: str = "auto"
) -> tuple[Extractor, Extractor]:
    """Return I3D for pictures and YAMNet for sound, with the weights in a folder.

    Parameters
    ----------
    folder : Path
        Has one file ``i3d_rgb*`` and one ``yamnet*.tflite``.
    n_frames : int, default 32
        Frames of a piece that I3D sees; 16 a second for pieces of two seconds, at half
        the cost of the network's own 64.
    device : str, default "auto"
        Where they run: ``cpu``, ``cuda``, ``cuda:N``.

    Raises
    ------
    StageError
        If there is none of either, or more than one.

    Notes
    -----
    The paper has SlowFast on Kinetics-400 and VGGish on YouTube-8M (section 4.1).
    """
    made = []
    for name, pattern, options in (
        ("i3d_rgb", "i3d_rgb*", {"n_frames": n_frames}),
        ("yamnet", "yamnet*.tflite", {}),
    ):
        found = sorted(folder.glob(pattern))
        if len(found) != 1:
            msg = (
                f"weights of {name}: expected one file {pattern} in {folder}, got "
                f"{[path.name for path in found]}. Put the weights there; the "
                "documentation of features says where they come from."
            )
            raise StageError(msg)
        with found[0].open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        where = {"weights": str(found[0]), "sha256": sha256, "device": device}
        made.append(create_extractor(name, {**where, **options}))
    return made[0], made[1]


def clip_features(
    folder: Path,
    cache: Path,
    networks: Sequence[Extractor],
    *,
    piece_s: float = 2.0,
    max_pieces: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> ClipFeatures:
    """Return features of all whole pieces of the videos in a folder.

    Parameters
    ----------
    folder : Path
        Videos with sound, at any depth.
    cache : Path
        Keeps the features of each video and network; made if missing. What is there
        is not computed again: keys are the hash of a video's bytes, the length of the
        pieces and the network's version.
    networks : sequence of two Extractor
        One that looks and one that listens, in either order.
    piece_s : float, default 2.0
        Length of a piece in seconds, from 0.25 to 60. A video's rest is left out.
    max_pieces : int, optional
        At most so many pieces of a video, its first; all by default.
    limits : Limits, optional
        What decoding may take.
    progress : callable, optional
        Told after each video.

    Raises
    ------
    StageError
        If the folder is missing, or no piece of any video can be read.
    ValueError
        If ``piece_s``, ``max_pieces`` or the modalities of the networks are not what
        they should be.
    ConfigError
        If a network's weights are missing or another network's.

    Notes
    -----
    Decoding happens in a child process. A file that cannot be read is in ``failed``
    and costs nothing else, and so is a piece that lacks picture or sound, and a copy of
    another file. On one core I3D
    takes some seconds for each piece, which is nearly all there is.
    """
    _require_settings(networks, piece_s, max_pieces)
    networks = sorted(networks, key=lambda network: network.modality != "visual")
    listed = list(list_media(folder))
    reader = PieceReader(networks, cache, piece_s, max_pieces, limits or Limits())
    videos, failed = [], []
    for n_done, entry in enumerate(listed, start=1):
        name = _name_below(folder.absolute(), entry.uri)
        try:
            if entry.problem is not None:
                message = codes.CODES[entry.problem]
                raise MediaError(entry.problem, message)
            videos.append(reader.video(name, entry.uri))
        except MediaError as error:
            failed.append(Failed(name, 0.0, error.code, error.message))
        if progress is not None:
            progress(n_done, len(listed))
    features = _joined(videos, networks, failed)
    if not len(features.sources):
        msg = (
            f"clips in {folder}: expected videos with sound of at least {piece_s:g} s, "
            f"got {len(listed)} files and no piece of any; first problems: "
            f"{[(f.file, f.code) for f in features.failed[:5]]}."
        )
        raise StageError(msg)
    return features


def _joined(
    videos: Sequence[VideoPieces], networks: Sequence[Extractor], failed: list[Failed]
) -> ClipFeatures:
    """Return the pieces of all videos that both networks have."""
    kept = [
        np.setdiff1d(np.arange(len(video.starts_s)), sorted(video.failed()))
        for video in videos
    ]

    def column(side: int, name: str) -> NDArray[Any]:
        parts = [
            v.arrays[side][name][rows] for v, rows in zip(videos, kept, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    return ClipFeatures(
        files=tuple(video.file for video in videos),
        sources=np.repeat(np.arange(len(videos)), [len(rows) for rows in kept]),
        starts_s=np.concatenate(
            [np.zeros(0), *(v.starts_s[r] for v, r in zip(videos, kept, strict=True))]
        ),
        loudness=column(1, "loudness").ravel().astype(np.float64),
        layers=tuple(
            tuple(
                column(side, f"layer_{layer}")
                for layer in range(1, len(network.dimensions) + 1)
            )
            for side, network in enumerate(networks)
        ),
        networks=tuple(network.version for network in networks),
        failed=(*failed, *(f for video in videos for f in video.failed().values())),
    )


def _require_settings(
    networks: Sequence[Extractor], piece_s: float, max_pieces: int | None
) -> None:
    """Refuse arguments that no features can be made of."""
    found = [network.modality for network in networks]
    if sorted(found) != ["audio", "visual"]:
        msg = (
            "clip_features: expected networks that look and listen (visual, audio), "
            f"got {found}."
        )
        raise ValueError(msg)
    shortest, longest = _PIECE_S
    if not shortest <= piece_s <= longest:
        msg = (
            f"clip_features: piece_s: expected {shortest:g} to {longest:g} seconds, "
            f"got {piece_s!r}."
        )
        raise ValueError(msg)
    if max_pieces is not None and max_pieces < 1:
        msg = f"clip_features: max_pieces: expected at least 1, got {max_pieces}."
        raise ValueError(msg)


def _name_below(root: Path, uri: str) -> str:
    path = path_from_uri(uri)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
