"""Choosing the clips whose views share the most information (paper, section 3.3.2).

Arrays and plain values in and out; nothing here needs Spark or a configuration.
"""

from acav_spark.selection.baselines import random_selection
from acav_spark.selection.contingency import ContingencyTables, gain_by_pair
from acav_spark.selection.greedy import Selection, batch_greedy, extend, replay
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
from acav_spark.selection.sizes import resolve_size

__all__ = [
    "ContingencyTables",
    "Selection",
    "View",
    "batch_greedy",
    "bipartite",
    "combination",
    "contingency_table",
    "diagonal",
    "extend",
    "gain_by_pair",
    "mutual_information",
    "objective",
    "pairs_for",
    "random_selection",
    "replay",
    "resolve_size",
]
