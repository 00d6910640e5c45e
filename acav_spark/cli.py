"""The ``acav`` command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from acav_spark._version import __version__
from acav_spark.cli_download import download
from acav_spark.cli_evaluate import app as evaluate_app
from acav_spark.cli_import import import_features

# typer reads annotations at run time.
from acav_spark.cli_options import (  # noqa: TC001
    ConfigFile,
    OnChange,
    Overrides,
    Quiet,
    Refit,
    Verbose,
)
from acav_spark.cli_plan import plan
from acav_spark.cli_support import (
    CONSOLE,
    STDOUT,
    Options,
    fail,
    opened,
    opened_for_reading,
    print_rows,
    set_up_logging,
    tell,
    tell_if_on,
)
from acav_spark.config import describe_options, to_yaml
from acav_spark.errors import AcavError
from acav_spark.pipeline import STAGES, run_stages, stages_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from acav_spark.context import StageContext
    from acav_spark.pipeline import Stage
    from acav_spark.runs import StageResult

_CURATE = "Curate"
_STAGES = "Single stages (also jobs/STAGE.py under spark-submit)"
_LOOK = "Look at the results"
_HELP = "Set up and configure"

app = typer.Typer(
    name="acav",
    help="Curate audio-visual data sets whose picture and sound belong together.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows to show.")]
Output = Annotated[
    str, typer.Option("--format", "-f", help="How to print: table, csv or json.")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; expected errors end with one message, without a trace."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    is_verbose = bool({"-v", "--verbose"} & set(arguments))
    try:
        # An exit with a status is a result here: see typer's standalone_mode.
        status = app(arguments, standalone_mode=False)
    except AcavError as error:
        fail(error, is_verbose=is_verbose)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            CONSOLE.print(f"[red]{error.format_message()}[/]\nSee: acav --help")
            sys.exit(2)
        raise
    except KeyboardInterrupt:
        CONSOLE.print("Interrupted. The same command goes on where this one stopped.")
        sys.exit(130)
    if status:
        sys.exit(status)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    if version:
        typer.echo(f"acav_spark {__version__}")
        raise typer.Exit


@app.command(rich_help_panel=_CURATE)
def run(
    stages: Annotated[
        list[str] | None, typer.Argument(help="Stages to run; all when none is named.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    refit: Refit = False,
    on_change: OnChange = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Run the pipeline, or some of its stages; a rerun does only what is left."""
    options = Options(config, overrides, refit, on_change, verbose, quiet)
    _run(options, stages or [])


def _run(options: Options, names: Sequence[str]) -> None:
    chosen = stages_named(names)
    reads_input = any(not stage.reads for stage in chosen)
    imports = any("imports" in stage.fills for stage in chosen)
    with opened(options, reads_input=reads_input, imports=imports) as context:
        _run_all(context, chosen, tell if names else tell_if_on)


def _run_all(
    context: StageContext, stages: Sequence[Stage], told: Callable[[StageResult], None]
) -> None:
    results = run_stages(context, stages, told)
    if all(result.is_unchanged for result in results):
        CONSOLE.print("Everything is up to date: nothing was computed.")
    from acav_spark.report.counts_job import gather_counts
    from acav_spark.report.text import funnel_table

    CONSOLE.print(funnel_table(*gather_counts(context)))


def _add_stage_command(name: str, summary: str) -> None:
    def command(
        config: ConfigFile = None,
        overrides: Overrides = None,
        refit: Refit = False,
        on_change: OnChange = None,
        verbose: Verbose = False,
        quiet: Quiet = False,
    ) -> None:
        _run(Options(config, overrides, refit, on_change, verbose, quiet), [name])

    app.command(name, help=summary, rich_help_panel=_STAGES)(command)


for _stage in STAGES:
    if _stage.name == import_features.__name__:
        # One command under two names: with sources of its own, and as every stage.
        app.command("import-features", rich_help_panel=_CURATE)(import_features)
        app.command(_stage.name, help=_stage.summary, rich_help_panel=_STAGES)(
            import_features
        )
    else:
        _add_stage_command(_stage.name, _stage.summary)


