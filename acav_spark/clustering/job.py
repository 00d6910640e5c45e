"""``fit_centroids``: fills ``codebooks``, ``centroids`` and ``epochs`` from features.

Paper, section 3.3.2, Stochastic Clustering: one clustering for every layer of every
extractor, by mini-batch SGD.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.clustering import SGDKMeans, auto_n_clusters
from acav_spark.config import section_hash
from acav_spark.errors import StageError
from acav_spark.features.job import stage_hash as features_hash
from acav_spark.features.registry import create_extractor
from acav_spark.features.vectors import decode_fp16
from acav_spark.rows import record_batch, spark_schema
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from acav_spark.config.models import ClusteringConfig, Config
    from acav_spark.context import StageContext

STAGE = "fit_centroids"
_logger = logging.getLogger(__name__)

# A group goes to its task in Arrow batches with 32-bit offsets.
_MAX_GROUP_BYTES = 2**31 - 1

_EPOCH = pa.struct(
    [
        ("epoch", pa.int32()),
        ("inertia", pa.float64()),
        ("n_used", pa.int32()),
        ("n_replaced", pa.int32()),
        ("shift", pa.float64()),
    ]
)
_FITTED = pa.schema(
    [
        ("view_position", pa.int32()),
        ("extractor", pa.string()),
        ("layer", pa.int32()),
        ("modality", pa.string()),
        ("dimension", pa.int32()),
        ("model_version", pa.string()),
        ("centroids", pa.list_(pa.binary())),
        ("n_updates", pa.list_(pa.int64())),
        ("mean", pa.binary()),
        ("scale", pa.binary()),
        ("components", pa.binary()),
        ("n_rows", pa.int64()),
        ("inertia", pa.float64()),
        ("n_used", pa.int32()),
        ("fingerprint", pa.string()),
        ("epochs", pa.list_(_EPOCH)),
    ]
)


@dataclass(frozen=True)
class View:
    """One layer of one extractor, in its place among the views.

    Parameters
    ----------
    position : int
        Place in the arrays of cluster ids, from 0.
    extractor, layer, modality : str, int, str
        What it is.
    dimension : int
        Length of a vector.
    model_version : str
        Version of the extractor.
    """

    position: int
    extractor: str
    layer: int
    modality: str
    dimension: int
    model_version: str


def fit_centroids(context: StageContext) -> StageResult:
    """Fit one codebook for every view of a clustering.

    Reads ``features`` of clips that every extractor has; fills ``codebooks``,
    ``centroids`` and ``epochs``. A clustering that is fitted stays as it is, whatever
    clips are added, until ``--refit``.

    Raises
    ------
    StageError
        If there are no features, fewer clips than clusters, or the clustering was
        fitted under other settings.
    """
    name = context.config.clustering.name
    config = settle(
        context,
        stage=STAGE,
        table="codebooks",
        stage_hash_of=stage_hash,
        section="clustering",
        where=f"clustering = '{name}'",
    )
    the_hash = stage_hash(config)
    chosen = f"clustering = '{name}'"
    views = views_of(config)
    fitted = context.warehouse.read("codebooks").where(chosen).count()
    if fitted == len(views) and not context.is_refit:
        return StageResult(STAGE, is_unchanged=True)
    sample, n_clips = _sample(context, config, [v.extractor for v in views])
    n_clusters = _n_clusters(config.clustering, n_clips)
    with context.run(
        STAGE, the_hash, scope=name, inputs=("features",), config=config
    ) as run:
        context.reporter.start(STAGE, len(views), "views")
        context.spark.sparkContext.setJobDescription(f"{STAGE} {name}")
        try:
            results = _fit(sample, views, config.clustering, n_clusters).persist()
            n_fitted = results.count()
        finally:
            context.reporter.finish()
            context.spark.sparkContext.setJobDescription("")
        _logger.info(
            "fitted clustering=%s views=%d k=%d n_clips=%d",
            *(name, n_fitted, n_clusters, n_clips),
        )
        _write(context, results, config, n_clusters, run.run_id)
        results.unpersist()
        run.result = StageResult(
            STAGE,
            n_in=min(n_clips, config.clustering.max_rows),
            n_out=n_fitted,
            metrics={"n_clusters": n_clusters, "n_clips": n_clips},
        )
    return run.result


def stage_hash(config: Config) -> str:
    """Return the hash of what shapes a clustering: its settings and the features'."""
    settings = config.clustering.model_dump(mode="json", exclude={"name"})
    return section_hash(STAGE, settings, features_hash(config))


