"""``fit_centroids``: fills ``codebooks``, ``centroids`` and ``epochs`` from features.

Paper, section 3.3.2, Stochastic Clustering: one clustering for every layer of every
extractor, by mini-batch SGD. Few rows are fitted in one task for each view, many epoch
by epoch over shards (``epochs_job``); both give the same centres.
"""

from __future__ import annotations

import logging
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from acav_spark.clustering import auto_n_clusters
from acav_spark.clustering.epochs_job import DistributedFit, identity_of
from acav_spark.clustering.fit import FitSettings
from acav_spark.clustering.fit_tasks import fit_view
from acav_spark.clustering.fitted import FITTED, View
from acav_spark.clustering.sample_job import STAGE, BadRows, Sample, draw_sample
from acav_spark.config import section_hash
from acav_spark.errors import StageError
from acav_spark.features.job import STAGE as FEATURES
from acav_spark.features.job import extractor_hash
from acav_spark.features.registry import create_extractor
from acav_spark.imports.choosing import ImportedExtractor, imported_extractors
from acav_spark.rows import record_batch, spark_schema
from acav_spark.runs import StageResult
from acav_spark.settings import settle
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame

    from acav_spark.config.models import ClusteringConfig, Config
    from acav_spark.context import StageContext

_logger = logging.getLogger(__name__)

# A view of so many bytes is fitted in one task.
_ONE_TASK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class _Wanted:
    """A clustering that is to be fitted."""

    config: Config
    stage_hash: str
    n_clusters: int

    @property
    def name(self) -> str:
        return self.config.clustering.name

    def settings(self, view: View) -> FitSettings:
        clustering = self.config.clustering
        return FitSettings(
            self.n_clusters,
            learning_rate=clustering.learning_rate,
            minibatch_size=clustering.minibatch_size,
            n_epochs=clustering.n_epochs,
            update=clustering.update,
            reinit=clustering.reinit,
            preprocess=clustering.preprocess,
            tolerance=clustering.tolerance,
            # Views are seeded apart: their first centres are not the same clips.
            seed=clustering.seed * 1000 + view.position,
        )


def variants(context: StageContext) -> list[StageContext]:
    """Return a context for each number of clusters; the given one where it is one.

    Several numbers make clusterings that are named after them, ``main_k500``: the same
    as the clustering of that name with that one number.
    """
    clustering = context.config.clustering
    if not isinstance(clustering.n_clusters, list):
        return [context]
    found = []
    for k in dict.fromkeys(clustering.n_clusters):
        of_k = clustering.model_copy(
            update={"name": f"{clustering.name}_k{k}", "n_clusters": k}
        )
        one = copy(context)
        one.config = context.config.model_copy(update={"clustering": of_k})
        found.append(one)
    return found


def fit_centroids(context: StageContext) -> StageResult:
    """Fit one codebook for every view of a clustering.

    Reads ``features`` of clips that every extractor has; fills ``codebooks``,
    ``centroids`` and ``epochs``. A clustering that is fitted stays as it is, whatever
    clips are added, until ``--refit``. Killed in an epoch, a fit of many rows goes on
    from the last one that was finished.

    Raises
    ------
    StageError
        If there are no features, an extractor was never imported, features are of
        several versions of an extractor,
        there are fewer clips than clusters, or the clustering was fitted under other
        settings.
    """
    missing: list[Config] = []
    imported = imported_extractors(context)
    for one in variants(context):
        config = settle(
            one,
            stage=STAGE,
            table="codebooks",
            stage_hash_of=partial(stage_hash, imported=imported),
            section="clustering",
            where=f"clustering = '{one.config.clustering.name}'",
        )
        context.is_refit = context.is_refit or one.is_refit
        name = config.clustering.name
        fitted = context.warehouse.read("codebooks").where(f"clustering = '{name}'")
        if context.is_refit or fitted.count() != len(views_of(config, imported)):
            missing.append(config)
    if not missing:
        return StageResult(STAGE, is_unchanged=True)
    views = views_of(missing[0], imported)
    sample = draw_sample(context, missing[0].clustering, views)
    wanted = [
        _Wanted(c, stage_hash(c, imported), _n_clusters(c.clustering, sample))
        for c in missing
    ]
    with context.run(
        STAGE,
        wanted[0].stage_hash,
        scope=",".join(one.name for one in wanted),
        inputs=("features",),
        config=missing[0],
    ) as run:
        n_bad = _fit_and_write(context, sample, views, wanted, run.run_id)
        run.result = StageResult(
            STAGE,
            n_in=sample.n_rows,
            n_out=len(views) * len(wanted),
            n_failed=n_bad,
            metrics={"n_clusters": wanted[-1].n_clusters, "n_clips": sample.n_clips},
        )
    return run.result


