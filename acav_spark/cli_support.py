"""What the commands share: options, logging, contexts, the end on an error."""

from __future__ import annotations

import csv
import json
import logging
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from acav_spark.config import load_config
from acav_spark.errors import ConfigError
from acav_spark.progress import BarReporter, SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acav_spark.config import Config
    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult

CONSOLE = Console(stderr=True, highlight=False)
"""Messages, bars and logs, beside what a command prints."""

STDOUT = Console(highlight=False)
"""What a command prints."""

_CONF = Path(__file__).with_name("conf")
# Other files of that folder hold what ``acav plan`` reckons with.
_OWN = ("demo", "local", "paper", "recommended")
_CHOICES = ("error", "keep", "recompute")


@dataclass(frozen=True)
class Options:
    """Options that the stages' commands have in common."""

    config: Path | None = None
    overrides: list[str] | None = field(default=None)
    refit: bool = False
    on_change: str | None = None
    verbose: bool = False
    quiet: bool = False

    def load(self) -> Config:
        """Return the resolved configuration.

        Raises
        ------
        ConfigError
            If the file, an override or ``--on-change`` is wrong.
        """
        overrides = list(self.overrides or [])
        if self.on_change is not None:
            if self.on_change not in _CHOICES:
                msg = (
                    f"--on-change: expected one of {_CHOICES}, got {self.on_change!r}."
                )
                raise ConfigError(msg)
            overrides.append(f"execution.on_change={self.on_change}")
        return load_config(config_path(self.config), overrides).config


def config_path(given: Path | None) -> Path | None:
    """Return a file as it was given, or one of the package's own by its bare name."""
    if given is None or given.suffix or given.is_file() or len(given.parts) > 1:
        return given
    if given.name in _OWN:
        return _CONF / f"{given.name}.yaml"
    known = ", ".join(_OWN)
    msg = f"--config: expected a file, or one of {known}; got {str(given)!r}."
    raise ConfigError(msg)


def set_up_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Send the package's log to standard error: one line a stage and chunk."""
    handler: logging.Handler
    if CONSOLE.is_terminal:
        handler = RichHandler(
            console=CONSOLE, show_path=False, markup=False, omit_repeated_times=False
        )
    else:
        handler = logging.StreamHandler(sys.stderr)
        form = "%(asctime)s %(levelname)s %(name)s %(message)s"
        handler.setFormatter(logging.Formatter(form))
    logger = logging.getLogger("acav_spark")
    logger.handlers[:] = [handler]
    logger.propagate = False
    level = logging.DEBUG if verbose else logging.INFO
    logger.setLevel(logging.WARNING if quiet else level)


@contextmanager
def opened(
    options: Options,
    *,
    must_exist: bool = False,
    reads_input: bool = False,
    imports: bool = False,
) -> Iterator[StageContext]:
    """Check configuration, storage and input, then start Spark and make a context.

    Everything that can be found wrong without Spark is found before it starts.
    """
    config = options.load()
    set_up_logging(verbose=options.verbose, quiet=options.quiet)
    from acav_spark._version import __version__
    from acav_spark.context import StageContext
    from acav_spark.features.registry import create_extractor
    from acav_spark.imports.choosing import check_imports, is_imported
    from acav_spark.session import get_session, require_pyspark
    from acav_spark.storage import prepare_storage, read_only_storage
    from acav_spark.tables.catalog import FORMAT_VERSION

    if reads_input:
        # Imports pyspark, whose absence the session reports with a remedy.
        require_pyspark()
        from acav_spark.ingest.job import check_input

        check_input(config)
    if imports:
        check_imports(config)
    root = config.storage.root
    if must_exist:
        read_only_storage(root, format_version=FORMAT_VERSION)
    else:
        for extractor in config.features.extractors:
            # A name that says nothing by itself may be that of an import.
            is_known = extractor.imported.modality or _has_imports(root)
            if not (is_imported(extractor) and is_known):
                create_extractor(extractor.name, extractor.options)
        prepare_storage(root, format_version=FORMAT_VERSION, code_version=__version__)
    is_drawn = CONSOLE.is_terminal and not options.quiet
    yield StageContext(
        get_session(config.spark),
        config,
        is_refit=options.refit,
        reporter=BarReporter(CONSOLE) if is_drawn else SilentReporter(),
    )


def _has_imports(root: str) -> bool:
    """Return whether anything was imported into a warehouse."""
    from acav_spark.storage import Folder

    try:
        return Folder(root).exists("imports")
    except (OSError, ValueError):
        return False  # what is wrong with the place is told by prepare_storage


@contextmanager
def opened_for_reading(options: Options) -> Iterator[StageContext]:
    """Make a context on a warehouse that must be there."""
    quiet = Options(
        options.config,
        options.overrides,
        verbose=options.verbose,
        quiet=not options.verbose,
    )
    with opened(quiet, must_exist=True) as context:
        yield context


def tell(result: StageResult) -> None:
    """Print what a stage did, in one line."""
    if result.is_unchanged:
        text = "nothing to do"
    else:
        text = f"{result.n_in} in, {result.n_out} out"
        if result.n_rejected:
            text += f", {result.n_rejected} rejected"
        if result.n_failed:
            text += f", {result.n_failed} failed"
    remark = f"  [dim]{result.message}[/]" if result.message else ""
    CONSOLE.print(
        f"[bold]{result.stage:<17}[/] {text} [dim]({result.seconds:.1f} s)[/]{remark}"
    )


def tell_if_on(result: StageResult) -> None:
    """Print what a stage did, unless the configuration leaves it out."""
    if not result.is_off:
        tell(result)


def fail(error: Exception, *, is_verbose: bool) -> NoReturn:
    """Print an expected error and leave with 2."""
    if is_verbose:
        CONSOLE.print("".join(traceback.format_exception(error)), markup=False)
    CONSOLE.print(f"{type(error).__name__}: {error}", style="red", markup=False)
    sys.exit(2)


def print_rows(names: list[str], rows: list[list[str]], output: str) -> None:
    """Print rows as a table, CSV or JSON Lines.

    Raises
    ------
    ConfigError
        If the output is none of these.
    """
    if output == "json":
        for row in rows:
            typer.echo(
                json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
            )
        return
    if output == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(rows)
        return
    if output != "table":
        msg = f"--format: expected table, csv or json, got {output!r}."
        raise ConfigError(msg)
    table = Table(*names, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    STDOUT.print(table)
    STDOUT.print(f"[dim]{len(rows)} rows[/]")
