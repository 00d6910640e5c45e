"""What tasks do to score clips: shorten vectors, then score what came together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from acav_spark.clustering.fit_tasks import is_sound
from acav_spark.errors import StageError
from acav_spark.features.vectors import decode_fp16

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from acav_spark.selection.problem import Extent
    from acav_spark.selection.scoring import FeatureView, RowScorer

SCORES = "row_number LONG, clip_id STRING, score DOUBLE"
_N_EXAMPLES = 5
_FLOAT32 = np.dtype("<f4")


def cell_names(views: Sequence[FeatureView]) -> list[str]:
    """Return the columns of a clip's vectors: ``view_0``, ``view_1``, ..."""
    return [f"view_{i}" for i in range(len(views))]


def vectors_of(
    batch: pa.RecordBatch, views: Sequence[FeatureView], places: Sequence[int]
) -> list[NDArray[np.float32]]:
    """Return the vectors of some views of a batch with columns ``view_0``, ...

    Raises
    ------
    StageError
        If a vector is missing, of another length, or not finite. Clips with such
        vectors are not packed: they changed since.
    """
    dimensions = {f"view_{i}": views[i].dimension for i in places}
    sound = is_sound(batch, dimensions)
    if not sound.all():
        clips = batch["clip_id"].filter(pa.array(~sound))
        msg = (
            f"select_clips: expected finite vectors of lengths {dimensions} "
            f"({', '.join(str(views[i]) for i in places)}), got others for "
            f"{len(clips)} of {len(batch)} clips ({clips[:_N_EXAMPLES].to_pylist()}). "
            "Run 'acav run assign_clusters', which records them."
        )
        raise StageError(msg)
    return [decode_fp16(batch[name], n) for name, n in dimensions.items()]


def require_versions(
    counts: Iterable[tuple[str, str, int]], versions: Mapping[str, str]
) -> None:
    """Refuse features of several versions: their scores mean nothing to each other.

    Parameters
    ----------
    counts : iterable of (str, str, int)
        Extractor, version, rows of features.
    versions : mapping of str to str
        By extractor, the version that was clustered.

    Raises
    ------
    StageError
        If a row is of another version.
    """
    for extractor, version, n_rows in counts:
        if version != versions[extractor]:
            msg = (
                f"select_clips: expected features of {extractor} "
                f"{versions[extractor]}, as they were clustered, got {n_rows} of "
                f"version {version}. Extract the others again, or cluster anew: acav "
                "run --refit."
            )
            raise StageError(msg)


def require_scores(n_scored: int, extent: Extent) -> None:
    """Refuse to order fewer or more clips than there are candidates.

    Raises
    ------
    StageError
        If packed clips have lost their features, or have them twice.
    """
    n_expected = extent.n_clips - extent.n_before
    if n_scored != n_expected:
        msg = (
            f"select_clips: expected features of every extractor for {n_expected} "
            f"packed clips, got them for {n_scored}: they were deleted, or doubled, "
            "since clips were packed. Run 'acav run assign_clusters'."
        )
        raise StageError(msg)


def embedded_batches(
    batches: Iterable[pa.RecordBatch], *, scorer: RowScorer, places: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Yield ``clip_id`` and what the scorer keeps of some views' vectors, as bytes."""
    names = [f"view_{i}" for i in places]
    for batch in batches:
        if not len(batch):
            continue
        vectors = vectors_of(batch, scorer.views, places)
        cells = [
            _cells(scorer.embeddings(i, x))
            for i, x in zip(places, vectors, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(
            [batch["clip_id"], *cells], ["clip_id", *names]
        )


def scored_batches(
    batches: Iterable[pa.RecordBatch], *, scorer: RowScorer
) -> Iterator[pa.RecordBatch]:
    """Yield ``row_number``, ``clip_id`` and ``score`` of rows that came together.

    Raises
    ------
    StageError
        If a score is not finite.
    """
    for batch in batches:
        if not len(batch):
            continue
        embeddings = [_matrix(batch[name]) for name in cell_names(scorer.views)]
        # Minus zero becomes zero: they are equal, and are to be in one order.
        scores = np.asarray(scorer.scores(embeddings), dtype=np.float64) + 0.0
        wrong = ~np.isfinite(scores)
        if wrong.any():
            clips = batch["clip_id"].filter(pa.array(wrong))
            msg = (
                f"select_clips: expected finite scores, got others for {len(clips)} of "
                f"{len(batch)} clips ({clips[:_N_EXAMPLES].to_pylist()}). "
                "Select anew under another selection.name, with other options."
            )
            raise StageError(msg)
        yield pa.RecordBatch.from_arrays(
            [batch["row_number"], batch["clip_id"], pa.array(scores)],
            ["row_number", "clip_id", "score"],
        )


def _cells(rows: NDArray[np.float32]) -> pa.BinaryArray:
    """Return the rows of a matrix as cells of bytes."""
    values = np.ascontiguousarray(rows, dtype=_FLOAT32)
    width = values.shape[1] * _FLOAT32.itemsize
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    )


def _matrix(cells: pa.BinaryArray) -> NDArray[np.float32]:
    """Return cells of as many bytes each as the rows of a matrix."""
    large = cells.cast(pa.large_binary())
    _, offset_buffer, value_buffer = large.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)
    start, end = (int(offsets[large.offset + n]) for n in (0, len(large)))
    if start == end:
        return np.empty((len(cells), 0), dtype=np.float32)
    values = np.frombuffer(memoryview(value_buffer)[start:end], dtype=_FLOAT32)
    return values.reshape(len(cells), -1)
