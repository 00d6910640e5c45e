"""The tables of a warehouse, in the order of the data."""

from __future__ import annotations

from acav_spark.errors import TableError
from acav_spark.tables.columns import (
    CLIP,
    CLUSTERING,
    EXTRACTOR,
    HASH,
    LAYER,
    LAYERS,
    RUN,
)
from acav_spark.tables.evaluation_tables import RETRIEVAL_CURVES, RETRIEVAL_RESULTS
from acav_spark.tables.media_tables import CLIP_FILES, CLIPS, SEGMENTATIONS, VIDEOS
from acav_spark.tables.schema import Column, Table

FORMAT_VERSION = 1
"""Version of the warehouse's layout; a newer one is refused."""

FEATURES = Table(
    "features",
    "One row for each clip and extractor: a vector for every layer.",
    ("extractor", "clip_id"),
    (
        EXTRACTOR,
        CLIP,
        *LAYERS,
        Column(
            "model_version",
            "STRING",
            "Weights and preprocessing, or source.",
            False,
        ),
        HASH,
        RUN,
    ),
    partition_by=("extractor",),
    evolves=True,
)

IMPORTS = Table(
    "imports",
    "One row for each extractor whose vectors were imported.",
    ("extractor",),
    (
        EXTRACTOR,
        Column("modality", "STRING", "What the vectors are of.", False),
        Column("layers", "ARRAY<STRING>", "Name of each layer in the source.", False),
        Column("dimensions", "ARRAY<INT>", "Length of each layer's vectors.", False),
        Column("version", "STRING", "As given; else source and hash of it.", False),
        Column("sources", "ARRAY<STRING>", "What was imported last.", False),
        HASH,
        RUN,
    ),
    {"as_many_layers": "size(layers) = size(dimensions)"},
)

CODEBOOKS = Table(
    "codebooks",
    "One row for each fitted view of a clustering.",
    ("clustering", "extractor", "layer"),
    (
        CLUSTERING,
        EXTRACTOR,
        LAYER,
        Column("view_position", "INT", "Place of the view in cluster arrays.", False),
        Column("modality", "STRING", "What the extractor looks at.", False),
        Column("n_clusters", "INT", "Clusters (k).", False),
        Column("dimension", "INT", "Length of a vector.", False),
        Column("preprocess", "STRING", "none, standardise, l2, pca_whiten.", False),
        Column("mean", "BINARY", "Subtracted before clustering, little-endian fp32."),
        Column("scale", "BINARY", "Divided by before clustering, little-endian fp32."),
        Column("components", "BINARY", "Whitening matrix by rows, little-endian fp32."),
        Column("model_version", "STRING", "Version of the extractor's rows.", False),
        Column("n_rows", "BIGINT", "Clips that the fit used.", False),
        Column("inertia", "DOUBLE", "Mean squared distance at the end.", False),
        Column("n_used", "INT", "Clusters that hold a clip of the sample.", False),
        Column("fingerprint", "STRING", "SHA-256 of the codebook's contents.", False),
        HASH,
        RUN,
    ),
    {"layer_positive": "layer >= 1", "k_positive": "n_clusters >= 1"},
)

CENTROIDS = Table(
    "centroids",
    "One row for each centroid.",
    ("clustering", "extractor", "layer", "cluster"),
    (
        CLUSTERING,
        EXTRACTOR,
        LAYER,
        Column("cluster", "INT", "Index of the centroid, from 0.", False),
        Column("centroid", "BINARY", "Coordinates, little-endian fp32.", False),
        Column("n_updates", "BIGINT", "Samples that moved it.", False),
        HASH,
        RUN,
    ),
    {"cluster_not_negative": "cluster >= 0"},
)

