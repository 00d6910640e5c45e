"""``acav plan``: from configuration, input or warehouse to what the planner takes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from acav_spark.errors import ConfigError, MediaError
from acav_spark.features.registry import create_extractor, extractor_class
from acav_spark.ingest.sources import find_sources
from acav_spark.media.isolated import probe_isolated
from acav_spark.media.listing import list_media
from acav_spark.media.sandbox import Sandbox
from acav_spark.media.uri import path_from_uri
from acav_spark.planning.choosing import PAPER_FRAME_RATE, Measured
from acav_spark.planning.networks import NETWORKS
from acav_spark.planning.workload import (
    Assumption,
    ExtractorSpec,
    InputKind,
    Settings,
    VideoShape,
)
from acav_spark.selection.pairings import pairs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from acav_spark.config.extracting import ExtractorConfig
    from acav_spark.config.models import Config
    from acav_spark.context import StageContext

# Rows of a table from which files tell the bytes of a row; fewer are mostly headers.
_MANY_ROWS = 10_000
_MAX_SHAPES = 10_000
# Those of CLIP, CLAP and their like.
_IMPORTED_LENGTH = 512


def settings_of(config: Config) -> tuple[Settings, list[Assumption]]:
    """Return what of a configuration costs, and what had to be assumed.

    Raises
    ------
    ConfigError
        If an extractor is unknown, or the pairing does
        not fit the views.
    """
    told: list[Assumption] = []
    extractors = tuple(_spec(chosen, told) for chosen in config.features.extractors)
    if config.segmentation.cut != "none":
        told.append(
            Assumption(
                "cut_clips",
                "not counted",
                "each clip is decoded once more, and coded",
                "segmentation.cut",
            )
        )
    k = config.clustering.n_clusters
    sizes = () if k == "auto" else tuple(k) if isinstance(k, list) else (int(k),)
    views = [
        (e.name, layer, e.modality)
        for e in extractors
        for layer in range(1, len(e.dimensions) + 1)
    ]
    try:
        pairs = pairs_for(config.selection.pairing, views)
    except ValueError as error:
        msg = f"selection.pairing: {error}"
        raise ConfigError(msg) from error
    size = config.selection.size
    settings = Settings(
        clip_duration_s=config.segmentation.clip_duration_s,
        max_clips=config.segmentation.max_clips_per_video,
        extractors=extractors,
        n_clusters=sizes,
        n_epochs=config.clustering.n_epochs,
        max_rows=config.clustering.max_rows,
        n_shards=config.clustering.n_shards,
        n_pairs=len(pairs),
        size=size if isinstance(size, int) else float(size.rstrip("% ")) / 100,
        engine=config.selection.engine,
        n_formats=len(config.publish.formats),
        chunk_size=config.execution.chunk_size,
        n_partitions=config.execution.n_partitions,
        finds_duplicates=config.duplicates.enabled,
    )
    return settings, told


def kind_of(config: Config) -> InputKind:
    """Return what ingest is taken to read where no input was looked at."""
    return "media" if config.input.format == "media" else "metadata"


def media_of(config: Config) -> list[str]:
    """Return the URIs of an input's files in the order of a hash of their names.

    Raises
    ------
    ConfigError
        If no input is named, or it is not media.
    StageError
        If there is no such folder, file or pattern.
    """
    options = config.input
    sources = find_sources(options.uris, options.format, options.columns)
    files = [
        file.uri
        for source in sources
        if source.format == "media"
        for name in source.files
        for file in list_media(name)
        if file.problem is None
    ]
    if not files:
        msg = (
            f"input.uri: expected media, got {', '.join(options.uris)} without. Name a "
            "folder of videos by --set input.uri=FOLDER."
        )
        raise ConfigError(msg)
    return sorted(files, key=_order)


def shapes_of(config: Config, uris: Sequence[str]) -> Iterator[tuple[str, VideoShape]]:
    """Probe files; yield those that are videos with sound which filters accept."""
    # Imports pyspark, which a plan without files does not need.
    from acav_spark.chunks import decoding_limits

    bounds = config.ingest
    with Sandbox(decoding_limits(config)) as sandbox:
        for uri in uris:
            try:
                facts = probe_isolated(sandbox, path_from_uri(uri))
            except MediaError:
                # What cannot be probed is rejected by ingest, and not planned for.
                continue
            if bounds.min_duration_s <= facts.duration_s <= bounds.max_duration_s:
                yield (
                    uri,
                    VideoShape(
                        facts.duration_s,
                        facts.frame_rate or PAPER_FRAME_RATE,
                        float(facts.width * facts.height),
                        float(facts.size_bytes),
                    ),
                )


def measure_input(config: Config, n_files: int) -> Measured:
    """Probe some of the input's files, drawn by a hash of their names.

    Raises
    ------
    ConfigError
        If the input is not media, or none of the files probed can be used.
    """
    files = media_of(config)
    chosen = files[:n_files]
    shapes = tuple(shape for _, shape in shapes_of(config, chosen))
    if not shapes:
        msg = (
            f"input.uri: expected videos with sound from ingest.min_duration_s "
            f"({config.ingest.min_duration_s:g}) to max_duration_s, got none among "
            f"{len(chosen)} files. Name others, or change the bounds."
        )
        raise ConfigError(msg)
    return Measured(
        f"probed {len(chosen)} of {len(files)} files of the input",
        shapes,
        len(files),
        len(shapes) / len(chosen),
    )


def measure_warehouse(context: StageContext) -> Measured:
    """Return the shares and sizes of a warehouse that has videos.

    Raises
    ------
    ConfigError
        If it has no accepted video whose length is known.
    """
    videos = context.warehouse.read("videos")
    n_videos = videos.count()
    accepted = videos.where("status = 'accepted'")
    n_accepted = accepted.count()
    known = (
        accepted.where("duration_s > 0")
        .select("duration_s", "frame_rate", "width", "height", "size_bytes")
        .limit(_MAX_SHAPES)
        .collect()
    )
    shapes = tuple(
        VideoShape(
            row["duration_s"],
            row["frame_rate"] or PAPER_FRAME_RATE,
            float((row["width"] or 640) * (row["height"] or 360)),
            float(row["size_bytes"] or 0),
        )
        for row in known
    )
    if not shapes:
        msg = (
            "--from-warehouse: expected accepted videos of known length, got none in "
            f"{context.folder.uri}. Run 'acav run ingest_videos' first."
        )
        raise ConfigError(msg)
    n_segmented = context.warehouse.read("segmentations").count()
    n_clips = context.warehouse.read("clips").count()
    is_media = videos.where("source = 'media'").limit(1).count() > 0
    return Measured(
        f"measured in {context.folder.uri}",
        shapes,
        n_videos,
        n_accepted / n_videos,
        n_clips / n_segmented if n_segmented else None,
        measured_bytes(context),
        "media" if is_media else "metadata",
    )


def measured_bytes(context: StageContext) -> dict[str, float]:
    """Return bytes per row by the files of tables that have many rows."""
    names = ("videos", "segmentations", "clips", "assignments", "packed", "selections")
    found = {}
    for name in names:
        if context.warehouse.exists(name):
            n_rows = context.warehouse.read(name).count()
            if n_rows >= _MANY_ROWS:
                path = context.warehouse.path(name)
                (detail,) = context.spark.sql(
                    f"DESCRIBE DETAIL delta.`{path}`"
                ).collect()
                found[name] = detail["sizeInBytes"] / n_rows
    return found


def _spec(chosen: ExtractorConfig, told: list[Assumption]) -> ExtractorSpec:
    if chosen.imported.modality:
        n_layers = max(len(chosen.imported.layers), 1)
        told.append(
            Assumption(
                f"vectors of {chosen.name}",
                f"{n_layers} of {_IMPORTED_LENGTH} numbers",
                "they are imported, and looked at then",
                "planning/job.py",
            )
        )
        return ExtractorSpec(
            *(chosen.name, chosen.imported.modality, (_IMPORTED_LENGTH,) * n_layers),
            wants_gpu=False,
            gmac_per_clip=0.0,
        )
    figures = NETWORKS.get(chosen.name)
    # Networks cannot be made without their weights, and a plan needs none: the facts
    # are attributes of the class.
    made: Any = (
        extractor_class(chosen.name)
        if figures
        else create_extractor(chosen.name, chosen.options)
    )
    return ExtractorSpec(
        *(chosen.name, made.modality, made.dimensions),
        wants_gpu=made.wants_gpu,
        gmac_per_clip=figures.gmac_per_clip if figures else None,
    )


def _order(uri: str) -> str:
    return hashlib.sha256(uri.encode("utf-8", "surrogateescape")).hexdigest()
