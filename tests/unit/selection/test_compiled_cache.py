"""Compiled loops on disk: what another process writes is never taken for one's own."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest
from numba.core.caching import IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

from acav_spark.clustering import kernels as clustering_kernels
from acav_spark.compiling import KeyedFiles
from acav_spark.selection import kernels

if TYPE_CHECKING:
    from pathlib import Path


def after_a_race(kind: type[IndexDataCacheFile], folder: Path) -> tuple[object, object]:
    """Have two processes save at the same moment; return what is then found."""
    first, second = (kind(str(folder), "loop-1.py311", "stamp") for _ in range(2))
    # Both read the index before either wrote it, and the first writes its data last.
    second._load_index = dict
    save_data = first._save_data

    def save_late(name: str, data: object) -> None:
        second.save("int32", "code for int32")
        save_data(name, data)

    first._save_data = save_late
    first.save("int64", "code for int64")
    found = kind(str(folder), "loop-1.py311", "stamp")
    return found.load("int64"), found.load("int32")


def test_two_processes_that_save_at_once_do_not_mix_their_code(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    wide, narrow = after_a_race(KeyedFiles, tmp_path / "ours")
    assert wide in ("code for int64", None)
    assert narrow in ("code for int32", None)
    # What it is for: numba's own file has the one's code under the other's name.
    _, narrow = after_a_race(IndexDataCacheFile, tmp_path / "theirs")
    if narrow == "code for int32":
        pytest.fail("numba names its files apart by now: KeyedFiles can go")


def test_code_of_other_sources_is_not_found(tmp_path: Path) -> None:
    KeyedFiles(str(tmp_path), "loop", "old").save("int64", "old code")
    files = KeyedFiles(str(tmp_path), "loop", "new")
    assert files.load("int64") is None
    files.save("int64", "new code")
    assert files.load("int64") == "new code"


def test_every_compiled_loop_has_a_name_of_its_own() -> None:
    # Machine code of two processes is told apart by it: see ``compiling``.
    functions: dict[tuple[str, str], object] = {}
    for package in (kernels, clustering_kernels):
        for module in pkgutil.iter_modules(package.__path__):
            loops = importlib.import_module(f"{package.__name__}.{module.name}")
            for loop in vars(loops).values():
                if isinstance(loop, Dispatcher):
                    function = loop.py_func
                    name = function.__module__, function.__qualname__
                    assert functions.setdefault(name, function) is function, name
    assert len(functions) > 30