EPOCHS = Table(
    "epochs",
    "Training statistics of every epoch and view.",
    ("clustering", "extractor", "layer", "epoch"),
    (
        CLUSTERING,
        EXTRACTOR,
        LAYER,
        Column("epoch", "INT", "Epoch, from 1.", False),
        Column("inertia", "DOUBLE", "Mean squared distance to the nearest.", False),
        Column("held_out_inertia", "DOUBLE", "The same of held-out clips, after it."),
        Column("n_used", "INT", "Clusters that hold a clip.", False),
        Column("least_utilisation", "DOUBLE", "Least utilisation of a centroid."),
        Column("n_replaced", "INT", "Centroids placed anew.", False),
        Column("shift", "DOUBLE", "Largest movement of a centroid.", False),
        Column("n_rows", "BIGINT", "Clips that were passed over."),
        Column("seconds", "DOUBLE", "Time that it took."),
        HASH,
        RUN,
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    "The nearest centroid of a clip in every layer of an extractor.",
    ("clustering", "extractor", "clip_id"),
    (
        CLUSTERING,
        EXTRACTOR,
        CLIP,
        Column("clusters", "ARRAY<INT>", "Cluster by layer, layer 1 first.", False),
        HASH,
        RUN,
    ),
    partition_by=("clustering",),
)

PACKED = Table(
    "packed",
    "All cluster ids of a clip in one row, in the order of a hash of its id.",
    ("clustering", "row_number"),
    (
        CLUSTERING,
        Column("row_number", "BIGINT", "Place in the order, from 0.", False),
        CLIP,
        Column("clusters", "ARRAY<INT>", "Cluster by view_position.", False),
        HASH,
        RUN,
    ),
    partition_by=("clustering",),
)

SELECTIONS = Table(
    "selections",
    "Named, ordered sets of clips.",
    ("selection", "rank"),
    (
        Column("selection", "STRING", "Name of the selection.", False),
        Column("rank", "BIGINT", "Order of choice, from 1.", False),
        CLIP,
        Column(
            "gain",
            "DOUBLE",
            "Change of the objective by this pick, in nats; empty for methods that "
            "score clips by features.",
        ),
        Column("objective", "DOUBLE", "Objective after this pick, in nats, or empty."),
        Column(
            "score",
            "DOUBLE",
            "What methods that score clips by features order them by, larger is "
            "better: ranking_*, similarity.",
        ),
        Column("batch", "INT", "Batch or round, from 0; -1 had to be in."),
        Column("lane", "INT", "Lane that picked it, with engine broadcast."),
        Column("method", "STRING", "selection.method, such as batch_greedy.", False),
        Column("clustering", "STRING", "Clustering that was used.", False),
        HASH,
        RUN,
    ),
    {"rank_positive": "rank >= 1"},
    skip_by=("selection", "rank"),
)

CONTINGENCY = Table(
    "contingency",
    "How often clusters of two views meet in a selection, or in all clips of a "
    "clustering: a row of a pair's table in one row, without zeros. The view "
    "contingency_cells has one row a cell.",
    ("selection", "view_a", "view_b", "cluster_a"),
    (
        Column("selection", "STRING", "Selection, or population:CLUSTERING.", False),
        Column("view_a", "INT", "view_position of the first view.", False),
        Column("view_b", "INT", "view_position of the second view.", False),
        Column("cluster_a", "INT", "Cluster in the first view.", False),
        Column(
            "clusters_b",
            "ARRAY<INT>",
            "Clusters in the second view that it meets, rising.",
            False,
        ),
        Column("n_clips", "ARRAY<BIGINT>", "Clips in both, by clusters_b.", False),
        HASH,
        RUN,
    ),
    {
        "as_many_counts": "size(clusters_b) = size(n_clips)",
        "counts_positive": "array_min(n_clips) > 0",
    },
    skip_by=("selection", "view_a", "view_b"),
)

FAILURES = Table(
    "failures",
    "One row for each item that a stage could not process.",
    ("stage", "scope", "item_id"),
    (
        Column("stage", "STRING", "Stage that failed on the item.", False),
        Column(
            "scope", "STRING", "Such as the extractor; empty if there is none.", False
        ),
        Column("item_id", "STRING", "video_id or clip_id.", False),
        Column("uri", "STRING", "Where the item is."),
        Column("error_code", "STRING", "What is wrong, one of the fixed codes.", False),
        Column("message", "STRING", "Details.", False),
        Column("attempts", "INT", "How often it was tried.", False),
        Column("is_permanent", "BOOLEAN", "Whether it is not tried again.", False),
        HASH,
        RUN,
    ),
    {"attempts_positive": "attempts >= 1"},
)

RUNS = Table(
    "runs",
    "The ledger: one row for each execution of a stage that had work to do, and ended.",
    ("run_id",),
    (
        Column("run_id", "STRING", "The run; sorts by time.", False),
        Column("stage", "STRING", "Stage that ran.", False),
        Column(
            "scope", "STRING", "Name of the clustering or selection, or empty.", False
        ),
        Column("status", "STRING", "succeeded, failed or interrupted (killed).", False),
        Column("started_at", "TIMESTAMP", "Start.", False),
        Column("ended_at", "TIMESTAMP", "End."),
        Column("seconds", "DOUBLE", "Wall time."),
        Column("code_version", "STRING", "Version of the package.", False),
        Column("host", "STRING", "Machine of the driver.", False),
        Column("pid", "INT", "Process of the driver.", False),
        Column("stage_hash", "STRING", "Hash of the settings that shape rows.", False),
        Column("config_hash", "STRING", "Hash of the resolved configuration.", False),
        Column("config", "STRING", "Resolved configuration, JSON.", False),
        Column("inputs", "MAP<STRING,BIGINT>", "Delta version of each table read."),
        Column("n_in", "BIGINT", "Items to do."),
        Column("n_out", "BIGINT", "Rows written."),
        Column("n_failed", "BIGINT", "Items that failed."),
        Column("n_rejected", "BIGINT", "Items that were rejected."),
        Column("metrics", "MAP<STRING,DOUBLE>", "Other figures of the run."),
        Column("message", "STRING", "Error, or remark."),
    ),
    {"status_known": "status IN ('succeeded', 'failed', 'interrupted')"},
)

TABLES: tuple[Table, ...] = (
    VIDEOS,
    SEGMENTATIONS,
    CLIPS,
    CLIP_FILES,
    FEATURES,
    IMPORTS,
    CODEBOOKS,
    CENTROIDS,
    EPOCHS,
    ASSIGNMENTS,
    PACKED,
    SELECTIONS,
    CONTINGENCY,
    RETRIEVAL_RESULTS,
    RETRIEVAL_CURVES,
    FAILURES,
    RUNS,
)
"""All tables, in the order of the data."""


def table_named(name: str) -> Table:
    """Return the declaration of a table.

    Raises
    ------
    TableError
        If there is no such table.
    """
    for table in TABLES:
        if table.name == name:
            return table
    known = ", ".join(table.name for table in TABLES)
    msg = f"tables: expected one of {known}; got {name!r}."
    raise TableError(msg)
