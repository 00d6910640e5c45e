"""Sets of own and foreign sound: who is paired with whom."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import write_video
from planted_extractors import MeanGrey, Pitch

from acav_spark.errors import StageError
from acav_spark.evaluate.clip_sets import (
    clip_sets,
    halves_by_source,
    paired,
    permutation_apart,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from acav_spark.evaluate.retrieval_set import RetrievalSet

TONES_HZ = (200, 300, 400, 500, 600, 700, 800, 900)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=8),
    seed=st.integers(0, 2**32),
)
def test_a_permutation_apart_takes_nothing_to_its_own_group(
    counts: list[int], seed: int
) -> None:
    # The largest group gets at most half, which is the tightest that there is.
    counts[0] = min(counts[0], sum(counts[1:]))
    if 2 * max(counts) > sum(counts):
        counts = [*counts, max(counts)]
    rng = generator(seed)
    groups = rng.permutation(np.repeat(np.arange(len(counts)), counts))

    permutation = permutation_apart(groups, rng)

    assert sorted(permutation) == list(range(len(groups)))
    assert (groups[permutation] != groups).all()


def test_a_group_of_more_than_half_cannot_be_taken_apart() -> None:
    with pytest.raises(ValueError, match="got one with 3 of 5"):
        permutation_apart(np.array([0, 1, 0, 2, 0]), generator())


def test_permutations_apart_come_about_equally_often() -> None:
    # Two groups of two: (2, 3, 0, 1), (2, 3, 1, 0), (3, 2, 0, 1) and (3, 2, 1, 0).
    rng = generator(1)
    groups = np.array([0, 0, 1, 1])
    drawn = [tuple(permutation_apart(groups, rng).tolist()) for _ in range(800)]
    counts = [drawn.count(each) for each in set(drawn)]
    assert len(counts) == 4
    # 200 each; five standard deviations are 61.
    assert min(counts) > 139
    assert max(counts) < 261


def test_halves_share_no_source_and_are_of_one_even_size() -> None:
    sources = np.repeat([7, 3, 9, 4], [11, 5, 4, 2])
    for seed in range(20):
        first, second = halves_by_source(sources, generator(seed))
        # 11 on one side; 5, 4 and 2 on the other: 10 of each.
        assert len(first) == len(second) == 10
        assert len(np.unique(np.concatenate([first, second]))) == 20
        assert not set(sources[first]) & set(sources[second])
        assert {7} in (set(sources[first]), set(sources[second]))


def test_halves_differ_from_draw_to_draw() -> None:
    sources = np.repeat(np.arange(12), 5)
    halves = {tuple(halves_by_source(sources, generator(s))[0]) for s in range(10)}
    assert len(halves) == 10
    counts = np.zeros(60)
    for seed in range(200):
        counts[halves_by_source(sources, generator(seed))[0]] += 1
    # Every source is as often in the first half: 100 of 200 times, sd 7.
    assert (abs(counts - 100) < 36).all()


@pytest.mark.parametrize("negatives", ["whole", "per_layer"])
def test_half_of_the_pieces_and_of_each_source_keep_their_sound(
    negatives: str,
) -> None:
    sources = np.repeat([2, 5, 6, 8], [6, 7, 4, 3])
    is_positive, first, second = paired(
        sources,
        generator(3),
        n_layers=(2, 3),
        negatives=negatives,  # type: ignore[arg-type]
    )

    assert is_positive.sum() == 10
    for source, count in ((2, 6), (5, 7), (6, 4), (8, 3)):
        assert abs(is_positive[sources == source].sum() - count / 2) <= 0.5
    own = np.arange(20)
    for layer in [*first.T, *second.T]:
        assert sorted(layer) == list(range(20))
        assert (layer[is_positive] == own[is_positive]).all()
    assert (first[:, 0] == own).all()
    is_negative = ~is_positive
    foreign = [*second.T] if negatives == "whole" else [first[:, 1], *second.T]
    for layer in foreign:
        assert (sources[layer] != sources)[is_negative].all()
    if negatives == "whole":
        assert (first[:, 1] == own).all()
        assert (second == second[:, :1]).all()
    else:
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert (second[:, one] != second[:, other])[is_negative].any()


def test_a_plain_permutation_may_leave_the_own_video_s_sound() -> None:
    sources = np.repeat([0, 1], 20)
    is_positive, _, second = paired(
        sources, generator(), n_layers=(1, 1), foreign="any"
    )
    own_video = (sources[second[:, 0]] == sources)[~is_positive]
    # Half of 20 in the mean.
    assert 2 < own_video.sum() < 18


def test_an_odd_number_of_pieces_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an even number of pieces.*got 3"):
        paired(np.array([0, 1, 2]), generator(), n_layers=(1, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos of two to four pieces of half a second, and a silent one."""
    made = tmp_path_factory.mktemp("clips")
    write_video(made / "0 silent.mkv", duration_s=2.0, tone_hz=0.0)
    for i, tone_hz in enumerate(TONES_HZ, start=1):
        write_video(made / f"{i}.mkv", duration_s=1.0 + i % 3 / 2, tone_hz=tone_hz)
    return made


