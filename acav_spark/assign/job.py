"""``assign_clusters``: fills ``assignments`` and ``packed`` from codebooks."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.chunks import run_in_chunks
from acav_spark.clustering import Codebook
from acav_spark.clustering.fit_tasks import is_sound, vector_failures
from acav_spark.clustering.job import variants
from acav_spark.config import section_hash
from acav_spark.errors import StageError
from acav_spark.failures import record_failures, require_few_failures
from acav_spark.features.vectors import fp16_vectors
from acav_spark.rows import record_batch, result_schema, spark_schema
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark import Broadcast
    from pyspark.sql import DataFrame, Row

    from acav_spark.context import StageContext

STAGE = "assign_clusters"
_logger = logging.getLogger(__name__)
_RESULT = result_schema(("clusters", pa.list_(pa.int32())))
# Clips that selection reads together lie together: the packed table is ordered by the
# upper bits of a hash, whose counts give every bucket its first row number.
_N_BUCKETS = 1024
# Ten million clips are committed together: a chunk reads all vectors once.
_CHUNK_FACTOR = 40_000
# Rows of a file of ``assignments``: some 40 bytes each.
_FILE_ROWS = 2_000_000


def assign_clusters(context: StageContext) -> StageResult:
    """Assign the clips of every clustering that the configuration names.

    See ``assign_clustering``; with several numbers of clusters there are several.
    """
    results = [assign_clustering(one) for one in variants(context)]
    if len(results) == 1:
        return results[0]
    metrics: Counter[str] = Counter()
    for result in results:
        metrics.update(result.metrics)
    return StageResult(
        STAGE,
        n_in=sum(result.n_in for result in results),
        n_out=sum(result.n_out for result in results),
        is_unchanged=all(result.is_unchanged for result in results),
        metrics=dict(metrics),
    )


def assign_clustering(context: StageContext) -> StageResult:
    """Fill ``assignments`` with the nearest centroids, and ``packed`` with all of them.

    Reads ``features``, ``codebooks`` and ``centroids``; fills ``assignments`` (key
    clustering, extractor, clip_id) and ``packed`` (key clustering, row_number). A rerun
    computes the clips that are new; ``packed`` is made anew when anything changed.

    Raises
    ------
    StageError
        If the clustering is not fitted, or rows were made with another fit.
    """
    name = context.config.clustering.name
    chosen = f"clustering = '{name}'"
    # Some ten rows, which Spark would sort in three jobs.
    codebooks = sorted(
        context.warehouse.read("codebooks").where(chosen).collect(),
        key=itemgetter("view_position"),
    )
    if not codebooks:
        msg = (
            f"{STAGE}: clustering {name!r} is not fitted. Run 'acav run fit_centroids'."
        )
        raise StageError(msg)
    the_hash = section_hash(STAGE, [row["fingerprint"] for row in codebooks])
    config = settle(
        context,
        stage=STAGE,
        table="assignments",
        stage_hash_of=lambda _: the_hash,
        section="clustering",
        where=chosen,
        dependants=(("packed", chosen),),
    )
    extractors = list(dict.fromkeys(row["extractor"] for row in codebooks))
    features = context.warehouse.read("features").where(
        F.col("extractor").isin(extractors)
    )
    _require_version(features, codebooks)
    n_retired = _retire(context, features, name)
    pending = {e: _pending(context, features, name, e).persist() for e in extractors}
    counts = {e: rows.count() for e, rows in pending.items()}
    n_pending = sum(counts.values())
    if n_pending == 0 and _is_packed(context, name, extractors):
        return StageResult(STAGE, is_unchanged=True, metrics={"n_retired": n_retired})
    inputs = ("features", "codebooks", "centroids")
    with context.run(STAGE, the_hash, scope=name, inputs=inputs, config=config) as run:
        n_failed = 0
        for extractor, rows in pending.items():
            if counts[extractor]:
                n_failed += _assign(
                    context,
                    rows,
                    counts[extractor],
                    extractor,
                    _load(
                        context, [b for b in codebooks if b["extractor"] == extractor]
                    ),
                    the_hash,
                    run.run_id,
                )
            rows.unpersist()
        n_packed = _pack(context, name, extractors, the_hash, run.run_id)
        run.result = StageResult(
            STAGE,
            n_in=n_pending,
            n_out=n_pending - n_failed,
            n_failed=n_failed,
            metrics={"n_packed": n_packed, "n_retired": n_retired},
        )
    require_few_failures(context, STAGE, n_failed, n_pending)
    return run.result


def _load(context: StageContext, books: list[Row]) -> list[Codebook]:
    """Return an extractor's codebooks from their rows, with their centroids.

    They pass through the driver: ``n_clusters * dimension * 4`` bytes each, 23 MB for
    the five layers of SlowFast and 1000 clusters.
    """
    clustering, extractor = books[0]["clustering"], books[0]["extractor"]
    rows = (
        context.warehouse.read("centroids")
        .where((F.col("clustering") == clustering) & (F.col("extractor") == extractor))
        .select("layer", "cluster", "centroid")
        .collect()
    )
    centroids: dict[int, list[bytes]] = {}
    for row in sorted(rows, key=itemgetter("layer", "cluster")):
        centroids.setdefault(row["layer"], []).append(bytes(row["centroid"]))
    return [_codebook(book, centroids[book["layer"]]) for book in books]


def _codebook(book: Row, centroids: list[bytes]) -> Codebook:
    # Tables of earlier versions have no components.
    parts = {
        name: bytes(book[name])
        for name in ("mean", "scale", "components")
        if name in book and book[name] is not None
    }
    return Codebook.from_stored(book["preprocess"], centroids, **parts)


def _require_version(features: DataFrame, codebooks: list[Row]) -> None:
    """Refuse features of another version of an extractor than the codebooks'."""
    expected = {(row["extractor"], row["model_version"]) for row in codebooks}
    for row in features.groupBy("extractor", "model_version").count().collect():
        if (row["extractor"], row["model_version"]) not in expected:
            msg = (
                f"{STAGE}: expected features of {sorted(expected)}, got {row['count']} "
                f"of {row['extractor']} {row['model_version']}. Fit anew with --refit."
            )
            raise StageError(msg)


