"""Numbers, times, foreign text, and the funnel in the terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from rich.console import Console

from acav_spark.report import (
    FunnelStep,
    ReasonCount,
    funnel_table,
    peak_envelope,
    poster_jpeg,
)
from acav_spark.report.cards import N_BINS, cluster_groups, waveform_path
from acav_spark.report.wording import (
    clock,
    elapsed,
    information,
    middle_cut,
    moment,
    one_line,
    share,
    step_share,
)


def printed(
    steps: list[FunnelStep],
    rejections: list[ReasonCount] | None = None,
    failures: list[ReasonCount] | None = None,
) -> str:
    out = io.StringIO()
    table = funnel_table(steps, rejections or [], failures or [])
    Console(file=out, width=120, force_terminal=False).print(table)
    return out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0:00.0"),
        (5.04, "0:05.0"),
        (59.96, "1:00.0"),
        (75.3, "1:15.3"),
        (3723.4, "1:02:03.4"),
        (-0.5, "-0:00.5"),
        (-0.01, "0:00.0"),
    ],
)
def test_times_are_minutes_and_seconds_to_a_tenth(seconds: float, words: str) -> None:
    assert clock(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.44, "0.4 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"), (3659, "1 h 00 min")],
)
def test_durations_are_rounded_to_what_matters(seconds: float, words: str) -> None:
    assert elapsed(seconds) == words


@pytest.mark.parametrize(
    ("nats", "words"),
    [
        (0.0123, "12.3 mnat"),
        (-0.0005, "-0.5 mnat"),
        (2.5e-6, "0.0025 mnat"),
        (1.25, "1.250 nats"),
    ],
)
def test_small_amounts_of_information_are_millinats(nats: float, words: str) -> None:
    assert information(nats) == words


@pytest.mark.parametrize("write", [clock, elapsed, information, share])
def test_what_is_no_number_is_a_dash(write: type) -> None:
    assert write(float("nan")) == "\N{EN DASH}"


def test_moments_are_in_utc() -> None:
    east = timezone(timedelta(hours=2))

    assert moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=east)) == (
        "2026-01-02 01:04:05 UTC"
    )
    assert moment(datetime(2026, 1, 2, 3, 4, 5)) == "2026-01-02 03:04:05 UTC"
    assert moment(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02 00:00:00 UTC"


def test_shares_are_left_out_where_they_would_mislead() -> None:
    assert step_share(5, 10, same_unit=True) == "50.0 %"
    assert step_share(5, 10, same_unit=False) == ""
    assert step_share(15, 10, same_unit=True) == ""
    assert step_share(0, 0, same_unit=True) == ""
    assert step_share(5, None, same_unit=True) == ""


def test_foreign_text_comes_on_one_line_without_controls() -> None:
    assert one_line("a\r\n b\t c\x1b[31m\udc80") == "a b c\ufffd[31m\ufffd"


def test_marks_of_direction_are_taken_out() -> None:
    assert one_line("exe.\u202egpj\u2069") == "exe.gpj"


def test_long_text_is_cut_at_the_end() -> None:
    assert one_line("x" * 11, 10) == "x" * 9 + "…"
    assert one_line("x" * 10, 10) == "x" * 10
    assert len(one_line("x" * 10**7, 10)) == 10
    assert one_line(" " * 100 + "y", 10) == "…"


def test_long_uris_keep_their_end() -> None:
    uri = "file:///a/very/long/way/to/the/clip_17.mp4"

    assert middle_cut(uri, 20) == "file:…he/clip_17.mp4"
    assert middle_cut(uri, 100) == uri
    assert len(middle_cut("z" * 10_000, 20)) == 20


def test_the_terminal_shows_steps_reasons_and_codes() -> None:
    text = printed(
        [
            FunnelStep("found", 1200, "in the folder", "videos"),
            FunnelStep("accepted", 900, "", "videos"),
            FunnelStep("cut", 2500, "", "clips"),
        ],
        [
            ReasonCount("ingest_videos", "too_short", 250, "a.mp4"),
            ReasonCount("ingest_videos", "no_sound", 40),
        ],
        [ReasonCount("ingest_videos", "not_media", 10, "b.mp4")],
    )

    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "found 1,200 videos in the folder" in lines
    assert "accepted 900 videos 75.0 %" in lines
    assert "cut 2,500 clips" in lines
    assert "Rejected, by reason 290" in lines
    assert "too_short 250 ingest_videos, example: a.mp4" in lines
    assert "no_sound 40 ingest_videos" in lines
    assert "Failed, by code 10" in lines


def test_the_terminal_says_when_nothing_went_wrong() -> None:
    text = printed([])

    assert "Nothing has been counted yet." in text
    assert "Nothing was rejected." in text
    assert "Nothing failed." in text


def test_foreign_text_cannot_style_or_steer_the_terminal() -> None:
    bad = "[red]x[/red][/]\x1b[2J\x07\nnext"

    text = printed([FunnelStep(bad, 1, bad, "u")], [ReasonCount(bad, bad, 1, bad)], [])

    assert "[red]x[/red][/]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_posters_are_small_and_keep_their_shape_and_colours() -> None:
    frame = np.zeros((1080, 1920, 3), dtype=np.uint8)
    frame[..., 0] = 255

    jpeg = poster_jpeg(frame)

    import cv2

    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (202, 360, 3)
    blue, green, red = decoded[100, 100].tolist()
    assert (red > 250, green < 5, blue < 5) == (True, True, True)


def test_small_frames_are_not_blown_up() -> None:
    import cv2

    jpeg = poster_jpeg(np.zeros((20, 30, 3), dtype=np.uint8))

    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (20, 30, 3)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4), (4, 4, 4)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="height, width, 3"):
        poster_jpeg(np.zeros(shape, dtype=np.uint8))


def test_an_envelope_holds_the_peak_of_each_part() -> None:
    waveform = np.array([0.1, -0.9, 0.2, 0.3, np.nan, 2.0], dtype=np.float32)

    np.testing.assert_allclose(peak_envelope(waveform, 3), [0.9, 0.3, 1.0])


def test_an_envelope_of_little_or_nothing_is_short() -> None:
    assert peak_envelope(np.zeros(0, dtype=np.float32)).size == 0
    assert peak_envelope(np.ones(5, dtype=np.float32)).size == 5
    assert peak_envelope(np.ones(100_000, dtype=np.float32)).size == N_BINS


def test_waveforms_are_mirrored_paths_and_silence_stays_visible() -> None:
    path = waveform_path(np.array([0.0, 0.5, 1.0], dtype=np.float32))

    assert path == "M0 -.02V.02M1 -.50V.50M2 -1.00V1.00"
    assert waveform_path(None) == ""
    assert waveform_path(np.zeros(0, dtype=np.float32)) == ""
    assert waveform_path(np.ones(5000, dtype=np.float32)).count("M") == N_BINS


def test_clusters_are_grouped_by_extractor_in_order() -> None:
    groups = cluster_groups(
        {"slowfast_r50/1": 3, "slowfast_r50/2": 4, "vggish layer 5": 7, "text": 9}
    )

    assert groups == [
        ("slowfast_r50", [("1", 3), ("2", 4)]),
        ("vggish", [("5", 7)]),
        ("text", [("", 9)]),
    ]
