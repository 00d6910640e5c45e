"""Starts Spark's Python workers so that a small task costs milliseconds.

A worker calls ``importlib.invalidate_caches`` for every task. Before Python 3.12 that
reads the directory of each zip file on the path anew (python/cpython#103200), and Spark
puts its largest jar and a zip of pyspark there: 0.1 s of processor time for each task,
whatever it does. Workers import pyspark from where it is installed instead. After every
task a worker collects garbage, 25 ms with Arrow and pandas imported; what the daemon
imports before it forks is left out of that, and imported once.

A local session starts it; on a cluster, where the package is installed on every node:
``spark.python.daemon.module=acav_spark.worker_daemon``.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_OFTEN_USED = ("pyarrow.compute", "pandas", "pyspark.sql.pandas.serializers")
_SPARKS_OWN = ("pyspark", "py4j-", "spark-core_")


def without_archives(path: Sequence[str]) -> list[str]:
    """Return a module search path without the archives that Spark puts on it.

    Parameters
    ----------
    path : sequence of str
        As ``sys.path``. Archives that a user ships with ``--py-files`` stay.
    """
    return [entry for entry in path if not _is_sparks_own(Path(entry))]


def _is_sparks_own(entry: Path) -> bool:
    is_archive = entry.suffix in (".zip", ".jar")
    return is_archive and entry.name.startswith(_SPARKS_OWN)


def main() -> None:
    """Run Spark's daemon."""
    given = list(sys.path)
    sys.path[:] = without_archives(given)
    # Where workers have pyspark from Spark's home alone, its zip is needed.
    if importlib.util.find_spec("pyspark") is None:
        sys.path[:] = [e for e in given if Path(e).suffix != ".jar"]
    for entry in set(given) - set(sys.path):
        sys.path_importer_cache.pop(entry, None)
    from pyspark import daemon

    quiet = SimpleNamespace(print_exc=_print_exception, format_exc=traceback.format_exc)
    daemon.traceback = quiet  # type: ignore[attr-defined, assignment]
    for name in _OFTEN_USED:
        importlib.import_module(name)
    gc.freeze()
    daemon.manager()  # type: ignore[no-untyped-call]


def _print_exception() -> None:
    """Print what ended a worker, unless Spark simply had all the rows it wanted.

    After ``limit`` or ``isEmpty`` it closes the pipe and replaces the worker, which
    would leave a stack trace in the user's terminal each time.
    """
    if not isinstance(sys.exc_info()[1], BrokenPipeError):
        traceback.print_exc()


if __name__ == "__main__":
    main()
