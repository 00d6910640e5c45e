"""Where the numbers of a workload come from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.errors import ConfigError
from acav_spark.planning import Assumption, VideoShape, Workload
from acav_spark.planning.choosing import Given, Measured, workload_of
from acav_spark.planning.workload import permitted_clips


def chosen(
    said: Given, measured: Measured | None = None
) -> tuple[Workload, dict[str, Assumption]]:
    workload, told = workload_of(
        said,
        measured,
        kind="metadata",
        clip_duration_s=10.0,
        max_clips=3,
        max_duration_s=600.0,
        clip_yield=0.5,
    )
    return workload, {one.name: one for one in told}


MEASURED = Measured(
    "two files",
    (VideoShape(25.0, 30.0, 100.0, 1e6), VideoShape(9.9, 10.0, 300.0, 3e6)),
    n_videos=4,
    accepted_share=0.5,
)


def test_without_more_the_papers_numbers_are_taken_and_told() -> None:
    workload, told = chosen(Given(n_videos=140e6))
    assert workload.n_clips == pytest.approx(300e6)
    # 1,030 years of 140 million videos; 1.8 PB of them.
    assert workload.mean.duration_s == pytest.approx(232.17, abs=0.01)
    assert workload.mean.n_bytes * 140e6 == pytest.approx(1.8e15)
    assert workload.longest_s == 600
    assert workload.kind == "metadata"
    assert told["clips an accepted video"].source.startswith("paper, section 3.2")
    assert told["mean duration"].change == "--mean-duration-s"
    assert len(told) == 6


def test_what_is_said_is_no_assumption() -> None:
    workload, told = chosen(
        Given(10, accepted_share=0.5, mean_duration_s=20, clips_per_video=1.5)
    )
    assert workload.n_clips == 7.5
    assert workload.mean.duration_s == 20
    assert set(told) == {"size of a video", "pixels of a frame", "frames a second"}


def test_what_was_measured_comes_before_the_paper() -> None:
    workload, told = chosen(Given(), MEASURED)
    assert workload.n_videos == 4
    assert workload.n_accepted == 2
    # Two clips and one, of which half are cut.
    assert workload.clips_per_video == pytest.approx(0.75)
    # The mean of products is not the product of means.
    assert workload.pixel_frames == pytest.approx((25 * 3000 + 9.9 * 3000) / 2)
    assert workload.shapes == MEASURED.shapes
    # Two clips of ten seconds, and one of 9.9.
    assert workload.clip_pixel_frames == pytest.approx((2 * 10 * 3000 + 9.9 * 3000) / 3)
    assert workload.longest_s == 25
    assert workload.kind == "media"
    assert told["mean duration"].source == "two files"


def test_a_sample_of_more_videos_counts_by_its_mean() -> None:
    workload, _ = chosen(Given(n_videos=1000), MEASURED)
    assert workload.shapes == ()
    assert workload.n_accepted == 500


def test_clips_that_are_cut_already_count_as_they_are() -> None:
    cut = Measured("tables", MEASURED.shapes, 2, 1.0, clips_per_video=2.5)
    workload, _ = chosen(Given(), cut)
    assert workload.n_clips == 5


def test_no_number_of_videos_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected --videos N, --from-input"):
        chosen(Given())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Given(0), "n_videos: expected a number >= 1, got 0"),
        (Given(math.inf), "n_videos"),
        (Given(1, accepted_share=1.5), "accepted_share: expected a number from 0 to 1"),
        (Given(1, mean_duration_s=math.nan), "duration_s"),
        (Given(1, clips_per_video=-1), "clips_per_video: .*Correct the option"),
    ],
)
def test_numbers_out_of_range_are_refused(said: Given, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(said)


@given(st.floats(0, 1e5), st.integers(1, 10))
def test_durations_permit_whole_clips(duration_s: float, max_clips: int) -> None:
    shape = VideoShape(duration_s, 30.0, 1.0, 1.0)
    n = permitted_clips(shape, clip_duration_s=10.0, max_clips=max_clips)
    assert 0 <= n <= max_clips
    if duration_s >= 9.8:
        assert n == min(max_clips, max(1, int(duration_s // 10)))
    else:
        assert n == 0
