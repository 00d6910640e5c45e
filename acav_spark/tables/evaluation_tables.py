"""Tables of ``acav evaluate``: how well selections find what belongs together."""

from __future__ import annotations

from acav_spark.tables.columns import RUN
from acav_spark.tables.schema import Column, Table

_LINE = (
    Column("experiment", "STRING", "Table or figure of the paper.", False),
    Column("data_set", "STRING", "Such as cifar10_rotation.", False),
    Column("negatives", "STRING", "How they are made: whole or per_layer.", False),
    Column("network", "STRING", "What made the vectors, of both sides.", False),
    Column("label", "STRING", "Line of the table, or curve.", False),
    Column("run", "INT", "Run: seeds set, clustering and draws.", False),
)
_KEY = tuple(column.name for column in _LINE)

RETRIEVAL_RESULTS = Table(
    "retrieval_results",
    "One row for each method, data set and run of a correspondence-retrieval "
    "experiment.",
    _KEY,
    (
        *_LINE,
        Column("position", "INT", "Place in the experiment, from 0.", False),
        Column("method", "STRING", "Method, such as mutual_information.", False),
        Column("settings", "STRING", "What shaped its picks, JSON.", False),
        Column("n_pairs", "BIGINT", "Pairs of the test half.", False),
        Column("n_positive", "BIGINT", "Of these, pairs that belong together.", False),
        Column("n_selected", "BIGINT", "Pairs that were picked.", False),
        Column("precision", "DOUBLE", "Picks that belong together, 0 to 1.", False),
        Column("groups", "STRING", "What is counted: classes or clusters.", False),
        Column(
            "n_groups_positive", "INT", "Groups of pairs that belong together.", False
        ),
        Column("n_groups_covered", "INT", "Of these, groups that were found.", False),
        Column("entropy_nats", "DOUBLE", "Entropy of groups that were found.", False),
        Column("paper_precision", "DOUBLE", "What the paper prints, 0 to 1."),
        Column("seconds", "DOUBLE", "Processor time, without clustering.", False),
        Column("stage_hash", "STRING", "Hash of pairs, vectors, settings.", False),
        RUN,
    ),
    {
        "precision_is_share": "precision >= 0 AND precision <= 1",
        "selected_of_pairs": "n_selected >= 1 AND n_selected <= n_pairs",
        "run_not_negative": "run >= 0",
    },
)

RETRIEVAL_CURVES = Table(
    "retrieval_curves",
    "Precision along the picks, for the experiments that are figures.",
    (*_KEY, "n_selected"),
    (
        *_LINE,
        Column("n_selected", "BIGINT", "Picks so far.", False),
        Column("precision", "DOUBLE", "Of these, those that belong together.", False),
        Column("stage_hash", "STRING", "Hash of pairs, vectors, settings.", False),
        RUN,
    ),
    {"precision_is_share": "precision >= 0 AND precision <= 1"},
)