def views_of(config: Config) -> list[View]:
    """Return the views of a configuration: extractors in order, layers 1 upwards."""
    views: list[View] = []
    for chosen in config.features.extractors:
        extractor = create_extractor(chosen.name, chosen.options)
        for layer, dimension in enumerate(extractor.dimensions, start=1):
            views.append(
                View(
                    len(views),
                    chosen.name,
                    layer,
                    extractor.modality,
                    dimension,
                    extractor.version,
                )
            )
    return views


def _sample(
    context: StageContext, config: Config, extractors: list[str]
) -> tuple[DataFrame, int]:
    """Return features of the clips that the fit uses, and how many clips there are."""
    names = list(dict.fromkeys(extractors))
    features = context.warehouse.read("features").where(F.col("extractor").isin(names))
    complete = (
        features.groupBy("clip_id")
        .agg(F.count("*").alias("n"))
        .where(F.col("n") == len(names))
        .select("clip_id")
    )
    n_clips = complete.count()
    if n_clips == 0:
        msg = (
            f"{STAGE}: expected clips with features of {names}, found none. Run "
            "'acav run extract_features' first, and look at 'acav status'."
        )
        raise StageError(msg)
    order = draw_order(config.clustering.seed)
    if n_clips > config.clustering.max_rows:
        complete = complete.orderBy(order, "clip_id").limit(config.clustering.max_rows)
    return features.join(complete, "clip_id"), n_clips


def draw_order(seed: int) -> Column:
    """Return the column by which clips are drawn and ordered: a hash of (seed, id)."""
    return F.xxhash64(F.lit(seed), F.col("clip_id"))


def _n_clusters(clustering: ClusteringConfig, n_clips: int) -> int:
    """Return k, chosen by the number of clips where it is ``auto``."""
    n_rows = min(n_clips, clustering.max_rows)
    if clustering.n_clusters == "auto":
        return auto_n_clusters(n_rows)
    if clustering.n_clusters > n_rows:
        msg = (
            f"clustering.n_clusters: expected at most {n_rows}, the clips that the fit "
            f"uses, got {clustering.n_clusters}. Ask for fewer, or write 'auto'."
        )
        raise StageError(msg)
    return clustering.n_clusters


def _fit(
    sample: DataFrame,
    views: list[View],
    clustering: ClusteringConfig,
    n_clusters: int,
) -> DataFrame:
    """Fit every view in a task of its own."""
    n_rows = clustering.max_rows
    widest = max(views, key=lambda view: view.dimension)
    if n_rows * widest.dimension * 2 > _MAX_GROUP_BYTES:
        allowed = _MAX_GROUP_BYTES // (widest.dimension * 2)
        msg = (
            f"clustering.max_rows: expected at most {allowed} for vectors of "
            f"{widest.dimension} numbers ({widest.extractor}, layer {widest.layer}), "
            f"got {n_rows}."
        )
        raise StageError(msg)
    entries = [
        F.when(
            F.col("extractor") == view.extractor,
            F.struct(
                F.lit(view.position).alias("view_position"),
                F.col(f"layer_{view.layer}").alias("vector"),
            ),
        )
        for view in views
    ]
    rows = sample.select(
        "clip_id",
        draw_order(clustering.seed).alias("draw_order"),
        F.explode(F.array(*entries)).alias("entry"),
    ).where(F.col("entry").isNotNull())
    by_position = {view.position: view for view in views}

    # Spark reads the hints of a plain function, and fails on a partial one.
    def fit(rows: pa.Table) -> pa.Table:
        return _fit_view(
            rows, views=by_position, clustering=clustering, n_clusters=n_clusters
        )

    return (
        rows.select("entry.view_position", "clip_id", "draw_order", "entry.vector")
        .repartition(len(views), "view_position")
        .groupBy("view_position")
        .applyInArrow(fit, spark_schema(_FITTED))
    )


