"""``select_clips``: fills ``selections`` and ``contingency`` from packed assignments.

Paper, section 3.3.2 and Algorithm 1: batch greedy maximisation of mutual information.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.config import section_hash
from acav_spark.errors import StageError
from acav_spark.runs import StageResult
from acav_spark.selection import (
    ContingencyTables,
    Selection,
    batch_greedy,
    extend,
    pairs_for,
    random_selection,
    replay,
    resolve_size,
)
from acav_spark.settings import settle

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, Row

    from acav_spark.config.models import Config
    from acav_spark.context import OpenRun, StageContext

STAGE = "select_clips"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The packed table in memory: two bytes for each view of each clip, and the ids.

    Parameters
    ----------
    clip_ids : pyarrow array of string, shape (n_clips,)
        In the order of ``row_number``.
    clusters : ndarray of int32, shape (n_clips, n_views)
        Cluster ids.
    n_clusters : tuple of int
        Clusters of each view.
    pairs : list of (int, int)
        Pairs of views whose information is summed.
    """

    clip_ids: pa.ChunkedArray
    clusters: NDArray[np.int32]
    n_clusters: tuple[int, ...]
    pairs: list[tuple[int, int]]


def select_clips(context: StageContext) -> StageResult:
    """Fill ``selections`` with a named, ordered set of clips.

    Reads ``packed`` and ``codebooks``; fills ``selections`` (key selection, rank) and
    ``contingency`` in memory of the driver: some 100 bytes a candidate. A rerun without
    new clips does nothing; with new ones the selection is extended, or made anew under
    the next free name, as ``selection.when_inputs_grow`` says.

    Raises
    ------
    StageError
        If nothing is assigned, more clips are asked for than there are, or the
        selection was made under other settings.
    """
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
    candidates = _candidates(context, config)
    n_clips = len(candidates.clusters)
    try:
        n_select = resolve_size(
            config.selection.size, n_clips, allow_fewer=config.selection.allow_fewer
        )
    except ValueError as error:
        msg = f"selection.{error}"
        raise StageError(msg) from error
    before = _selected(context, name)
    has_grown = n_clips > context.ledger.last_metrics(STAGE, name).get(
        "n_candidates", 0
    )
    is_anew = bool(before) and has_grown and config.selection.when_inputs_grow == "anew"
    if not is_anew and before and (len(before) >= n_select or len(before) == n_clips):
        message = ""
        if len(before) > n_select:
            message = f"selection {name} has {len(before)} clips, more than {n_select}"
        return StageResult(STAGE, is_unchanged=True, message=message)
    if is_anew:
        name, before = _next_name(name), []
    the_hash = stage_hash(context, config)
    inputs = ("packed", "codebooks")
    with context.run(STAGE, the_hash, scope=name, inputs=inputs, config=config) as run:
        selection = _select(context, config, candidates, before, n_select)
        _write(context, config, candidates, selection, before, name, run)
        run.result = StageResult(
            STAGE,
            n_in=n_clips,
            n_out=len(selection.indices),
            metrics={
                "n_candidates": n_clips,
                "n_selected": n_select,
                "objective": selection.objective,
            },
            message=f"selection {name}",
        )
    return run.result


def stage_hash(context: StageContext, config: Config) -> str:
    """Return the hash of what shapes a selection: its settings and the codebooks'.

    Size is no part of it: ranks are meaningful, a longer selection begins as a shorter
    one.
    """
    names = {"name", "size", "allow_fewer", "when_inputs_grow"}
    settings = config.selection.model_dump(mode="json", exclude=names)
    books = _codebooks(context, config.clustering.name)
    fingerprints = [row["fingerprint"] for row in books]
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


def _codebooks(context: StageContext, clustering: str) -> list[Row]:
    return (
        context.warehouse.read("codebooks")
        .where(F.col("clustering") == clustering)
        .orderBy("view_position")
        .select("extractor", "layer", "modality", "n_clusters", "fingerprint")
        .collect()
    )


def _candidates(context: StageContext, config: Config) -> _Candidates:
    name = config.clustering.name
    books = _codebooks(context, name)
    table = to_arrow(
        context.warehouse.read("packed")
        .where(F.col("clustering") == name)
        .select("row_number", "clip_id", "clusters")
    ).sort_by("row_number")
    if not books or table.num_rows == 0:
        msg = (
            f"{STAGE}: expected clips with clusters in clustering {name!r}, found "
            "none. Run 'acav run assign_clusters' first, and look at 'acav status'."
        )
        raise StageError(msg)
    flat = table["clusters"].combine_chunks().flatten()
    views = [(row["extractor"], row["layer"], row["modality"]) for row in books]
    try:
        pairs = pairs_for(config.selection.pairing, views)
    except ValueError as error:
        msg = f"selection.pairing: {error}"
        raise StageError(msg) from error
    return _Candidates(
        table["clip_id"],
        np.asarray(flat, np.int32).reshape(table.num_rows, len(views)),
        tuple(row["n_clusters"] for row in books),
        pairs,
    )


