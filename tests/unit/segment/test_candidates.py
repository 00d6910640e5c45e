from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.segment import Candidate, Shot, propose_candidates


def _shots(*edges: float) -> list[Shot]:
    return [Shot(a, b) for a, b in pairwise(edges)]


def test_a_shot_gives_as_many_candidates_as_fit_centred_in_it() -> None:
    assert propose_candidates(_shots(0.0, 26.0), 26.0, 10.0) == [
        Candidate(3.0, 13.0, 0, crosses_cut=False),
        Candidate(13.0, 23.0, 0, crosses_cut=False),
    ]


def test_shots_that_are_too_short_give_none_where_others_do() -> None:
    assert propose_candidates(_shots(0.0, 9.0, 20.5, 29.0), 29.0, 10.0) == [
        Candidate(9.75, 19.75, 1, crosses_cut=False)
    ]


def test_a_shot_of_exactly_the_length_is_one_candidate() -> None:
    assert propose_candidates(_shots(0.0, 10.0), 10.0, 10.0) == [
        Candidate(0.0, 10.0, 0, crosses_cut=False)
    ]


def test_sums_of_frame_lengths_do_not_lose_a_candidate() -> None:
    end_s = sum(1 / 30 for _ in range(300))  # a little below or above 10
    assert len(propose_candidates(_shots(0.0, end_s), end_s, 10.0)) == 1


def test_without_a_long_shot_as_few_cuts_as_possible_are_crossed() -> None:
    # From 12 s on one cut is enough; before, a stretch crosses two at least.
    shots = _shots(0.0, 4.0, 8.0, 12.0, 18.0, 25.0)
    assert propose_candidates(shots, 25.0, 10.0) == [
        Candidate(8.0, 18.0, 2, crosses_cut=True)
    ]


def test_stretches_across_cuts_do_not_overlap() -> None:
    shots = _shots(0.0, 8.0, 16.0, 24.0, 32.0)
    candidates = propose_candidates(shots, 32.0, 10.0)
    # One cut each: the earliest, and the next that begins where it ends or later.
    assert [(c.start_s, c.shot_index) for c in candidates] == [(0.0, 0), (14.0, 1)]
    assert all(candidate.crosses_cut for candidate in candidates)


def test_a_video_that_is_too_short_gives_none() -> None:
    assert propose_candidates(_shots(0.0, 5.0, 9.99), 9.99, 10.0) == []
    assert propose_candidates([], 100.0, 10.0) == []


def test_nothing_lies_beyond_the_duration() -> None:
    # The last shot claims more than the video has.
    assert propose_candidates(_shots(0.0, 20.5), 10.004, 10.0) == [
        Candidate(0.002, 10.002, 0, crosses_cut=False)
    ]
    assert propose_candidates(_shots(0.0, 20.5), 9.5, 10.0) == []


def test_a_video_that_starts_late_gives_nothing_before_its_first_frame() -> None:
    assert propose_candidates(_shots(1.5, 12.0), 12.0, 10.0) == [
        Candidate(1.75, 11.75, 0, crosses_cut=False)
    ]


def test_a_clip_shorter_than_a_millisecond_is_refused() -> None:
    with pytest.raises(ValueError, match="clip_duration_s"):
        propose_candidates(_shots(0.0, 1.0), 1.0, 0.0001)


_edges = st.lists(
    st.floats(0, 120, allow_nan=False).map(lambda s: round(s, 4)),
    min_size=2,
    max_size=12,
    unique=True,
).map(sorted)


@given(_edges, st.floats(0.5, 15.0), st.floats(0.0, 1.2))
def test_candidates_keep_their_promises(
    edges: list[float], clip_s: float, scale: float
) -> None:
    shots = _shots(*edges)
    duration_s = edges[-1] * scale

    candidates = propose_candidates(shots, duration_s, clip_s)

    clip_ms = round(clip_s * 1000)
    usable_s = min(edges[-1], duration_s) - edges[0]
    if usable_s * 1000 >= clip_ms + 2:
        assert candidates
    if usable_s * 1000 < clip_ms - 1:
        assert not candidates
    for candidate in candidates:
        assert edges[0] - 1e-5 <= candidate.start_s
        assert candidate.end_s <= min(edges[-1], duration_s) + 1e-5
        assert round((candidate.end_s - candidate.start_s) * 1000) == clip_ms
        inside = [
            cut
            for cut in edges[1:-1]
            if candidate.start_s + 1e-3 < cut < candidate.end_s - 1e-3
        ]
        assert candidate.crosses_cut or not inside
        shot = shots[candidate.shot_index]
        assert shot.start_s - 1e-3 <= candidate.start_s < shot.end_s + 1e-3
    for one, other in pairwise(candidates):
        assert one.end_s <= other.start_s
    assert len({candidate.crosses_cut for candidate in candidates}) <= 1


@given(_edges, st.integers(500, 15_000))
def test_no_stretch_crosses_fewer_cuts_than_the_proposed_ones(
    edges: list[float], clip_ms: int
) -> None:
    edges_ms = sorted({round(edge * 1000) for edge in edges})
    shots = _shots(*(edge / 1000 for edge in edges_ms))
    candidates = propose_candidates(shots, edges_ms[-1] / 1000, clip_ms / 1000)

    def n_cuts(start: int) -> int:
        return sum(start < cut < start + clip_ms for cut in edges_ms[1:-1])

    starts = range(edges_ms[0], edges_ms[-1] - clip_ms + 1, 97)
    fewest = min((n_cuts(start) for start in starts), default=None)
    for candidate in candidates:
        found = n_cuts(round(candidate.start_s * 1000))
        assert fewest is None or found <= fewest
        assert candidate.crosses_cut == (found > 0)
