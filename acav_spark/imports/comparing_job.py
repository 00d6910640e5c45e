"""What a source has that a warehouse has not: new, changed, broken and mended items.

Everything goes by 64-bit hashes of ids and vectors, some 60 bytes an item, so that
vectors are neither shuffled nor kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.imports.checking import DUPLICATE_ID
from acav_spark.imports.choosing import STAGE, ImportedExtractor
from acav_spark.imports.vectors import WRONG_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

    from acav_spark.context import StageContext
    from acav_spark.imports.reading_job import Reading

_FLAGS = {
    "n_bad": "error_code IS NOT NULL",
    "n_good": "error_code IS NULL",
    "n_new": "is_new",
    "n_changed": "is_changed",
    "n_newly_bad": "is_newly_bad",
    "n_mended": "is_mended",
    "n_without_clip": "is_without_clip",
    "n_better_placed": "is_better_placed",
}


@dataclass(frozen=True)
class Comparison:
    """The items of a source beside those of the warehouse.

    Parameters
    ----------
    name : str
        The extractor.
    known : ImportedExtractor or None
        What was imported under this name before.
    dimensions : tuple of int
        Length of each layer's vectors in the source: that of most of its rows.
    items : DataFrame
        One row an id: ``item_id``, ``uri``, ``start_s``, ``end_s``, ``error_code``,
        ``message``, what its clip has of these, and flags.
    counts : dict of str to int
        Rows, ids, and how many have each flag.
    content_hash : str
        Twelve hex digits that stand for all vectors that can be used.
    digests : DataFrame
        Kept in memory or on disk until ``close``.
    """

    name: str
    known: ImportedExtractor | None
    dimensions: tuple[int, ...]
    items: DataFrame
    counts: dict[str, int]
    content_hash: str
    digests: DataFrame

    @property
    def is_news(self) -> bool:
        """Whether there is something to write."""
        flags = ("n_new", "n_newly_bad", "n_mended", "n_without_clip")
        return any(self.counts[flag] for flag in (*flags, "n_better_placed"))

    def settled(self, context: StageContext, modality: str, version: str) -> str:
        """Return what is done: ``add`` what is new, or what on_change says.

        Raises
        ------
        StageError
            If something has changed and ``on_change`` is ``error``, or rows are to be
            kept that vectors of other lengths cannot be added to.
        """
        if self.known is None:
            return "add"
        changes = self._changes(modality, version)
        if not changes:
            return "add"
        choice = context.config.execution.on_change
        choice = "recompute" if context.is_refit else choice
        is_other = self.dimensions != self.known.dimensions
        if choice == "recompute" or (choice == "keep" and not is_other):
            return choice
        keep = "" if is_other else "--on-change keep (add what is new, no more), "
        msg = (
            f"{STAGE}: {self.name} is not what was imported before: "
            f"{'; '.join(changes)}. Choose {keep}--on-change recompute (delete its "
            "rows, import all anew), or another name."
        )
        raise StageError(msg)

    def _changes(self, modality: str, version: str) -> list[str]:
        known = self.known
        if known is None:
            return []
        changes = []
        if modality != known.modality:
            changes.append(f"modality {known.modality} -> {modality}")
        if self.dimensions != known.dimensions:
            before, now = list(known.dimensions), list(self.dimensions)
            changes.append(f"lengths of vectors {before} -> {now}")
        elif self.counts["n_changed"]:
            row = self.items.where("is_changed").agg(F.min("item_id")).first()
            example = row[0] if row is not None else ""
            n_changed, n_ids = self.counts["n_changed"], self.counts["n_ids"]
            changes.append(
                f"{n_changed} of {n_ids} ids have other vectors, such as {example!r}"
            )
        if version and f"imported {version}" != known.version:
            changes.append(f"version {known.version!r} -> {version!r}")
        return changes

    def close(self) -> None:
        """Forget what was kept."""
        self.items.unpersist()
        self.digests.unpersist()


def compare(
    context: StageContext,
    name: str,
    reading: Reading,
    known: ImportedExtractor | None,
) -> Comparison:
    """Compare a source with the warehouse.

    Raises
    ------
    StageError
        If there are no rows, or none that can be used.
    """
    digests = _digests(reading).persist()
    dimensions = reading.dimensions or _usual_lengths(digests, name)
    items = _with_flags(context, name, _verdicts(digests, dimensions), known).persist()
    is_good = F.col("error_code").isNull()
    (row,) = items.agg(
        F.sum("n_rows").alias("n_rows"),
        F.count("*").alias("n_ids"),
        *[F.count_if(F.expr(flag)).alias(name) for name, flag in _FLAGS.items()],
        # A sum does not depend on the order of rows.
        F.sum(F.when(is_good, F.col("digest").cast("decimal(38,0)"))).alias("content"),
    ).collect()
    counts = {key: int(row[key] or 0) for key in ("n_rows", "n_ids", *_FLAGS)}
    text = f"{row['content']} {counts['n_good']} {dimensions}"
    content = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Comparison(name, known, dimensions, items, counts, content, digests)


def _digests(reading: Reading) -> DataFrame:
    """Return rows with a hash and the lengths in place of their vectors."""
    layers = _layers(len(reading.layers))
    return reading.rows.select(
        *("item_id", "uri", "start_s", "end_s", "error_code", "message"),
        F.array(*[(F.octet_length(name) / 2).cast("int") for name in layers]).alias(
            "lengths"
        ),
        _digest(F.col("item_id"), layers),
    )


def _layers(n_layers: int) -> list[str]:
    return [f"layer_{i}" for i in range(1, n_layers + 1)]


def _digest(key: Column, layers: Sequence[str]) -> Column:
    return F.xxhash64(key, *layers).alias("digest")


def _usual_lengths(digests: DataFrame, name: str) -> tuple[int, ...]:
    """Return the lengths that most rows have."""
    row = (
        digests.where(F.col("error_code").isNull())
        .groupBy("lengths")
        .count()
        .orderBy(F.desc("count"), "lengths")
        .first()
    )
    if row is not None:
        return tuple(row["lengths"])
    first = digests.where(F.col("error_code").isNotNull()).orderBy("item_id").first()
    got = "got no row" if first is None else "got none"
    if first is not None:
        got += f", such as {first['item_id']!r}: {first['error_code']}: "
        got += first["message"]
    msg = f"{STAGE}: {name}: expected rows that can be used, {got}."
    raise StageError(msg)


def _verdicts(digests: DataFrame, dimensions: Sequence[int]) -> DataFrame:
    """Return one row an id: what is wrong with it, or nothing."""
    told = ("error_code", "message", "uri", "start_s", "end_s", "lengths", "digest")
    kind = F.xxhash64("digest", "error_code", "uri", "start_s", "end_s")
    expected = F.array(*[F.lit(dimension) for dimension in dimensions])
    is_long = F.col("error_code").isNull() & (F.col("lengths") != expected)
    length = F.concat(
        F.lit(f"expected {list(dimensions)} numbers, as most rows have, got "),
        F.col("lengths").cast("string"),
    )
    differ = F.concat(F.col("n_kinds").cast("string"), F.lit(" rows of it differ"))
    is_several = F.col("n_kinds") > 1
    return (
        digests.groupBy("item_id")
        .agg(
            F.min(F.struct(*told)).alias("one"),
            F.countDistinct(kind).alias("n_kinds"),
            F.count("*").alias("n_rows"),
        )
        .select("item_id", "n_kinds", "n_rows", "one.*")
        .withColumns(
            {
                "error_code": F.when(is_several, DUPLICATE_ID)
                .when(is_long, WRONG_LENGTH)
                .otherwise(F.col("error_code")),
                "message": F.when(is_several, differ)
                .when(is_long, length)
                .otherwise(F.col("message")),
            }
        )
        .drop("n_kinds", "lengths")
    )


def _with_flags(
    context: StageContext,
    name: str,
    items: DataFrame,
    known: ImportedExtractor | None,
) -> DataFrame:
    """Return items with what the warehouse has of them, and flags."""
    read = context.warehouse.read
    failed = (
        read("failures")
        .where((F.col("stage") == STAGE) & (F.col("scope") == name))
        .select("item_id", F.col("error_code").alias("failed_code"))
    )
    clips = read("clips").select(
        F.col("clip_id").alias("item_id"),
        "video_id",
        *[F.col(c).alias(f"clip_{c}") for c in ("uri", "start_s", "end_s")],
        F.lit(1).alias("has_clip"),
    )
    if known is None:
        before = items.select("item_id", F.lit(None).cast("long").alias("old")).limit(0)
    else:
        before = (
            read("features")
            .where(F.col("extractor") == name)
            .select(
                F.col("clip_id").alias("item_id"),
                _digest(F.col("clip_id"), _layers(len(known.dimensions))).alias("old"),
            )
        )
    is_good, is_old = F.col("error_code").isNull(), F.col("old").isNotNull()
    is_its_own = is_good & F.col("video_id").isNull() & F.col("has_clip").isNotNull()
    has_more = (F.col("clip_uri").isNull() & F.col("uri").isNotNull()) | (
        F.col("clip_start_s").isNull() & F.col("start_s").isNotNull()
    )
    return (
        items.join(before, "item_id", "left")
        .join(failed, "item_id", "left")
        .join(clips, "item_id", "left")
        .withColumns(
            {
                "is_new": is_good & ~is_old,
                "is_changed": is_old & (~is_good | (F.col("old") != F.col("digest"))),
                "is_newly_bad": ~is_good
                & ~is_old
                & ~F.col("failed_code").eqNullSafe(F.col("error_code")),
                "is_mended": is_good & F.col("failed_code").isNotNull(),
                "is_without_clip": is_good & F.col("has_clip").isNull(),
                "is_better_placed": is_its_own & has_more,
            }
        )
    )
