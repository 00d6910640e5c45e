"""Selections by a score of each clip: fit, score, order, write.

A method is given by ``ScoredMethod``: how it is fitted (in Spark, on a sample or on
all), and the ``RowScorer`` that the fit makes. Everything else is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

    from acav_spark.context import StageContext
    from acav_spark.selection.scoring import FeatureView, RowScorer
    from acav_spark.storage import Folder


@dataclass(frozen=True)
class ScoredClips:
    """The clips that a method is fitted to, and where its fit may put files.

    Parameters
    ----------
    context : StageContext
        Session, tables, progress.
    clips : DataFrame
        ``clip_id`` of all clips of the clustering, each once.
    n_clips : int
        How many those are.
    scratch : Folder
        Deleted when the selection is written; kept for a rerun when it is killed.
    """

    context: StageContext
    clips: DataFrame
    n_clips: int
    scratch: Folder

    def sample(self, n_rows: int, seed: int) -> DataFrame:
        """Return ``clip_id`` of at most so many clips, drawn by hash of (seed, id)."""
        raise NotImplementedError

    def vectors(self, clips: DataFrame, views: Sequence[FeatureView]) -> DataFrame:
        """Return ``clip_id`` and one binary column a view, ``view_0``, ``view_1``, ...

        Parameters
        ----------
        clips : DataFrame
            ``clip_id``.
        views : sequence of FeatureView
            Whose vectors: fp16 bytes, see ``features.vectors``.
        """
        raise NotImplementedError


class ScoredMethod(Protocol):
    """A way to score clips, as a configuration chose it.

    ``selection.scored_methods.method_of`` makes one from the configuration.
    """

    def settings(self) -> dict[str, object]:
        """Return plain values that shape the scores: they go into the stage's hash.

        Name, views (with dimensions), options, seed. Versions of extractors and what
        ``selection`` has for all methods (where, quotas, ...) are added by the job.
        """
        ...

    def fit(self, clips: ScoredClips) -> bytes:
        """Return what ``scorer`` needs; empty where there is nothing to fit.

        Called once for a selection. The bytes are kept beside the tables
        (``_scorers/SELECTION/HASH``) and used again when the selection is extended,
        so that all its scores are of one kind. No pickles.

        Raises
        ------
        StageError, ValueError
            If the clips are not what the method needs.
        """
        ...

    def scorer(self, fitted: bytes) -> RowScorer:
        """Return the scorer that ``fit`` has made."""
        ...
