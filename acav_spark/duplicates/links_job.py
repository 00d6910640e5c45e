"""Which videos show the same: candidates, comparisons and links, in Spark."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.duplicates.banding import MinHashBands, n_bands_for
from acav_spark.duplicates.decision import ClipEvidence, CopyRule, are_copies
from acav_spark.duplicates.sounds import sound_keys
from acav_spark.segment.signature_matching import best_alignment, is_match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pyspark.sql import DataFrame

    from acav_spark.config.segmenting import DuplicatesConfig

    _Decide = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]

# The columns of ``clips`` that are compared; the last one only where it is stored.
EVIDENCE: Final = (
    *("signature", "stretch_elements", "audio_fingerprint"),
    "fine_signature",
)
_PAIR: Final = "first STRING, second STRING"


def links_between(clips: DataFrame, settings: DuplicatesConfig) -> DataFrame:
    """Return the pairs of videos that show the same.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id``, ``video_id`` and the columns of ``EVIDENCE``.
    settings : DuplicatesConfig
        Thresholds and bands.

    Returns
    -------
    DataFrame
        ``first`` and ``second``, ids of videos, each pair once.
    """
    clips = clips.where("length(signature) > 0")
    copies = _copies(_candidates(clips, settings), clips, settings)
    return _linked(copies, clips, settings.min_matching_share)


def linked_pairs(
    pairs: DataFrame, clips: DataFrame, settings: DuplicatesConfig
) -> DataFrame:
    """Return which pairs of videos show the same, comparing all of their clips.

    Parameters
    ----------
    pairs : DataFrame
        ``first`` and ``second``, ids of videos.
    clips, settings
        As for ``links_between``.

    Returns
    -------
    DataFrame
        ``first`` and ``second`` of those that do, the lesser id first.
    """
    clips = clips.where("length(signature) > 0")
    ends = [
        clips.select(
            F.col("video_id").alias(end), F.col("clip_id").alias(f"{end}_clip")
        )
        for end in ("first", "second")
    ]
    met = (
        pairs.join(ends[0], "first")
        .join(ends[1], "second")
        .select(
            F.col("first_clip").alias("first"), F.col("second_clip").alias("second")
        )
    )
    return _linked(_copies(met, clips, settings), clips, settings.min_matching_share)


def _candidates(clips: DataFrame, settings: DuplicatesConfig) -> DataFrame:
    """Return pairs of clips that share a bucket, each once.

    However many clips share a bucket, each is paired with the next few only: its pairs
    grow with the clips, not with their square, and copies still make a chain.
    """
    buckets = clips.select("clip_id", "signature", "audio_fingerprint").mapInArrow(
        partial(
            _bucketed,
            n_bands=n_bands_for(
                settings.band_similarity, settings.band_recall, settings.band_rows
            ),
            n_rows=settings.band_rows,
            n_sound_keys=settings.n_sound_keys,
            seed=settings.seed,
        ),
        "clip_id STRING, bucket LONG, place LONG",
    )
    following = (
        Window.partitionBy("bucket")
        .orderBy("place", "clip_id")
        .rowsBetween(1, settings.max_bucket_pairs)
    )
    return (
        buckets.select("clip_id", F.collect_list("clip_id").over(following).alias("o"))
        .select("clip_id", F.explode("o").alias("other"))
        .select(
            F.least("clip_id", "other").alias("first"),
            F.greatest("clip_id", "other").alias("second"),
        )
        .distinct()
    )


def _bucketed(
    batches: Iterable[pa.RecordBatch],
    *,
    n_bands: int,
    n_rows: int,
    n_sound_keys: int,
    seed: int,
) -> Iterable[pa.RecordBatch]:
    bands = MinHashBands(n_bands=n_bands, n_rows=n_rows, seed=seed)
    for batch in batches:
        hashed = [bands.keys(coarse) for coarse in batch["signature"].to_pylist()]
        heard = [
            sound_keys(fingerprint or b"", n_sound_keys, seed)
            for fingerprint in batch["audio_fingerprint"].to_pylist()
        ]
        keys = [keys for keys, _ in hashed] + heard
        # Clips that share more than one word of sound come next to each other.
        places = [places for _, places in hashed] + [np.roll(k, -1) for k in heard]
        rows = np.tile(np.arange(batch.num_rows), 2)
        empty = np.empty(0, dtype=np.int64)
        yield pa.RecordBatch.from_arrays(
            [
                batch["clip_id"].take(pa.array(rows.repeat([len(k) for k in keys]))),
                pa.array(np.concatenate([empty, *keys])),
                pa.array(np.concatenate([empty, *places])),
            ],
            ["clip_id", "bucket", "place"],
        )


def _copies(
    pairs: DataFrame, clips: DataFrame, settings: DuplicatesConfig
) -> DataFrame:
    """Return the pairs of clips, of two videos each, that are copies."""
    rule = CopyRule(
        **{limit.name: getattr(settings, limit.name) for limit in fields(CopyRule)}
    )
    copies = _verified(pairs, clips, EVIDENCE[:-1], partial(_alike, rule=rule))
    fine = clips.where("length(fine_signature) > 0")
    if fine.isEmpty():
        return copies
    key = ["first", "second"]
    is_fine = fine.select("clip_id", F.lit(True).alias("is_fine"))
    ends = [is_fine.toDF(end, f"{end}_fine") for end in key]
    marked = copies.join(ends[0], "first", "left").join(ends[1], "second", "left")
    surely = F.col("first_fine") & F.col("second_fine")
    both = marked.where(surely).select(*key)
    coarse = marked.where(~F.coalesce(surely, F.lit(False))).select(*key)
    return coarse.union(_verified(both, fine, EVIDENCE[-1:], _same))


def _verified(
    pairs: DataFrame, clips: DataFrame, columns: Sequence[str], decide: _Decide
) -> DataFrame:
    """Return the pairs, of two videos each, that are copies by these columns."""
    ends = [
        clips.select(
            F.col("clip_id").alias(end),
            F.col("video_id").alias(f"{end}_video"),
            *(F.col(name).alias(f"{end}_{name}") for name in columns),
        )
        for end in ("first", "second")
    ]
    return (
        pairs.join(ends[0], "first")
        .join(ends[1], "second")
        .where("first_video != second_video")
        .drop("first_video", "second_video")
        .mapInArrow(decide, _PAIR)
    )


def _alike(
    batches: Iterable[pa.RecordBatch], *, rule: CopyRule
) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        first, second = (
            ClipEvidence(
                *(
                    [value or b"" for value in batch[f"{end}_{name}"].to_pylist()]
                    for name in EVIDENCE[:-1]
                )
            )
            for end in ("first", "second")
        )
        is_copy = are_copies(first, second, rule)
        yield batch.select(["first", "second"]).filter(pa.array(is_copy))


def _same(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        is_same = [
            is_match(best_alignment(first, second))
            for first, second in zip(
                batch["first_fine_signature"].to_pylist(),
                batch["second_fine_signature"].to_pylist(),
                strict=True,
            )
        ]
        yield batch.select(["first", "second"]).filter(pa.array(is_same, pa.bool_()))


def _linked(copies: DataFrame, clips: DataFrame, min_share: float) -> DataFrame:
    """Return the pairs of videos of which enough clips are copies."""
    n_clips = clips.groupBy("video_id").agg(F.count("*").alias("n"))
    owners = (
        clips.select("clip_id", "video_id")
        .join(n_clips, "video_id")
        .select("clip_id", "video_id", "n")
    )
    a, b = (
        owners.toDF(*(f"{end}_{name}" for name in ("clip", "video", "n")))
        for end in ("a", "b")
    )
    # Each pair both ways, so that a pair of videos has one order.
    both = copies.select(
        F.inline(
            F.array(
                *(
                    F.struct(F.col(a).alias("a_clip"), F.col(b).alias("b_clip"))
                    for a, b in (("first", "second"), ("second", "first"))
                )
            )
        )
    )
    counted = (
        both.join(a, "a_clip")
        .join(b, "b_clip")
        .where("a_video < b_video")
        .groupBy("a_video", "b_video", "a_n", "b_n")
        .agg(
            F.countDistinct("a_clip").alias("a_same"),
            F.countDistinct("b_clip").alias("b_same"),
        )
    )
    share = F.least("a_same", "b_same") / F.least("a_n", "b_n")
    return counted.where(share >= min_share).select(
        F.col("a_video").alias("first"), F.col("b_video").alias("second")
    )
