"""What a method is that scores each clip on its own, by its feature vectors.

Such a method is a function of one row: nothing that it says of a clip hangs on what
else was chosen, so that clips are scored where their vectors are and then ordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FeatureView:
    """One layer of one extractor, whose vectors a method reads.

    Parameters
    ----------
    extractor : str
        Name of the extractor.
    layer : int
        From 1.
    modality : str
        What the extractor looks at.
    dimension : int
        Length of a vector.
    """

    extractor: str
    layer: int
    modality: str
    dimension: int

    @property
    def column(self) -> str:
        """Column of ``features`` that has the vectors."""
        return f"layer_{self.layer}"

    def __str__(self) -> str:
        return f"{self.extractor} layer {self.layer}"


class RowScorer(Protocol):
    """Scores clips in two steps, between which vectors of one clip come together.

    ``embeddings`` runs where an extractor's vectors are read; what it returns is all
    that travels, so it is the place to make vectors shorter. ``scores`` sees the
    embeddings of all views of the same clips. Both are called with batches of any
    size, and what they return for a row must not depend on the rows beside it: neither
    partitions nor batches may change a score. Scorers are pickled to executors.

    Attributes
    ----------
    views : tuple of FeatureView
        Whose vectors are read; at least one.
    """

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """Views whose vectors are read, each once."""
        ...

    def embeddings(
        self, view: int, vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return what is kept of the vectors of one view.

        Parameters
        ----------
        view : int
            Place among ``views``.
        vectors : ndarray of float32, shape (n_clips, dimension)
            Finite vectors.

        Returns
        -------
        ndarray of float32, shape (n_clips, n_out)
            ``n_out`` hangs on the view alone, and may be 0.
        """
        ...

    def scores(self, embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return the scores of clips, larger is better; finite.

        Parameters
        ----------
        embeddings : sequence of ndarray of float32, shape (n_clips, n_out)
            In the order of ``views``; row by row of the same clips.
        """
        ...
