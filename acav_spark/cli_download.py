"""The command ``acav download``."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

# typer reads annotations at run time.
from acav_spark.cli_options import ConfigFile, Overrides, Quiet, Verbose  # noqa: TC001
from acav_spark.cli_support import (
    CONSOLE,
    Options,
    set_up_logging,
)
from acav_spark.media.sandbox import Limits
from acav_spark.media.sources_rules import SourceRules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from acav_spark.config import Config
    from acav_spark.download import DownloadRules, DownloadSummary, Item

_logger = logging.getLogger(__name__)


def download(
    given: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="An address, a list of them, metadata as ingest_videos reads it, the "
            "folder of a warehouse (its accepted videos), or with --queries a file of "
            "search queries.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder that gets the videos.")
    ],
    queries: Annotated[
        bool, typer.Option("--queries", help="INPUT is search queries, one a line.")
    ] = False,
    per_query: Annotated[int, typer.Option(min=1, help="Videos a query.")] = 10,
    search: Annotated[
        str, typer.Option(help="yt-dlp's name of the search that queries go to.")
    ] = "ytsearch",
    max_height: Annotated[
        int, typer.Option(min=1, help="Height of the picture, where there is a choice.")
    ] = 360,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="yt-dlp's selector of one format, instead."),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(help="Bytes a second of all together, such as 500K or 2M."),
    ] = None,
    request_interval: Annotated[
        float, typer.Option(min=0, help="Seconds between two questions to sites.")
    ] = 0.0,
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds of network for one attempt.")
    ] = 3600.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Videos at a time.")] = 2,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Videos to try at most.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="yt-dlp's download archive: what is in it is left out."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what was given up.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be tried; fetch nothing.")
    ] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Fetch videos into a folder that input.uri may name; a rerun does what is left."""
    settings = Options(config, overrides, verbose=verbose, quiet=quiet).load()
    set_up_logging(verbose=verbose, quiet=quiet)
    from acav_spark import download as downloads
    from acav_spark.download.inputs import read_lines
    from acav_spark.download.rate import parse_rate

    rules = downloads.DownloadRules(
        sources=_sources(settings, time_limit),
        limits=_limits(settings),
        max_height=max_height,
        format=format_,
        bytes_per_s=None if rate_limit is None else parse_rate(rate_limit),
        request_interval_s=request_interval,
        n_workers=workers,
        max_attempts=settings.execution.max_attempts,
        retry_failed=retry_failed,
        archive=archive,
        search=search,
        n_results=per_query,
    )
    asked = list(read_lines(given)) if queries else []
    items = [] if queries else _items(given, settings)
    if dry_run:
        _tell_wanted(items, asked, output, rules, limit)
        return
    summary = downloads.download(
        items,
        output,
        queries=asked,
        rules=rules,
        max_items=limit,
        on_row=_tell_row,
    )
    _tell_summary(summary, output)
    if summary.n_failed and not summary.n_done:
        raise typer.Exit(1)


def _sources(settings: Config, time_limit_s: float) -> SourceRules:
    """Return what may be connected to: https, and http where it is allowed."""
    options = settings.input
    is_http_allowed = "http" in options.allowed_schemes
    return SourceRules(
        allowed_schemes=("http", "https") if is_http_allowed else ("https",),
        allow_private_addresses=options.allow_private_addresses,
        max_bytes=options.max_download_mb * 2**20,
        total_s=time_limit_s,
        stall_s=options.stall_timeout_s,
    )


def _limits(settings: Config) -> Limits:
    execution = settings.execution
    return Limits(
        time_s=execution.time_limit_s,
        memory_bytes=execution.memory_limit_mb * 2**20,
        max_pixels=execution.max_pixels,
    )


def _items(given: str, settings: Config) -> Iterable[Item]:
    """Return what the input names; Spark starts only where it has to read."""
    from acav_spark.download.inputs import find_input

    found = find_input(given, settings.input.format, settings.input.columns)
    if found.items is not None:
        return found.items
    from acav_spark.session import get_session, require_pyspark

    require_pyspark()
    from acav_spark.download.job import items_of_metadata, items_of_videos

    spark = get_session(settings.spark)
    if found.videos is not None:
        return items_of_videos(spark, found.videos)
    return items_of_metadata(spark, found.sources, settings.input.columns)


def _tell_wanted(
    items: Iterable[Item],
    queries: list[str],
    output: Path,
    rules: DownloadRules,
    limit: int | None,
) -> None:
    from acav_spark.download import wanted_items

    wanted = itertools.islice(wanted_items(items, output, rules), limit)
    n_wanted = 0
    for n_wanted, item in enumerate(wanted, start=1):  # noqa: B007 - the number is told below
        typer.echo(f"{item.video_id}\t{item.uri}")
    for query in queries:
        typer.echo(f"{rules.search}{rules.n_results}:{query}")
    what = f"{len(queries)} searches" if queries else f"{n_wanted} videos"
    CONSOLE.print(f"{what} would be tried; nothing was fetched.")


def _tell_row(row: dict[str, object], summary: DownloadSummary) -> None:
    told = "done=%d failed=%d mib=%.1f id=%s"
    n_mib = summary.n_bytes / 2**20
    counts = (summary.n_done, summary.n_failed, n_mib, row["id"])
    if row["status"] == "failed":
        _logger.warning(
            f"failed {told} code=%s message=%s",
            *counts,
            row["code"],
            row["message"],
        )
    else:
        _logger.info(f"{row['status']} {told}", *counts)


def _tell_summary(summary: DownloadSummary, output: Path) -> None:
    told = [
        f"{summary.n_items} videos: {summary.n_done} fetched "
        f"({summary.n_bytes / 2**20:.1f} MiB)",
        f"{summary.n_present} there already",
        f"{summary.n_archived} in the archive",
        f"{summary.n_failed} failed",
        f"{summary.n_given_up} given up before",
    ]
    CONSOLE.print(", ".join(told), markup=False, soft_wrap=True)
    for code, n_failed in summary.codes.most_common():
        CONSOLE.print(f"  {n_failed} {code}", markup=False)
    CONSOLE.print(
        f"Go on: acav run --set input.uri={output}", markup=False, soft_wrap=True
    )
