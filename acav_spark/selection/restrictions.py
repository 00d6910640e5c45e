"""Which clips may, must and must not be selected, and how many of each group.

Read from ``clips`` and ``videos`` in Spark, brought to the driver as one number for
each row of the packed table: four bytes for each limit, one for a condition.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pyspark.errors import AnalysisException
from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.selection.candidates import written_batches
from acav_spark.selection.limits import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame

    from acav_spark.config.selecting import SelectionConfig
    from acav_spark.context import StageContext
    from acav_spark.storage import Folder

_logger = logging.getLogger(__name__)
_N_EXAMPLES = 5
_N_BUCKETS = 1024
_UNLIMITED = 2**62


@dataclass(eq=False)
class Restrictions:
    """What a selection must keep to, by row number of the packed table.

    Parameters
    ----------
    allowed : ndarray of bool, shape (n_clips,), optional
        Rows that may be selected; all by default.
    limits : list of Limit
        At most so many of each group.
    include : ndarray of int64
        Rows that must be selected, rising.
    """

    allowed: NDArray[np.bool_] | None = None
    limits: list[Limit] = field(default_factory=list)
    include: NDArray[np.int64] = field(
        default_factory=lambda: np.empty(0, dtype=np.int64)
    )

    def digest(self) -> str:
        """Return hex digits that change when any of it does."""
        made = hashlib.blake2b(self.include.tobytes(), digest_size=16)
        for limit in self.limits:
            made.update(f"{limit.name} {limit.capacity.shape}".encode())
            made.update(limit.capacity.data)
            made.update(limit.codes.data)
        if self.allowed is not None:
            made.update(self.allowed.data)
        return made.hexdigest()


def read_restrictions(
    context: StageContext,
    chosen: SelectionConfig,
    packed: DataFrame,
    n_clips: int,
    n_select: int,
    scratch: Folder,
) -> Restrictions:
    """Return the restrictions of a selection.

    Parameters
    ----------
    context : StageContext
        Where ``clips`` and ``videos`` are.
    chosen : SelectionConfig
        Condition, limits, quotas, clips in and out.
    packed : DataFrame
        Rows of one clustering.
    n_clips, n_select : int
        How many those are; clips to select in all, of which quotas are shares.
    scratch : Folder
        Where Spark leaves what the driver reads.

    Raises
    ------
    StageError
        If a condition or column is none, a named clip or value is not there, or a clip
        must be in and may not be.
    """
    rules = Restrictions()
    excluded = _rows_named(context, chosen.must_exclude, "must_exclude", packed)
    rules.include = _rows_named(context, chosen.must_include, "must_include", packed)
    _require_disjoint(packed, rules.include, excluded)
    if chosen.where or chosen.max_per_group or chosen.quotas:
        _read_columns(context, chosen, packed, n_clips, n_select, scratch, rules)
    if rules.allowed is not None and not rules.allowed[rules.include].all():
        wrong = rules.include[~rules.allowed[rules.include]]
        msg = (
            f"selection.must_include: expected clips that satisfy selection.where, got "
            f"{len(wrong)} that do not ({_clip_ids(packed, wrong)}). Leave them out, "
            "or loosen the condition."
        )
        raise StageError(msg)
    if len(excluded):
        if rules.allowed is None:
            rules.allowed = np.ones(n_clips, dtype=bool)
        rules.allowed[excluded] = False
    return rules


def _read_columns(
    context: StageContext,
    chosen: SelectionConfig,
    packed: DataFrame,
    n_clips: int,
    n_select: int,
    scratch: Folder,
    rules: Restrictions,
) -> None:
    """Read what hangs on the columns of clips and videos."""
    described = describe_clips(context, packed)
    columns: dict[str, Column] = {}
    if chosen.where:
        columns["is_allowed"] = _condition(described, chosen.where)
    for name in [*chosen.max_per_group, *chosen.quotas]:
        _require_column(described, name)
    sizes: dict[str, int] = {}
    for number, name in enumerate(chosen.max_per_group):
        described, sizes[name] = _numbered_groups(described, name, f"group_{number}")
        columns[f"group_{number}"] = F.col(f"group_{number}")
    for number, (name, bounds) in enumerate(chosen.quotas.items()):
        columns[f"quota_{number}"] = _places(name, list(bounds))
    values = _arrays(described, columns, n_clips, scratch)
    if chosen.where:
        rules.allowed = values["is_allowed"].astype(bool)
    for number, (name, most) in enumerate(chosen.max_per_group.items()):
        capacity = np.full(sizes[name] + 1, most, dtype=np.int64)
        # The last group is that of clips whose value is not known.
        capacity[-1] = _UNLIMITED
        labels = _Labels(described, name, f"group_{number}", len(capacity))
        codes = values[f"group_{number}"]
        rules.limits.append(Limit(name, codes, capacity, labels))
    for number, (name, bounds) in enumerate(chosen.quotas.items()):
        codes = values[f"quota_{number}"]
        rules.limits.append(_quota(described, name, bounds, codes, n_select))


def describe_clips(context: StageContext, packed: DataFrame) -> DataFrame:
    """Return packed row numbers with the columns of their clip and its video.

    ``duration_s`` is the clip's; the video's is ``video_duration_s``.
    """
    read = context.warehouse.read
    aside = ("stage_hash", "run_id")
    clips = read("clips").drop(*aside)
    own = set(clips.columns) | {"duration_s"}
    videos = read("videos").drop(*aside)
    videos = videos.withColumn("video_duration_s", F.col("duration_s"))
    shared = [c for c in videos.columns if c in own and c != "video_id"]
    clips = clips.withColumn("duration_s", F.col("end_s") - F.col("start_s"))
    return (
        packed.select("row_number", "clip_id")
        .join(clips, "clip_id", "left")
        .join(videos.drop(*shared), "video_id", "left")
    )


def _condition(described: DataFrame, where: str) -> Column:
    condition = F.coalesce(F.expr(where), F.expr("false"))
    try:
        kind = described.select(condition.alias("is_allowed")).schema[0].dataType
        if kind.simpleString() != "boolean":
            msg = f"selection.where: expected a condition, got {where!r}, a {kind}."
            raise StageError(msg)
    except AnalysisException as error:
        text = str(error).split("\n", 1)[0]
        msg = (
            f"selection.where: expected an SQL condition over {described.columns}, got "
            f"{where!r}: {text}"
        )
        raise StageError(msg) from error
    return condition


def _require_column(described: DataFrame, name: str) -> None:
    if name not in described.columns:
        msg = (
            f"selection: expected limits by columns of clips or videos, got {name!r}. "
            f"There are {', '.join(sorted(described.columns))}."
        )
        raise StageError(msg)


def _numbered_groups(
    described: DataFrame, name: str, alias: str
) -> tuple[DataFrame, int]:
    """Return rows with a number for each distinct value, and how many there are.

    Numbers come from a hash bucket and the order in it: no task sorts all values, and
    a task that runs again numbers alike.
    """
    values = (
        described.where(F.col(name).isNotNull())
        .select(F.col(name).alias("value"))
        .distinct()
        .withColumn("bucket", F.pmod(F.xxhash64("value"), F.lit(_N_BUCKETS)))
    )
    sizes = {
        row["bucket"]: row["count"]
        for row in values.groupBy("bucket").count().collect()
    }
    n_groups = sum(sizes.values())
    if n_groups == 0:
        msg = (
            f"selection.max_per_group: expected clips with a {name}, got none. Limit "
            "by another column, such as video_id."
        )
        raise StageError(msg)
    firsts, first = [], 0
    for bucket in sorted(sizes):
        firsts.append((bucket, first))
        first += sizes[bucket]
    spark = described.sparkSession
    offsets = spark.createDataFrame(firsts, "bucket LONG, first LONG")
    within = Window.partitionBy("bucket").orderBy("value")
    numbered = values.join(F.broadcast(offsets), "bucket").select(
        F.col("value").alias(name),
        (F.col("first") + F.row_number().over(within) - 1).cast("int").alias(alias),
    )
    rows = described.join(numbered, name, "left")
    return rows.fillna(n_groups, [alias]), n_groups


def _places(name: str, labels: list[str]) -> Column:
    """Return the place of a value among the labels; their number for other values."""
    place = F.lit(len(labels))
    for number, label in enumerate(labels):
        place = F.when(F.col(name).cast("string") == label, number).otherwise(place)
    return place.cast("int")


def _arrays(
    described: DataFrame, columns: Mapping[str, Column], n_clips: int, scratch: Folder
) -> dict[str, NDArray[np.int32]]:
    """Return columns of small integers as arrays by row number."""
    rows = described.select(
        "row_number", *[c.cast("int").alias(name) for name, c in columns.items()]
    )
    values = {name: np.full(n_clips, -1, dtype=np.int32) for name in columns}
    n_read = 0
    for batch in written_batches(rows, scratch, "columns"):
        places = batch["row_number"].to_numpy()
        n_read += len(places)
        for name, array in values.items():
            array[places] = batch[name].to_numpy(zero_copy_only=False)
    if n_read != n_clips or any((array < 0).any() for array in values.values()):
        msg = (
            f"selection: expected one row of clips and videos for each of {n_clips} "
            f"packed clips, got {n_read}: a clip_id or video_id is there twice."
        )
        raise StageError(msg)
    return values


def _quota(
    described: DataFrame,
    name: str,
    bounds: Mapping[str, int | str],
    codes: NDArray[np.int32],
    n_select: int,
) -> Limit:
    labels = list(bounds)
    counts = np.bincount(codes, minlength=len(labels) + 1)
    unknown = [label for label, n in zip(labels, counts, strict=False) if n == 0]
    if unknown:
        rows = described.select(name).distinct().orderBy(name).limit(10).collect()
        msg = (
            f"selection.quotas ({name}): expected values that clips have, got "
            f"{unknown[:_N_EXAMPLES]}. There are {[row[name] for row in rows]}."
        )
        raise StageError(msg)
    capacity = [upper_bound(bound, n_select) for bound in bounds.values()]
    return Limit(
        name,
        codes,
        np.array([*capacity, _UNLIMITED], dtype=np.int64),
        [*labels, "(others)"],
    )


def upper_bound(bound: int | str, n_select: int) -> int:
    """Return a quota as a count; a share of the selection is rounded down."""
    if isinstance(bound, int):
        return bound
    percent = Fraction(bound.removesuffix("%").strip())
    return int(percent * n_select / 100)


class _Labels(Sequence[object]):
    """Names of groups, looked up when a message needs one."""

    def __init__(self, rows: DataFrame, name: str, alias: str, n: int) -> None:
        self._rows, self._name, self._alias, self._n = rows, name, alias, n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int | slice) -> object:  # type: ignore[override]  # one label is all that a message asks for
        row = self._rows.where(f"{self._alias} = {index}").select(self._name).first()
        return row[0] if row is not None else "(unknown)"


def _rows_named(
    context: StageContext, named: list[str] | str, option: str, packed: DataFrame
) -> NDArray[np.int64]:
    """Return the row numbers of clips that are named, rising."""
    if not named:
        return np.empty(0, dtype=np.int64)
    ids = _ids_named(context, named, option).distinct().persist()
    rows = packed.join(ids, "clip_id", "right").select("row_number", "clip_id")
    missing = rows.where("row_number IS NULL")
    n_missing = missing.count()
    if n_missing:
        examples = [r["clip_id"] for r in missing.limit(_N_EXAMPLES).collect()]
        text = (
            f"selection.{option}: expected clips that have clusters, got {n_missing} "
            f"others ({examples})."
        )
        if option == "must_include":
            msg = f"{text} See 'acav show packed'."
            raise StageError(msg)
        _logger.warning("%s They cannot be selected anyway.", text)
    found = rows.where("row_number IS NOT NULL").select("row_number").collect()
    ids.unpersist()
    return np.sort(np.array([row["row_number"] for row in found], dtype=np.int64))


def _ids_named(context: StageContext, named: list[str] | str, option: str) -> DataFrame:
    """Return a column of clip ids: given, from a file, or from a query."""
    spark = context.spark
    if isinstance(named, list):
        return spark.createDataFrame([(name,) for name in named], "clip_id STRING")
    try:
        read = _reader_of(context, named)
        rows = read(named)
        if "clip_id" not in rows.columns:
            msg = (
                f"selection.{option}: expected a column clip_id, got {rows.columns} "
                f"from {named!r}."
            )
            raise StageError(msg)
        return rows.select(F.col("clip_id").cast("string"))
    except AnalysisException as error:
        text = str(error).split("\n", 1)[0]
        msg = (
            f"selection.{option}: expected clip ids, a file or a query that begins "
            f"with SELECT, got {named!r}: {text}"
        )
        raise StageError(msg) from error


def _reader_of(context: StageContext, named: str) -> Callable[[str], DataFrame]:
    if named.lstrip().lower().startswith("select"):
        context.warehouse.register_views()
        return context.spark.sql
    if named.lower().endswith(".csv"):
        return lambda uri: context.spark.read.csv(uri, header=True)
    return context.spark.read.parquet


def _require_disjoint(
    packed: DataFrame, include: NDArray[np.int64], exclude: NDArray[np.int64]
) -> None:
    both = np.intersect1d(include, exclude)
    if len(both):
        msg = (
            "selection.must_include, must_exclude: expected no clip in both, got "
            f"{len(both)} ({_clip_ids(packed, both)}). Take them out of one."
        )
        raise StageError(msg)


def _clip_ids(packed: DataFrame, rows: NDArray[np.int64]) -> str:
    few = rows[:_N_EXAMPLES].tolist()
    found = packed.where(F.col("row_number").isin(few)).orderBy("row_number")
    return ", ".join(row["clip_id"] for row in found.select("clip_id").collect())
