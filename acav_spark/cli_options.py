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
        help="Configuration file, or one of the package's: demo, local, paper, "
        "recommended.",
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
Refit = Annotated[
    bool,
    typer.Option(
        "--refit",
        help="Learn anew what was learnt from the whole: codebooks, automatic k.",
    ),
]
OnChange = Annotated[
    str | None,
    typer.Option(
        "--on-change",
        help="Rows made under other settings: error, keep or recompute "
        "(execution.on_change).",
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Log more; show stack traces.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")]
