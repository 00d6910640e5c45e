"""The ``acav`` command on a curated warehouse."""

from __future__ import annotations

import csv
import io
import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contents import versions
from curation import SETTINGS

from acav_spark import cli
from acav_spark.pipeline import STAGES
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from command_line import Acav
    from pyspark.sql import SparkSession


@pytest.fixture
def places(curated_root: Path, videos: Path) -> list[str]:
    settings = [
        *SETTINGS,
        f'input.uri="{videos}"',
        f'storage.root="{curated_root}"',
    ]
    return [part for setting in settings for part in ("--set", setting)]


def test_help_groups_the_commands_and_names_every_stage(acav: Acav) -> None:
    status, out, _ = acav("--help")
    assert status == 0
    for group in ("Curate", "Single stages", "Look at the results", "Set up"):
        assert group in out
    for stage in STAGES:
        assert stage.name in out


@pytest.mark.parametrize("command", ["run", "select_clips", "show", "sql", "report"])
def test_every_option_has_a_help_text(acav: Acav, command: str) -> None:
    status, out, _ = acav(command, "--help")
    assert status == 0
    assert "--config" in out
    assert "Configuration file" in out


def test_a_second_run_with_another_execution_writes_nothing_and_says_so(
    acav: Acav, places: list[str], curated_root: Path, spark: SparkSession
) -> None:
    # What only says how to compute is in no hash.
    warehouse = Warehouse(spark, str(curated_root))
    before = versions(warehouse)

    status, _, err = acav("run", *places, "--set", "execution.time_limit_s=17")

    assert status == 0
    for stage in STAGES:
        assert f"nothing to do stage={stage.name}" in err
    assert "nothing was computed" in err
    assert "Selected" in err
    assert versions(warehouse) == before
    # Quiet, it says so all the same.
    status, _, err = acav("run", "find_duplicates", "--quiet", *places)
    assert status == 0
    assert "nothing was computed" in err
    assert "Selected" in err


def test_show_prints_rows_as_a_table_csv_or_json(acav: Acav, places: list[str]) -> None:
    status, out, _ = acav("show", "clips", "--limit", "3", *places)
    assert status == 0
    assert "3 rows" in out
    _, out, _ = acav("show", "curated_clips", "-n", "2", "-f", "json", *places)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["rank"] for row in rows] == ["1", "2"]
    _, out, _ = acav("show", "clips", "-n", "2", "-f", "csv", *places)
    assert len(list(csv.DictReader(io.StringIO(out)))) == 2


def test_an_unknown_table_is_refused_with_the_known_ones(
    acav: Acav, places: list[str]
) -> None:
    status, _, err = acav("show", "clipz", *places)
    assert status == 2
    assert "curated_clips" in err
    assert "Traceback" not in err


def test_sql_answers_over_tables_and_views(acav: Acav, places: list[str]) -> None:
    query = "select count(*) as n from curated_clips where rank <= 3"
    status, out, _ = acav("sql", query, "-f", "json", *places)
    assert status == 0
    assert json.loads(out) == {"n": "3"}


def test_a_wrong_query_ends_with_one_message(acav: Acav, places: list[str]) -> None:
    status, _, err = acav("sql", "select nothing from nowhere", *places)
    assert status == 2
    assert "sql:" in err
    assert "Traceback" not in err


def test_explain_refuses_an_unknown_clip(acav: Acav, places: list[str]) -> None:
    status, _, err = acav("explain", "nobody", *places)
    assert status == 2
    assert "acav show clips" in err


def test_reading_without_a_warehouse_says_what_to_do(
    acav: Acav, tmp_path: Path
) -> None:
    status, _, err = acav("status", "--set", f"storage.root={tmp_path}/none")
    assert status == 2
    assert "acav run" in err


def test_config_prints_the_resolved_configuration(acav: Acav) -> None:
    status, out, _ = acav("config", "--config", "paper", "--set", "selection.size=7")
    assert status == 0
    assert "size: 7" in out
    assert "n_clusters: 500" in out


def test_a_wrong_setting_is_refused_before_spark_starts(acav: Acav) -> None:
    status, _, err = acav("run", "--set", "clustering.n_cluster=3")
    assert status == 2
    assert "did you mean" in err


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_jobs_take_the_arguments_of_their_stage(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).resolve().parents[2] / "jobs" / f"{stage}.py"
    seen: list[list[str]] = []
    monkeypatch.setattr(cli, "main", seen.append)
    monkeypatch.setattr("sys.argv", [str(script), "--set", "a.b=c"])
    runpy.run_path(str(script), run_name="__main__")
    assert seen == [[stage, "--set", "a.b=c"]]
