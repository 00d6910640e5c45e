"""``select_clips``: fills ``selections`` and ``contingency`` from packed assignments.

Paper, section 3.3.2 and Algorithm 1: batch greedy maximisation of mutual information;
and the methods that score clips by their features, to compare with (``scored_job``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.config import section_hash
from acav_spark.config.selecting import SCORED
from acav_spark.errors import StageError
from acav_spark.runs import StageResult
from acav_spark.selection.engines import choose_and_write, picks_folder
from acav_spark.selection.pairings import pairs_for
from acav_spark.selection.problem import Extent, Problem
from acav_spark.selection.scored_job import score_and_write, scored_hash
from acav_spark.selection.scored_methods import method_of
from acav_spark.selection.scoring import FeatureView
from acav_spark.selection.sizes import resolve_size
from acav_spark.selection.weights import view_weights
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import DataFrame, Row

    from acav_spark.config.models import Config
    from acav_spark.context import OpenRun, StageContext
    from acav_spark.selection.scored_job import ScoredMethod

STAGE = "select_clips"


def select_clips(context: StageContext) -> StageResult:
    """Fill ``selections`` with a named, ordered set of clips.

    Reads ``packed`` and ``codebooks``, and ``clips`` and ``videos`` where limits or a
    condition ask for their columns; fills ``selections`` (key selection, rank) and
    ``contingency``. A rerun without new clips does nothing; with new ones the selection
    is extended, or made anew under the next free name, as
    ``selection.when_inputs_grow`` says. Killed at any moment and started again, it goes
    on from the last picks that were staged and ends with the same sequence.

    Methods that score each clip by its features read ``features`` too and fill
    ``selections`` alone; killed, they begin anew with the fit that they had.

    Raises
    ------
    StageError
        If nothing is assigned, more clips are asked for than there are or limits allow,
        packed rows are not what they should be, or the selection was made under other
        settings.

    Notes
    -----
    Memory of ``engine: driver``: two bytes for each view of each clip, one for each
    clip, four for each clip and limit, and 26 for each cell of the tables. Before that,
    eight for each clip; after it, four for each clip and 32 for each pick.
    """
    _require_one_clustering(context.config)
    chosen = context.config.selection
    name = current_name(context, chosen.name)
    config = settle(
        context,
        stage=STAGE,
        table="selections",
        stage_hash_of=lambda c: stage_hash(context, c),
        section="selection",
        where=f"selection = '{name}'",
        dependants=(("contingency", f"selection = '{name}'"),),
    )
    packed = _packed(context, config)
    n_clips = packed.count()
    n_before = _selected(context, name).count()
    n_select = _n_select(config, n_clips)
    has_grown = n_clips > context.ledger.last_metrics(STAGE, name).get(
        "n_candidates", 0
    )
    is_anew = n_before > 0 and has_grown and config.selection.when_inputs_grow == "anew"
    if not is_anew and n_before and n_before >= min(n_select, n_clips):
        picks_folder(context, name).delete(".")
        message = ""
        if n_before > n_select:
            message = (
                f"selection {name} has {n_before} clips, more than {n_select}: its "
                f"first {n_select} by rank are the smaller selection"
            )
        return StageResult(STAGE, is_unchanged=True, message=message)
    if is_anew:
        name, n_before = _next_name(name), 0
    extent = Extent(n_clips, n_before, n_select)
    choose_for = _chooser(context, config, packed, extent, name)
    the_hash = stage_hash(context, config)
    further = ("features",) if config.selection.method in SCORED else ()
    inputs = ("packed", "codebooks", "clips", "videos", *further)
    with context.run(STAGE, the_hash, scope=name, inputs=inputs, config=config) as run:
        try:
            metrics = choose_for(run)
        except ValueError as error:
            msg = f"selection.{error}"
            raise StageError(msg) from error
        run.result = StageResult(
            STAGE,
            n_in=n_clips,
            n_out=extent.n_new,
            metrics={
                "n_candidates": n_clips,
                "n_selected": n_select,
                **metrics,
            },
            message=f"selection {name}",
        )
    return run.result


def _chooser(
    context: StageContext, config: Config, packed: DataFrame, extent: Extent, name: str
) -> Callable[[OpenRun], dict[str, float]]:
    """Return what chooses and writes; settings that cannot be met are refused here."""
    books = _codebooks(context, config.clustering.name)
    if config.selection.method not in SCORED:
        problem = problem_of(
            context, config, extent.n_clips, extent.n_before, extent.n_select
        )
        return lambda run: choose_and_write(context, config, problem, packed, name, run)
    method = _scored_method(config, books)
    return lambda run: score_and_write(
        context, config, method, packed, books, extent, name, run
    )


def _scored_method(config: Config, books: Sequence[Row]) -> ScoredMethod:
    """Return how clips are scored, by the views of the clustering."""
    views = [
        FeatureView(row["extractor"], row["layer"], row["modality"], row["dimension"])
        for row in books
    ]
    try:
        return method_of(config.selection, views)
    except ValueError as error:
        msg = f"selection.{error}"
        raise StageError(msg) from error


def stage_hash(context: StageContext, config: Config) -> str:
    """Return the hash of what shapes a selection: its settings and the codebooks'.

    Size is no part of it: ranks are meaningful, a longer selection begins as a shorter
    one. Nor are settings of other methods than the chosen one.
    """
    books = _codebooks(context, config.clustering.name)
    if config.selection.method in SCORED and books:
        return scored_hash(config, _scored_method(config, books), books)
    fingerprints = [row["fingerprint"] for row in books]
    settings = config.selection.shape()
    return section_hash(STAGE, settings, config.clustering.name, fingerprints)


def current_name(context: StageContext, base: str) -> str:
    """Return a selection's latest name: ``base``, or ``base-2``, ``base-3``, ..."""
    names = [
        row["selection"]
        for row in context.warehouse.read("selections")
        .select("selection")
        .distinct()
        .collect()
    ]
    numbered = [_number(name, base) for name in names]
    latest = max((n for n in numbered if n), default=1)
    return base if latest == 1 else f"{base}-{latest}"


