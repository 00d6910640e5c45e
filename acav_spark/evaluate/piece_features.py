"""What networks have of the pieces of one video: extracted, or found on disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from acav_spark.errors import MediaError
from acav_spark.evaluate.array_files import read_arrays, write_arrays
from acav_spark.features.extraction import Item, SandboxedDecoder
from acav_spark.media.isolated import probe_isolated
from acav_spark.media.sandbox import shared_sandbox
from acav_spark.media.sources import open_source
from acav_spark.media.sources_rules import SourceRules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from acav_spark.features.extraction import Decoded
    from acav_spark.features.extractor import Extractor
    from acav_spark.media.sandbox import Limits

# Raised whenever the same file, network and length would give other numbers.
_REVISION: Final = 1
# A length of 10 s may be stated as 9.999.
_SLACK_S: Final = 0.002
_COPY: Final = "copy"


@dataclass(frozen=True)
class Failed:
    """A file, or a piece of one, that gives no pair.

    Parameters
    ----------
    file : str
        Path below the folder.
    start_s : float
        Where the piece begins; 0 for a file as a whole.
    code, message : str
        As of ``acav_spark.media.codes``, or ``copy``; and more about it.
    """

    file: str
    start_s: float
    code: str
    message: str


@dataclass(frozen=True, eq=False)
class VideoPieces:
    """Pieces of one video, and what each network has of them."""

    file: str
    starts_s: NDArray[np.float64]
    arrays: list[Mapping[str, NDArray[Any]]]

    def failed(self) -> dict[int, Failed]:
        """Return the pieces that a network could not read, by their rows."""
        failed: dict[int, Failed] = {}
        for arrays in self.arrays:
            for row in np.flatnonzero(arrays["codes"] != "").tolist():
                start_s, code = float(self.starts_s[row]), str(arrays["codes"][row])
                message = str(arrays["messages"][row])
                failed.setdefault(row, Failed(self.file, start_s, code, message))
        return failed


class PieceReader:
    """Extracts from one video after the other, or finds what was extracted."""

    def __init__(
        self,
        networks: Sequence[Extractor],
        cache: Path,
        piece_s: float,
        max_pieces: int | None,
        limits: Limits,
    ) -> None:
        self._networks = {network.modality: network for network in networks}
        self._cache, self._limits = cache, limits
        self._piece_s, self._max_pieces = piece_s, max_pieces
        self._rules = SourceRules()
        self._names: dict[str, str] = {}
        self._decoder = SandboxedDecoder(
            self._networks, sources=self._rules, limits=limits
        )

    def video(self, name: str, uri: str) -> VideoPieces:
        """Return the pieces of a file, with features of every network."""
        with open_source(uri, self._rules) as source:
            facts = probe_isolated(shared_sandbox(self._limits), source)
        earlier = self._names.setdefault(facts.content_sha256, name)
        if earlier != name:
            # Its pieces would be another video's, and lie in train and test.
            raise MediaError(_COPY, f"it has the same bytes as {earlier}")
        n_whole = int((facts.duration_s + _SLACK_S) / self._piece_s)
        n_pieces = min(n_whole, self._max_pieces or n_whole)
        starts_s = np.arange(n_pieces, dtype=np.float64) * self._piece_s
        paths = {
            modality: self._cache
            / self._file_name(
                facts.content_sha256, network, n_pieces if n_pieces < n_whole else None
            )
            for modality, network in self._networks.items()
        }
        stored = {modality: read_arrays(path) for modality, path in paths.items()}
        missing = [modality for modality, arrays in stored.items() if arrays is None]
        for modality, columns in self._extracted(uri, starts_s, missing).items():
            stored[modality] = columns.arrays()
            if columns.is_final:
                write_arrays(paths[modality], columns.arrays())
        return VideoPieces(
            name, starts_s, [a for a in stored.values() if a is not None]
        )

    def _file_name(
        self, content_sha256: str, network: Extractor, n_pieces: int | None
    ) -> str:
        identity = [
            _REVISION,
            content_sha256,
            self._piece_s,
            n_pieces,
            network.version,
        ]
        return f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()}.npz"

    def _extracted(
        self, uri: str, starts_s: NDArray[np.float64], modalities: list[str]
    ) -> dict[str, _Columns]:
        """Return what networks have of the pieces; decoded once for all of them."""
        columns = {m: _Columns(self._networks[m], len(starts_s)) for m in modalities}
        items = [
            Item(str(row), uri, start_s, start_s + self._piece_s, modalities)
            for row, start_s in enumerate(starts_s.tolist())
        ]
        for row, decoded in enumerate(
            self._decoder.decode(0, items if columns else [])
        ):
            for column in columns.values():
                column.add(row, decoded)
        return columns


class _Columns:
    """What one network has of the pieces of one video, as it comes.

    Attributes
    ----------
    is_final : bool
        Whether what failed would fail again.
    """

    def __init__(self, network: Extractor, n_pieces: int) -> None:
        self._network = network
        self._layers = [
            np.full((n_pieces, size), np.nan, np.float32) for size in network.dimensions
        ]
        self._loudness = np.full(n_pieces, np.nan)
        self._problems = [("", "")] * n_pieces
        self.is_final = True

    def add(self, row: int, decoded: Decoded) -> None:
        """Extract from a decoded piece; one that fails is noted."""
        try:
            if decoded.error is not None:
                raise decoded.error
            clip = decoded.clips[self._network.modality]
            (vectors,) = self._network.extract([clip])
        except MediaError as error:
            self._problems[row] = (error.code, error.message)
            self.is_final = self.is_final and error.is_permanent
            return
        for layer, vector in zip(self._layers, vectors, strict=True):
            layer[row] = vector
        if clip.waveform is not None:
            power = np.square(clip.waveform, dtype=np.float64).mean()
            self._loudness[row] = np.sqrt(power)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is kept on disk."""
        return {
            **{f"layer_{i}": layer for i, layer in enumerate(self._layers, start=1)},
            "loudness": self._loudness,
            "codes": np.array([code for code, _ in self._problems], dtype=np.str_),
            "messages": np.array([text for _, text in self._problems], dtype=np.str_),
        }
