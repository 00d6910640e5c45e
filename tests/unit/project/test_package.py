"""The package as a whole: what importing it costs, what it exports, what docs say."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import acav_spark
from acav_spark.cli_support import config_path
from acav_spark.config import load_config
from acav_spark.errors import ConfigError, MediaError
from acav_spark.pipeline import STAGES, stages_named
from acav_spark.tables import TABLES, table_named
from acav_spark.tables.docs import write_docs

ROOT = Path(__file__).resolve().parents[3]


def test_importing_the_package_imports_neither_spark_nor_torch() -> None:
    code = (
        "import sys, acav_spark, acav_spark.selection, acav_spark.clustering, "
        "acav_spark.config, acav_spark.segment, acav_spark.tables; "
        "print([m for m in ('pyspark', 'delta', 'torch') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in acav_spark.__all__:
        assert getattr(acav_spark, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = acav_spark.nothing


def test_platform_packages_are_no_hard_dependency() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in metadata["dependencies"]}
    assert names.isdisjoint({"pyspark", "delta-spark", "torch", "torchvision"})
    extras = metadata["optional-dependencies"]
    of_users = {"download", "language", "local", "models", "report"}
    assert set(extras) == {*of_users, "test", "all"}


def test_every_dependency_of_the_tests_is_pinned() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = metadata["optional-dependencies"]
    wanted = [
        *metadata["dependencies"],
        *extras["language"],
        *extras["local"],
        *extras["report"],
        *extras["test"],
    ]
    names = {re.split(r"[<>=\[ ]", line)[0].lower() for line in wanted} - {"acav_spark"}
    assert {name.replace("_", "-") for name in names} <= pinned


def test_stages_fill_and_read_tables_that_exist_and_have_a_job_each() -> None:
    known = {table.name for table in TABLES}
    filled: set[str] = set()
    for stage in STAGES:
        assert set(stage.reads) <= filled
        filled |= set(stage.fills)
        assert (ROOT / "jobs" / f"{stage.name}.py").is_file()
    # Of no stage: results of experiments, which acav evaluate fills.
    assert filled | {"runs", "retrieval_results", "retrieval_curves"} == known


def test_stages_are_run_in_the_order_of_the_data_whatever_the_order_asked_for() -> None:
    names = [s.name for s in stages_named(["select_clips", "ingest_videos"])]
    assert names == ["ingest_videos", "select_clips"]
    with pytest.raises(ConfigError, match=r"expected some of ingest_videos.*mean ing"):
        stages_named(["ingest"])


def test_every_row_of_every_table_says_which_run_and_settings_made_it() -> None:
    for table in TABLES:
        names = table.column_names
        assert len(set(names)) == len(names)
        assert set(table.key) <= set(names)
        assert set(table.skip_by) <= set(names)
        assert {"run_id", "stage_hash"} <= set(names), table.name
        for column in table.columns:
            assert column.comment.endswith("."), (table.name, column.name)
    assert table_named("clips").key == ("clip_id",)


def test_generated_pages_are_those_of_the_code(tmp_path: Path) -> None:
    for page in write_docs(tmp_path):
        stored = ROOT / "docs" / page.name
        assert stored.read_text() == page.read_text(), f"run 'make docs': {stored}"


@pytest.mark.parametrize("name", ["demo", "local", "paper", "recommended"])
def test_the_packages_own_configurations_are_found_by_name(name: str) -> None:
    path = config_path(Path(name))
    assert path is not None
    assert path == ROOT / "acav_spark" / "conf" / f"{name}.yaml"
    assert load_config(path).config.clustering.n_epochs >= 1


def test_a_folder_of_that_name_does_not_hide_the_packages_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert config_path(Path("demo")) == ROOT / "acav_spark" / "conf" / "demo.yaml"


def test_an_unknown_configuration_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="demo, local, paper, recommended"):
        config_path(Path("nothing"))


def test_media_errors_survive_the_way_between_processes() -> None:
    error = MediaError("time_limit", "took 5 s", is_permanent=False)
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert (copied.code, copied.message, copied.is_permanent) == (
        "time_limit",
        "took 5 s",
        False,
    )


def test_modules_are_no_longer_than_400_lines() -> None:
    for path in [*ROOT.glob("acav_spark/**/*.py"), *ROOT.glob("jobs/*.py")]:
        n_lines = len(path.read_text().splitlines())
        assert n_lines <= 400, f"{path.relative_to(ROOT)}: {n_lines} lines"


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_in_the_documents_exist() -> None:
    from acav_spark.cli import app

    known = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    known |= {str(group.name) for group in app.registered_groups}
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    for page in pages:
        text = page.read_text()
        for command in re.findall(r"^\s*(?:\$ )?acav ([a-z_-]+)", text, re.MULTILINE):
            assert command in known, f"{page.name}: acav {command}"
        for target in re.findall(r"^\s*(?:\$ )?make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
