"""The tables of videos and clips."""

from __future__ import annotations

from acav_spark.tables.columns import CLIP, HASH, IN_VIDEO, RUN, VIDEO
from acav_spark.tables.schema import Column, Table

VIDEOS = Table(
    "videos",
    "Every candidate video, accepted or rejected with its reason.",
    ("video_id",),
    (
        VIDEO,
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
        HASH,
        RUN,
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
        VIDEO,
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
        HASH,
        RUN,
    ),
    {"counts_agree": "n_clips <= n_candidates AND n_shots >= 0"},
)

CLIPS = Table(
    "clips",
    "Every clip: a stretch of one video, or an imported item.",
    ("clip_id",),
    (
        CLIP,
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
        HASH,
        RUN,
    ),
    {"inside_video": IN_VIDEO},
)

CLIP_FILES = Table(
    "clip_files",
    "One row for each clip that was cut to a file of its own.",
    ("clip_id",),
    (
        CLIP,
        Column("uri", "STRING", "Where the file is; its times begin at 0.", False),
        Column("duration_s", "DOUBLE", "Length of the clip in seconds.", False),
        Column("size_bytes", "BIGINT", "Size of the file.", False),
        Column("n_frames", "INT", "Frames of its picture.", False),
        Column("width", "INT", "Width in pixels.", False),
        Column("height", "INT", "Height in pixels.", False),
        Column("sample_rate_hz", "INT", "Sampling rate of its sound, if it has any."),
        Column("n_channels", "INT", "Channels of its sound."),
        Column("clip_run_id", "STRING", "Run that wrote the clip's row.", False),
        HASH,
        RUN,
    ),
    {"duration_positive": "duration_s > 0"},
)
