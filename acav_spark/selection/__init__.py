"""Choosing the clips whose views share the most information (paper, section 3.3.2).

Arrays and plain values in and out; nothing here needs Spark or a configuration.
"""

from acav_spark.selection.baselines import random_selection
from acav_spark.selection.contingency import (
    ContingencyTables,
    gain_by_pair,
    gains_by_pair,
)
from acav_spark.selection.contrastive import ProjectionHeads, fit_projection_heads
from acav_spark.selection.feature_ranking import feature_scores, shared_components
from acav_spark.selection.greedy import batch_greedy, extend, greedy
from acav_spark.selection.lanes import lane_greedy
from acav_spark.selection.limits import Limit, at_most, quotas
from acav_spark.selection.mixture import mixture_ranking, mixture_scores
from acav_spark.selection.mutual_info import (
    contingency_table,
    mutual_information,
    objective,
)
from acav_spark.selection.pairings import (
    View,
    bipartite,
    combination,
    diagonal,
    pairs_for,
)
from acav_spark.selection.prior import recommended_strength
from acav_spark.selection.ranking import pointwise_information, pointwise_ranking
from acav_spark.selection.replaying import replay
from acav_spark.selection.result import Selection
from acav_spark.selection.similarity import cosine_similarity, highest
from acav_spark.selection.sizes import resolve_size
from acav_spark.selection.weights import (
    exponential_weights,
    linear_weights,
    pair_weights,
)

__all__ = [
    "ContingencyTables",
    "Limit",
    "ProjectionHeads",
    "Selection",
    "View",
    "at_most",
    "batch_greedy",
    "bipartite",
    "combination",
    "contingency_table",
    "cosine_similarity",
    "diagonal",
    "exponential_weights",
    "extend",
    "feature_scores",
    "fit_projection_heads",
    "gain_by_pair",
    "gains_by_pair",
    "greedy",
    "highest",
    "lane_greedy",
    "linear_weights",
    "mixture_ranking",
    "mixture_scores",
    "mutual_information",
    "objective",
    "pair_weights",
    "pairs_for",
    "pointwise_information",
    "pointwise_ranking",
    "quotas",
    "random_selection",
    "recommended_strength",
    "replay",
    "resolve_size",
    "shared_components",
]
