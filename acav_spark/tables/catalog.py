"""The tables of a warehouse, in the order of the data."""

from __future__ import annotations

from acav_spark.errors import TableError
from acav_spark.tables.schema import Column, Table

FORMAT_VERSION = 1
"""Version of the warehouse's layout; a newer one is refused."""

_RUN = Column("run_id", "STRING", "Run that wrote the row; joins to runs.", False)
_HASH = Column(
    "stage_hash", "STRING", "Hash of the settings that shaped the row.", False
)
_CLIP = Column("clip_id", "STRING", "Clip: video, start, end in ms; or own id.", False)
_VIDEO = Column("video_id", "STRING", "The source video.", False)
_CLUSTERING = Column("clustering", "STRING", "Name of the clustering.", False)
_EXTRACTOR = Column("extractor", "STRING", "Name of the extractor.", False)
_LAYER = Column("layer", "INT", "Layer of the extractor, 1 (early) upwards.", False)
_LAYERS = tuple(
    Column(f"layer_{i}", "BINARY", f"Vector of layer {i}, little-endian fp16.")
    for i in range(1, 6)
)
_IN_VIDEO = "start_s IS NULL OR (start_s >= 0 AND start_s < end_s)"

VIDEOS = Table(
    "videos",
    "Every candidate video, accepted or rejected with its reason.",
    ("video_id",),
    (
        _VIDEO,
        Column("uri", "STRING", "Where the video is.", False),
        Column("title", "STRING", "Title."),
        Column("description", "STRING", "Description."),
        Column("channel_id", "STRING", "Channel or uploader."),
        Column("category", "STRING", "Category, name or id as the source has it."),
        Column("tags", "ARRAY<STRING>", "Tags."),
        Column("licence", "STRING", "Licence as the source states it."),
        Column("duration_s", "DOUBLE", "Duration in seconds."),
        Column("language", "STRING", "Language code, as the source states it."),
        Column(
            "detected_language",
            "STRING",
            "Language of title and description by ingest.language, und if not known.",
        ),
        Column(
            "language_probability", "DOUBLE", "Probability of the detected language."
        ),
        Column("width", "INT", "Width in pixels, where probed."),
        Column("height", "INT", "Height in pixels, where probed."),
        Column("frame_rate", "DOUBLE", "Frames per second, where probed."),
        Column("sample_rate_hz", "INT", "Sound's sampling rate, where probed."),
        Column("size_bytes", "BIGINT", "Size of the file, where probed."),
        Column("content_sha256", "STRING", "SHA-256 of the file, where probed."),
        Column("status", "STRING", "accepted or rejected.", False),
        Column("reject_reason", "STRING", "Why it was rejected."),
        Column("reject_detail", "STRING", "What that is due to: keyword, category."),
        Column("duplicate_of", "STRING", "video_id of the one kept, if a duplicate."),
        Column("source", "STRING", "media, or the layout of the metadata.", False),
        Column("region", "STRING", "Region of the list that it is in, such as BR."),
        Column("fetched_at", "TIMESTAMP", "When its metadata was fetched, if known."),
        Column("metadata_hash", "BIGINT", "Hash of its metadata; empty for media."),
        _HASH,
        _RUN,
    ),
    {
        "status_known": "status IN ('accepted', 'rejected')",
        "reason_iff_rejected": "(status = 'rejected') = (reject_reason IS NOT NULL)",
        "duration_positive": "duration_s IS NULL OR duration_s >= 0",
    },
)

