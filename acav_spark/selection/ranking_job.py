"""Methods ``ranking_inner``, ``ranking_cos`` and ``ranking_l2``: PCA in Spark, scores.

Moments are summed over shards of a sample that hashes draw, in the order of hashes, and
merged in the order of shards: neither partitions nor executors change a bit of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.clustering.moments import Moments
from acav_spark.clustering.principal import (
    PrincipalComponents,
    components_from_bytes,
    components_to_bytes,
    principal_components,
)
from acav_spark.selection.candidates import written_batches
from acav_spark.selection.feature_ranking import Metric, scores_of_pairs
from acav_spark.selection.scoring_tasks import vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from acav_spark.selection.scored_job import ScoredClips
    from acav_spark.selection.scoring import FeatureView
    from acav_spark.storage import Folder

_logger = logging.getLogger(__name__)
_MOMENTS = "view INT, shard INT, moments BINARY"
# A shard's moments of 2,304 numbers have 21 MB, which the driver merges one by one; so
# few shards keep that below 200 MB, and a shard of 100,000 rows is 120 MB.
_MOST_SHARDS = 8
_SHARD_ROWS = 4096


@dataclass(frozen=True, eq=False)
class RankingScorer:
    """Projects vectors and compares the projections of a clip's views.

    Parameters
    ----------
    views : tuple of FeatureView
        Those that pairs name.
    pairs : tuple of (int, int)
        Pairs of places among ``views``.
    metric : {"inner", "cos", "l2"}
        How projections are compared.
    projections : tuple of PrincipalComponents
        One a view.
    """

    views: tuple[FeatureView, ...]
    pairs: tuple[tuple[int, int], ...]
    metric: Metric
    projections: tuple[PrincipalComponents, ...]

    def embeddings(
        self, view: int, vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the principal components of a view's vectors."""
        return self.projections[view].apply(vectors)

    def scores(self, embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return the mean over the pairs, as ``feature_scores`` does."""
        return scores_of_pairs(dict(enumerate(embeddings)), self.pairs, self.metric)


@dataclass(frozen=True)
class RankingMethod:
    """How ``ranking_*`` is fitted; a ``ScoredMethod``.

    Parameters
    ----------
    metric : {"inner", "cos", "l2"}
        How projections are compared.
    views : tuple of FeatureView
        Those that pairs name.
    pairs : tuple of (int, int)
        Pairs of places among ``views``.
    n_components : int
        Components of each view, at most.
    max_rows : int
        Clips that PCA is fitted to, at most.
    seed : int
        Of the hashes that draw them.
    """

    metric: Metric
    views: tuple[FeatureView, ...]
    pairs: tuple[tuple[int, int], ...]
    n_components: int
    max_rows: int
    seed: int

    def settings(self) -> dict[str, object]:
        """Return what shapes the scores."""
        return {
            "method": f"ranking_{self.metric}",
            "views": [[str(view), view.dimension] for view in self.views],
            "pairs": [list(pair) for pair in self.pairs],
            "n_components": self.n_components,
            "max_rows": self.max_rows,
            "seed": self.seed,
        }

    def fit(self, clips: ScoredClips) -> bytes:
        """Return the principal components of all views, from a sample of the clips."""
        n_rows = min(self.max_rows, clips.n_clips)
        n_shards = max(1, min(_MOST_SHARDS, n_rows // _SHARD_ROWS))
        sample = clips.sample(self.max_rows, self.seed).persist()
        total: dict[int, Moments] = {}
        try:
            for extractor in dict.fromkeys(view.extractor for view in self.views):
                rows = self._moments(clips, sample, extractor, n_shards)
                for view, one in _in_order_of_shards(rows, clips.scratch):
                    if view in total:
                        total[view].merge(one)
                    else:
                        total[view] = one
        finally:
            sample.unpersist()
        fitted = [
            principal_components(total[view], self.n_components)
            for view in range(len(self.views))
        ]
        _logger.info(
            "fitted projections rows=%d components=%s",
            *(n_rows, [len(one.components) for one in fitted]),
        )
        return components_to_bytes(fitted)

    def scorer(self, fitted: bytes) -> RankingScorer:
        """Return the scorer with these principal components."""
        projections = components_from_bytes(fitted)
        return RankingScorer(self.views, self.pairs, self.metric, projections)

    def _moments(
        self, clips: ScoredClips, sample: DataFrame, extractor: str, n_shards: int
    ) -> DataFrame:
        """Return the moments of an extractor's views, by shard."""
        views = self.views
        places = [i for i, view in enumerate(views) if view.extractor == extractor]
        draw = F.xxhash64(F.lit(self.seed), F.col("clip_id"))
        shard = F.pmod(F.xxhash64(F.col("draw"), F.lit(1)), F.lit(n_shards))
        rows = clips.vectors(sample, [views[i] for i in places])
        named = {f"view_{k}": f"of_{i}" for k, i in enumerate(places)}
        rows = rows.withColumnsRenamed(named).withColumnsRenamed(
            {f"of_{i}": f"view_{i}" for i in places}
        )
        rows = rows.withColumn("draw", draw).withColumn("shard", shard.cast("int"))

        # Spark reads the hints of a plain function, and fails on a partial one.
        def summed(rows: pa.Table) -> pa.Table:
            return moments_of_shard(rows, views=views, places=places)

        by_shard = rows.repartition(n_shards, "shard").groupBy("shard")
        return by_shard.applyInArrow(summed, _MOMENTS)


def _in_order_of_shards(
    rows: DataFrame, scratch: Folder
) -> Iterator[tuple[int, Moments]]:
    """Yield views with moments; those of a view in the order of its shards."""
    found = [
        row
        for batch in written_batches(rows, scratch, "moments")
        for row in batch.to_pylist()
    ]
    for row in sorted(found, key=itemgetter("view", "shard")):
        yield row["view"], Moments.from_bytes(row["moments"])


def moments_of_shard(
    rows: pa.Table, *, views: Sequence[FeatureView], places: Sequence[int]
) -> pa.Table:
    """Return the moments of some views, summed in the order of the hash.

    Parameters
    ----------
    rows : Table
        All of a shard: ``clip_id``, ``draw``, ``shard``, ``view_0``, ...
    views : sequence of FeatureView
        All views.
    places : sequence of int
        Those that the rows have.
    """
    rows = rows.sort_by([("draw", "ascending"), ("clip_id", "ascending")])
    found = {i: Moments(views[i].dimension, with_products=True) for i in places}
    for batch in rows.to_batches():
        for i, x in zip(places, vectors_of(batch, views, places), strict=True):
            found[i].add(x)
    shard = rows["shard"][0].as_py()
    return pa.table(
        {
            "view": pa.array(list(found), pa.int32()),
            "shard": pa.array([shard] * len(found), pa.int32()),
            "moments": pa.array([one.to_bytes() for one in found.values()]),
        }
    )