def sets(
    folder: Path, cache: Path, **options: object
) -> Iterator[tuple[RetrievalSet, RetrievalSet]]:
    given = {"networks": [MeanGrey(), Pitch()], "piece_s": 0.5, **options}
    return clip_sets(folder, cache, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("negatives", ["whole", "per_layer"])
def test_sets_are_of_the_folder_s_videos(
    folder: Path, tmp_path: Path, negatives: str
) -> None:
    source_of_piece = np.repeat(np.arange(9), [4, 3, 4, 2, 3, 4, 2, 3, 4])
    runs = list(sets(folder, tmp_path, n_runs=3, n_clusters=8, negatives=negatives))

    assert [(one.run, other.run) for one, other in runs] == [(0, 0), (1, 1), (2, 2)]
    for train, test in runs:
        assert (train.is_test, test.is_test) == (False, True)
        assert not set(train.sources) & set(test.sources)  # type: ignore[arg-type]
        for each in (train, test):
            # 25 pieces, so that the smaller half has 12.
            assert (len(each), each.is_positive.sum()) == (12, 6)
            assert (each.classes == -1).all()
            assert (each.n_classes, each.negatives) == (8, negatives)
            assert (each.first.modality, each.second.modality) == ("visual", "audio")
            assert each.sources is not None
            seen = source_of_piece[each.first.rows]
            assert (seen[:, 0] == each.sources).all()
            assert (seen[each.is_positive] == seen[each.is_positive][:, :1]).all()
            is_whole = bool((seen == seen[:, :1]).all())
            assert is_whole == (negatives == "whole")
            own = np.array([0, *TONES_HZ])[each.sources]
            for layer, factor in ((0, 1.0), (1, 0.5)):
                heard = each.second.layer(layer)[:, 0] / factor
                is_own = abs(heard - own) < 20
                np.testing.assert_array_equal(is_own, each.is_positive)


def test_runs_are_apart_and_can_be_repeated(folder: Path, tmp_path: Path) -> None:
    def rows(seed: int) -> list[list[int]]:
        drawn = sets(folder, tmp_path, n_runs=3, seed=seed)
        return [test.second.rows[:, 0].tolist() for _, test in drawn]

    first = rows(0)
    assert first == rows(0)
    assert len({tuple(run) for run in [*first, *rows(1)]}) == 6


def test_silence_is_left_out_unless_it_is_asked_for(
    folder: Path, tmp_path: Path
) -> None:
    silent = 0
    ((train, test),) = sets(folder, tmp_path, n_runs=1, min_loudness=0.0)
    assert silent in {*train.sources, *test.sources}  # type: ignore[misc]
    ((train, test),) = sets(folder, tmp_path, n_runs=1)
    assert silent not in {*train.sources, *test.sources}  # type: ignore[misc]


def test_what_cannot_be_read_is_in_the_log(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder, tmp_path / "in")
    (tmp_path / "in" / "notes.txt").write_text("no video")
    list(sets(tmp_path / "in", tmp_path / "cache", n_runs=1))
    (record,) = caplog.records
    assert "file='notes.txt' start_s=0 code=not_media" in record.getMessage()


def test_too_few_videos_are_an_error_at_the_call(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"of at least 4 videos.*got 0 of 0"):
        sets(folder, tmp_path, min_loudness=0.9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_runs": 0}, "n_runs: expected at least 1"),
        ({"n_clusters": 0}, "n_clusters"),
        ({"negatives": "half"}, "negatives: expected .*per_layer.*'half'"),
        ({"foreign": "own"}, "foreign: expected .*other_video"),
    ],
)
def test_options_are_refused_before_anything_is_read(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sets(tmp_path / "none", tmp_path, **options)
