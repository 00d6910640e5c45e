"""What a benchmark's record says of where and when it was made."""

from __future__ import annotations

import datetime
import multiprocessing
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def about(*packages: str) -> dict[str, object]:
    """Return commit, date, machine and the versions of packages, None where absent."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "commit": _commit(),
        "date": now.isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {multiprocessing.cpu_count()} shared cores",
        "versions": {name: installed_version(name) for name in packages},
    }


def installed_version(package: str) -> str | None:
    """Return the version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - found on PATH
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        )
    except FileNotFoundError:  # a machine that has the files alone
        return "unknown"
    return done.stdout.strip() or "unknown"