def _retire(context: StageContext, features: DataFrame, name: str) -> int:
    """Delete assignments of clips whose features are gone."""
    if not context.warehouse.exists("assignments"):
        return 0
    gone = (
        context.warehouse.read("assignments")
        .where(F.col("clustering") == name)
        .select("clustering", "extractor", "clip_id")
        .join(
            features.select("extractor", "clip_id"),
            ["extractor", "clip_id"],
            "left_anti",
        )
        .persist()
    )
    n_gone = gone.count()
    if n_gone:
        context.warehouse.delete_keys("assignments", gone)
    gone.unpersist()
    return n_gone


def _pending(
    context: StageContext, features: DataFrame, name: str, extractor: str
) -> DataFrame:
    """Return the clips that are neither assigned nor known to be hopeless."""
    closed = (
        context.warehouse.read("assignments")
        .where((F.col("clustering") == name) & (F.col("extractor") == extractor))
        .select("clip_id")
    )
    if context.warehouse.exists("failures"):
        hopeless = (F.col("stage") == STAGE) & (F.col("scope") == extractor)
        hopeless &= F.col("is_permanent")
        failed = context.warehouse.read("failures").where(hopeless)
        closed = closed.union(failed.select("item_id"))
    return (
        features.where(F.col("extractor") == extractor)
        .select("clip_id")
        .join(closed, "clip_id", "left_anti")
        .select(F.col("clip_id").alias("item_id"))
    )


