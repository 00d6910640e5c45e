"""Every option of every stage: one frozen, strict model for each section.

YAML files in ``conf/`` hold values only; names, types, ranges and defaults are here.
A section's fields that shape rows go into the stage's hash; the sections ``input``,
``storage``, ``execution`` and ``spark`` never do, since they cannot change a result.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from acav_spark.config.importing import ImportedConfig
from acav_spark.config.ingesting import IngestConfig, InputConfig
from acav_spark.config.sections import MAX_LONG, Section
from acav_spark.config.selecting import SelectionConfig

# pydantic reads annotations at run time.
from acav_spark.config.text_types import NAME_PATTERN, NAME_RULE, Name, Place


class StorageConfig(Section):
    """Where the tables are."""

    root: Place = Field(
        default="warehouse",
        min_length=1,
        description="Folder or object-store prefix of all tables.",
    )


class SegmentationConfig(Section):
    """How clips are cut out of videos (paper, section 3.2)."""

    clip_duration_s: float = Field(
        default=10.0, ge=0.5, le=120, description="Length of a clip in seconds."
    )
    max_clips_per_video: int = Field(
        default=3, ge=1, le=1000, description="At most so many clips of one video."
    )
    shot_threshold: float = Field(
        default=10.0,
        ge=0,
        le=100,
        description="scdet score, in per cent, from which a frame begins a new shot.",
    )
    max_silence_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Clips with a larger share of digital silence are not proposed.",
    )
    max_stillness_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Clips with a larger share of unchanged frames are not proposed.",
    )
    max_black_fraction: float = Field(
        default=0.99,
        ge=0,
        le=1,
        description="Clips that are black for a larger share are not proposed.",
    )
    max_flat_fraction: float = Field(
        default=0.99,
        ge=0,
        le=1,
        description="Clips of one colour for a larger share are not proposed.",
    )
    max_tone_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Clips with a larger share of one tone or noise are not proposed.",
    )
    max_clipped_fraction: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Clips with a larger share of clipped samples are not proposed.",
    )
    max_missing_audio_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Clips without sound for a larger share are not proposed.",
    )
    max_dropped_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Clips with a larger share of dropped frames are not proposed.",
    )
    store_fine_signature: bool = Field(
        default=False,
        description="Whether clips keep a signature of each frame, 81 bytes a frame.",
    )
    cut: Literal["none", "mp4"] = Field(
        default="none",
        description="Whether clips are cut to files of their own, coded anew as H.264 "
        "and AAC; otherwise they stay stretches of their videos.",
    )
    cut_root: Place = Field(
        default="",
        description="Folder of the clips' files, of this warehouse alone; empty: "
        "'clip_media' under storage.root.",
    )
    cut_crf: int = Field(
        default=20,
        ge=0,
        le=51,
        description="Quality of cut pictures, x264's crf; less is better and larger.",
    )
    cut_preset: Literal[
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
    ] = Field(default="veryfast", description="Speed of coding, x264's preset.")
    cut_max_short_side: int = Field(
        default=0,
        ge=0,
        description="Pixels of a cut picture's shorter side, at most; 0 keeps the "
        "video's size.",
    )
    cut_audio_kbps: int = Field(
        default=80,
        ge=16,
        le=256,
        description="Kilobits a second of cut sound, for each channel.",
    )


class DuplicatesConfig(Section):
    """How near-duplicates among the segmented videos are found, and one is kept."""

    enabled: bool = Field(
        default=False,
        description="Whether near-duplicates are looked for, and rejected but for one.",
    )
    min_similarity: float = Field(
        default=0.4,
        gt=0,
        le=1,
        description="Similarity of coarse signatures from which pictures alone decide.",
    )
    min_agreement: float = Field(
        default=0.85,
        gt=0,
        le=1,
        description="Agreement of elements from which pictures alone decide.",
    )
    max_bit_errors: float = Field(
        default=0.3,
        ge=0,
        le=0.5,
        description="Share of bits up to which two clips sound the same.",
    )
    min_similarity_with_sound: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Similarity of coarse signatures that is enough with the same "
        "sound.",
    )
    min_agreement_with_sound: float = Field(
        default=0.65,
        gt=0,
        le=1,
        description="Agreement of elements that is enough with the same sound.",
    )
    min_matching_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of the clips, of the video with fewer of them, that must "
        "have a copy in the other one.",
    )
    band_similarity: float = Field(
        default=0.45,
        gt=0,
        lt=1,
        description="Jaccard index of two clips' words for which band_recall holds.",
    )
    band_recall: float = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="Probability that two such clips are compared; sets the number of "
        "bands.",
    )
    band_rows: int = Field(
        default=4,
        ge=1,
        le=16,
        description="MinHash values of a band; more compare fewer clips that are "
        "unlike, with more bands.",
    )
    n_sound_keys: int = Field(
        default=48,
        ge=0,
        le=1000,
        description="Words of a clip's sound by which it is looked for, at most.",
    )
    max_bucket_pairs: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Clips of one bucket that each is compared with, at most.",
    )
    seed: int = Field(default=0, ge=0, le=MAX_LONG, description="Seed of the hashes.")


class ExtractorConfig(Section):
    """One extractor and its options."""

    name: str = Field(
        min_length=1,
        description="Registered name, 'package.module:Class' of your own, or any name "
        "for vectors that are imported.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the extractor."
    )
    imported: ImportedConfig = Field(default_factory=ImportedConfig)

    @field_validator("options")
    @classmethod
    def _options_are_plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        # Options travel to executors and into hashes as JSON.
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            msg = (
                "expected plain values (text, finite numbers, true, false, lists, "
                f"mappings), got {error}"
            )
            raise ValueError(msg) from error
        return value

    @model_validator(mode="after")
    def _imported_names_are_plain(self) -> ExtractorConfig:
        if not self.imported.modality:
            return self
        if not re.fullmatch(NAME_PATTERN, self.name):
            msg = f"expected {NAME_RULE}, where imported, got {self.name!r}"
            raise ValueError(msg)
        if self.options:
            msg = "expected no options beside imported, since nothing is computed"
            raise ValueError(msg)
        return self


class FeaturesConfig(Section):
    """Which networks look at and listen to the clips (paper, section 3.2)."""

    extractors: list[ExtractorConfig] = Field(
        default=[
            ExtractorConfig(name="handcrafted_visual"),
            ExtractorConfig(name="handcrafted_audio"),
        ],
        min_length=1,
        description="Extractors, in the order of the views.",
    )

    @field_validator("extractors")
    @classmethod
    def _names_are_unique(cls, value: list[ExtractorConfig]) -> list[ExtractorConfig]:
        names = [extractor.name for extractor in value]
        if len(set(names)) != len(names):
            msg = f"expected each extractor once, got {names}"
            raise ValueError(msg)
        return value


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