def stage_hash(
    config: Config, imported: Mapping[str, ImportedExtractor] | None = None
) -> str:
    """Return the hash of what shapes a clustering: its settings and the features'."""
    settings = config.clustering.model_dump(mode="json", exclude={"name"})
    known = imported or {}
    hashes = [
        known[e.name].stage_hash if e.name in known else extractor_hash(config, e.name)
        for e in config.features.extractors
    ]
    return section_hash(STAGE, settings, section_hash(FEATURES, hashes))


def views_of(
    config: Config, imported: Mapping[str, ImportedExtractor] | None = None
) -> list[View]:
    """Return the views of a configuration: extractors in order, layers 1 upwards.

    Parameters
    ----------
    config : Config
        Which extractors.
    imported : mapping of str to ImportedExtractor, optional
        What is known of those that nothing computes.
    """
    views: list[View] = []
    for chosen in config.features.extractors:
        extractor = (imported or {}).get(chosen.name) or create_extractor(
            chosen.name, chosen.options
        )
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


def _n_clusters(clustering: ClusteringConfig, sample: Sample) -> int:
    """Return k, chosen by the number of clips where it is ``auto``."""
    n_rows, k = sample.n_rows, clustering.n_clusters
    if k == "auto":
        return auto_n_clusters(n_rows)
    assert isinstance(k, int)  # noqa: S101 - lists were taken apart by ``variants``
    if k > n_rows:
        msg = (
            f"clustering.n_clusters: expected at most {n_rows}, the clips that the fit "
            f"uses, got {k}. Ask for fewer, or write 'auto'."
        )
        raise StageError(msg)
    return k


def _fit_and_write(
    context: StageContext,
    sample: Sample,
    views: Sequence[View],
    wanted: Sequence[_Wanted],
    run_id: str,
) -> int:
    """Fit all views, write the tables; return how many vectors could not be used."""
    by_extractor: dict[str, list[View]] = {}
    for view in views:
        by_extractor.setdefault(view.extractor, []).append(view)
    vectors: dict[str, tuple[DataFrame, BadRows]] = {}
    for extractor, layers in by_extractor.items():
        dimensions = {f"layer_{view.layer}": view.dimension for view in layers}
        vectors[extractor] = sample.vectors(context, extractor, dimensions)
    widest = max(view.dimension for view in views)
    is_small = sample.n_rows * widest * 2 <= _ONE_TASK_BYTES
    n_epochs = max(one.config.clustering.n_epochs for one in wanted)
    total = len(views) if is_small else n_epochs * len(by_extractor)
    context.reporter.start(STAGE, total, "views" if is_small else "epochs")
    context.spark.sparkContext.setJobDescription(STAGE)
    fits: list[DistributedFit] = []
    try:
        if is_small:
            rows = _in_tasks(sample, views, wanted, vectors).toArrow()
        else:
            done: list[dict[str, object]] = []
            for number, (extractor, layers) in enumerate(by_extractor.items()):
                fit = _distributed(
                    context, sample, layers, wanted, vectors[extractor][0]
                )
                fits.append(fit)
                done += fit.run(partial(_tell, context, number * n_epochs))
            rows = pa.Table.from_batches([record_batch(done, FITTED)])
    finally:
        context.reporter.finish()
        context.spark.sparkContext.setJobDescription("")
    the_hash = wanted[0].stage_hash
    # All rows were looked at anew: what was mended is no failure any more.
    scopes = ", ".join(f"'{extractor}'" for extractor in by_extractor)
    context.warehouse.delete("failures", f"stage = '{STAGE}' AND scope IN ({scopes})")
    n_bad = sum(bad.record(the_hash, run_id) for _, bad in vectors.values())
    for one in wanted:
        mine = rows.filter(pc.equal(rows["n_clusters"], one.n_clusters))
        _logger.info(
            "fitted clustering=%s views=%d k=%d rows=%d clips=%d",
            *(one.name, len(mine), one.n_clusters, sample.n_rows, sample.n_clips),
        )
        _write(context, mine, one, run_id)
    for fit in fits:
        fit.forget()
    return n_bad