def _number(name: str, base: str) -> int:
    if name == base:
        return 1
    match = re.fullmatch(re.escape(base) + r"-(\d+)", name)
    return int(match[1]) if match else 0


def _next_name(name: str) -> str:
    match = re.fullmatch(r"(.*)-(\d+)", name)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{name}-2"


def to_arrow(rows: DataFrame) -> pa.Table:
    """Return rows as an Arrow table in the driver; Spark 3.5 has no ``toArrow``."""
    if hasattr(rows, "toArrow"):
        return rows.toArrow()
    return pa.Table.from_pandas(rows.toPandas(), preserve_index=False)


def _codebooks(context: StageContext, clustering: str) -> list[Row]:
    return (
        context.warehouse.read("codebooks")
        .where(F.col("clustering") == clustering)
        .orderBy("view_position")
        .select(
            *("extractor", "layer", "modality", "n_clusters", "fingerprint"),
            *("dimension", "model_version"),
        )
        .collect()
    )


def _require_one_clustering(config: Config) -> None:
    """Refuse several numbers of clusters, of which a selection is made from one."""
    clustering = config.clustering
    if isinstance(clustering.n_clusters, list):
        k = clustering.n_clusters[-1]
        msg = (
            f"clustering.n_clusters: expected one number to select from, got "
            f"{clustering.n_clusters}. Choose one of the clusterings, such as --set "
            f"clustering.name={clustering.name}_k{k} --set clustering.n_clusters={k}."
        )
        raise StageError(msg)


def _packed(context: StageContext, config: Config) -> DataFrame:
    packed = context.warehouse.read("packed")
    return packed.where(F.col("clustering") == config.clustering.name)


def _selected(context: StageContext, name: str) -> DataFrame:
    selections = context.warehouse.read("selections")
    return selections.where(F.col("selection") == name)


def _n_select(config: Config, n_clips: int) -> int:
    """Return how many clips to select in all."""
    if n_clips == 0:
        msg = (
            f"{STAGE}: expected clips with clusters in clustering "
            f"{config.clustering.name!r}, found none. Run 'acav run assign_clusters' "
            "first, and look at 'acav status'."
        )
        raise StageError(msg)
    chosen = config.selection
    try:
        return resolve_size(chosen.size, n_clips, allow_fewer=chosen.allow_fewer)
    except ValueError as error:
        msg = f"selection.{error}"
        raise StageError(msg) from error


def problem_of(
    context: StageContext, config: Config, n_clips: int, n_before: int, n_select: int
) -> Problem:
    """Return what is selected and how, checked as far as it can be without the clips.

    Raises
    ------
    StageError
        If the clustering is not fitted, or has no such pairs, layers or weights.
    """
    chosen = config.selection
    books = _codebooks(context, config.clustering.name)
    views = [(row["extractor"], row["layer"], row["modality"]) for row in books]
    option = "pairing"
    try:
        pairs = pairs_for(chosen.pairing, views)
        option = "weights"
        by_view = chosen.slope() or chosen.weights
        weights = view_weights(by_view, [(row[0], row[1]) for row in views], pairs)
        problem = Problem(
            n_clips=n_clips,
            n_before=n_before,
            n_select=n_select,
            n_clusters=tuple(row["n_clusters"] for row in books),
            pairs=tuple(pairs),
            pair_weights=weights,
            method=chosen.method,
            batch_size=chosen.batch_size,
            per_batch=chosen.per_batch,
            prior=chosen.prior,
            seed=chosen.seed,
            share=chosen.mixture_share,
        )
        option = "pairing"
        problem.empty_tables()
    except ValueError as error:
        msg = f"selection.{option}: {error}"
        raise StageError(msg) from error
    return problem
