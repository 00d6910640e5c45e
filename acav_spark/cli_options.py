"""Options that the commands of several modules share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file, or one of the package's: demo, local, paper.",
        envvar="ACAV_CONFIG",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        help="Override an option, such as selection.size=500; repeatable.",
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log more; show stack traces.")
]
