"""The sections ``segmentation`` and ``duplicates``: clips, and videos shown twice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from acav_spark.config.sections import MAX_LONG, Section

# pydantic reads annotations at run time.
from acav_spark.config.text_types import Place  # noqa: TC001 - at run time


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
