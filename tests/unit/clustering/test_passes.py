"""Passes over shards, and what they bring together: by hand, and against plain SGD."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acav_spark.clustering import SGDKMeans, nearest_centroids
from acav_spark.clustering.fit import Fit, FitSettings, n_useful_shards, run_epoch
from acav_spark.clustering.fit_tasks import (
    PIECES,
    is_sound,
    merge_shards,
    pass_over_shards,
    problem_of,
    whole_sums,
)
from acav_spark.clustering.fit_tasks import LayerPlan as Layer
from acav_spark.clustering.packing import by_shard, packed, packed_schema, unpacked
from acav_spark.clustering.passes import PassPlan, PassSums, ShardPass, merged
from acav_spark.clustering.preprocessing import Preprocessing
from acav_spark.clustering.rules import kept_weight, rate_of
from acav_spark.clustering.seeding import draw_splits
from acav_spark.features.vectors import encode_fp16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.clustering.fit import Shard

_ONE_OF_4 = "1 of 4 numbers, such as number 1"


def samples(n: int, seed: int = 0, n_features: int = 5) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    centres = 3 * generator.normal(size=(4, n_features))
    x = centres[generator.integers(4, size=n)] + generator.normal(size=(n, n_features))
    return np.asarray(x, dtype=np.float32)


def plan_of(
    centres: NDArray[np.floating], batch_rows: int, n_updates: int = 0
) -> PassPlan:
    k = len(centres)
    return PassPlan(centres.astype(np.float64), np.full(k, n_updates), 0.01, batch_rows)


def passed(plan: PassPlan, x: NDArray[np.float32]) -> PassSums:
    one = ShardPass(plan)
    one.add(x)
    return one.finish()


def test_a_pass_of_one_batch_returns_plain_sums() -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [99.0, 99.0]])
    x = np.array([[1, 0], [9, 1], [0, 2], [11, 0]], np.float32)
    found = passed(plan_of(centres, 100), x)
    assert found.sums.tolist() == [[1, 2], [20, 1], [0, 0]]
    assert found.counts.tolist() == [2, 2, 0]
    assert found.inertia == 1 + 2 + 4 + 1


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 60), max_size=8), st.integers(1, 90))
def test_where_rows_are_cut_does_not_change_a_bit(
    cuts: list[int], batch_rows: int
) -> None:
    x = samples(200)
    plan = plan_of(x[:6], batch_rows)
    expected = passed(plan, x)
    one, start = ShardPass(plan), 0
    for size in cuts:
        one.add(x[start : start + size])
        start += size
    one.add(x[start:])
    found = one.finish()
    assert found.sums.tobytes() == expected.sums.tobytes()
    assert found.counts.tolist() == expected.counts.tolist()
    assert found.inertia == expected.inertia


def test_one_shard_of_many_batches_is_plain_sgd() -> None:
    x = samples(400)
    centres, n_updates = x[:6].astype(np.float64), np.zeros(6, dtype=np.int64)
    # Sample by sample, in the order of rows, nearest centres by batches of 70.
    for start in range(0, 400, 70):
        batch = x[start : start + 70]
        labels, _ = nearest_centroids(batch, centres.astype(np.float32))
        for centre in range(6):
            mine = batch[labels == centre].astype(np.float64)
            if len(mine):
                kept = 1.0
                for i in range(len(mine)):
                    kept *= 1 - max(0.01, 1 / (n_updates[centre] + i + 1))
                moved = kept * centres[centre] + (1 - kept) * mine.mean(axis=0)
                centres[centre] = moved
                n_updates[centre] += len(mine)
    fit = Fit(FitSettings(6, minibatch_size=70, reinit="none"), x, centres=x[:6])
    run_epoch(fit, [lambda: [x]])
    np.testing.assert_allclose(fit.centres, centres, rtol=1e-10)
    assert fit.n_updates.tolist() == n_updates.tolist()


def test_shards_of_one_batch_each_are_one_batch_of_all() -> None:
    x = samples(300)
    whole, cut = (
        Fit(FitSettings(6, minibatch_size=300, reinit="none"), x, centres=x[:6])
        for _ in range(2)
    )
    for _ in range(3):
        run_epoch(whole, [lambda: [x]])
        parts = [x[:100], x[100:190], x[190:]]
        # The last has more rows than a third of a mini-batch, and is not cut.
        shards: list[Shard] = [partial(list, [part]) for part in parts]
        run_epoch(cut, shards, cut.plan(3, len(x)))
    np.testing.assert_allclose(cut.centres, whole.centres, rtol=1e-12)
    assert cut.n_updates.tolist() == whole.n_updates.tolist()


@pytest.mark.parametrize("batch_rows", [100, 1])
def test_shards_of_few_samples_move_a_centre_as_far_as_all_of_them_would(
    batch_rows: int,
) -> None:
    # Fifty shards with three samples each, of a centre that is no longer young: the
    # mean of the shards' centres would move it by 3 % of the way.
    fit = Fit(
        FitSettings(1, minibatch_size=50 * batch_rows, reinit="none"),
        np.zeros((1, 1), np.float32),
        centres=np.zeros((1, 1)),
    )
    fit.n_updates[:] = 1_000
    ones = np.ones((3, 1), np.float32)
    run_epoch(fit, [lambda: [ones]] * 50)
    assert fit.centres[0, 0] == pytest.approx(1 - 0.99**150)


def test_no_pass_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pass"):
        merged([])


@pytest.mark.parametrize(
    ("update", "rates"),
    [
        ("constant", [0.01, 0.01, 0.01]),
        ("decayed", [0.01, 0.005, 0.01 / 3]),
        ("per_centre", [0, 0, 0]),
    ],
)
def test_rules_give_the_least_weight_of_a_sample(
    update: str, rates: list[float]
) -> None:
    found = [rate_of(update, 0.01, epoch) for epoch in (1, 2, 3)]  # type: ignore[arg-type]
    assert found == pytest.approx(rates)


def test_without_a_rate_a_centre_is_the_mean_of_all_its_samples() -> None:
    kept = kept_weight(np.array([0, 3, 1_000]), np.array([5, 1, 1_000]), 0.0)
    assert kept.tolist() == [0, 0.75, 0.5]
    x = samples(500)
    model = SGDKMeans(1, update="per_centre", n_epochs=3, minibatch_size=70).fit(x)
    np.testing.assert_allclose(model.cluster_centers_[0], x.mean(axis=0), rtol=1e-4)


def test_a_fit_goes_on_from_its_arrays_as_if_nothing_had_happened() -> None:
    x = samples(600)
    chosen = FitSettings(12, minibatch_size=150, n_epochs=6)
    whole, first, second = (Fit(chosen, x[100:]) for _ in range(3))
    shards = [lambda: [x[:300]], lambda: [x[300:]]]
    while not whole.is_done:
        run_epoch(whole, shards)
    for _ in range(2):
        run_epoch(first, shards)
    second.restore({k: v.copy() for k, v in first.to_arrays().items()})
    while not second.is_done:
        run_epoch(second, shards)
    assert second.centres.tobytes() == whole.centres.tobytes()
    assert second.statistics == whole.statistics


def test_held_out_samples_tell_the_quality_after_an_epoch() -> None:
    x = samples(500)
    fit = Fit(FitSettings(4), x, n_held_out=80)
    statistics = run_epoch(fit, [lambda: [x[80:]]])
    _, squared = nearest_centroids(x[:80], fit.centres.astype(np.float32))
    assert statistics.held_out == pytest.approx(squared.mean(dtype=np.float64))
    least = fit.n_updates.min() / 420
    assert statistics.least_utilisation == pytest.approx(least)


def test_rows_are_cut_into_no_more_shards_than_are_worth_it() -> None:
    assert [n_useful_shards(n, 64) for n in (1, 19_999, 20_000, 10**8)] == [1, 1, 2, 64]


def test_splits_go_to_the_most_loaded_clusters_and_never_on_a_centre() -> None:
    x = np.concatenate([np.linspace(0, 1, 50), np.linspace(10, 11, 50), [20.0] * 50])
    rows = x.astype(np.float32)[:, None]
    others, loads = np.array([[0.5], [10.5], [20.0]]), np.array([0.6, 0.2, 0.9])
    drawn = draw_splits(rows, 3, np.random.default_rng(0), others, loads)
    # The most loaded holds copies of its centre alone; then .6 and its halves .3, .15.
    assert [int(rows[row, 0] // 10) for row in drawn] == [0, 0, 1]
    assert len(np.unique(rows[drawn])) == 3
    nothing = draw_splits(rows[-50:], 2, np.random.default_rng(0), others, loads)
    assert nothing.tolist() == []


def batch_of(x: NDArray[np.float32], shards: list[int]) -> pa.RecordBatch:
    vectors = [encode_fp16(row) for row in x]
    return pa.RecordBatch.from_pydict(
        {"shard": pa.array(shards, pa.int32()), "layer_1": vectors}
    )


@pytest.mark.parametrize("piece_bytes", [1, 100, 1 << 20])
def test_sums_in_pieces_are_merged_to_those_of_all_shards(
    monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr("acav_spark.clustering.fit_tasks._PIECE_BYTES", piece_bytes)
    x = samples(90).astype(np.float16).astype(np.float32)
    shards = [0] * 40 + [2] * 30 + [5] * 20
    plans = {
        1: Layer(
            5,
            Preprocessing("none"),
            {"1-0": plan_of(x[:7], 15), "1-1": plan_of(x[:3], 15)},
        )
    }
    whole = batch_of(x, shards)
    # Cut within shards, and one batch that is empty.
    pieces = [whole.slice(0, 33), whole.slice(33, 0), whole.slice(33)]
    monkeypatch.setattr("acav_spark.clustering.packing._PACKED_BYTES", 7 * 2 * 5)
    batches = list(packed(pieces, layers={1: 5}))
    assert [batch["n_rows"][0].as_py() for batch in batches] == (
        [7] * 5 + [5] + [7] * 4 + [2] + [7] * 2 + [6]
    )
    rows = pa.Table.from_batches(pass_over_shards(batches, plans=plans), PIECES)
    found = []
    for key, piece in sorted({(r["key"], r["piece"]) for r in rows.to_pylist()}):
        mask = [r["key"] == key and r["piece"] == piece for r in rows.to_pylist()]
        found += merge_shards(rows.filter(pa.array(mask)).take([2, 0, 1])).to_pylist()
    sums = whole_sums(found[::-1])
    assert set(sums) == {"1-0", "1-1"}
    for key, one in sums.items():
        plan = plans[1].passes[key]
        expected = merged(passed(plan, x[np.equal(shards, s)]) for s in (0, 2, 5))
        assert one.sums.tobytes() == expected.sums.tobytes()
        assert one.counts.tolist() == expected.counts.tolist()
        assert one.inertia == expected.inertia


def test_batches_are_cut_where_a_shard_ends() -> None:
    batch = batch_of(samples(6), [1, 1, 4, 4, 4, 7])
    found = [(shard, len(piece)) for shard, piece in by_shard([batch, batch.slice(5)])]
    assert found == [(1, 2), (4, 3), (7, 1), (7, 1)]


def test_packed_rows_hold_the_vectors_of_all_layers_in_order() -> None:
    generator = np.random.default_rng(3)
    layers = {1: 4, 3: 2}
    x = {n: generator.normal(size=(9, d)).astype("<f2") for n, d in layers.items()}
    columns = {f"layer_{n}": [row.tobytes() for row in rows] for n, rows in x.items()}
    shards = pa.array([0] * 4 + [3] * 5, pa.int32())
    batch = pa.RecordBatch.from_pydict({"shard": shards, **columns})
    made = list(packed([batch.slice(0, 2), batch.slice(2)], layers=layers))
    assert [one.schema for one in made] == [packed_schema(layers)] * 2
    # As they come out of a cache: several to a batch.
    (cached,) = pa.Table.from_batches(made).combine_chunks().to_batches()
    found = list(unpacked([cached.slice(0, 0), cached], layers=layers))
    assert [shard for shard, _ in found] == [0, 3]
    for layer, rows in x.items():
        np.testing.assert_array_equal(found[0][1][layer], rows[:4])
        np.testing.assert_array_equal(found[1][1][layer], rows[4:])
    assert list(packed([batch.slice(0, 0)], layers=layers)) == []


def test_vectors_that_cannot_be_used_are_told_apart() -> None:
    good = encode_fp16(np.arange(4, dtype=np.float32))
    nan = np.array([0, np.nan, 0, 0], "<f2").tobytes()
    vectors = [good, nan, good[:-1], None, good]
    batch = pa.RecordBatch.from_pydict({"layer_1": pa.array(vectors, pa.binary())})
    assert is_sound(batch, {"layer_1": 4}).tolist() == [True, False, False, False, True]
    assert not is_sound(batch.slice(2, 2), {"layer_1": 4}).any()
    assert is_sound(batch.slice(0, 0), {"layer_1": 4}).tolist() == []
    assert problem_of(good, 4) is None
    assert problem_of(nan, 4) == (
        "non_finite_vector",
        "1 of 4 numbers, such as number 1",
    )
    assert problem_of(good[:-1], 4) == (
        "vector_length",
        "expected 8 bytes of fp16, got 7 bytes",
    )
    assert problem_of(None, 4) == (
        "vector_length",
        "expected 8 bytes of fp16, got none",
    )


def test_partial_fits_end_near_a_fit() -> None:
    x = samples(4_000)
    model = SGDKMeans(4, seed=2)
    for start in range(0, 4_000, 200):
        model.partial_fit(x[start : start + 200])
    assert model.n_updates_.sum() == 4_000
    _, squared = nearest_centroids(x, model.cluster_centers_)
    whole = SGDKMeans(4, seed=2, n_epochs=20).fit(x)
    assert squared.sum() < 1.05 * whole.inertia_
    with pytest.raises(ValueError, match="length 5, got length 4"):
        model.partial_fit(x[:, :4])


def test_a_partial_fit_places_dead_centres_anew() -> None:
    x = samples(600)
    start = np.concatenate([x[:4], np.full((4, 5), 1e4, np.float32)])
    model = SGDKMeans(8, init=start)
    for _ in range(4):
        model.partial_fit(x)
    assert np.bincount(model.predict(x), minlength=8).min() > 0


def test_what_was_learnt_apart_is_merged_by_the_samples_behind_it() -> None:
    start = np.array([[0.0], [10.0]], np.float32)
    one = SGDKMeans(2, init=start, update="per_centre", n_epochs=1, reinit="none")
    other = SGDKMeans(2, init=start, update="per_centre", n_epochs=1, reinit="none")
    one.fit(np.array([[1.0], [1.0], [2.0], [9.0]]))
    other.fit(np.array([[4.0], [11.0], [13.0]]))
    one.merge([other])
    assert one.n_updates_.tolist() == [4, 3]
    assert one.cluster_centers_.ravel().tolist() == [2.0, 11.0]
    assert one.predict([[3.0], [8.0]]).tolist() == [0, 1]
    with pytest.raises(ValueError, match="merge: expected Codebook"):
        one.merge([SGDKMeans(3).fit(samples(30))])
    scaled = SGDKMeans(2, preprocess="standardise").fit([[1.0], [3.0]])
    with pytest.raises(ValueError, match="same preprocessing"):
        one.merge([scaled])


def test_a_fit_stops_when_an_epoch_gains_too_little() -> None:
    x = samples(1_000)
    model = SGDKMeans(4, n_epochs=60, tolerance=1e-3).fit(x)
    assert 2 <= model.n_iter_ < 60
    inertia = [one.inertia for one in model.epoch_statistics_]
    assert inertia[-2] - inertia[-1] < 1e-3 * inertia[-2]
    assert SGDKMeans(4, n_epochs=9).fit(x).n_iter_ == 9


@pytest.mark.parametrize("reinit", ["far", "split"])
def test_from_equal_centres_all_are_used_after_three_epochs(reinit: str) -> None:
    x = samples(3_000, n_features=8)
    start = np.repeat(x.mean(axis=0)[None], 100, axis=0)
    model = SGDKMeans(100, init=start, n_epochs=4, reinit=reinit).fit(x)  # type: ignore[arg-type]
    used = [one.n_used for one in model.epoch_statistics_]
    assert used[0] == 1
    assert used[2:] == [100, 100]
    kept = SGDKMeans(100, init=start, n_epochs=4, reinit="none").fit(x)
    assert max(one.n_used for one in kept.epoch_statistics_) < 10


def test_first_centres_may_be_drawn_evenly() -> None:
    x = samples(200)
    model = SGDKMeans(5, init="random", n_epochs=1, learning_rate=1e-9, seed=3)
    again = SGDKMeans(5, init="random", n_epochs=1, learning_rate=1e-9, seed=3)
    first = model.fit(x).cluster_centers_
    np.testing.assert_array_equal(first, again.fit(x).cluster_centers_)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"init": "middle"}, "init: expected one of .* got 'middle'"),
        (
            {"init": np.zeros((3, 5))},
            r"init: expected centres of shape \(2, 5\), got \(3, 5\)",
        ),
        ({"update": "none"}, "update: expected one of .* got 'none'"),
        ({"reinit": "near"}, "reinit: expected one of .* got 'near'"),
        ({"tolerance": 1.0}, r"tolerance: expected a number in \[0, 1\), got 1"),
    ],
)
def test_further_parameters_out_of_range_are_refused(
    parameters: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        SGDKMeans(2, **parameters).fit(samples(20))  # type: ignore[arg-type]
