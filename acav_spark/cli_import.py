"""``acav import-features``: vectors that are there already, from the command line."""

from __future__ import annotations

import json
from typing import Annotated

import typer

# typer reads annotations at run time.
from acav_spark.cli_options import ConfigFile, OnChange, Overrides, Quiet, Verbose  # noqa: TC001
from acav_spark.cli_support import (
    Options,
    opened,
    tell,
)
from acav_spark.errors import ConfigError
from acav_spark.pipeline import run_stages, stages_named

STAGE = "import_features"


def import_features(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Parquet, .npy, tar shards of WebDataset, a Delta folder, or "
            "table:NAME; none: what the configuration names.",
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="What to call them, such as clip_vit_b32.")
    ] = "",
    modality: Annotated[
        str, typer.Option("--modality", help="visual, audio, text, ...")
    ] = "",
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            help="Column, .npy of a folder, or ending of members, of a layer; early "
            "to late, repeatable; the only one by default.",
        ),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--ids", help="Ids of the rows of .npy: .txt or .npy."),
    ] = None,
    id_column: Annotated[
        str, typer.Option("--id-column", help="Column of ids.")
    ] = "id",
    uri_column: Annotated[
        str, typer.Option("--uri-column", help="Column of the item's address.")
    ] = "",
    start_column: Annotated[
        str, typer.Option("--start-column", help="Column of the start in seconds.")
    ] = "",
    end_column: Annotated[
        str, typer.Option("--end-column", help="Column of the end in seconds.")
    ] = "",
    kind: Annotated[
        str,
        typer.Option("--format", help="parquet, delta, npy or webdataset."),
    ] = "auto",
    binary_type: Annotated[
        str,
        typer.Option("--binary-type", help="Bytes hold float16 or float32."),
    ] = "float16",
    version: Annotated[
        str, typer.Option("--model-version", help="Version of the model.")
    ] = "",
    config: ConfigFile = None,
    overrides: Overrides = None,
    on_change: OnChange = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Import vectors that are there already: CLIP, CLAP, ImageBind, your own."""
    chosen = list(overrides or [])
    if sources:
        if not name or not modality:
            msg = (
                "import-features: expected --name and --modality beside the sources, "
                f"got {name or 'none'!r} and {modality or 'none'!r}. Such as: "
                "--name clip_vit_b32 --modality visual."
            )
            raise ConfigError(msg)
        imported: dict[str, object] = {
            "uri": sources,
            "modality": modality,
            "layers": layers or [],
            "ids_uri": ids or [],
            "id_column": id_column,
            "uri_column": uri_column,
            "start_column": start_column,
            "end_column": end_column,
            "format": kind,
            "binary_type": binary_type,
            "version": version,
        }
        extractors = json.dumps([{"name": name, "imported": imported}])
        chosen.append(f"features.extractors={extractors}")
    options = Options(config, chosen, on_change=on_change, verbose=verbose, quiet=quiet)
    with opened(options, imports=True) as context:
        run_stages(context, stages_named([STAGE]), tell)
