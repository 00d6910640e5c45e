"""The Java that a local Spark runs on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from acav_spark.errors import DependencyError


def java_description() -> str:
    """Return what ``java -version`` says: vendor, version, build; empty if missing."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java or not Path(java).exists():
        return ""
    result = subprocess.run(  # noqa: S603 - the user's own Java, fixed argument
        [java, "-version"], capture_output=True, text=True, check=False
    )
    return result.stderr


def java_version() -> int | None:
    """Return the major version of the Java that Spark would use; None if missing."""
    _, _, rest = java_description().partition('version "')
    major = rest.split('"')[0].split(".")[0].split("-")[0]
    return int(major) if major.isdigit() else None


def require_java() -> None:
    """Check that a Java is there which Spark 4.1 runs on.

    Raises
    ------
    DependencyError
        If there is none, or one older than 17.
    """
    version = java_version()
    if version is None or version < 17:
        found = "none" if version is None else f"Java {version}"
        msg = (
            f"Java: expected version 17 or 21, found {found}. Install it (Debian, "
            "Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install "
            "openjdk@17), or point JAVA_HOME to one."
        )
        raise DependencyError(msg)
