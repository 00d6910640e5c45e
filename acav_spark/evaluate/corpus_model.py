"""What a made corpus is like: classes, kinds of pairs, and what views show of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from acav_spark.evaluate.retrieval_set import Negatives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Partly = Literal["views", "neighbour"]
"""How a pair corresponds in part: in some views of the second side, each by itself, or
by a class of the same family."""

_MAX_CLUSTERS: Final = 1 << 16
# Of the first layer and of the last.
_AGREEMENT: Final = (0.2, 0.7)


@dataclass(frozen=True, kw_only=True)
class CorpusModel:
    """What a made corpus is like.

    Parameters
    ----------
    n_clusters : int, default 500
        Clusters of every view, up to 65,536.
    n_classes : int, optional
        Classes, at least 2; as many as clusters by default. With fewer clusters than
        classes, classes share a cluster, others in each view; with more, a class is
        split, by itself in each view.
    n_views : int, default 10
        Views, an even number: the first half shows the first side (the picture), the
        other half the second (the sound), early layers first.
    clean : float, default 0.3
        Share of clips whose sides have the same class.
    partly : float, default 0.2
        Share of clips whose sides correspond in part.
    partly_kind : {"views", "neighbour"}, default "views"
        ``views``: each view of the second side has the first side's class with
        probability 1/2, as where other sound lies over a clip's own. ``neighbour``: the
        second side's class is another of the same family.
    agreement : float or sequence of float, optional
        Probability that a view shows the class: of all views, of each layer, or of each
        view. By default 0.2 to 0.7 in equal steps from the first layer to the last:
        late layers show more of the class (paper, Table 2).
    confusion : float, default 0
        Probability that a view that shows the class shows another of its family.
    family_size : int, default 4
        Classes of a family, at least 2.
    consistency : float, default 0.3
        Probability that a view that does not show the class shows the look of its side
        (a place, a style, a microphone), which all views of that side have in common
        and which is drawn without regard to the class; else it shows anything.
    tail : float, default 1
        Exponent of Zipf's law: the class at rank r has a share in proportion to
        ``r ** -tail``; 0 makes all equal. Looks, and what else is shown, have the
        same shares.
    negatives : {"whole", "per_layer"}, default "whole"
        ``per_layer``: each view of a pair that does not correspond is of another clip,
        as in the authors' code, so that even views of one side do not belong together.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    n_clusters: int = 500
    n_classes: int | None = None
    n_views: int = 10
    clean: float = 0.3
    partly: float = 0.2
    partly_kind: Partly = "views"
    agreement: float | Sequence[float] | None = None
    confusion: float = 0.0
    family_size: int = 4
    consistency: float = 0.3
    tail: float = 1.0
    negatives: Negatives = "whole"

    def __post_init__(self) -> None:
        """Refuse what no corpus can be made of."""
        classes = self.n_classes_
        rules = {
            "n_clusters": (1 <= self.n_clusters <= _MAX_CLUSTERS, "1 to 65,536"),
            "n_classes": (2 <= classes <= _MAX_CLUSTERS, "2 to 65,536"),
            "n_views": (
                self.n_views >= 2 and self.n_views % 2 == 0,
                "an even number of at least 2",
            ),
            "clean": (0 <= self.clean <= 1, "0 to 1"),
            "partly": (0 <= self.partly <= 1 - self.clean, "0 to 1 - clean"),
            "partly_kind": (self.partly_kind in ("views", "neighbour"), "a known one"),
            "confusion": (0 <= self.confusion <= 1, "0 to 1"),
            "family_size": (2 <= self.family_size <= classes, "2 to n_classes"),
            "consistency": (0 <= self.consistency <= 1, "0 to 1"),
            "tail": (0 <= self.tail <= 5, "0 to 5"),
            "negatives": (self.negatives in get_args(Negatives), "a known one"),
        }
        for name, (is_met, rule) in rules.items():
            if not is_met:
                msg = (
                    f"CorpusModel: {name}: expected {rule}, got "
                    f"{getattr(self, name)!r}."
                )
                raise ValueError(msg)
        given = np.atleast_1d(np.asarray(self._given_agreement(), dtype=np.float64))
        lengths = {1, self.n_layers, self.n_views}
        is_met = given.ndim == 1 and len(given) in lengths
        if not is_met or not ((given >= 0) & (given <= 1)).all():
            msg = (
                "CorpusModel: agreement: expected one number from 0 to 1, or "
                f"{self.n_layers} (layers) or {self.n_views} (views), got "
                f"{self.agreement!r}."
            )
            raise ValueError(msg)

    @property
    def n_classes_(self) -> int:
        """Number of classes, resolved."""
        return self.n_clusters if self.n_classes is None else self.n_classes

    @property
    def n_layers(self) -> int:
        """Views of a side."""
        return self.n_views // 2

    def agreements(self) -> NDArray[np.float64]:
        """Return the probability that a view shows the class, shape (n_views,)."""
        return np.resize(
            np.asarray(self._given_agreement(), dtype=np.float64), self.n_views
        )

    def _given_agreement(self) -> float | Sequence[float]:
        if self.agreement is not None:
            return self.agreement
        if self.n_layers == 1:
            return float(np.mean(_AGREEMENT))
        return [float(a) for a in np.linspace(*_AGREEMENT, self.n_layers)]

    def class_shares(self) -> NDArray[np.float64]:
        """Return the share of each class, the largest first; they sum to 1."""
        shares = np.arange(1, self.n_classes_ + 1, dtype=np.float64) ** -self.tail
        shares /= shares.sum()
        return shares

    def families(self) -> NDArray[np.int64]:
        """Return the family of each class, of neighbouring ranks, shape (n_classes,).

        The last family takes what is left over.
        """
        n_families = self.n_classes_ // self.family_size
        families: NDArray[np.int64] = np.arange(self.n_classes_) // self.family_size
        return np.minimum(families, n_families - 1)