@app.command(rich_help_panel=_LOOK)
def status(
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Show what is done, what is left, what failed, and the last runs."""
    with opened_for_reading(Options(config, overrides, verbose=verbose)) as context:
        from acav_spark.report.counts_job import gather_counts
        from acav_spark.report.text import funnel_table
        from acav_spark.status import last_runs_table, tables_table

        CONSOLE.print(funnel_table(*gather_counts(context)))
        CONSOLE.print(tables_table(context))
        CONSOLE.print(last_runs_table(context))


@app.command(rich_help_panel=_LOOK)
def show(
    name: Annotated[str, typer.Argument(help="Table or view, such as curated_clips.")],
    limit: Limit = 20,
    output: Output = "table",
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Show rows of a table or view."""
    with opened_for_reading(Options(config, overrides, verbose=verbose)) as context:
        from acav_spark.status import rows_of, show_table

        print_rows(*rows_of(show_table(context, name, limit)), output)


@app.command(rich_help_panel=_LOOK)
def sql(
    query: Annotated[str, typer.Argument(help="Query over the tables and views.")],
    limit: Limit = 1000,
    output: Output = "table",
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Run a SQL query over tables and views."""
    with opened_for_reading(Options(config, overrides, verbose=verbose)) as context:
        from acav_spark.status import query_rows, rows_of

        print_rows(*rows_of(query_rows(context, query, limit)), output)


@app.command(rich_help_panel=_LOOK)
def explain(
    clip_id: Annotated[str, typer.Argument(help="Key of a clip, as in clips.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Show everything that made a clip what it is."""
    with opened_for_reading(Options(config, overrides, verbose=verbose)) as context:
        from acav_spark.explain import explain_clip

        STDOUT.print(explain_clip(context, clip_id))


@app.command(rich_help_panel=_LOOK)
def report(
    output: Annotated[
        str, typer.Option("--output", "-o", help="File; empty: report.html in storage.")
    ] = "",
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Write the HTML report: one file that opens offline."""
    with opened_for_reading(Options(config, overrides, verbose=verbose)) as context:
        from acav_spark.report.job import write_report

        typer.echo(write_report(context, output))


@app.command(rich_help_panel=_HELP)
def doctor(
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Check Java, ffmpeg, Spark, Delta, storage and GPU; say how to mend them."""
    set_up_logging(verbose=verbose, quiet=not verbose)
    from acav_spark.doctor import checks, checks_table

    found = checks(Options(config, overrides).load())
    STDOUT.print(checks_table(found))
    if any(check.is_broken for check in found):
        raise typer.Exit(1)


@app.command("config", rich_help_panel=_HELP)
def show_config(
    config: ConfigFile = None,
    overrides: Overrides = None,
    options: Annotated[
        bool, typer.Option("--options", help="List every option instead.")
    ] = False,
) -> None:
    """Print the resolved configuration, or every option with its default."""
    if not options:
        typer.echo(to_yaml(Options(config, overrides).load()), nl=False)
        return
    table = Table("option", "default", "allowed", "meaning", box=None)
    for option in describe_options():
        table.add_row(option.path, option.default, option.allowed, option.description)
    STDOUT.print(table)


app.command(rich_help_panel=_CURATE)(download)


@app.command("make-queries", rich_help_panel=_HELP)
def make_queries(
    out: Annotated[Path, typer.Option(help="File to write, one query a line.")],
    n_queries: Annotated[int, typer.Option("--n", "-n", min=1, help="Queries.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of their order.")] = 0,
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Folder of word lists of your own; others are the package's."
        ),
    ] = None,
) -> None:
    """Write search queries made of word lists, the first of them the most diverse."""
    from acav_spark.ingest.queries import OWN_LISTS, read_word_lists, write_queries

    n_written = write_queries(
        out, read_word_lists(lists or OWN_LISTS), n_queries=n_queries, seed=seed
    )
    fewer = f", all there are of {n_queries}" if n_written < n_queries else ""
    CONSOLE.print(f"{n_written} queries in {out}{fewer}")


@app.command("make-corpus", rich_help_panel=_HELP)
def make_corpus(
    folder: Annotated[Path, typer.Argument(help="Where to write the videos.")],
    n_videos: Annotated[int, typer.Option(min=1, help="Videos to make.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the corpus.")] = 0,
) -> None:
    """Write the demo corpus: short videos, half of whose shots have a foreign sound."""
    from rich.progress import Progress

    from acav_spark.demo.corpus import write_corpus

    with Progress(console=CONSOLE, transient=True) as bar:
        task = bar.add_task("making videos", total=n_videos)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        write_corpus(folder, n_videos=n_videos, seed=seed, progress=progress)
    CONSOLE.print(f"{n_videos} videos in {folder / 'videos'}")


app.command(rich_help_panel=_CURATE)(plan)
app.add_typer(evaluate_app, name="evaluate", rich_help_panel=_LOOK)


@app.command(rich_help_panel=_CURATE)
def demo(
    folder: Annotated[
        Path, typer.Option(help="Where corpus, tables and report go.")
    ] = Path("demo"),
    n_videos: Annotated[int, typer.Option(min=10, help="Videos to make.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the corpus.")] = 0,
    overrides: Overrides = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Make a small corpus, curate it, and write a report."""
    make_corpus(folder / "corpus", n_videos, seed)
    places = [
        f"input.uri={json.dumps(str(folder / 'corpus' / 'videos'))}",
        f"storage.root={json.dumps(str(folder / 'warehouse'))}",
        f"report.labels_uri={json.dumps(str(folder / 'corpus' / 'labels.csv'))}",
    ]
    options = Options(
        Path("demo"), [*places, *(overrides or [])], verbose=verbose, quiet=quiet
    )
    with opened(options) as context:
        _run_all(context, stages_named([]), tell_if_on)
        from acav_spark.report.job import write_report

        CONSOLE.print("Writing the report ...")
        typer.echo(f"Report: {write_report(context)}")
