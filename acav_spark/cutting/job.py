"""``cut_clips``: fills ``clip_files`` with clips that are files of their own.

Not a part of the paper, whose clips were cut with ffmpeg before all else.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
from pyspark.sql import functions as F

from acav_spark.chunks import (
    RowwiseStage,
    compute_pending,
    decoding_limits,
    pending_items,
    source_rules,
)
from acav_spark.config import section_hash
from acav_spark.cutting.encoder import ENCODER_VERSION
from acav_spark.cutting.files import (
    delete_clip_file,
    require_writable,
    write_clip_file,
)
from acav_spark.cutting.isolated import encode_clip_isolated
from acav_spark.cutting.settings import CutSettings
from acav_spark.errors import MediaError
from acav_spark.failures import retire
from acav_spark.media.sandbox import Limits, shared_sandbox
from acav_spark.media.sources import LatestSource, SourceRules
from acav_spark.rows import (
    failure,
    payload_names,
    record_batch,
    result_schema,
    spark_schema,
)
from acav_spark.runs import StageResult
from acav_spark.settings import settle

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    from pyspark.sql import DataFrame

    from acav_spark.config.models import Config
    from acav_spark.context import StageContext

STAGE: Final = "cut_clips"
_MAX_IN_MEMORY: Final = 16 * 2**20
_RESULT = result_schema(
    ("file_uri", pa.string()),
    ("duration_s", pa.float64()),
    ("size_bytes", pa.int64()),
    ("n_frames", pa.int32()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("sample_rate_hz", pa.int32()),
    ("n_channels", pa.int32()),
    ("clip_run_id", pa.string()),
)


@dataclass(frozen=True)
class _Rules:
    """What the executors need to cut a clip."""

    root: str
    settings: CutSettings
    sources: SourceRules
    limits: Limits


def cut_clips(context: StageContext) -> StageResult:
    """Write each clip to a file, with one row of ``clip_files``.

    Reads ``clips`` and ``videos``; fills ``clip_files`` (key clip_id), uri of ``clips``
    and ``failures``. A rerun writes only the files of clips that have none and did not
    fail for good; files of clips that are gone or were found anew are deleted. Clips
    without a video in ``videos`` or without times stay as they are.

    Raises
    ------
    ConfigError
        If files cannot be written where they should be, or not be read from there.
    StageError
        If files were made under other settings, or too many clips failed.
    """
    config = _settled(context)
    if not are_clips_cut(config):
        message = "off; on with segmentation.cut=mp4"
        return StageResult(STAGE, is_unchanged=True, is_off=True, message=message)
    rules = _rules(context, config)
    require_writable(rules.root, config.input.allowed_schemes)
    the_hash = stage_hash(config)
    clips = _clips(context)
    n_retired = _retired(context, clips)

    def finish(totals: Counter[str]) -> StageResult:
        _note_uris(context)
        return StageResult(
            STAGE,
            n_in=totals["n_items"],
            n_out=totals["n_items"] - totals["n_failed"],
            n_failed=totals["n_failed"],
            metrics={
                "n_retired": n_retired,
                "size_bytes": float(totals["size_bytes"]),
            },
        )

    stage = RowwiseStage(
        name=STAGE,
        unit="clips",
        inputs=("clips", "videos"),
        run_hash=the_hash,
        hashes={"": the_hash},
        process=partial(_cut_all, rules=rules),
        write=partial(_write, context, the_hash=the_hash),
        finish=finish,
        counted={"size_bytes": F.sum("size_bytes")},
    )
    items = clips.withColumnRenamed("clip_id", "item_id")
    pending = pending_items(
        context, STAGE, items, table="clip_files", key={"item_id": "clip_id"}
    )
    return compute_pending(context, stage, pending, config)


def are_clips_cut(config: Config) -> bool:
    """Return whether clips are read from files of their own."""
    return config.segmentation.cut != "none"


def stage_hash(config: Config) -> str:
    """Return the hash of what shapes the files; where they are does not."""
    if not are_clips_cut(config):
        return section_hash(STAGE, "none")
    settings = config.segmentation.model_dump(mode="json", exclude={"cut_root"})
    shaping = {k: v for k, v in settings.items() if k.startswith("cut")}
    return section_hash(STAGE, shaping, ENCODER_VERSION)


def media_of_clips(
    context: StageContext, *, is_from_files: bool | None = None
) -> DataFrame:
    """Return where each clip can be read: media_uri, media_start_s, media_end_s.

    From the clip's own file its times begin at 0; from the video it has those of
    ``clips``. By ``clip_id``.

    Parameters
    ----------
    context : StageContext
        Where the tables are.
    is_from_files : bool, optional
        Only clips with files, from these; or all clips, from their videos. By default
        all clips, from files where there are any.
    """
    read = context.warehouse.read
    videos = read("videos").select("video_id", F.col("uri").alias("video_uri"))
    clips = (
        read("clips")
        .join(videos, "video_id", "left")
        .select(
            "clip_id",
            # An imported clip without a video names its file itself.
            F.coalesce("video_uri", "uri").alias("media_uri"),
            F.col("start_s").alias("media_start_s"),
            F.col("end_s").alias("media_end_s"),
        )
    )
    if is_from_files is False or not context.warehouse.exists("clip_files"):
        return clips.limit(0) if is_from_files else clips
    files = read("clip_files").select(
        "clip_id", F.col("uri").alias("file_uri"), "duration_s"
    )
    how = "inner" if is_from_files else "left"
    is_file = F.col("file_uri").isNotNull()
    start_s = F.when(is_file, F.lit(0.0)).otherwise(F.col("media_start_s"))
    return clips.join(files, "clip_id", how).select(
        "clip_id",
        F.coalesce("file_uri", "media_uri").alias("media_uri"),
        start_s.alias("media_start_s"),
        F.coalesce("duration_s", "media_end_s").alias("media_end_s"),
    )


def _settled(context: StageContext) -> Config:
    """Return the settings to go by; files of others go first where they are to go."""
    config = context.config
    if context.warehouse.exists("clip_files"):
        other = F.col("stage_hash") != stage_hash(config)
        old = context.warehouse.read("clip_files").where(other)
        if context.is_refit or config.execution.on_change == "recompute":
            _remove(context, old)
    return settle(
        context,
        stage=STAGE,
        table="clip_files",
        stage_hash_of=stage_hash,
        section="segmentation",
        dependants=(("failures", f"stage = '{STAGE}'"),),
    )


def _rules(context: StageContext, config: Config) -> _Rules:
    cut = config.segmentation
    return _Rules(
        root=cut.cut_root or f"{context.folder.uri}/clip_media",
        settings=CutSettings(
            crf=cut.cut_crf,
            preset=cut.cut_preset,
            max_short_side=cut.cut_max_short_side,
            audio_kbps=cut.cut_audio_kbps,
        ),
        sources=source_rules(config),
        limits=decoding_limits(config),
    )


def _clips(context: StageContext) -> DataFrame:
    """Return the clips that can be cut, with the videos that they lie in."""
    videos = context.warehouse.read("videos").select("video_id", "uri")
    return (
        context.warehouse.read("clips")
        .where("start_s IS NOT NULL")
        .select(
            *("clip_id", "video_id", "start_s", "end_s"),
            F.col("run_id").alias("clip_run_id"),
        )
        .join(videos, "video_id")
        .drop("video_id")
    )


def _retired(context: StageContext, clips: DataFrame) -> int:
    """Remove the files of clips that are gone; return how many.

    A clip that was found anew may be of another film under the same id: its video was
    replaced. The run that wrote it tells.
    """
    n_gone = 0
    if context.warehouse.exists("clip_files"):
        files = context.warehouse.read("clip_files")
        gone = files.join(clips, ["clip_id", "clip_run_id"], "left_anti")
        n_gone = _remove(context, gone)
    retire(context, STAGE, clips.select("clip_id"), ("clip_files",))
    return n_gone


def _remove(context: StageContext, rows: DataFrame) -> int:
    """Delete files, and last their rows, so that a killed driver does it again."""
    rows = rows.select("clip_id", F.col("uri").alias("file_uri")).persist()
    n_rows = rows.count()
    if n_rows:
        noted = (
            context.warehouse.read("clips")
            .join(rows, "clip_id")
            .where("uri = file_uri")
            .select("clip_id", F.lit(None).cast("string").alias("uri"))
            .persist()
        )
        if not noted.isEmpty():
            context.warehouse.update("clips", noted, ["uri"])
        noted.unpersist()
        rows.select("file_uri").mapInArrow(_delete_files, "file_uri STRING").count()
        context.warehouse.delete_keys("clip_files", rows.select("clip_id"))
    rows.unpersist()
    return n_rows


def _note_uris(context: StageContext) -> None:
    """Write the files' uris to ``clips``, in one commit, where they are not there."""
    if not context.warehouse.exists("clip_files"):
        return
    files = context.warehouse.read("clip_files").select("clip_id", "uri")
    clips = context.warehouse.read("clips").select(
        "clip_id", F.col("uri").alias("noted")
    )
    new = (
        files.join(clips, "clip_id")
        .where("NOT uri <=> noted")
        .select("clip_id", "uri")
        .persist()
    )
    if not new.isEmpty():
        context.warehouse.update("clips", new, ["uri"])
    new.unpersist()