SEGMENTATIONS = Table(
    "segmentations",
    "One row for each video that was segmented, even into no clip.",
    ("video_id",),
    (
        _VIDEO,
        Column("n_shots", "INT", "Shots found.", False),
        Column("n_candidates", "INT", "Clips that were possible.", False),
        Column("n_clips", "INT", "Clips that were cut.", False),
        Column("rule", "STRING", "Rule by which the clips were cut.", False),
        Column("shot_starts_s", "ARRAY<DOUBLE>", "Start of each shot in seconds."),
        Column(
            "candidate_starts_s",
            "ARRAY<DOUBLE>",
            "Start of each clip that was possible, in seconds.",
        ),
        Column("duration_s", "DOUBLE", "Duration as decoded, in seconds.", False),
        Column("n_frames", "BIGINT", "Frames decoded.", False),
        Column("n_bad_packets", "BIGINT", "Packets that did not decode.", False),
        _HASH,
        _RUN,
    ),
    {"counts_agree": "n_clips <= n_candidates AND n_shots >= 0"},
)

CLIPS = Table(
    "clips",
    "Every clip: a stretch of one video, or an imported item.",
    ("clip_id",),
    (
        _CLIP,
        Column("video_id", "STRING", "The source video; empty for an imported item."),
        Column("start_s", "DOUBLE", "Start in the video in seconds."),
        Column("end_s", "DOUBLE", "End in the video in seconds, exclusive."),
        Column("shot_index", "INT", "Shot in which it begins, from 0."),
        Column("crosses_cut", "BOOLEAN", "Whether a cut lies inside."),
        Column("silence_fraction", "DOUBLE", "Share of it that is digital silence."),
        Column("stillness_fraction", "DOUBLE", "Share of it without movement."),
        Column("black_fraction", "DOUBLE", "Share of it that is black."),
        Column("flat_fraction", "DOUBLE", "Share of it that is of one colour."),
        Column("tone_fraction", "DOUBLE", "Share with unchanging tone or noise."),
        Column("clipped_fraction", "DOUBLE", "Share of samples that are clipped."),
        Column("missing_audio_fraction", "DOUBLE", "Share of it without sound data."),
        Column("n_dropped_frames", "INT", "Frames that are missing in it."),
        Column("dropped_fraction", "DOUBLE", "Share of frames that are missing."),
        Column("signature", "BINARY", "Coarse video signature, 155 bytes a stretch."),
        Column("stretch_elements", "BINARY", "Look of each stretch, 76 bytes each."),
        Column("audio_fingerprint", "BINARY", "Its sound, 40 bytes a second."),
        Column("fine_signature", "BINARY", "Signature of each frame, if asked for."),
        Column("width", "INT", "Width of the video in pixels."),
        Column("height", "INT", "Height of the video in pixels."),
        Column("frame_rate", "DOUBLE", "Frames per second of the video."),
        Column("sample_rate_hz", "INT", "Sampling rate of its sound."),
        Column("audio_offset_s", "DOUBLE", "Start of its sound less its picture's."),
        Column("uri", "STRING", "The clip's own file, or address of an imported item."),
        _HASH,
        _RUN,
    ),
    {"inside_video": _IN_VIDEO},
)

CLIP_FILES = Table(
    "clip_files",
    "One row for each clip that was cut to a file of its own.",
    ("clip_id",),
    (
        _CLIP,
        Column("uri", "STRING", "Where the file is; its times begin at 0.", False),
        Column("duration_s", "DOUBLE", "Length of the clip in seconds.", False),
        Column("size_bytes", "BIGINT", "Size of the file.", False),
        Column("n_frames", "INT", "Frames of its picture.", False),
        Column("width", "INT", "Width in pixels.", False),
        Column("height", "INT", "Height in pixels.", False),
        Column("sample_rate_hz", "INT", "Sampling rate of its sound, if it has any."),
        Column("n_channels", "INT", "Channels of its sound."),
        Column("clip_run_id", "STRING", "Run that wrote the clip's row.", False),
        _HASH,
        _RUN,
    ),
    {"duration_positive": "duration_s > 0"},
)

FEATURES = Table(
    "features",
    "One row for each clip and extractor: a vector for every layer.",
    ("extractor", "clip_id"),
    (
        _EXTRACTOR,
        _CLIP,
        *_LAYERS,
        Column(
            "model_version",
            "STRING",
            "Weights and preprocessing, or source.",
            False,
        ),
        _HASH,
        _RUN,
    ),
    partition_by=("extractor",),
    evolves=True,
)

