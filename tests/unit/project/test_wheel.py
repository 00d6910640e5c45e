"""The wheel, installed where there is neither Spark nor Java."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_SOURCES = ("acav_spark", "pyproject.toml", "setup.py", "README.md", "LICENSE")
_OF_A_PLATFORM = ("pyspark", "delta", "acav_spark", "__editable__", "torch")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment with the wheel and no Spark."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in _SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([sys.executable, *build, str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "bare", symlinks=True)
    python = folder / "bare" / "bin" / "python"
    install = ["--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", *install, str(wheel)], check=True)
    _lend_packages(folder / "bare")
    return python.parent


def _lend_packages(environment: Path) -> None:
    """Link what the tests have installed into an environment, less the platform's."""
    (site,) = environment.glob("lib/python*/site-packages")
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(_OF_A_PLATFORM):
            target = site / package.name
            if not target.exists():
                target.symlink_to(package)


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Away from the repository, whose package would come first.
    return subprocess.run(
        [program, *arguments],
        cwd=program.parent,
        env={**os.environ, "PYTHONPATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_package_is_imported_from_the_wheel_without_spark(bare: Path) -> None:
    code = (
        "import importlib.util, acav_spark; from acav_spark.selection import "
        "batch_greedy; print(acav_spark.__file__, importlib.util.find_spec('pyspark'))"
    )
    result = _run(bare / "python", "-c", code)
    assert result.returncode == 0, result.stderr
    place, spark = result.stdout.split()
    assert Path(place).is_relative_to(bare.parent)
    assert spark == "None"


def test_the_command_of_the_wheel_helps_and_finds_the_configurations(
    bare: Path,
) -> None:
    for arguments, expected in (
        (["--help"], "Look at the results"),
        (["config", "--config", "local"], "n_clusters: auto"),
    ):
        result = _run(bare / "acav", *arguments)
        assert result.returncode == 0, result.stderr
        assert expected in result.stdout


def test_without_spark_the_commands_say_what_to_install(
    bare: Path, tmp_path: Path
) -> None:
    place = f"storage.root={tmp_path / 'warehouse'}"
    result = _run(bare / "acav", "run", "--set", "input.uri=/", "--set", place)
    assert result.returncode == 2
    assert "pip install 'acav_spark[local]'" in result.stderr
    result = _run(bare / "acav", "doctor", "--set", place)
    assert result.returncode == 1
    assert "pyspark missing" in result.stdout


def test_the_wheel_carries_what_is_read_at_run_time(bare: Path) -> None:
    (wheel,) = bare.parent.parent.glob("*.whl")
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in (
        "conf/paper.yaml",
        "conf/recommended.yaml",
        "conf/prices.yaml",
        "conf/rates.json",
        "conf/keywords/gaming.txt",
        "conf/queries/keywords.txt",
        "report/report.html.j2",
        "py.typed",
    ):
        assert f"acav_spark/{name}" in listing
    assert "tests/" not in listing