def _tell(context: StageContext, before: int, n_epochs: float) -> None:
    """Tell the progress of an extractor that comes after others."""
    context.reporter.at(before + n_epochs)


def _in_tasks(
    sample: Sample,
    views: Sequence[View],
    wanted: Sequence[_Wanted],
    vectors: dict[str, tuple[DataFrame, BadRows]],
) -> DataFrame:
    """Fit every view in a task of its own."""
    frames = []
    for extractor, (rows, _) in vectors.items():
        entries = [
            F.struct(
                F.lit(view.position).alias("view_position"),
                F.col(f"layer_{view.layer}").alias("vector"),
            )
            for view in views
            if view.extractor == extractor
        ]
        frames.append(
            rows.select(
                "clip_id",
                "draw_order",
                "shard",
                F.explode(F.array(*entries)).alias("entry"),
            ).select("entry.*", "clip_id", "draw_order", "shard")
        )
    rows = frames[0]
    for frame in frames[1:]:
        rows = rows.union(frame)
    by_position = {view.position: view for view in views}
    settings = {v.position: [one.settings(v) for one in wanted] for v in views}
    n_rows, n_held_out, n_shards = sample.n_rows, sample.n_held_out, sample.n_shards

    # Spark reads the hints of a plain function, and fails on a partial one.
    def fit(rows: pa.Table) -> pa.Table:
        position = int(rows["view_position"][0].as_py())
        return fit_view(
            rows,
            view=by_position[position],
            settings=settings[position],
            n_rows=n_rows,
            n_held_out=n_held_out,
            n_shards=n_shards,
        )

    return (
        rows.repartition(len(views), "view_position")
        .groupBy("view_position")
        .applyInArrow(fit, spark_schema(FITTED))
    )


def _distributed(
    context: StageContext,
    sample: Sample,
    views: Sequence[View],
    wanted: Sequence[_Wanted],
    rows: DataFrame,
) -> DistributedFit:
    """Return the fit of an extractor whose rows are too many for a task."""
    first = wanted[0]
    identity = identity_of(
        hashes=[one.stage_hash for one in wanted],
        n_clusters=[one.n_clusters for one in wanted],
        features=context.warehouse.version("features"),
        versions=[view.model_version for view in views],
        n_rows=sample.n_rows,
    )
    scratch = Folder(f"{context.folder.uri}/_fitting/{first.name}")
    settings = {v.position: [one.settings(v) for one in wanted] for v in views}
    return DistributedFit(context, sample, rows, views, settings, scratch, identity)


def _write(context: StageContext, rows: pa.Table, one: _Wanted, run_id: str) -> None:
    """Write centroids and epochs, then the codebooks, which say that it is done."""
    name = one.name
    chosen = f"clustering = '{name}'"
    results = context.spark.createDataFrame(rows).withColumns(
        {
            "clustering": F.lit(name),
            "preprocess": F.lit(one.config.clustering.preprocess),
            "stage_hash": F.lit(one.stage_hash),
            "run_id": F.lit(run_id),
        }
    )
    marks = ("clustering", "extractor", "layer", "stage_hash", "run_id")
    centroids = results.select(
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
    epochs = results.select(*marks, F.inline("epochs"))
    context.warehouse.replace("epochs", epochs, chosen)
    context.warehouse.replace(
        "codebooks", results.drop("centroids", "n_updates", "epochs"), chosen
    )
