"""Every option of every stage: one frozen, strict model for each section.

YAML files in ``conf/`` hold values only; names, types, ranges and defaults are here.
A section's fields that shape rows go into the stage's hash; the sections ``input``,
``storage``, ``execution`` and ``spark`` never do, since they cannot change a result.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from acav_spark.config.extracting import FeaturesConfig
from acav_spark.config.ingesting import IngestConfig, InputConfig
from acav_spark.config.sections import MAX_LONG, Section
from acav_spark.config.segmenting import DuplicatesConfig, SegmentationConfig
from acav_spark.config.selecting import SelectionConfig

# pydantic reads annotations at run time.
from acav_spark.config.text_types import Name, Place  # noqa: TC001 - at run time


class StorageConfig(Section):
    """Where the tables are."""

    root: Place = Field(
        default="warehouse",
        min_length=1,
        description="Folder or object-store prefix of all tables.",
    )


class ClusteringConfig(Section):
    """How codebooks are learnt (paper, section 3.3.2, Stochastic Clustering)."""

    name: Name = Field(default="main", description="Name of the clustering.")
    n_clusters: (
        Annotated[int, Field(ge=1)]
        | Literal["auto"]
        | Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    ) = Field(
        default="auto",
        description="Clusters of every view; auto chooses by the number of clips and "
        "keeps the choice until --refit. A list fits one clustering for each number in "
        "the same passes, named after it: main_k500.",
    )
    learning_rate: float = Field(
        default=0.01, gt=0, le=1, description="Rate of the convex combination."
    )
    update: Literal["constant", "decayed", "per_centre"] = Field(
        default="constant",
        description="Least weight of a clip: the rate, the rate divided by the number "
        "of the epoch, or none, so that centroids are means of all their clips.",
    )
    reinit: Literal["far", "split", "none"] = Field(
        default="far",
        description="Where dead centroids are placed anew: on clips far from all "
        "centroids, or on clips of the most used clusters; or not at all.",
    )
    minibatch_size: int = Field(
        default=100_000, ge=1, description="Clips of one step of SGD, of all shards."
    )
    n_epochs: int = Field(default=100, ge=1, description="Passes over the sample.")
    tolerance: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Stops when an epoch lowers inertia by a smaller part; 0 never.",
    )
    n_shards: int = Field(
        default=64,
        ge=1,
        description="Parts of the sample that are passed over apart, at most one for "
        "10,000 clips; tasks of an epoch.",
    )
    max_rows: int = Field(
        default=200_000,
        ge=1,
        description="Clips that the fit may use, drawn by hash of the clip id.",
    )
    preprocess: Literal["none", "standardise", "l2", "pca_whiten"] = Field(
        default="standardise", description="What is done to a vector before clustering."
    )
    seed: int = Field(
        default=0, ge=0, le=MAX_LONG, description="Seed of draws and first centres."
    )


class PublishConfig(Section):
    """What is written for people who use the selection."""

    uri: Place = Field(
        default="",
        description="Where the files go; empty: 'published' under storage.root.",
    )
    formats: list[Literal["parquet", "csv", "jsonl"]] = Field(
        default=["parquet", "csv", "jsonl"], min_length=1, description="File formats."
    )
    rows_per_file: int = Field(
        default=1_000_000, ge=1, description="Rows of one file, at most."
    )


class ReportConfig(Section):
    """What the HTML report shows."""

    n_cards: int = Field(
        default=12, ge=0, le=200, description="Clips on each contact sheet."
    )
    n_film_strips: int = Field(
        default=8,
        ge=0,
        le=200,
        description="Videos that are drawn with their shots, candidates and clips.",
    )
    labels_uri: Place = Field(
        default="",
        description="CSV of true correspondence (the demo corpus has one); read by "
        "the report and by nothing else.",
    )


class ExecutionConfig(Section):
    """How the work is cut up and bounded; never changes a result."""

    chunk_size: int = Field(
        default=256, ge=1, description="Items that are committed together."
    )
    n_partitions: int = Field(
        default=0, ge=0, description="Partitions of a chunk; 0: four per core."
    )
    time_limit_s: float = Field(
        default=300.0, gt=0, description="Seconds that one piece of media may take."
    )
    memory_limit_mb: int = Field(
        default=4096,
        ge=256,
        description="Address space of a decoding process in MiB.",
    )
    max_pixels: int = Field(
        default=4096 * 4096,
        ge=1,
        description="Pixels of a frame beyond which a video is refused.",
    )
    decode_on: Literal["cpu", "gpu"] = Field(
        default="cpu",
        description="Where extract_features decodes pictures: gpu takes the task's GPU "
        "(NVDEC), and the CPU, with a warning, where there is none.",
    )
    decode_workers: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Decoding processes of a task of extract_features; 0: one for each "
        "of its cores.",
    )
    decode_ahead_mb: int = Field(
        default=512,
        ge=1,
        description="Memory in MiB of decoded clips that wait for a network, in a "
        "task.",
    )
    batch_size: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Clips that a network gets at once; 0: the size is found.",
    )
    cores_per_task: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Cores of a task of extract_features; 0: as Spark is set.",
    )
    gpus_per_task: int = Field(
        default=0,
        ge=0,
        le=1,
        description="GPUs of a task of extract_features, so that each has one process; "
        "0: as Spark is set.",
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        description="Attempts after which a passing failure counts as permanent.",
    )
    max_failed_fraction: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A stage ends with an error when a larger share of its items "
        "failed.",
    )
    on_change: Literal["error", "keep", "recompute"] = Field(
        default="error",
        description="What to do with rows made under another setting: refuse to go "
        "on, keep them and their setting, or compute them anew.",
    )


class Config(Section):
    """The whole configuration of a run."""

    input: InputConfig = Field(default_factory=InputConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    ingest: IngestConfig = Field(default_factory=IngestConfig)
    segmentation: SegmentationConfig = Field(default_factory=SegmentationConfig)
    duplicates: DuplicatesConfig = Field(default_factory=DuplicatesConfig)
    features: FeaturesConfig = Field(default_factory=FeaturesConfig)
    clustering: ClusteringConfig = Field(default_factory=ClusteringConfig)
    selection: SelectionConfig = Field(default_factory=SelectionConfig)
    publish: PublishConfig = Field(default_factory=PublishConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
    spark: dict[str, str] = Field(
        default_factory=dict, description="Spark settings, as in spark-defaults.conf."
    )
