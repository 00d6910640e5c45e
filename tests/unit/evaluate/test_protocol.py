"""Methods find what is planted, by one protocol; nothing is computed twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from planted_sets import planted_problem, planted_set

from acav_spark.evaluate.clusterings import Clusterings, ClusteringSettings
from acav_spark.evaluate.experiments import PARTS, Cell, cells_of
from acav_spark.evaluate.methods import METHODS, MethodSettings, pairs_of
from acav_spark.evaluate.problem import problem_of_sets
from acav_spark.evaluate.protocol import evaluate, result_hash
from acav_spark.selection import batch_greedy, combination

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.evaluate.problem import Problem

CROSSING = MethodSettings(pairing="bipartite", batch_size=50, per_batch=10)


def _cell(method: str, settings: MethodSettings = CROSSING, label: str = "") -> Cell:
    return Cell("table1", label or method, method, settings)


@pytest.mark.parametrize(
    ("method", "least"),
    # The released code scores a whole batch against the tables before it.
    [
        ("mutual_information", 0.8),
        ("released", 0.65),
        ("greedy", 0.8),
        ("pmi", 0.9),
        ("mixture", 0.9),
    ],
)
def test_methods_by_clusters_find_what_is_planted(method: str, least: float) -> None:
    (result,) = evaluate(planted_problem(), [_cell(method)])
    assert result.precision > least
    assert (result.n_pairs, result.n_positive, result.n_selected) == (200, 100, 100)
    assert result.n_groups_positive == result.n_groups_covered == 4


def test_random_finds_half() -> None:
    (result,) = evaluate(planted_problem(n_pairs=2000), [_cell("random")])
    # Hypergeometric: the standard deviation is .5 / sqrt(2000).
    assert result.precision == pytest.approx(0.5, abs=0.05)


def test_picks_are_those_of_algorithm_1_on_the_clusters() -> None:
    problem = planted_problem(seed=3)
    ids = problem.ids(ClusteringSettings(4))
    expected = batch_greedy(
        ids,
        100,
        n_clusters=4,
        pairs=combination(4),
        batch_size=100,
        per_batch=25,
        seed=3,
    ).indices
    picks = METHODS["mutual_information"].rank(problem, 100, MethodSettings())
    assert picks.tolist() == expected.tolist()


def test_labels_are_not_looked_at() -> None:
    problem = planted_problem()
    blind = replace(problem, is_positive=~problem.is_positive)
    by_clusters = ("mutual_information", "pmi", "mixture", "greedy", "released")
    for name in ("random", *by_clusters):
        picks = METHODS[name].rank(problem, 100, CROSSING)
        assert picks.tolist() == METHODS[name].rank(blind, 100, CROSSING).tolist()


def test_single_layers_pair_the_two_sides_of_one_layer() -> None:
    problem = planted_problem()
    assert pairs_of(problem, "layer_1") == [(0, 2)]
    assert pairs_of(problem, "layer_2") == [(1, 3)]
    assert pairs_of(problem, "diagonal") == [(0, 2), (1, 3)]
    assert len(pairs_of(problem, "combination")) == 6
    for wrong in ("layer_0", "layer_3", "layer_x"):
        with pytest.raises(ValueError, match="layer_1 to layer_2"):
            pairs_of(problem, wrong)


def test_precision_diversity_and_curve_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = planted_problem(n_pairs=8, n_classes=2)
    # Pairs 0, 1, 4, 5 belong together, of classes 0, 1, 0, 1.
    picks = np.array([0, 2, 4, 5])
    monkeypatch.setitem(
        METHODS,
        "random",
        replace(METHODS["random"], rank=lambda *_: picks),
    )
    cell = replace(_cell("random"), part="figure2")
    (result,) = evaluate(problem, [cell])
    assert result.precision == 0.75
    assert (result.n_groups_positive, result.n_groups_covered) == (2, 2)
    expected = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert result.entropy_nats == pytest.approx(expected)
    curve = [(point.n_selected, point.precision) for point in result.curve]
    assert curve == [(1, 1.0), (2, 0.5), (3, pytest.approx(2 / 3)), (4, 0.75)]


@pytest.mark.parametrize("picks", [[0, 0, 1, 2], [0, 1, 2], [0, 1, 2, 8]])
def test_picks_that_are_no_selection_are_refused(
    picks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = replace(METHODS["random"], rank=lambda *_: np.array(picks))
    monkeypatch.setitem(METHODS, "random", method)
    with pytest.raises(ValueError, match="expected 4 different pairs"):
        evaluate(planted_problem(n_pairs=8, n_classes=2), [_cell("random")])


def test_what_is_done_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, calls = planted_problem(), []
    method = METHODS["pmi"]

    def counted(
        of: Problem, n_select: int, settings: MethodSettings
    ) -> NDArray[np.int64]:
        calls.append(settings.pairing)
        return method.rank(of, n_select, settings)

    monkeypatch.setitem(METHODS, "pmi", replace(method, rank=counted))
    combined = replace(CROSSING, pairing="combination")
    cells = [_cell("pmi"), _cell("pmi", label="again"), _cell("pmi", combined)]
    first = evaluate(problem, cells)
    assert calls == ["bipartite", "combination"]
    done = {result.stage_hash: result for result in first}
    assert evaluate(problem, cells, done=done) == first
    assert calls == ["bipartite", "combination"]
    evaluate(planted_problem(seed=1), cells, done=done)
    assert calls == ["bipartite", "combination"] * 2


def test_a_result_without_its_curve_is_computed_for_a_figure() -> None:
    problem = planted_problem()
    of_table = evaluate(problem, [_cell("pmi")])
    done = {result.stage_hash: result for result in of_table}
    figure = replace(_cell("pmi"), part="figure3")
    (of_figure,) = evaluate(problem, [figure], done=done)
    assert not of_table[0].curve
    assert of_figure.curve[-1].n_selected == 100
    assert of_figure.stage_hash == of_table[0].stage_hash


def test_hashes_tell_what_shapes_a_result() -> None:
    problem = planted_problem()
    base = result_hash(problem, _cell("mutual_information"))
    for changed in (
        replace(CROSSING, pairing="combination"),
        replace(CROSSING, prior=0.3),
        replace(CROSSING, per_batch=5),
        replace(CROSSING, n_clusters=5),
        replace(CROSSING, algorithm="em"),
    ):
        assert result_hash(problem, _cell("mutual_information", changed)) != base
    # What a method does not look at, and defaults written out, change nothing.
    same = replace(CROSSING, n_components=3, n_clusters=4)
    assert result_hash(problem, _cell("mutual_information", same)) == base
    assert result_hash(planted_problem(seed=1), _cell("mutual_information")) != base


def test_without_classes_clusters_of_the_last_layer_are_counted() -> None:
    problem = planted_problem()
    unknown = replace(problem, classes=np.full(len(problem), -1))
    (by_class,) = evaluate(problem, [_cell("pmi")])
    (by_cluster,) = evaluate(unknown, [_cell("pmi")])
    assert (by_class.groups, by_cluster.groups) == ("classes", "clusters")
    # The last layer shows classes without error: the numbers are those of classes.
    assert by_cluster.n_groups_covered == by_class.n_groups_covered == 4
    assert by_cluster.entropy_nats == pytest.approx(by_class.entropy_nats)
    assert by_cluster.precision == by_class.precision


@pytest.mark.parametrize("side", ["first", "second"])
def test_a_changed_vector_changes_the_fingerprint(side: str) -> None:
    train, test = planted_set(is_test=False), planted_set()
    before = problem_of_sets(train, test).fingerprint
    assert problem_of_sets(train, test).fingerprint == before
    getattr(test, side).pool[1][7, 0] += 1
    assert problem_of_sets(train, test).fingerprint != before


def test_halves_of_other_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="train and the test half of one run"):
        problem_of_sets(planted_set(seed=1, is_test=False), planted_set(seed=2))


def test_clusterings_are_made_once_and_em_agrees_where_clusters_are_clear() -> None:
    test = planted_set()
    clusterings = Clusterings(test.features(), 0)
    settings = ClusteringSettings(4)
    ids = clusterings.ids(settings)
    assert clusterings.ids(settings) is ids
    em = clusterings.ids(replace(settings, algorithm="em", n_epochs=100))
    for view in (1, 3):  # the layers of little noise
        together = ids[:, view][:, None] == ids[:, view]
        assert np.array_equal(together, em[:, view][:, None] == em[:, view])


def test_settings_are_plain_json() -> None:
    (result,) = evaluate(planted_problem(), [_cell("mutual_information")])
    settings = json.loads(result.settings)
    assert settings["n_clusters"] == 4
    assert settings["pairing"] == "bipartite"
    assert "n_components" not in settings


def test_every_part_has_lines_with_names_of_their_own() -> None:
    for part in PARTS:
        data_set = "made_ids" if part == "made" else "clips"
        cells = cells_of(part, data_set)
        labels = [cell.label for cell in cells]
        assert len(labels) > 1
        assert len(labels) == len(set(labels))
        assert {cell.method for cell in cells} <= set(METHODS)


def test_the_papers_numbers_stand_at_their_lines() -> None:
    of_set = {cell.label: cell for cell in cells_of("table1", "mnist_fsdd")}
    assert of_set["clustering"].paper_precision == 69.440
    assert of_set["ranking, cosine"].paper_precision == 61.893
    assert of_set["random"].paper_precision is None
    clips = {cell.label: cell for cell in cells_of("table1", "clips")}
    assert clips["clustering"].paper_precision == 88.705
    rotation = {cell.label: cell for cell in cells_of("table1", "cifar10_rotation")}
    assert rotation["ranking, cosine"].settings.pairing == "diagonal"
    assert clips["ranking, cosine"].settings.pairing == "combination"
    weights = {cell.label: cell for cell in cells_of("table4", "clips")}
    assert weights["exp(-10)"].settings.layer_weights == ("exp", -10.0)
    assert weights["exp(-10)"].paper_precision == 50.791


def test_ablations_are_made_on_sample_level_sets_alone() -> None:
    assert cells_of("table2", "cifar10_flip") == []
    assert cells_of("made", "clips") == []
    assert cells_of("table1", "made_ids") == []
    with pytest.raises(ValueError, match="methods: expected some of"):
        cells_of("table1", "clips", ["clustering"])