def _write(
    context: StageContext, good: DataFrame, run_id: str, *, the_hash: str
) -> None:
    names = [name for name in payload_names(_RESULT) if name != "file_uri"]
    context.warehouse.insert(
        "clip_files",
        good.select(
            F.col("item_id").alias("clip_id"),
            F.col("file_uri").alias("uri"),
            *names,
            F.lit(the_hash).alias("stage_hash"),
            F.lit(run_id).alias("run_id"),
        ),
    )


def _cut_all(items: DataFrame, *, rules: _Rules) -> DataFrame:
    return items.mapInArrow(partial(_cut_batches, rules=rules), spark_schema(_RESULT))


def _cut_batches(
    batches: Iterable[pa.RecordBatch], *, rules: _Rules
) -> Iterable[pa.RecordBatch]:
    """Cut the clips of each batch in the sandbox of this worker."""
    with LatestSource(rules.sources) as latest:
        for batch in batches:
            for item in batch.to_pylist():
                yield record_batch([_cut(item, latest, rules)], _RESULT)


def _cut(
    item: Mapping[str, Any], latest: LatestSource, rules: _Rules
) -> dict[str, object]:
    row: dict[str, object] = {"item_id": item["item_id"], "uri": item["uri"]}
    # Whole before any of it is where readers look, also in an object store.
    with tempfile.SpooledTemporaryFile(max_size=_MAX_IN_MEMORY) as file:
        try:
            facts = encode_clip_isolated(
                shared_sandbox(rules.limits),
                latest.open(item["uri"]),
                item["start_s"],
                item["end_s"],
                rules.settings,
                file.write,
            )
        except MediaError as error:
            return {**row, **failure(error)}
        size_bytes = file.tell()
        file_uri = write_clip_file(rules.root, item["item_id"], cast("Any", file))
    return {
        **row,
        **facts,
        "file_uri": file_uri,
        "duration_s": round(item["end_s"] - item["start_s"], 6),
        "size_bytes": size_bytes,
        "clip_run_id": item["clip_run_id"],
    }


def _delete_files(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        for uri in batch["file_uri"].to_pylist():
            delete_clip_file(uri)
        yield batch