IMPORTS = Table(
    "imports",
    "One row for each extractor whose vectors were imported.",
    ("extractor",),
    (
        _EXTRACTOR,
        Column("modality", "STRING", "What the vectors are of.", False),
        Column("layers", "ARRAY<STRING>", "Name of each layer in the source.", False),
        Column("dimensions", "ARRAY<INT>", "Length of each layer's vectors.", False),
        Column("version", "STRING", "As given; else source and hash of it.", False),
        Column("sources", "ARRAY<STRING>", "What was imported last.", False),
        _HASH,
        _RUN,
    ),
    {"as_many_layers": "size(layers) = size(dimensions)"},
)

CODEBOOKS = Table(
    "codebooks",
    "One row for each fitted view of a clustering.",
    ("clustering", "extractor", "layer"),
    (
        _CLUSTERING,
        _EXTRACTOR,
        _LAYER,
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
        _HASH,
        _RUN,
    ),
    {"layer_positive": "layer >= 1", "k_positive": "n_clusters >= 1"},
)

CENTROIDS = Table(
    "centroids",
    "One row for each centroid.",
    ("clustering", "extractor", "layer", "cluster"),
    (
        _CLUSTERING,
        _EXTRACTOR,
        _LAYER,
        Column("cluster", "INT", "Index of the centroid, from 0.", False),
        Column("centroid", "BINARY", "Coordinates, little-endian fp32.", False),
        Column("n_updates", "BIGINT", "Samples that moved it.", False),
        _HASH,
        _RUN,
    ),
    {"cluster_not_negative": "cluster >= 0"},
)

EPOCHS = Table(
    "epochs",
    "Training statistics of every epoch and view.",
    ("clustering", "extractor", "layer", "epoch"),
    (
        _CLUSTERING,
        _EXTRACTOR,
        _LAYER,
        Column("epoch", "INT", "Epoch, from 1.", False),
        Column("inertia", "DOUBLE", "Mean squared distance to the nearest.", False),
        Column("held_out_inertia", "DOUBLE", "The same of held-out clips, after it."),
        Column("n_used", "INT", "Clusters that hold a clip.", False),
        Column("least_utilisation", "DOUBLE", "Least utilisation of a centroid."),
        Column("n_replaced", "INT", "Centroids placed anew.", False),
        Column("shift", "DOUBLE", "Largest movement of a centroid.", False),
        Column("n_rows", "BIGINT", "Clips that were passed over."),
        Column("seconds", "DOUBLE", "Time that it took."),
        _HASH,
        _RUN,
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    "The nearest centroid of a clip in every layer of an extractor.",
    ("clustering", "extractor", "clip_id"),
    (
        _CLUSTERING,
        _EXTRACTOR,
        _CLIP,
        Column("clusters", "ARRAY<INT>", "Cluster by layer, layer 1 first.", False),
        _HASH,
        _RUN,
    ),
    partition_by=("clustering",),
)

PACKED = Table(
    "packed",
    "All cluster ids of a clip in one row, in the order of a hash of its id.",
    ("clustering", "row_number"),
    (
        _CLUSTERING,
        Column("row_number", "BIGINT", "Place in the order, from 0.", False),
        _CLIP,
        Column("clusters", "ARRAY<INT>", "Cluster by view_position.", False),
        _HASH,
        _RUN,
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
        _CLIP,
        Column("gain", "DOUBLE", "Change of the objective by this pick, in nats."),
        Column("objective", "DOUBLE", "Objective after this pick, in nats."),
        Column("batch", "INT", "Batch or round, from 0; -1 had to be in."),
        Column("lane", "INT", "Lane that picked it, with engine broadcast."),
        Column("method", "STRING", "selection.method, such as batch_greedy.", False),
        Column("clustering", "STRING", "Clustering that was used.", False),
        _HASH,
        _RUN,
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
        _HASH,
        _RUN,
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
        _HASH,
        _RUN,
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