def to_arrow(rows: DataFrame) -> pa.Table:
    """Return rows as an Arrow table in the driver; Spark 3.5 has no ``toArrow``."""
    if hasattr(rows, "toArrow"):
        return rows.toArrow()
    return pa.Table.from_pandas(rows.toPandas(), preserve_index=False)


def _selected(context: StageContext, name: str) -> list[str]:
    """Return the clips of a selection in the order of their ranks."""
    rows = to_arrow(
        context.warehouse.read("selections")
        .where(F.col("selection") == name)
        .select("rank", "clip_id")
    ).sort_by("rank")
    return list(rows["clip_id"].to_pylist())


def _select(
    context: StageContext,
    config: Config,
    candidates: _Candidates,
    before: list[str],
    n_select: int,
) -> Selection:
    """Select, or go on from a former selection; rows are those of ``candidates``."""
    chosen, ids = config.selection, candidates.clusters
    n_clusters, pairs = candidates.n_clusters, candidates.pairs
    n_before = len(before)

    def progress(done: int, total: int) -> None:
        context.reporter.at(done)
        _logger.info("selected stage=%s done=%d/%d", STAGE, done, total)

    is_before = np.zeros(len(ids), bool)
    if before:
        places = pa.compute.index_in(candidates.clip_ids, pa.array(before))
        is_before = places.is_valid().to_numpy(zero_copy_only=False)
        if is_before.sum() != n_before:
            msg = (
                f"{STAGE}: expected the {n_before} selected clips among the "
                f"candidates, found {is_before.sum()}: clips were deleted since. "
                "Choose --on-change recompute, or another selection.name."
            )
            raise StageError(msg)
    rest = np.flatnonzero(~is_before)
    tables = None
    if before:
        tables = ContingencyTables.from_assignments(
            ids[is_before], pairs, n_clusters=n_clusters
        )
    context.reporter.start(STAGE, n_select - n_before, "clips")
    try:
        if chosen.method == "random":
            drawn = random_selection(len(rest), n_select - n_before, seed=chosen.seed)
            return replay(
                ids, rest[drawn], n_clusters=n_clusters, pairs=pairs, previous=tables
            )
        if tables is None:
            return batch_greedy(
                ids,
                n_select,
                n_clusters=n_clusters,
                pairs=pairs,
                batch_size=chosen.batch_size,
                per_batch=chosen.per_batch,
                seed=chosen.seed,
                progress=progress,
            )
        found = extend(
            tables,
            ids[rest],
            n_select - n_before,
            batch_size=chosen.batch_size,
            per_batch=chosen.per_batch,
            seed=chosen.seed,
            progress=progress,
        )
    finally:
        context.reporter.finish()
    return Selection(
        rest[found.indices],
        found.gains,
        found.objectives,
        found.batches,
        found.make_tables,
    )


def _write(
    context: StageContext,
    config: Config,
    candidates: _Candidates,
    selection: Selection,
    before: list[str],
    name: str,
    run: OpenRun,
) -> None:
    """Write the counts, then the picks in one commit, which says that it is done."""
    spark = context.spark
    marks = {
        "selection": F.lit(name),
        "stage_hash": F.lit(stage_hash(context, config)),
        "run_id": F.lit(run.run_id),
    }
    counts = spark.createDataFrame(_counts(selection.tables).to_pandas())
    context.warehouse.replace(
        "contingency", counts.withColumns(marks), f"selection = '{name}'"
    )
    n_new = len(selection.indices)
    picks = pa.table(
        {
            "rank": np.arange(n_new, dtype=np.int64) + len(before) + 1,
            "clip_id": candidates.clip_ids.take(pa.array(selection.indices)),
            "gain": selection.gains,
            "objective": selection.objectives,
            "batch": selection.batches.astype(np.int32),
        }
    )
    rows = spark.createDataFrame(picks.to_pandas()).withColumns(
        {
            **marks,
            "batch": F.col("batch").cast("int"),
            "method": F.lit(config.selection.method),
            "clustering": F.lit(config.clustering.name),
        }
    )
    context.warehouse.insert("selections", rows)


def _counts(tables: ContingencyTables) -> pa.Table:
    """Return the cells above zero of all tables."""
    parts = []
    for first, second in tables.pairs:
        table = tables.table(first, second)
        rows, columns = np.nonzero(table)
        parts.append(
            pa.table(
                {
                    "view_a": np.full(len(rows), first, np.int32),
                    "view_b": np.full(len(rows), second, np.int32),
                    "cluster_a": rows.astype(np.int32),
                    "cluster_b": columns.astype(np.int32),
                    "n_clips": table[rows, columns].astype(np.int64),
                }
            )
        )
    return pa.concat_tables(parts)
