"""Where labels are known: how many of the selected clips truly correspond.

The report calls this; no stage does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.demo.evaluation import five_seeds, precision
from acav_spark.demo.labels import label_of_clip, read_labels
from acav_spark.features.vectors import decode_fp16
from acav_spark.media.uri import path_from_uri
from acav_spark.report.model import Correspondence
from acav_spark.selection.job import to_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pyspark.sql import Row

    from acav_spark.context import StageContext

_SEEDS = (0, 1, 2, 3, 4)


def true_correspondence(context: StageContext) -> dict[str, bool]:
    """Return, for each labelled clip, whether its sound belongs to its picture.

    Empty when ``report.labels_uri`` names no labels. Labels are of the demo corpus,
    some hundred clips.
    """
    uri = context.config.report.labels_uri
    if not uri:
        return {}
    labels = read_labels(Path(uri))
    rows = (
        context.warehouse.read("clips")
        .select("clip_id", "video_id", "start_s", "end_s")
        .join(context.warehouse.read("videos").select("video_id", "uri"), "video_id")
        .collect()
    )
    found = {}
    for row in rows:
        name = path_from_uri(row["uri"]).name
        label = label_of_clip(labels, name, row["start_s"], row["end_s"])
        if label is not None:
            found[row["clip_id"]] = label.is_corresponding
    return found


def gather_correspondence(context: StageContext, name: str) -> Correspondence | None:
    """Return the precision of a selection, and of five seeds beside their rivals.

    The five are run in memory on the same features, with other seeds of clustering and
    selection.
    """
    truth = true_correspondence(context)
    read = context.warehouse.read
    chosen = read("selections").where(F.col("selection") == name).select("clip_id")
    selected = [r["clip_id"] for r in chosen.collect() if r["clip_id"] in truth]
    books = (
        read("codebooks")
        .where(F.col("clustering") == context.config.clustering.name)
        .orderBy("view_position")
        .collect()
    )
    if not selected or not books:
        return None
    names = [f"{b['extractor']} layer {b['layer']}" for b in books]
    clip_ids, vectors = _vectors(context, truth, books)
    is_true = np.array([truth[clip_id] for clip_id in clip_ids])
    clustering, selection = context.config.clustering, context.config.selection
    seeds = five_seeds(
        dict(zip(names, vectors, strict=True)),
        is_true,
        modalities={
            name: book["modality"] for name, book in zip(names, books, strict=True)
        },
        n_clusters=books[0]["n_clusters"],
        n_select=len(selected),
        seeds=_SEEDS,
        pairing=selection.pairing,
        batch_size=selection.batch_size,
        prior=selection.prior,
        per_batch=selection.per_batch,
        preprocess=clustering.preprocess,
        learning_rate=clustering.learning_rate,
        n_epochs=clustering.n_epochs,
    )
    best = max(seeds, key=lambda result: result.best_single)
    return Correspondence(
        n_selected=len(selected),
        base_rate=float(is_true.mean()),
        selected=precision(selected, truth),
        random=float(np.mean([result.random for result in seeds])),
        best_single=best.best_single,
        best_single_pair=best.best_single_pair,
        seeds=seeds,
    )


def _vectors(
    context: StageContext, truth: Mapping[str, bool], books: Sequence[Row]
) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Return labelled clips that have all features, and their vectors by view."""
    packed = (
        context.warehouse.read("packed")
        .where(F.col("clustering") == context.config.clustering.name)
        .select("clip_id", "row_number")
    )
    features = context.warehouse.read("features").join(packed, "clip_id")
    by_extractor: dict[str, pa.Table] = {}
    for extractor in dict.fromkeys(book["extractor"] for book in books):
        table = to_arrow(features.where(F.col("extractor") == extractor))
        table = table.sort_by("row_number")
        is_labelled = [clip_id in truth for clip_id in table["clip_id"].to_pylist()]
        by_extractor[extractor] = table.filter(pa.array(is_labelled))
    vectors = [
        decode_fp16(
            by_extractor[book["extractor"]][f"layer_{book['layer']}"].combine_chunks(),
            book["dimension"],
        )
        for book in books
    ]
    first = next(iter(by_extractor.values()))
    return first["clip_id"].to_pylist(), vectors
