"""``acav evaluate``: whether selections find what belongs together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# typer reads annotations at run time.
from acav_spark.cli_options import ConfigFile, Overrides, Quiet, Verbose  # noqa: TC001
from acav_spark.cli_support import CONSOLE, STDOUT, Options, opened
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from acav_spark.evaluate.retrieval_set import Negatives

app = typer.Typer(
    help="Measure whether selections find what belongs together.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def evaluate() -> None:
    """Measure whether selections find what belongs together."""


@app.command()
def retrieval(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with datasets, videos and weights."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--sets", help="Data sets, by commas; else all there is data for."
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--methods", help="Methods, by commas; else all."),
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option("--parts", help="Tables and figures, by commas; else all."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each data set.")] = 5,
    processes: Annotated[
        int, typer.Option(min=1, help="Runs that are computed at once.")
    ] = 1,
    negatives: Annotated[
        str, typer.Option(help="How pairs are broken: whole, or per_layer.")
    ] = "whole",
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of features; else retrieval_cache in storage.root."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder of figures; else retrieval.")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Small made sets: some seconds.")
    ] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Run the paper's correspondence-retrieval experiments (section 4)."""
    options = Options(config, overrides, verbose=verbose, quiet=quiet)
    from acav_spark.evaluate.data_sets import DataSource
    from acav_spark.evaluate.results import summaries
    from acav_spark.evaluate.retrieval import RetrievalOptions
    from acav_spark.evaluate.retrieval_job import FOLDER, evaluate_retrieval
    from acav_spark.evaluate.tables_text import terminal_tables
    from acav_spark.storage import Folder

    # Options are refused before Spark starts.
    chosen = RetrievalOptions(
        source=DataSource(
            data=data,
            cache=_cache_of(options, cache),
            n_runs=runs,
            negatives=_negatives(negatives),
            is_quick=quick,
        ),
        sets=_names(sets),
        methods=_names(methods),
        parts=_names(parts),
        n_processes=processes,
    )
    with opened(options) as context:
        folder = Folder(output or f"{context.folder.uri}/{FOLDER}")
        results = evaluate_retrieval(context, chosen, folder)
    for table in terminal_tables(summaries(results)):
        STDOUT.print(table)
        STDOUT.print()
    CONSOLE.print(f"Figures and tables in {folder.uri}", markup=False)


def _names(given: list[str] | None) -> list[str]:
    """Return the names of a repeatable option, which may also have commas."""
    return [name for text in given or [] for name in text.split(",") if name]


def _negatives(name: str) -> Negatives:
    known: tuple[Negatives, ...] = ("whole", "per_layer")
    for one in known:
        if name == one:
            return one
    msg = f"--negatives: expected whole or per_layer, got {name!r}."
    raise ConfigError(msg)


def _cache_of(options: Options, named: Path | None) -> Path:
    """Return the folder of features; where none is named, in a local warehouse."""
    if named is not None:
        # A path has one of the two slashes of an address.
        if re.match(r"[a-z][a-z0-9+.-]*:/", str(named)):
            msg = f"--cache: expected a local folder, got {named}. Name one."
            raise ConfigError(msg)
        return named
    root = options.load().storage.root
    if "://" in root:
        msg = (
            f"--cache: expected a local folder for features, since storage.root "
            f"({root}) is none. Name one."
        )
        raise ConfigError(msg)
    return Path(root) / "retrieval_cache"
