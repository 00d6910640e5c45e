"""``acav doctor``: what is there, what is missing, how to mend it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from acav_spark._version import __version__
from acav_spark.errors import AcavError
from acav_spark.java import java_version
from acav_spark.session import class_archive_file, get_session, local_jars
from acav_spark.storage import prepare_storage
from acav_spark.tables.catalog import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from acav_spark.config import Config

State = Literal["ok", "optional", "broken"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    subject : str
        What.
    state : {"ok", "optional", "broken"}
        Whether it works, is missing without harm, or has to be mended.
    found : str
        What is there.
    remedy : str
        How to mend it.
    """

    subject: str
    state: State
    found: str
    remedy: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether something has to be done."""
        return self.state == "broken"


def checks(config: Config) -> list[Check]:
    """Look at everything that a run needs; the session is started to be sure."""
    looks: list[Callable[[], Check]] = [
        _python,
        _java,
        _pyspark,
        _delta_jars,
        _ffmpeg,
        lambda: _storage(config),
        lambda: _spark(config),
        _report_packages,
        _gpu,
    ]
    return [look() for look in looks]


def checks_table(found: list[Check]) -> Table:
    """Return the checks as a table."""
    table = Table("", "what", "found", "how to mend it", box=None, header_style="bold")
    marks = {
        "ok": ("ok", "green"),
        "optional": ("-", "yellow"),
        "broken": ("NO", "red"),
    }
    for check in found:
        text, style = marks[check.state]
        table.add_row(
            Text(text, style), check.subject, Text(check.found), Text(check.remedy)
        )
    return table


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", "ok", f"{version}, acav_spark {__version__}")


def _java() -> Check:
    version = java_version()
    if version is None or version < 17:
        found = "none" if version is None else f"version {version}"
        remedy = "install Java 17 or 21 (apt-get install openjdk-17-jre-headless)"
        return Check("Java", "broken", found, remedy)
    return Check("Java", "ok", f"version {version}")


def _pyspark() -> Check:
    version, delta = _version("pyspark"), _version("delta-spark")
    if not version or not delta:
        found = f"pyspark {version or 'missing'}, delta-spark {delta or 'missing'}"
        return Check("Spark", "broken", found, "pip install 'acav_spark[local]'")
    return Check("Spark", "ok", f"pyspark {version}, delta-spark {delta}")


def _delta_jars() -> Check:
    jars = local_jars()
    if jars:
        found = f"{len(jars)} beside this Python"
        if class_archive_file() is not None:
            found += "; an archive of the JVM's classes, for a quick start"
        return Check("Delta's jars", "ok", found)
    remedy = "'make setup' fetches them once; else every session does"
    return Check("Delta's jars", "optional", "not fetched", remedy)


def _ffmpeg() -> Check:
    try:
        import av
        import av.filter

        libraries = av.library_versions["libavcodec"]
        av.filter.Filter("scdet")
    except (ImportError, ValueError) as error:
        remedy = "pip install --force-reinstall av"
        return Check("ffmpeg", "broken", f"PyAV: {error}", remedy)
    version = ".".join(map(str, libraries))
    program = shutil.which("ffmpeg")
    found = f"PyAV {av.__version__}, libavcodec {version}, scdet"
    return Check("ffmpeg", "ok", found + (f"; program {program}" if program else ""))


def _storage(config: Config) -> Check:
    root = config.storage.root
    try:
        folder = prepare_storage(
            root, format_version=FORMAT_VERSION, code_version=__version__
        )
    except AcavError as error:
        return Check("storage", "broken", root, str(error))
    if not folder.is_local:
        return Check("storage", "ok", folder.uri)
    free = shutil.disk_usage(folder.path).free
    state: State = "ok" if free > 2**30 else "broken"
    remedy = "" if state == "ok" else "free some space, or set storage.root elsewhere"
    return Check("storage", state, f"{folder.uri}, {free / 2**30:.1f} GiB free", remedy)


def _spark(config: Config) -> Check:
    try:
        session = get_session(config.spark)
        count = session.range(3).count()
    except Exception as error:
        reason = str(error).split("\n", 1)[0][:300]
        return Check("Spark session", "broken", reason, "see the checks above")
    cores = session.sparkContext.defaultParallelism
    found = f"{session.sparkContext.master}, {cores} cores, counted to {count}"
    return Check("Spark session", "ok", found)


def _report_packages() -> Check:
    missing = [n for n in ("jinja2", "matplotlib") if not importlib.util.find_spec(n)]
    if missing:
        found = f"missing {', '.join(missing)}"
        return Check("report", "optional", found, "pip install 'acav_spark[report]'")
    return Check("report", "ok", "jinja2, matplotlib")


def _gpu() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        found = "none found; extraction runs on the CPU"
        return Check("GPU", "optional", found)
    result = subprocess.run(  # noqa: S603 - fixed arguments, program found on PATH
        [program, "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    cards = result.stdout.strip().replace("\n", "; ")
    torch = _version("torch")
    if result.returncode or not cards:
        remedy = "nvidia-smi fails: look at the driver"
        return Check("GPU", "optional", result.stderr.strip()[:200], remedy)
    remedy = "" if torch else "pip install 'acav_spark[models]'"
    return Check("GPU", "ok", f"{cards}; torch {torch or 'missing'}", remedy)