def _assign(
    context: StageContext,
    pending: DataFrame,
    n_pending: int,
    extractor: str,
    codebooks: list[Codebook],
    the_hash: str,
    run_id: str,
) -> int:
    """Assign an extractor's pending clips; return how many could not be."""
    layers = [f"layer_{i}" for i in range(1, len(codebooks) + 1)]
    n_failed = 0
    features = (
        context.warehouse.read("features")
        .where(F.col("extractor") == extractor)
        .select(F.col("clip_id").alias("item_id"), *layers)
    )
    shared = context.spark.sparkContext.broadcast(codebooks)
    # At first all clips are pending; a join would sort their vectors for nothing.
    is_all = n_pending == features.count()

    def commit(results: DataFrame, counts: Row) -> None:
        nonlocal n_failed
        n_failed += counts["n_failed"]
        record_failures(
            context,
            stage=STAGE,
            results=results.withColumn("scope", F.lit(extractor)),
            n_failed=counts["n_failed"],
            hashes={extractor: the_hash},
            run_id=run_id,
        )
        context.warehouse.insert(
            "assignments",
            results.where(F.col("error_code").isNull())
            .select(
                F.lit(context.config.clustering.name).alias("clustering"),
                F.lit(extractor).alias("extractor"),
                F.col("item_id").alias("clip_id"),
                "clusters",
                F.lit(the_hash).alias("stage_hash"),
                F.lit(run_id).alias("run_id"),
            )
            # Computed by as many tasks as there are files of vectors.
            .coalesce(max(1, counts["n_results"] // _FILE_ROWS)),
        )

    def process(items: DataFrame) -> DataFrame:
        nearest = partial(_nearest_batches, codebooks=shared)
        rows = items if is_all else items.join(features, "item_id")
        return rows.mapInArrow(nearest, spark_schema(_RESULT))

    run_in_chunks(
        context,
        stage=STAGE,
        pending=features if is_all else pending,
        n_pending=n_pending,
        unit="clips",
        process=process,
        commit=commit,
        # Assigning is a matrix product, a thousand times cheaper than decoding.
        chunk_factor=_CHUNK_FACTOR,
        is_spread=not is_all,
    )
    shared.unpersist()
    return n_failed


def _nearest_batches(
    batches: Iterable[pa.RecordBatch], *, codebooks: Broadcast[list[Codebook]]
) -> Iterable[pa.RecordBatch]:
    """Return the nearest centroids of each batch; the ids travel along.

    A row of which a vector is broken is a failure.
    """
    books = {f"layer_{i}": book for i, book in enumerate(codebooks.value, start=1)}
    dimensions = {layer: book.n_features for layer, book in books.items()}
    for batch in batches:
        sound = is_sound(batch, dimensions)
        if not sound.all():
            broken = batch.filter(pa.array(~sound))
            yield record_batch(vector_failures(broken, "item_id", dimensions), _RESULT)
            batch = batch.filter(pa.array(sound))
        labels = [
            book.labels(fp16_vectors(batch[layer], book.n_features))
            for layer, book in books.items()
        ]
        matrix = np.stack(labels, axis=1).astype(np.int32)
        n_rows, n_layers = matrix.shape
        offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_layers)
        nothing = pa.nulls(n_rows, pa.string())
        yield pa.RecordBatch.from_arrays(
            [
                batch["item_id"],
                nothing,
                nothing,
                nothing,
                pa.nulls(n_rows, pa.bool_()),
                pa.ListArray.from_arrays(offsets, pa.array(matrix.ravel())),
            ],
            schema=_RESULT,
        )


def _complete(context: StageContext, name: str, extractors: list[str]) -> DataFrame:
    """Return one row for each clip that every extractor has: its cluster ids."""
    of = {
        extractor: F.max(F.when(F.col("extractor") == extractor, F.col("clusters")))
        for extractor in extractors
    }
    return (
        context.warehouse.read("assignments")
        .where(F.col("clustering") == name)
        .groupBy("clip_id")
        .agg(
            F.count("*").alias("n_extractors"),
            *[of[e].alias(f"clusters_{i}") for i, e in enumerate(extractors)],
        )
        .where(F.col("n_extractors") == len(extractors))
        .select(
            "clip_id",
            F.concat(*[f"clusters_{i}" for i in range(len(extractors))]).alias(
                "clusters"
            ),
        )
    )


def _is_packed(context: StageContext, name: str, extractors: list[str]) -> bool:
    """Return whether every complete clip, and no other, is packed as it is assigned."""
    packed = context.warehouse.read("packed").where(F.col("clustering") == name)
    complete = _complete(context, name, extractors)
    both = packed.alias("p").join(complete.alias("c"), "clip_id", "full")
    differs = ~F.col("p.clusters").eqNullSafe(F.col("c.clusters"))
    return both.where(differs).isEmpty()


def _pack(
    context: StageContext,
    name: str,
    extractors: list[str],
    the_hash: str,
    run_id: str,
) -> int:
    """Write all cluster ids of every clip in one row, in the order of a hash."""
    hashed = _complete(context, name, extractors).withColumn(
        "order", F.xxhash64("clip_id")
    )
    # Signed hashes order from negative to positive, and so must their buckets.
    bits = 64 - _N_BUCKETS.bit_length() + 1
    hashed = hashed.withColumn("bucket", F.shiftright("order", bits)).persist()
    sizes = {
        row["bucket"]: row["count"]
        for row in hashed.groupBy("bucket").count().collect()
    }
    first, firsts = 0, []
    for bucket in sorted(sizes):
        firsts.append((bucket, first))
        first += sizes[bucket]
    offsets = context.spark.createDataFrame(firsts, "bucket LONG, first_row LONG")
    within = Window.partitionBy("bucket").orderBy("order", "clip_id")
    rows = hashed.join(F.broadcast(offsets), "bucket").select(
        F.lit(name).alias("clustering"),
        (F.col("first_row") + F.row_number().over(within) - 1).alias("row_number"),
        "clip_id",
        "clusters",
        F.lit(the_hash).alias("stage_hash"),
        F.lit(run_id).alias("run_id"),
    )
    context.warehouse.replace("packed", rows, f"clustering = '{name}'")
    hashed.unpersist()
    _logger.info("packed clustering=%s n_clips=%d", name, first)
    return first
