"""``acav evaluate retrieval``: tables, figures; what is done is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from planted_sets import planted_problem

from acav_spark.evaluate import data_sets
from acav_spark.evaluate.experiments import Cell
from acav_spark.evaluate.methods import MethodSettings
from acav_spark.evaluate.protocol import evaluate
from acav_spark.evaluate.results_job import (
    gather_retrieval,
    read_results,
    write_results,
)
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from command_line import Acav
    from pyspark.sql import SparkSession

    from acav_spark.evaluate.data_sets import DataSource
    from acav_spark.evaluate.problem import Problem


@pytest.fixture
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small planted set in the place of every data set."""

    def problems(name: str, source: DataSource) -> Iterator[Problem]:
        del name
        for run in range(source.n_runs):
            yield planted_problem(n_pairs=320, n_classes=3, seed=run)

    monkeypatch.setattr(data_sets, "problems", problems)


@pytest.mark.usefixtures("_planted")
def test_the_command_fills_tables_and_draws_and_a_rerun_computes_nothing(
    acav: Acav, spark: SparkSession, tmp_path: Path
) -> None:
    place = f'storage.root="{tmp_path / "warehouse"}"'
    command = ["evaluate", "retrieval", "--sets", "made", "--runs", "2"]
    command += ["--parts", "sgd_em,figure9", "--set", place]

    status, out, err = acav(*command)

    assert status == 0, err
    assert "SGD against EM k-means" in out
    assert "paper" in out
    warehouse = Warehouse(spark, str(tmp_path / "warehouse"))
    rows = warehouse.read("retrieval_results").orderBy("label", "run").collect()
    em, sgd = (r for r in rows if r["experiment"] == "sgd_em" and r["run"] == 1)
    assert (em["label"], sgd["label"]) == ("EM", "SGD")
    assert (em["network"], em["n_pairs"], em["n_selected"]) == ("planted", 320, 160)
    assert sgd["paper_precision"] == pytest.approx(0.88705)
    assert len(rows) == 2 * (2 + 12)
    figure = [r for r in rows if r["experiment"] == "figure9"]
    curves = warehouse.read("retrieval_curves").collect()
    assert {c["label"] for c in curves} == {r["label"] for r in figure}
    for row in figure:
        at_end = max(
            (c for c in curves if (c["label"], c["run"]) == (row["label"], row["run"])),
            key=lambda c: c["n_selected"],
        )
        assert (at_end["n_selected"], at_end["precision"]) == (160, row["precision"])
    folder = tmp_path / "warehouse" / "retrieval"
    pngs = sorted(path.name for path in folder.glob("*.png"))
    assert pngs == ["figure9_planted.png", "sgd_em_planted.png"]
    for name in pngs:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "| planted | planted | EM | 320 |" in (folder / "retrieval.md").read_text()

    version = warehouse.version("retrieval_results")
    status, _, err = acav(*command)
    assert status == 0, err
    assert "measured" not in err
    assert warehouse.version("retrieval_results") == version
    figure_9, sgd_em = gather_retrieval(warehouse)  # what the report shows
    assert (figure_9.part, sgd_em.part) == ("figure9", "sgd_em")
    assert [label for label, _ in sgd_em.rows] == ["SGD", "EM"]


def test_results_come_back_as_they_were_and_lines_are_replaced(
    spark: SparkSession, tmp_path: Path
) -> None:
    warehouse = Warehouse(spark, str(tmp_path / "warehouse"))
    cells = [
        Cell("figure3", "k = 3", "pmi", MethodSettings(n_clusters=3), 88.0),
        Cell("table1", "random", "random"),
    ]
    problem = planted_problem(n_pairs=40, n_classes=3)
    results = evaluate(problem, cells)
    write_results(warehouse, results, "run-1")
    assert sorted(read_results(warehouse), key=lambda r: r.part) == results

    # A shorter curve takes the place of a longer one; other lines stay.
    other = evaluate(planted_problem(n_pairs=12, n_classes=3), cells[:1])
    write_results(warehouse, other, "run-2", known=read_results(warehouse))
    found = sorted(read_results(warehouse), key=lambda r: r.part)
    assert found == [other[0], results[1]]
    assert [result.run_id for result in found] == ["run-2", "run-1"]
    places = [row["n_selected"] for row in warehouse.read("retrieval_curves").collect()]
    assert sorted(places) == np.arange(1, 7).tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--parts", "table9"], "--parts: expected some of table1"),
        (["--methods", "clustering"], "--methods: expected some of random"),
        (["--sets", "imagenet"], "--sets: expected some of cifar10_rotation"),
        (["--sets", "clips"], "--data: expected a folder with 'videos'"),
        (["--negatives", "some"], "--negatives: expected whole or per_layer"),
        (["--cache", "s3://bucket"], "--cache: expected a local folder, got s3:/"),
        (["--sets", "made_ids", "--parts", "table1"], "--parts: expected a part"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    acav: Acav, tmp_path: Path, options: list[str], words: str
) -> None:
    root = tmp_path / "warehouse"
    status, _, err = acav(
        "evaluate", "retrieval", *options, "--set", f'storage.root="{root}"'
    )
    assert status == 2
    assert words in " ".join(err.split())
    assert not root.exists()
