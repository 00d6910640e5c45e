"""Selections by a score of each clip: fit, score where the vectors are, order, write.

A method is given by ``ScoredMethod``: how it is fitted, and the ``RowScorer`` that the
fit makes. Everything else is the same for all. Vectors are read once, and only what
``RowScorer.embeddings`` returns is shuffled; then a clip is its id and its score.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pyspark.sql import functions as F

from acav_spark.config import section_hash
from acav_spark.selection.candidates import require_distinct_clips
from acav_spark.selection.gathering import require_all_former
from acav_spark.selection.ordering_job import first_places, in_order
from acav_spark.selection.scoring_tasks import (
    SCORES,
    cell_names,
    embedded_batches,
    require_scores,
    require_versions,
    scored_batches,
)
from acav_spark.selection.writing import selection_marks
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa
    from pyspark.sql import DataFrame, Row

    from acav_spark.config.models import Config
    from acav_spark.context import OpenRun, StageContext
    from acav_spark.selection.problem import Extent
    from acav_spark.selection.scoring import FeatureView, RowScorer

_logger = logging.getLogger(__name__)
STAGE = "select_clips"
_SCORERS = "_scorers"
# Ids of a sample that every executor is sent: some 60 MB.
_MOST_BROADCAST = 1_000_000
# What every method keeps to; the rest of a method's settings are its own.
_RULES = ("where", "max_per_group", "quotas", "must_include", "must_exclude")


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
        drawn = self.clips
        if n_rows < self.n_clips:
            order = F.xxhash64(F.lit(seed), F.col("clip_id"))
            drawn = drawn.orderBy(order, "clip_id").limit(n_rows)
        # The vectors of all other clips are then dropped where they are read.
        return F.broadcast(drawn) if n_rows <= _MOST_BROADCAST else drawn

    def vectors(self, clips: DataFrame, views: Sequence[FeatureView]) -> DataFrame:
        """Return ``clip_id`` and a binary column for each view, ``view_0``, ...

        Parameters
        ----------
        clips : DataFrame
            ``clip_id``.
        views : sequence of FeatureView
            Whose vectors: fp16 bytes, see ``features.vectors``.
        """
        rows = clips.select("clip_id")
        for extractor in dict.fromkeys(view.extractor for view in views):
            rows = rows.join(_vectors_of(self.context, extractor, views), "clip_id")
        return rows.select("clip_id", *cell_names(views))


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


def scored_hash(config: Config, method: ScoredMethod, books: Sequence[Row]) -> str:
    """Return the hash of what shapes a selection by scores.

    Codebooks have no part in it, so that a clustering may be fitted anew; versions of
    extractors have.
    """
    rules = config.selection.model_dump(mode="json", include=set(_RULES))
    versions = sorted({(row["extractor"], row["model_version"]) for row in books})
    return section_hash(
        STAGE,
        rules,
        method.settings(),
        config.clustering.name,
        [list(version) for version in versions],
    )


def score_and_write(
    context: StageContext,
    config: Config,
    method: ScoredMethod,
    packed: DataFrame,
    books: Sequence[Row],
    extent: Extent,
    name: str,
    run: OpenRun,
) -> dict[str, float]:
    """Score clips, write the best to ``selections``; return what to report.

    Parameters
    ----------
    context, config, run
        Of the stage.
    method : ScoredMethod
        How clips are scored.
    packed : DataFrame
        Rows of the clustering: the candidates.
    books : sequence of Row
        Its codebooks, which say of what versions features are to be.
    extent : Extent
        How many.
    name : str
        Name of the selection.

    Returns
    -------
    dict of str to float
        ``n_scored``, the clips that were scored.

    Raises
    ------
    StageError, ValueError
        If features are not those of the packed clips, or restrictions cannot be met.
    """
    scratch = Folder(f"{context.folder.uri}/_selecting/{name}")
    _require_features(context, books)
    require_distinct_clips(packed)
    candidates = packed.select("row_number", "clip_id")
    if extent.n_before:
        selected = context.warehouse.read("selections").where(f"selection = '{name}'")
        selected = selected.select("clip_id")
        former = packed.join(selected, "clip_id", "left_semi")
        require_all_former(former.count(), extent.n_before)
        candidates = candidates.join(selected, "clip_id", "left_anti")
    scorer = _fitted_scorer(context, method, packed, extent, name, run, scratch)
    context.spark.sparkContext.setJobDescription(f"{STAGE}: score")
    context.reporter.start(STAGE, extent.n_new, "clips")
    try:
        started = time.monotonic()
        scratch.delete("scores")
        scores = _scores(context, candidates, scorer)
        scores.write.mode("overwrite").parquet(f"{scratch.uri}/scores")
        scores = context.spark.read.parquet(f"{scratch.uri}/scores")
        n_scored = scores.count()
        require_scores(n_scored, extent)
        _logger.info("scored n=%d seconds=%.1f", n_scored, time.monotonic() - started)
        ordered = in_order(scores, scratch, n_rows=n_scored)
        picks = first_places(
            context, config.selection, packed, ordered, extent, name, scratch
        )
        marks = selection_marks(
            name,
            stage_hash=run.run.stage_hash,
            run_id=run.run_id,
            method=config.selection.method,
            clustering=config.clustering.name,
        )
        where = f"selection = '{name}' AND rank > {extent.n_before}"
        context.warehouse.replace("selections", picks.withColumns(marks), where)
        context.reporter.at(extent.n_new)
    finally:
        context.reporter.finish()
        context.spark.sparkContext.setJobDescription("")
    scratch.delete(".")
    return {"n_scored": n_scored}


def _fitted_scorer(
    context: StageContext,
    method: ScoredMethod,
    packed: DataFrame,
    extent: Extent,
    name: str,
    run: OpenRun,
    scratch: Folder,
) -> RowScorer:
    """Return the scorer of a selection: the one that it began with, or a new one."""
    kept = Folder(f"{context.folder.uri}/{_SCORERS}/{name}")
    file = run.run.stage_hash
    is_refit = context.is_refit and extent.n_before == 0
    if kept.exists(file) and not is_refit:
        return method.scorer(kept.read_bytes(file))
    started = time.monotonic()
    context.spark.sparkContext.setJobDescription(f"{STAGE}: fit")
    clips = packed.select("clip_id")
    try:
        fitted = method.fit(ScoredClips(context, clips, extent.n_clips, scratch))
    finally:
        context.spark.sparkContext.setJobDescription("")
    # Of other settings of the same selection none is used again.
    kept.delete(".")
    kept.write_bytes(file, fitted)
    seconds = time.monotonic() - started
    _logger.info("fitted scorer bytes=%d seconds=%.1f", len(fitted), seconds)
    return method.scorer(fitted)


def _scores(
    context: StageContext, candidates: DataFrame, scorer: RowScorer
) -> DataFrame:
    """Return ``row_number``, ``clip_id`` and ``score`` of candidates with vectors."""
    views = scorer.views
    shared = context.spark.sparkContext.broadcast(scorer)
    rows = candidates

    for extractor in dict.fromkeys(view.extractor for view in views):
        places = [i for i, view in enumerate(views) if view.extractor == extractor]
        schema = ", ".join(["clip_id STRING", *(f"view_{i} BINARY" for i in places)])

        # Spark reads the hints of a plain function, and fails on a partial one.
        def embedded(
            batches: Iterable[pa.RecordBatch], places: Sequence[int] = tuple(places)
        ) -> Iterable[pa.RecordBatch]:
            return embedded_batches(batches, scorer=shared.value, places=places)

        vectors = _vectors_of(context, extractor, views)
        rows = rows.join(vectors.mapInArrow(embedded, schema), "clip_id")

    def scored(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return scored_batches(batches, scorer=shared.value)

    return rows.mapInArrow(scored, SCORES)


def _vectors_of(
    context: StageContext, extractor: str, views: Sequence[FeatureView]
) -> DataFrame:
    """Return ``clip_id`` and the vectors of those views that are the extractor's."""
    columns = [
        F.col(view.column).alias(f"view_{i}")
        for i, view in enumerate(views)
        if view.extractor == extractor
    ]
    features = context.warehouse.read("features")
    return features.where(F.col("extractor") == extractor).select("clip_id", *columns)


def _require_features(context: StageContext, books: Sequence[Row]) -> None:
    """Refuse features of other versions than those that were clustered."""
    versions = {row["extractor"]: row["model_version"] for row in books}
    counts = (
        context.warehouse.read("features")
        .where(F.col("extractor").isin(list(versions)))
        .groupBy("extractor", "model_version")
        .count()
        .collect()
    )
    require_versions([(row[0], row[1], row[2]) for row in counts], versions)