def _fit_view(
    rows: pa.Table,
    *,
    views: dict[int, View],
    clustering: ClusteringConfig,
    n_clusters: int,
) -> pa.Table:
    """Fit one view on its rows, in the order of their hashes."""
    rows = rows.sort_by([("draw_order", "ascending"), ("clip_id", "ascending")])
    position = int(rows["view_position"][0].as_py())
    view = views[position]
    vectors = decode_fp16(rows["vector"].combine_chunks(), view.dimension)
    model = SGDKMeans(
        n_clusters,
        learning_rate=clustering.learning_rate,
        minibatch_size=clustering.minibatch_size,
        n_epochs=clustering.n_epochs,
        preprocess=clustering.preprocess,
        # Views are seeded apart, so that their first centres are not the same clips.
        seed=clustering.seed * 1000 + position,
    ).fit(vectors)
    codebook = model.codebook_
    labels, distances = codebook.assign(vectors)
    row = {
        "view_position": position,
        "extractor": view.extractor,
        "layer": view.layer,
        "modality": view.modality,
        "dimension": view.dimension,
        "model_version": view.model_version,
        "centroids": [
            centroid.astype("<f4").tobytes() for centroid in codebook.centroids
        ],
        "n_updates": [int(n) for n in model.n_updates_],
        "mean": _bytes(codebook.mean),
        "scale": _bytes(codebook.scale),
        "components": _bytes(codebook.components),
        "n_rows": len(vectors),
        "inertia": float(distances.mean(dtype=np.float64)),
        "n_used": len(np.unique(labels)),
        "fingerprint": codebook.fingerprint(),
        "epochs": [
            {
                "epoch": statistics.epoch,
                "inertia": statistics.inertia / len(vectors),
                "n_used": statistics.n_used,
                "n_replaced": statistics.n_replaced,
                "shift": statistics.shift,
            }
            for statistics in model.epoch_statistics_
        ],
    }
    return pa.Table.from_batches([record_batch([row], _FITTED)])


def _bytes(values: np.ndarray | None) -> bytes | None:
    return None if values is None else values.astype("<f4").tobytes()


def _write(
    context: StageContext,
    results: DataFrame,
    config: Config,
    n_clusters: int,
    run_id: str,
) -> None:
    """Write centroids and epochs, then the codebooks, which say that it is done."""
    name = config.clustering.name
    chosen = f"clustering = '{name}'"
    rows = results.withColumns(
        {
            "clustering": F.lit(name),
            "n_clusters": F.lit(n_clusters),
            "preprocess": F.lit(config.clustering.preprocess),
            "stage_hash": F.lit(stage_hash(config)),
            "run_id": F.lit(run_id),
        }
    )
    marks = ("clustering", "extractor", "layer", "stage_hash", "run_id")
    centroids = rows.select(
        *marks,
        F.inline(
            F.transform(
                F.arrays_zip("centroids", "n_updates"),
                lambda pair, i: F.struct(
                    i.alias("cluster"),
                    pair["centroids"].alias("centroid"),
                    pair["n_updates"].alias("n_updates"),
                ),
            )
        ),
    )
    context.warehouse.replace("centroids", centroids, chosen)
    epochs = rows.select(*marks, F.inline("epochs"))
    context.warehouse.replace("epochs", epochs, chosen)
    context.warehouse.replace(
        "codebooks", rows.drop("centroids", "n_updates", "epochs"), chosen
    )
