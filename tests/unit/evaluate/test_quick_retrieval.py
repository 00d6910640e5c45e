"""The quick subset of the retrieval experiments, within its own expected ranges.

Made sets, so that it needs no data. Ranges are wide enough for other draws: the
standard deviation of a mean of two runs of 600 picks is about one point; and narrow
enough that methods which change places are noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from acav_spark.evaluate import (
    DataSource,
    RetrievalOptions,
    run_retrieval,
    summaries,
)

if TYPE_CHECKING:
    from pathlib import Path

    from acav_spark.evaluate.results import RetrievalResult, Summary

_RANGES = {
    ("table1", "random"): (45, 54),
    ("table1", "ranking, inner product"): (45, 54),
    ("table1", "ranking, cosine"): (45, 54),
    ("table1", "ranking, l2"): (45, 54),
    ("table1", "contrastive"): (53, 62),
    ("table1", "clustering"): (56, 65),
    ("table1", "clustering, greedy"): (57, 67),
    ("table1", "clustering, bipartite"): (61, 72),
    ("table1", "clustering, bipartite, prior"): (66, 78),
    ("table1", "pointwise, bipartite"): (64, 78),
    ("made", "random"): (26, 34),
    ("made", "clustering"): (54, 67),
    ("made", "clustering, bipartite"): (63, 76),
    ("made", "clustering, bipartite, prior"): (66, 90),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[RetrievalResult]:
    cache = tmp_path_factory.mktemp("cache")
    source = DataSource(data=None, cache=cache, n_runs=2, is_quick=True)
    return run_retrieval(
        RetrievalOptions(source=source, parts=["table1", "made"]),
    )


@pytest.fixture(scope="module")
def lines(results: list[RetrievalResult]) -> dict[tuple[str, str], Summary]:
    found = summaries(results)
    return {(summary.line.part, summary.line.label): summary for summary in found}


@pytest.mark.parametrize(("part", "label"), list(_RANGES))
def test_precision_is_in_its_range(
    part: str, label: str, lines: dict[tuple[str, str], Summary]
) -> None:
    low, high = _RANGES[part, label]
    summary = lines[part, label]
    assert low <= summary.precision.mean <= high
    assert summary.precision.n == 2


def test_methods_have_the_papers_order(
    lines: dict[tuple[str, str], Summary],
) -> None:
    of_table = {
        label: summary.precision.mean
        for (part, label), summary in lines.items()
        if part == "table1"
    }
    ranking = max(v for k, v in of_table.items() if k.startswith("ranking"))
    assert of_table["clustering"] > of_table["contrastive"] > ranking


def test_pairs_across_modalities_do_better_where_looks_mislead(
    lines: dict[tuple[str, str], Summary],
) -> None:
    for part in ("table1", "made"):
        combination = lines[part, "clustering"].precision
        bipartite = lines[part, "clustering, bipartite"].precision
        assert bipartite.mean > combination.mean + 2


def test_no_method_wins_by_few_classes(
    lines: dict[tuple[str, str], Summary],
) -> None:
    for summary in lines.values():
        assert summary.groups == "classes"
        assert summary.covered > 0.85
        assert summary.effective_groups > 8


def test_quick_results_are_kept_apart(results: list[RetrievalResult]) -> None:
    assert {r.data_set for r in results} == {"made_quick", "made_ids_quick"}


def test_processes_change_no_result(
    results: list[RetrievalResult], tmp_path: Path
) -> None:
    source = DataSource(data=None, cache=tmp_path, n_runs=2, is_quick=True)
    options = RetrievalOptions(
        source=source, sets=["made_ids"], methods=["random", "pmi"], n_processes=2
    )
    apart = run_retrieval(options)
    first = [r for r in results if r.part == "made" and r.method in ("random", "pmi")]
    assert [(r.run, r.label, r.precision, r.stage_hash) for r in apart] == [
        (r.run, r.label, r.precision, r.stage_hash) for r in first
    ]


def test_a_rerun_returns_the_same_without_computing(
    results: list[RetrievalResult], tmp_path: Path
) -> None:
    source = DataSource(data=None, cache=tmp_path, n_runs=1, is_quick=True)
    options = RetrievalOptions(source=source, sets=["made_ids"])
    stored: list[RetrievalResult] = []
    again = run_retrieval(options, known=results, store=stored.extend)
    first = [r for r in results if (r.part, r.run) == ("made", 0)]
    assert again == stored == first  # with their times: they were taken over
