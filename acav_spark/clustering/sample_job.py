"""The sample that a fit uses: which clips, in which shards, in which order.

Clips are drawn, ordered and put into shards by hashes of (seed, clip id), once for all
epochs; partitions and executors have no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.clustering.fit import n_held_out, n_useful_shards
from acav_spark.clustering.fit_tasks import is_sound, sound_batches, vector_failures
from acav_spark.errors import StageError
from acav_spark.failures import record_failures
from acav_spark.rows import record_batch, result_schema, spark_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from acav_spark.clustering.fitted import View
    from acav_spark.config.models import ClusteringConfig
    from acav_spark.context import StageContext

STAGE = "fit_centroids"


@dataclass(frozen=True)
class Sample:
    """Rows of a fit.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id`` of the clips drawn.
    n_clips, n_rows : int
        Clips that have features of every extractor, and those drawn from them.
    n_held_out : int
        So many of the rows, the first, are held out to tell the quality.
    n_shards : int
        Shards that the rows are put into.
    seed : int
        Of the hashes.
    """

    clips: DataFrame
    n_clips: int
    n_rows: int
    n_held_out: int
    n_shards: int
    seed: int

    def vectors(
        self, context: StageContext, extractor: str, layers: Mapping[str, int]
    ) -> tuple[DataFrame, BadRows]:
        """Return an extractor's rows that are sound, and a count of the others.

        Parameters
        ----------
        context : StageContext
            Where the tables are.
        extractor : str
            Whose features.
        layers : mapping of str to int
            Length of a vector by column, such as ``layer_1``.

        Returns
        -------
        DataFrame
            ``clip_id``, ``draw_order``, ``shard`` and the columns of ``layers``.
        BadRows
            Counts while the rows are computed.
        """
        order = draw_order(self.seed)
        shard = F.pmod(F.xxhash64(order, F.lit(1)), F.lit(self.n_shards))
        rows = (
            context.warehouse.read("features")
            .where(F.col("extractor") == extractor)
            .join(self.clips, "clip_id")
            .select(
                "clip_id",
                order.alias("draw_order"),
                shard.cast("int").alias("shard"),
                *layers,
            )
        )
        bad = BadRows(rows, extractor, layers, context)

        report = bad.report

        # Spark reads the hints of a plain function, and fails on a partial one.
        def sound(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
            return sound_batches(batches, dimensions=layers, report=report)

        return rows.mapInArrow(sound, rows.schema), bad


class BadRows:
    """Vectors that cannot be used: counted by tasks, recorded where there are any.

    Parameters
    ----------
    rows : DataFrame
        All rows.
    extractor : str
        Whose vectors they are.
    layers : mapping of str to int
        Length of a vector by column.
    context : StageContext
        Where failures are written.
    """

    def __init__(
        self,
        rows: DataFrame,
        extractor: str,
        layers: Mapping[str, int],
        context: StageContext,
    ) -> None:
        self._rows = rows
        self._extractor = extractor
        self._layers = dict(layers)
        self._context = context
        # Tasks that are run again count again: it only tells whether there are any.
        self._count = context.spark.sparkContext.accumulator(0)
        count = self._count

        def report(n: int) -> None:
            count.add(n)

        self.report = report

    def record(self, stage_hash: str, run_id: str) -> int:
        """Write failures, if tasks met any; return how many."""
        if self._count.value == 0:
            return 0
        layers, extractor = self._layers, self._extractor
        schema = result_schema()

        def problems(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
            for batch in batches:
                broken = batch.filter(pa.array(~is_sound(batch, layers)))
                yield record_batch(vector_failures(broken, "clip_id", layers), schema)

        results = self._rows.mapInArrow(problems, spark_schema(schema)).persist()
        n_failed = results.count()
        record_failures(
            self._context,
            stage=STAGE,
            results=results.withColumn("scope", F.lit(extractor)),
            n_failed=n_failed,
            hashes={extractor: stage_hash},
            run_id=run_id,
        )
        results.unpersist()
        return n_failed


def draw_order(seed: int) -> Column:
    """Return the column by which clips are drawn and ordered: a hash of (seed, id)."""
    return F.xxhash64(F.lit(seed), F.col("clip_id"))


def draw_sample(
    context: StageContext, clustering: ClusteringConfig, views: Sequence[View]
) -> Sample:
    """Draw the clips of a fit from those that every extractor has.

    Raises
    ------
    StageError
        If there are none, or features are of another version of an extractor.
    """
    versions = {view.extractor: view.model_version for view in views}
    features = context.warehouse.read("features").where(
        F.col("extractor").isin(list(versions))
    )
    _require_versions(features, versions)
    complete = (
        features.groupBy("clip_id")
        .agg(F.count("*").alias("n"))
        .where(F.col("n") == len(versions))
        .select("clip_id")
    )
    n_clips = complete.count()
    if n_clips == 0:
        msg = (
            f"{STAGE}: expected clips with features of {list(versions)}, found none. "
            "Run 'acav run extract_features' first, and look at 'acav status'."
        )
        raise StageError(msg)
    n_rows = min(n_clips, clustering.max_rows)
    if n_clips > n_rows:
        complete = complete.orderBy(draw_order(clustering.seed), "clip_id").limit(
            n_rows
        )
    n_shards = n_useful_shards(n_rows, clustering.n_shards)
    return Sample(
        complete, n_clips, n_rows, n_held_out(n_rows), n_shards, clustering.seed
    )


def _require_versions(features: DataFrame, versions: Mapping[str, str]) -> None:
    """Refuse features of other versions than the configuration's, with counts."""
    groups = features.groupBy("extractor", "model_version").count().collect()
    others = [r for r in groups if versions[r["extractor"]] != r["model_version"]]
    if others:
        counts = ", ".join(
            f"{row['count']} of {row['extractor']} {row['model_version']}"
            for row in sorted(groups, key=lambda r: (r[0], r[1]))
        )
        msg = (
            f"{STAGE}: expected features of one version of each extractor "
            f"({versions}), got {counts}. Extract anew with --on-change recompute."
        )
        raise StageError(msg)
