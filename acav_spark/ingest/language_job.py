"""The language filter's part of ``ingest_videos``.

The language of a video is found once, with its row; which languages are kept is decided
over the whole table, so it does not matter in which order, and how many runs, videos
came.
"""

from __future__ import annotations

import logging

# Spark reads the annotations of functions at run time.
from collections.abc import Iterator  # noqa: TC003 - at run time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from acav_spark.ingest.filters import EXCLUDED_LANGUAGE
from acav_spark.ingest.language import (
    N_RAW_CHARACTERS,
    LanguageChoice,
    language_choice,
)
from acav_spark.ingest.language_model import check_model, load_identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

    from acav_spark.config.language import LanguageConfig
    from acav_spark.config.models import Config
    from acav_spark.context import StageContext

DETECTED = ("detected_language", "language_probability")
"""Columns of ``videos`` that the filter fills."""

IS_CANDIDATE = f"(status = 'accepted' OR reject_reason = '{EXCLUDED_LANGUAGE}')"
"""Condition of the videos that all other filters accept."""

_ANSWER = "label STRING, probability DOUBLE"
_logger = logging.getLogger(__name__)


def check_language(config: Config) -> None:
    """Check that the model of the filter is there, if the filter is on.

    Raises
    ------
    ConfigError
        If the model is not named, not to be had, not the expected one, or lacks a
        language that is to be kept.
    DependencyError
        If fastText is not installed.
    """
    chosen = config.ingest.language
    if chosen.is_on:
        check_model(chosen.model, chosen.sha256, chosen.cache_dir, chosen.keep)


def language_settings(config: Config) -> dict[str, object]:
    """Return what of the filter shapes rows; nothing where it is off."""
    chosen = config.ingest.language
    if not chosen.is_on:
        return {}
    # Its SHA-256 says which model it is, wherever it lies.
    shaping = chosen.model_dump(mode="json", exclude={"model", "cache_dir"})
    return {"language": {**shaping, "keep": sorted(set(chosen.keep))}}


def with_languages(
    process: Callable[[DataFrame], DataFrame], config: Config
) -> Callable[[DataFrame], DataFrame]:
    """Return a stage's ``process`` with the columns ``DETECTED`` in its results.

    Only what the other filters accept is looked at; the columns of all else are empty,
    and so they are everywhere when the filter is off.
    """
    return partial(_detected, process=process, chosen=config.ingest.language)


def _detected(
    items: DataFrame,
    *,
    process: Callable[[DataFrame], DataFrame],
    chosen: LanguageConfig,
) -> DataFrame:
    results = process(items)
    label, probability = DETECTED
    if not chosen.is_on:
        return results.withColumns(
            {
                label: F.lit(None).cast("string"),
                probability: F.lit(None).cast("double"),
            }
        )
    # A scalar function: Python is given the text alone, not whole rows. The stubs of
    # PySpark 4.1 want its kind said, the code warns when it is.
    identified = arrow_udf(_identifying(chosen), _ANSWER)  # type: ignore[call-overload]
    # What is not looked at is cut off before it travels to Python.
    text = F.substring(F.concat_ws(" ", "title", "description"), 1, N_RAW_CHARACTERS)
    is_judged = F.col("error_code").isNull() & F.col("reject_reason").isNull()
    return (
        results.withColumn("answer", identified(F.when(is_judged, text)))
        .withColumns(
            {
                label: F.col("answer.label"),
                probability: F.col("answer.probability"),
            }
        )
        .drop("answer")
    )


def _identifying(
    chosen: LanguageConfig,
) -> Callable[[Iterator[pa.Array]], Iterator[pa.Array]]:
    """Return what makes of texts a struct of language and probability, null of null."""
    place = (chosen.model, chosen.sha256, chosen.cache_dir)
    min_probability = chosen.min_probability

    def answers(texts: Iterator[pa.Array]) -> Iterator[pa.Array]:
        identifier = load_identifier(*place)
        for batch in texts:
            labels, probabilities = identifier.identify_column(
                batch, min_probability=min_probability
            )
            is_asked = batch.is_valid()
            yield pa.StructArray.from_arrays(
                [
                    pc.if_else(is_asked, labels, None),
                    pc.if_else(is_asked, pa.array(probabilities, pa.float64()), None),
                ],
                names=["label", "probability"],
            )

    return answers


@dataclass(frozen=True)
class LanguageOutcome:
    """What the choice of languages changed.

    Parameters
    ----------
    n_rejected, n_restored : int
        Videos that are rejected now and were not before, and the other way round.
    metrics : dict of str to float
        Figures for the ledger.
    message : str
        The choice, for people.
    """

    n_rejected: int = 0
    n_restored: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    message: str = ""


def choose_languages(context: StageContext, config: Config) -> LanguageOutcome:
    """Reject the videos whose language is not kept; accept those whose language is.

    Reads and updates ``videos``. The languages are chosen anew over all videos that the
    other filters accept, so a video may change with others that came: a table that grew
    is the table that one run on everything makes.
    """
    chosen = config.ingest.language
    if not chosen.is_on:
        return LanguageOutcome()
    videos = context.warehouse.read("videos").where(IS_CANDIDATE)
    choice = language_choice(
        language_counts(videos),
        cumulative_ratio=chosen.cumulative_ratio,
        keep=chosen.keep,
    )
    is_kept = F.coalesce(F.col("detected_language").isin(*choice.kept), F.lit(False))
    changed = (
        videos.where(is_kept != (F.col("status") == "accepted"))
        .select(
            "video_id",
            F.when(is_kept, "accepted").otherwise("rejected").alias("status"),
            F.when(~is_kept, EXCLUDED_LANGUAGE).alias("reject_reason"),
        )
        .persist()
    )
    by_status = {
        r["status"]: r["count"] for r in changed.groupBy("status").count().collect()
    }
    if by_status:
        context.warehouse.update("videos", changed, ["status", "reject_reason"])
    changed.unpersist()
    n_rejected, n_restored = by_status.get("rejected", 0), by_status.get("accepted", 0)
    if not choice.kept:
        _logger.warning("no language is kept: no video has a text that tells its own")
    _logger.info(
        "chose languages n_rejected=%d n_restored=%d %s", n_rejected, n_restored, choice
    )
    metrics = {**choice.metrics(), "n_restored": n_restored}
    return LanguageOutcome(n_rejected, n_restored, metrics, str(choice))


def language_counts(videos: DataFrame) -> dict[str, int]:
    """Return the number of videos by detected language; the most has 177 of them."""
    rows = (
        videos.where("detected_language IS NOT NULL")
        .groupBy("detected_language")
        .count()
        .collect()
    )
    return {row["detected_language"]: row["count"] for row in rows}


def language_note(videos: DataFrame) -> str:
    """Return the languages of accepted videos in a few words; empty where unknown."""
    # A warehouse of an earlier version, which is only looked at, lacks the column.
    if "detected_language" not in videos.columns:
        return ""
    counts = language_counts(videos.where("status = 'accepted'"))
    if not counts:
        return ""
    shares = LanguageChoice(
        tuple(sorted(counts, key=lambda name: (-counts[name], name))), counts
    )
    return f"languages: {shares.shares(8)}"
