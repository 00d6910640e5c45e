"""What one clip gained by pair of views, or would gain: ``acav explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError
from pyspark.sql import functions as F

from acav_spark.config import Config
from acav_spark.errors import StageError
from acav_spark.selection.contingency import gain_by_pair
from acav_spark.selection.job import problem_of
from acav_spark.selection.population import clusters_of, count_clips

if TYPE_CHECKING:
    from pyspark.sql import Row

    from acav_spark.context import StageContext


@dataclass(frozen=True)
class ExplainedGain:
    """One clip in the light of one selection.

    Parameters
    ----------
    selection : str
        Name of the selection.
    rank : int or None
        Rank of the clip; None where it was not selected.
    n_counted : int
        Selected clips that it is measured against: those of the ranks before its own,
        or all.
    by_pair : list of (str, str, float)
        Names of two views, and the change of the objective through them in nats.
    """

    selection: str
    rank: int | None
    n_counted: int
    by_pair: list[tuple[str, str, float]]

    @property
    def total(self) -> float:
        """Change of the objective in nats."""
        return sum(gain for _, _, gain in self.by_pair)


def explain_gains(context: StageContext, clip_id: str) -> list[ExplainedGain]:
    """Return a clip's gain in every selection of a clustering that has the clip.

    Executors count the clips before it; the driver holds one set of tables, 90 MB for
    45 pairs of 500 clusters. A selection whose settings are not known any more, or
    whose codebooks are gone, is left out.
    """
    found = []
    packed = context.warehouse.read("packed")
    own = packed.where(F.col("clip_id") == clip_id).collect()
    for clip in own:
        for selection in _selections(context, clip["clustering"]):
            explained = _explained(context, clip, selection)
            if explained is not None:
                found.append(explained)
    return found


def _selections(context: StageContext, clustering: str) -> list[Row]:
    return (
        context.warehouse.read("selections")
        .where(F.col("clustering") == clustering)
        .groupBy("selection")
        .agg(F.max("run_id").alias("run_id"), F.count("*").alias("n"))
        .orderBy("selection")
        .collect()
    )


def _explained(
    context: StageContext, clip: Row, selection: Row
) -> ExplainedGain | None:
    name = selection["selection"]
    packed = context.warehouse.read("packed").where(
        F.col("clustering") == clip["clustering"]
    )
    pick = (
        context.warehouse.read("selections")
        .where((F.col("selection") == name) & (F.col("clip_id") == clip["clip_id"]))
        .select("rank")
        .first()
    )
    rank = None if pick is None else pick["rank"]
    n_counted = selection["n"] if rank is None else rank - 1
    stored = context.ledger.config_of(selection["run_id"])
    try:
        config = Config.model_validate(stored)
        problem = problem_of(context, config, 0, 0, 0)
    except (StageError, ValidationError):
        return None
    tables = problem.empty_tables()
    if n_counted:
        tables = count_clips(clusters_of(context, name, packed, n_counted), problem)
    gains = gain_by_pair(tables, np.array(clip["clusters"]))
    views = _view_names(context, clip["clustering"])
    by_pair = [
        (views[first], views[second], gain)
        for (first, second), gain in zip(problem.pairs, gains.tolist(), strict=True)
    ]
    return ExplainedGain(name, rank, n_counted, by_pair)


def _view_names(context: StageContext, clustering: str) -> list[str]:
    books = context.warehouse.read("codebooks").where(F.col("clustering") == clustering)
    return [
        f"{row['extractor']} layer {row['layer']}"
        for row in books.orderBy("view_position").collect()
    ]
