"""``publish_clips``: writes a selection as Parquet, CSV and JSON Lines."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark._version import __version__
from acav_spark.config import section_hash
from acav_spark.errors import StageError
from acav_spark.runs import StageResult
from acav_spark.selection.job import current_name
from acav_spark.storage import Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from acav_spark.context import StageContext

STAGE = "publish_clips"
MANIFEST = "manifest.json"
_logger = logging.getLogger(__name__)


def publish_clips(context: StageContext) -> StageResult:
    """Write the selected clips: uri, start, end, own file, cluster ids, rank and gain.

    Reads the view ``curated_clips``; writes a folder ``<publish.uri>/<selection>``
    with a folder for each format and, last, ``manifest.json``. A rerun with the same
    selection and formats does nothing; a folder without its manifest is written anew.

    Raises
    ------
    StageError
        If there is no selection.
    """
    config = context.config
    name = current_name(context, config.selection.name)
    rows = context.warehouse.read("selections").where(F.col("selection") == name)
    n_rows = rows.count()
    if n_rows == 0:
        msg = (
            f"{STAGE}: selection {name!r} is empty. Run 'acav run select_clips' first."
        )
        raise StageError(msg)
    folder = published_folder(context, name)
    runs = sorted(r["run_id"] for r in rows.select("run_id").distinct().collect())
    publish = config.publish.model_dump(mode="json", exclude={"uri"})
    the_hash = section_hash(STAGE, publish, runs, n_rows)
    if folder.exists(MANIFEST):
        manifest = json.loads(folder.read_text(MANIFEST))
        if manifest.get("stage_hash") == the_hash:
            return StageResult(STAGE, is_unchanged=True, message=folder.uri)
    inputs = ("selections", "clips", "videos", "clip_files", "packed")
    with context.run(STAGE, the_hash, scope=name, inputs=inputs) as run:
        folder.delete(MANIFEST)
        # Read and joined once for all formats.
        table = _published(context, name).persist()
        n_files = max(1, math.ceil(n_rows / config.publish.rows_per_file))
        context.reporter.start(STAGE, len(config.publish.formats), "formats")
        try:
            for done, kind in enumerate(config.publish.formats, start=1):
                _write(table, folder, kind, n_files)
                context.reporter.at(done)
                _logger.info(
                    "wrote stage=%s format=%s rows=%d uri=%s",
                    *(STAGE, kind, n_rows, f"{folder.uri}/{kind}"),
                )
        finally:
            table.unpersist()
            context.reporter.finish()
        manifest = {
            "selection": name,
            "n_clips": n_rows,
            "columns": table.columns,
            "formats": list(config.publish.formats),
            "selection_runs": runs,
            "run_id": run.run_id,
            "code_version": __version__,
            "stage_hash": the_hash,
        }
        folder.write_text(MANIFEST, json.dumps(manifest, indent=2) + "\n")
        run.result = StageResult(STAGE, n_in=n_rows, n_out=n_rows, message=folder.uri)
    return run.result


def published_folder(context: StageContext, name: str) -> Folder:
    """Return the folder of a published selection."""
    root = context.config.publish.uri or f"{context.folder.uri}/published"
    return Folder(f"{root.rstrip('/')}/{name}")


def _published(context: StageContext, name: str) -> DataFrame:
    """Return what is published, ordered by rank."""
    context.warehouse.register_views()
    clips = context.spark.table("curated_clips").where(F.col("selection") == name)
    # Times are those in the video; a file of the clip's own begins at 0.
    first = ["rank", "clip_id", "video_id", "uri", "start_s", "end_s"]
    first += ["clip_uri", "gain", "score"]
    described = ["title", "channel_id", "category", "language", "licence"]
    others = {"selection", "objective", *first, *described}
    measured = ["crosses_cut", "silence_fraction", "stillness_fraction"]
    views = [c for c in clips.columns if c not in others and c not in measured]
    return clips.select(*first, *views, *described, *measured)


def _write(table: DataFrame, folder: Folder, kind: str, n_files: int) -> None:
    """Write one format, ranks in order from file to file, under plain names."""
    target = f"{folder.uri}/{kind}"
    folder.delete(kind)
    ordered = table.repartitionByRange(n_files, "rank").sortWithinPartitions("rank")
    writer = ordered.write.mode("overwrite")
    if kind == "csv":
        writer.option("header", True).option("escape", '"').csv(target)
    elif kind == "jsonl":
        writer.option("ignoreNullFields", False).json(target)
    else:
        writer.parquet(target)
    ending = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet"}[kind]
    parts = [part for part in folder.list(kind) if part.startswith("part-")]
    for number, part in enumerate(parts):
        folder.move(f"{kind}/{part}", f"{kind}/clips-{number:05d}.{ending}")
    for part in folder.list(kind):
        if not part.startswith("clips-"):
            folder.delete(f"{kind}/{part}")
