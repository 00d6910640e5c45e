"""Which views a method compares, what its tasks do, rules on an order."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from acav_spark.clustering.moments import Moments
from acav_spark.clustering.principal import (
    PrincipalComponents,
    components_from_bytes,
    components_to_bytes,
    fit_principal_components,
)
from acav_spark.config.selecting import SelectionConfig
from acav_spark.errors import StageError
from acav_spark.features.vectors import encode_fp16
from acav_spark.selection import at_most, feature_scores
from acav_spark.selection.limits import Constraints
from acav_spark.selection.problem import Extent
from acav_spark.selection.ranking_job import (
    RankingMethod,
    RankingScorer,
    moments_of_shard,
)
from acav_spark.selection.ruled_order import RuledOrder
from acav_spark.selection.scored_methods import method_of
from acav_spark.selection.scoring import FeatureView
from acav_spark.selection.scoring_tasks import (
    embedded_batches,
    require_scores,
    require_versions,
    scored_batches,
)

VIEWS = (
    FeatureView("clip_image", 1, "visual", 6),
    FeatureView("clip_image", 2, "visual", 4),
    FeatureView("clap", 1, "audio", 4),
    FeatureView("text:big", 1, "text", 4),
)
N = 25
NAMES = [f"clip-{row:02d}" for row in range(N)]


def chosen(**options: object) -> SelectionConfig:
    return SelectionConfig.model_validate(options)


def vectors(view: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(view)
    values = generator.normal(size=(N, VIEWS[view].dimension))
    return values.astype(np.float16).astype(np.float32)


def stored(places: list[int], rows: slice = slice(None)) -> pa.RecordBatch:
    """Return vectors as ``features`` has them, of some clips."""
    columns = {
        f"view_{i}": pa.array([encode_fp16(x) for x in vectors(i)[rows]], pa.binary())
        for i in places
    }
    return pa.RecordBatch.from_pydict({"clip_id": NAMES[rows], **columns})


def test_similarity_takes_the_last_layers_of_the_two_extractors_there_are() -> None:
    method = method_of(chosen(method="similarity"), VIEWS[:3])

    assert method.scorer(b"").views == (VIEWS[1], VIEWS[2])
    assert method.settings()["pairs"] == [[0, 1]]


def test_similarity_takes_the_pairs_that_are_named() -> None:
    pairs = [["clip_image", "text:big"], ["clap layer 1", "text:big layer 1"]]

    method = method_of(chosen(method="similarity", similarity={"pairs": pairs}), VIEWS)

    scorer = method.scorer(b"")
    assert [str(view) for view in scorer.views] == [
        *("clip_image layer 2", "clap layer 1", "text:big layer 1")
    ]
    embeddings = [scorer.embeddings(i, vectors(i + 1)) for i in range(3)]
    a, b, c = (x.astype(np.float64) for x in embeddings)
    lengths = [np.linalg.norm(x, axis=1) for x in (a, b, c)]
    expected = (a * c).sum(axis=1) / lengths[0] / lengths[2]
    expected += (b * c).sum(axis=1) / lengths[1] / lengths[2]
    np.testing.assert_allclose(scorer.scores(embeddings), expected / 2, atol=1e-14)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([], r"where there are not two, got none for \['clap', 'clip_image', 'text"),
        ([["clip_image", "clop"]], r"among \['clip_image layer 1', .*got 'clop'"),
        ([["clip_image layer 3", "clap"]], "got 'clip_image layer 3'"),
        ([["clip_image layer 1", "clap"]], r"layer 1 \(6 numbers\) and clap layer 1"),
        ([["clap", "clap layer 1"]], "two views of one space"),
    ],
)
def test_similarity_of_what_is_no_pair_is_refused(
    pairs: list[list[str]], words: str
) -> None:
    with pytest.raises(ValueError, match=f"^similarity.pairs: .*{words}"):
        method_of(chosen(method="similarity", similarity={"pairs": pairs}), VIEWS)


def test_ranking_reads_the_views_of_its_pairs_alone() -> None:
    options = {"method": "ranking_l2", "pairing": [[1, 3], [0, 3]], "seed": 4}

    method = method_of(chosen(**options), VIEWS)

    assert isinstance(method, RankingMethod)
    assert method.views == (VIEWS[0], VIEWS[1], VIEWS[3])
    assert method.pairs == ((1, 2), (0, 2))
    assert (method.metric, method.n_components, method.seed) == ("l2", 64, 4)
    with pytest.raises(ValueError, match=r"pairing: .*views from 0 to 3, got 5"):
        method_of(chosen(method="ranking_cos", pairing=[[0, 5]]), VIEWS)
    with pytest.raises(ValueError, match=r"pairing: bipartite: .*two modalities"):
        method_of(chosen(method="ranking_cos", pairing="bipartite"), VIEWS[:2])


@pytest.mark.parametrize("cuts", [[N], [1, 7, 8, N]])
def test_tasks_score_as_arrays_do_however_rows_are_cut(cuts: list[int]) -> None:
    fitted = tuple(fit_principal_components(vectors(i), 3) for i in (1, 2))
    restored = components_from_bytes(components_to_bytes(fitted))
    scorer = RankingScorer((VIEWS[1], VIEWS[2]), ((0, 1),), "inner", restored)
    rows = [slice(a, b) for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]
    by_view = []
    for place, view in enumerate((1, 2)):
        batches = [
            stored([view], part).rename_columns(["clip_id", f"view_{place}"])
            for part in rows
        ]
        found = embedded_batches(batches, scorer=scorer, places=[place])
        by_view.append(pa.Table.from_batches(found))
    joined = by_view[0].append_column("view_1", by_view[1]["view_1"])
    joined = joined.append_column("row_number", pa.array(range(N), pa.int64()))

    scored = pa.Table.from_batches(
        scored_batches(joined.to_batches(max_chunksize=4), scorer=scorer)
    )

    expected = feature_scores(
        [vectors(1), vectors(2)], [(0, 1)], metric="inner", projections=fitted
    )
    np.testing.assert_array_equal(scored["score"].to_numpy(), expected)
    assert scored["clip_id"].to_pylist() == NAMES
    assert scored["row_number"].to_pylist() == list(range(N))


def test_moments_of_a_shard_do_not_hang_on_the_order_of_its_rows() -> None:
    rows = pa.Table.from_batches([stored([1, 2])])
    rows = rows.append_column("draw", pa.array([(i * 7) % 5 for i in range(N)]))
    rows = rows.append_column("shard", pa.array([3] * N, pa.int32()))

    actual = moments_of_shard(rows, views=VIEWS, places=[1, 2])
    turned = moments_of_shard(
        rows.take(list(range(N))[::-1]), views=VIEWS, places=[1, 2]
    )

    assert actual.equals(turned)
    assert actual["view"].to_pylist() == [1, 2]
    assert actual["shard"].to_pylist() == [3, 3]
    one = Moments.from_bytes(actual["moments"][1].as_py())
    np.testing.assert_allclose(one.mean, vectors(2).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        one.covariance, np.cov(vectors(2).T, bias=True), atol=1e-6
    )


def test_vectors_that_changed_since_clips_were_packed_are_refused() -> None:
    fitted = (fit_principal_components(vectors(2), 3),)
    scorer = RankingScorer((VIEWS[2],), (), "cos", fitted)
    cells = [encode_fp16(x) for x in vectors(2)]
    cells[4] = cells[4][:-2]
    batch = pa.RecordBatch.from_pydict({"clip_id": NAMES, "view_0": cells})
    with pytest.raises(StageError, match=r"clap layer 1.*1 of 25 clips \(\['clip-04'"):
        list(embedded_batches([batch], scorer=scorer, places=[0]))


def test_scores_that_are_not_finite_are_refused() -> None:
    infinite = np.full((1, 4), 1e30, dtype=np.float32)
    broken = PrincipalComponents(np.zeros(4, np.float32), infinite)
    scorer = RankingScorer(VIEWS[2:], ((0, 1),), "cos", (broken, broken))
    columns = {f"view_{i}": [np.array([np.inf], "<f4").tobytes()] for i in (0, 1)}
    batch = pa.RecordBatch.from_pydict({"row_number": [0], "clip_id": ["a"], **columns})
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(StageError, match=r"finite scores.*1 of 1 clips \(\['a'\]\)"),
    ):
        list(scored_batches([batch], scorer=scorer))


def test_other_versions_and_lost_features_are_refused() -> None:
    require_versions([("clap", "1", 9)], {"clap": "1"})
    with pytest.raises(StageError, match=r"of clap 1, .*got 3 of version 2"):
        require_versions([("clap", "1", 9), ("clap", "2", 3)], {"clap": "1"})
    require_scores(80, Extent(100, 20, 50))
    with pytest.raises(StageError, match="for 80 packed clips, got them for 79"):
        require_scores(79, Extent(100, 20, 50))


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_an_order_under_rules_is_that_of_greedy_choice(seed: int, step: int) -> None:
    generator = np.random.default_rng(seed)
    n, n_new = 40, 12
    order = generator.permutation(n)
    videos, colours = generator.integers(15, size=n), generator.integers(3, size=n)
    out = np.sort(generator.choice(n, 5, replace=False))
    rest = np.setdiff1d(np.arange(n), out)
    include = np.sort(generator.choice(rest, 2, replace=False))
    limits = (at_most(2, videos, name="video"), at_most(6, colours, name="colour"))
    constraints = Constraints(n, n_new, limits, include, out)

    shown = RuledOrder(constraints)
    taken: list[int] = []
    for start in range(0, n, step):
        piece = order[start : start + step]
        taken += piece[shown.take(piece)].tolist()

    expected: list[int] = []
    for row in order.tolist():
        so_far = [*include.tolist(), *expected]
        is_open = (
            np.sum(videos[so_far] == videos[row]) < 2
            and np.sum(colours[so_far] == colours[row]) < 6
        )
        if row not in out and row not in so_far and is_open:
            expected.append(row)
    assert taken == expected[: n_new - 2]
    assert shown.n_left == n_new - 2 - len(taken)


def test_an_order_without_limits_leaves_out_what_must_not_be_in() -> None:
    out, none = np.array([0, 3]), np.empty(0, dtype=np.int64)
    shown = RuledOrder(Constraints(6, 3, (), none, out))

    assert shown.take(np.array([3, 5, 0])).tolist() == [1]
    assert shown.take(np.array([4, 1, 2])).tolist() == [0, 1]
    assert shown.n_left == 0
