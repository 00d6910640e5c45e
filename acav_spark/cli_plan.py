"""``acav plan``: what a curation takes, before it is begun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# typer reads annotations at run time.
from acav_spark.cli_options import ConfigFile, Overrides, Verbose  # noqa: TC001
from acav_spark.cli_support import (
    CONSOLE,
    STDOUT,
    Options,
    opened_for_reading,
    set_up_logging,
)
from acav_spark.errors import ConfigError
from acav_spark.planning.networks import GPU_SHARE

if TYPE_CHECKING:
    from acav_spark.planning.choosing import Measured
    from acav_spark.planning.prices import Hardware, Prices
    from acav_spark.planning.rates import Rates

_LOCAL = "local"
_VIDEOS = "The videos"
_MACHINES = "Machines and prices"


def plan(
    videos: Annotated[
        float | None,
        typer.Option(help="Candidate videos, such as 140e6.", rich_help_panel=_VIDEOS),
    ] = None,
    from_input: Annotated[
        bool,
        typer.Option(
            "--from-input",
            help="Probe files of input.uri; without --videos the plan is for these.",
            rich_help_panel=_VIDEOS,
        ),
    ] = False,
    probe: Annotated[
        int,
        typer.Option(
            min=1, help="Files that --from-input probes.", rich_help_panel=_VIDEOS
        ),
    ] = 1000,
    from_warehouse: Annotated[
        bool,
        typer.Option(
            "--from-warehouse",
            help="Take shares and sizes from the tables of storage.root.",
            rich_help_panel=_VIDEOS,
        ),
    ] = False,
    accepted_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the candidates that filters accept.",
            rich_help_panel=_VIDEOS,
        ),
    ] = None,
    clips_per_video: Annotated[
        float | None,
        typer.Option(help="Clips of an accepted video.", rich_help_panel=_VIDEOS),
    ] = None,
    mean_duration_s: Annotated[
        float | None,
        typer.Option(help="Mean length in seconds.", rich_help_panel=_VIDEOS),
    ] = None,
    pixels: Annotated[
        float | None,
        typer.Option(help="Pixels of a frame.", rich_help_panel=_VIDEOS),
    ] = None,
    frame_rate: Annotated[
        float | None, typer.Option(help="Frames a second.", rich_help_panel=_VIDEOS)
    ] = None,
    mb_per_video: Annotated[
        float | None,
        typer.Option(help="Size of a video in 10^6 bytes.", rich_help_panel=_VIDEOS),
    ] = None,
    hardware: Annotated[
        str,
        typer.Option(
            help="File of machines; local: the machine of the rates; empty: the "
            "package's example, conf/hardware.yaml.",
            rich_help_panel=_MACHINES,
        ),
    ] = "",
    prices: Annotated[
        Path | None,
        typer.Option(
            help="File of prices; else conf/prices.yaml.", rich_help_panel=_MACHINES
        ),
    ] = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            help="File of rates, that --calibrate writes; else conf/rates.json.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    gpu_share: Annotated[
        float,
        typer.Option(
            help="Share of a GPU's peak that networks reach.",
            rich_help_panel=_MACHINES,
        ),
    ] = GPU_SHARE,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Measure rates on some files of input.uri instead."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    verbose: Verbose = False,
) -> None:
    """Tell what curating videos takes: hours, bytes, dollars; or measure the rates."""
    options = Options(config, overrides, verbose=verbose)
    if calibrate:
        _calibrate(options, rates or Path("rates.json"))
        return
    from acav_spark.planning import make_plan, read_prices, read_rates
    from acav_spark.planning.assumptions import (
        hardware_assumptions,
        network_assumptions,
        rate_assumptions,
        size_assumptions,
    )
    from acav_spark.planning.choosing import Given, workload_of
    from acav_spark.planning.job import kind_of, settings_of
    from acav_spark.planning.render import plan_json

    if not 0 < gpu_share <= 1:
        msg = f"--gpu-share: expected a number in (0, 1], got {gpu_share:g}."
        raise ConfigError(msg)
    loaded = options.load()
    known_rates, known_prices = read_rates(rates), read_prices(prices)
    machines = _hardware(hardware, known_prices, known_rates)
    settings, told = settings_of(loaded)
    given = Given(
        videos,
        accepted_share,
        mean_duration_s,
        clips_per_video,
        pixels,
        frame_rate,
        mb_per_video,
    )
    measured = _measured(options, from_input, from_warehouse, probe)
    if measured is not None and measured.bytes_per_row:
        widths = {**known_rates.bytes_per_row, **measured.bytes_per_row}
        known_rates = known_rates.model_copy(update={"bytes_per_row": widths})
    workload, assumed = workload_of(
        given,
        measured,
        kind=kind_of(loaded),
        clip_duration_s=settings.clip_duration_s,
        max_clips=settings.max_clips,
        max_duration_s=loaded.ingest.max_duration_s,
        clip_yield=known_rates.clip_yield,
    )
    gpu = machines.pool("gpu")
    tflops = gpu.node.gpu_tflops if gpu.gpus else 0.0
    told += network_assumptions(
        settings, list(known_rates.extractors), tflops, gpu_share
    )
    told += hardware_assumptions(machines)
    told += size_assumptions(settings, known_rates)
    told += rate_assumptions(known_rates)
    made = make_plan(
        workload,
        settings,
        known_rates,
        machines,
        known_prices,
        assumptions=[*assumed, *told],
        gpu_share=gpu_share,
    )
    if as_json:
        typer.echo(plan_json(made))
        return
    from acav_spark.planning.render import basis_lines, funnel_line, tables_of

    STDOUT.print(funnel_line(made), markup=False)
    for line in basis_lines(known_rates, machines, known_prices):
        STDOUT.print(line, markup=False)
    for table in tables_of(made):
        STDOUT.print()
        STDOUT.print(table)
    for remark in made.remarks:
        STDOUT.print(f"\n{remark}", markup=False)


def _hardware(name: str, prices: Prices, rates: Rates) -> Hardware:
    from acav_spark.planning import local_hardware, read_hardware

    if name == _LOCAL:
        return local_hardware(rates.cores, rates.contention)
    return read_hardware(Path(name) if name else None, prices)


def _measured(
    options: Options,
    from_input: bool,  # noqa: FBT001 - as the options are called
    from_warehouse: bool,  # noqa: FBT001 - likewise
    n_files: int,
) -> Measured | None:
    """Return what the input or the warehouse says, where one of them was named."""
    from acav_spark.planning.job import measure_input, measure_warehouse

    if from_input and from_warehouse:
        msg = "plan: expected one of --from-input and --from-warehouse, got both."
        raise ConfigError(msg)
    if from_input:
        return measure_input(options.load(), n_files)
    if from_warehouse:
        with opened_for_reading(options) as context:
            return measure_warehouse(context)
    return None


def _calibrate(options: Options, target: Path) -> None:
    """Measure rates and write them."""
    set_up_logging(verbose=options.verbose)
    from acav_spark.planning import read_rates, write_rates
    from acav_spark.planning.calibrate_job import calibrate as measure

    rates = measure(options.load(), read_rates())
    write_rates(rates, target)
    CONSOLE.print(
        f"Rates of {rates.n_videos} videos of {rates.video_s:.0f} s in {target}. "
        f"Use them by --rates {target}"
    )
