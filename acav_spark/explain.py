"""``acav explain``: everything that made a clip what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from rich.console import Group
from rich.table import Table
from rich.text import Text

from acav_spark.errors import TableError
from acav_spark.imports.choosing import all_imports
from acav_spark.selection.explaining import ExplainedGain, explain_gains

if TYPE_CHECKING:
    from pyspark.sql import Row

    from acav_spark.context import StageContext


def explain_clip(context: StageContext, clip_id: str) -> Group:
    """Return a clip's source, shot, models, clusters, picks, and the runs behind them.

    Raises
    ------
    TableError
        If there is no such clip.
    """
    clip = _first(context, "clips", "clip_id", clip_id)
    if clip is None:
        msg = (
            f"explain: there is no clip {clip_id!r}. List some with: acav show clips, "
            "or acav show curated_clips."
        )
        raise TableError(msg)
    made_by = "segment_clips" if clip["video_id"] else "import_features"
    runs = [(made_by, clip["run_id"])]
    parts: list[Table | Text] = [_clip_table(clip)]
    video = _first(context, "videos", "video_id", clip["video_id"])
    if video is not None:
        runs.insert(0, ("ingest_videos", video["run_id"]))
        parts.append(_video_table(video))
    segmented = _first(context, "segmentations", "video_id", clip["video_id"])
    if segmented is not None:
        parts.append(
            Text(
                f"One of {segmented['n_clips']} clips cut from "
                f"{segmented['n_candidates']} candidates in "
                f"{segmented['n_shots']} shots, by the rule {segmented['rule']}."
            )
        )
    file = _first(context, "clip_files", "clip_id", clip_id)
    if file is not None:
        runs.append(("cut_clips", file["run_id"]))
        names = ("uri", "size_bytes", "n_frames", "width", "height", "n_channels")
        parts.append(_facts("File", {name: file[name] for name in names}))
    features = _all(context, "features", clip_id, "extractor")
    imported = all_imports(context)
    for row in features:
        stage = "import" if row["extractor"] in imported else "extract"
        runs.append((f"{stage}_features {row['extractor']}", row["run_id"]))
    failures = (
        context.warehouse.read("failures").where(F.col("item_id") == clip_id).collect()
    )
    parts += [
        Text(f"Failed in {f['stage']} {f['scope']}: {f['error_code']}: {f['message']}")
        for f in failures
    ]
    parts.append(_clusters_table(context, clip_id, features, runs))
    parts.append(picks_table(context, clip_id, runs))
    parts += [
        part for gain in explain_gains(context, clip_id) for part in _gain_parts(gain)
    ]
    parts.append(_runs_table(context, runs))
    return Group(*[piece for part in parts for piece in (part, Text())])


def _first(context: StageContext, table: str, key: str, value: str) -> Row | None:
    return context.warehouse.read(table).where(F.col(key) == value).first()


def _all(context: StageContext, table: str, clip_id: str, *order: str) -> list[Row]:
    rows = context.warehouse.read(table).where(F.col("clip_id") == clip_id)
    return rows.orderBy(*order).collect()


def _facts(title: str, facts: dict[str, object]) -> Table:
    table = Table(title, "", box=None, header_style="bold")
    for name, value in facts.items():
        if value is not None and value != "":
            table.add_row(Text(name), Text(str(value)))
    return table


def _clip_table(clip: Row) -> Table:
    facts: dict[str, object] = {"clip_id": clip["clip_id"]}
    if clip["start_s"] is not None:
        facts["time"] = f"{clip['start_s']:.3f} to {clip['end_s']:.3f} s"
    facts["uri"] = clip["uri"]
    facts["shot"] = clip["shot_index"]
    facts["crosses a cut"] = clip["crosses_cut"]
    if clip["video_id"] is None:
        facts["source"] = "imported"
    for name in ("silence_fraction", "stillness_fraction"):
        if clip[name] is not None:
            facts[name] = f"{clip[name]:.3f}"
    return _facts("Clip", facts)


def _video_table(video: Row) -> Table:
    names = (
        *("video_id", "uri", "title", "channel_id", "category", "licence"),
        *("duration_s", "language", "width", "height", "content_sha256", "source"),
    )
    return _facts("Video", {name: video[name] for name in names})


def _clusters_table(
    context: StageContext,
    clip_id: str,
    features: list[Row],
    runs: list[tuple[str, str]],
) -> Table:
    versions = {row["extractor"]: row["model_version"] for row in features}
    books = {
        (row["clustering"], row["extractor"], row["layer"]): row
        for row in context.warehouse.read("codebooks").drop("components").collect()
    }
    sizes = {
        (r["clustering"], r["extractor"], r["position"] + 1, r["cluster"]): r["count"]
        for r in context.warehouse.read("assignments")
        .select("clustering", "extractor", F.posexplode("clusters"))
        .toDF("clustering", "extractor", "position", "cluster")
        .groupBy("clustering", "extractor", "position", "cluster")
        .count()
        .collect()
    }
    table = Table(
        *("clustering", "view", "model", "cluster", "clips in it"),
        box=None,
        header_style="bold",
        title_justify="left",
    )
    for row in _all(context, "assignments", clip_id, "clustering", "extractor"):
        runs.append((f"assign_clusters {row['clustering']}", row["run_id"]))
        for layer, cluster in enumerate(row["clusters"], start=1):
            key = (row["clustering"], row["extractor"], layer)
            book = books.get(key)
            if book is not None and layer == 1:
                runs.append((f"fit_centroids {row['clustering']}", book["run_id"]))
            table.add_row(
                row["clustering"],
                f"{row['extractor']} layer {layer}",
                versions.get(row["extractor"], ""),
                f"{cluster} of {book['n_clusters'] if book else '?'}",
                str(sizes.get((*key, cluster), "")),
            )
    return table


def picks_table(
    context: StageContext, clip_id: str, runs: list[tuple[str, str]]
) -> Table | Text:
    """Return where a clip stands in selections; their runs are added to ``runs``."""
    rows = _all(context, "selections", clip_id, "selection")
    if not rows:
        return Text("It is in no selection.")
    table = Table(
        *("selection", "rank", "gain (nats)", "objective after", "score", "method"),
        box=None,
        header_style="bold",
    )
    for row in rows:
        runs.append((f"select_clips {row['selection']}", row["run_id"]))
        table.add_row(
            row["selection"],
            str(row["rank"]),
            # Methods that score clips by features know no gain, others no score.
            "" if row["gain"] is None else f"{row['gain']:+.6f}",
            "" if row["objective"] is None else f"{row['objective']:.6f}",
            "" if row["score"] is None else f"{row['score']:.6f}",
            row["method"],
        )
    return table


def _gain_parts(gain: ExplainedGain) -> list[Table | Text]:
    """Return what a clip gains in one selection, pair by pair, the most first."""
    if gain.rank is None:
        moment = f"would gain {gain.total:+.6f} nats after all {gain.n_counted} clips"
    else:
        moment = (
            f"rank {gain.rank}, gained {gain.total:+.6f} nats after the "
            f"{gain.n_counted} clips before it"
        )
    table = Table(*("view", "with view", "gain (nats)"), box=None, header_style="bold")
    for first, second, nats in sorted(gain.by_pair, key=lambda row: -row[2]):
        table.add_row(first, second, f"{nats:+.6f}")
    return [Text(f"Selection {gain.selection}: {moment}."), table]


def _runs_table(context: StageContext, runs: list[tuple[str, str]]) -> Table:
    known = {
        row["run_id"]: row
        for row in context.warehouse.read("runs")
        .where(F.col("run_id").isin([run_id for _, run_id in runs]))
        .collect()
    }
    table = Table(
        *("made by", "run", "started (UTC)", "code", "configuration"),
        box=None,
        header_style="bold",
    )
    for label, run_id in dict.fromkeys(runs):
        row = known.get(run_id)
        started = f"{row['started_at']:%Y-%m-%d %H:%M:%S}" if row else ""
        code, config = (row["code_version"], row["config_hash"]) if row else ("", "")
        table.add_row(label, run_id, started, code, config)
    return table
