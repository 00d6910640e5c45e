"""Method ``similarity``: the cosine of joint embeddings that were imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.selection.feature_ranking import scores_of_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.selection.scored_job import ScoredClips
    from acav_spark.selection.scoring import FeatureView


@dataclass(frozen=True)
class SimilarityMethod:
    """The mean cosine over pairs of views; its own scorer, since nothing is fitted.

    Parameters
    ----------
    views : tuple of FeatureView
        Those that pairs name.
    pairs : tuple of (int, int)
        Pairs of places among ``views``, each of equal dimensions.
    """

    views: tuple[FeatureView, ...]
    pairs: tuple[tuple[int, int], ...]

    def settings(self) -> dict[str, object]:
        """Return what shapes the scores."""
        return {
            "method": "similarity",
            "views": [[str(view), view.dimension] for view in self.views],
            "pairs": [list(pair) for pair in self.pairs],
        }

    def fit(self, clips: ScoredClips) -> bytes:  # noqa: ARG002 - as of every method
        """Return nothing."""
        return b""

    def scorer(self, fitted: bytes) -> SimilarityMethod:  # noqa: ARG002 - as of every method
        """Return itself."""
        return self

    def embeddings(
        self,
        view: int,  # noqa: ARG002 - as of every scorer
        vectors: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return the vectors themselves."""
        return vectors

    def scores(self, embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return the mean over the pairs of ``cosine_similarity``."""
        return scores_of_pairs(dict(enumerate(embeddings)), self.pairs, "cos")
