from __future__ import annotations

import csv
import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from acav_spark.demo import corpus as corpus_module
from acav_spark.demo.canvas import Canvas
from acav_spark.demo.corpus import Corpus, write_corpus
from acav_spark.demo.labels import read_labels
from acav_spark.demo.plan import (
    CLASS_BY_NAME,
    CLASSES,
    LUMA_STEP,
    MIN_SHOT_S,
    ShotPlan,
    VideoPlan,
    plan_video,
)
from acav_spark.demo.scenes import SCENES, render_shot
from acav_spark.demo.sounds import SOUNDS, synthesise_shot
from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "videos").iterdir())
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(
        tmp_path_factory.mktemp("corpus"), n_videos=3, seed=5, n_workers=1
    )


def test_the_corpus_is_whole_and_hides_its_labels(small: Corpus) -> None:
    folder = small.videos.parent

    assert sorted(path.name for path in folder.iterdir()) == [
        "labels.csv",
        "manifest.json",
        "videos",
    ]
    assert list(digests(folder)) == [
        "video_0000.mp4",
        "video_0001.mp4",
        "video_0002.mp4",
    ]
    assert (small.n_videos, small.n_written) == (3, 3)
    for path in small.videos.iterdir():
        with av.open(str(path)) as container:
            told = [container.metadata, *(x.metadata for x in container.streams)]
        assert not any(thing.name in str(told) for thing in CLASSES)


def test_labels_agree_with_the_files(small: Corpus) -> None:
    labels = read_labels(small.labels)

    assert len(labels) == small.n_shots
    for path in small.videos.iterdir():
        shots = [label for label in labels if label.file == path.name]
        assert [shot.shot_index for shot in shots] == list(range(len(shots)))
        assert shots[0].start_s == 0
        for shot, following in pairwise(shots):
            assert shot.end_s == following.start_s
        with av.open(str(path)) as container:
            picture, sound = container.streams.video[0], container.streams.audio[0]
            assert picture.codec_context.name == "h264"
            assert (sound.codec_context.name, sound.rate) == ("aac", 16_000)
            n_frames = sum(1 for _ in container.decode(picture))
            assert n_frames / float(picture.average_rate or 0) == pytest.approx(
                shots[-1].end_s, abs=1e-6
            )
            assert container.duration is not None
            # Sound may end with the last frame of its codec, 64 ms long.
            assert container.duration / 1e6 == pytest.approx(shots[-1].end_s, abs=0.07)


def test_the_number_of_workers_does_not_change_a_byte(
    small: Corpus, tmp_path: Path
) -> None:
    again = write_corpus(tmp_path, n_videos=3, seed=5, n_workers=2)

    assert digests(again.videos.parent) == digests(small.videos.parent)
    assert again.labels.read_bytes() == small.labels.read_bytes()


def test_a_second_call_does_nothing(small: Corpus) -> None:
    times = [path.stat().st_mtime_ns for path in sorted(small.videos.iterdir())]

    again = write_corpus(small.videos.parent, n_videos=3, seed=5)

    assert again.n_written == 0
    assert times == [path.stat().st_mtime_ns for path in sorted(small.videos.iterdir())]


def test_an_interrupted_corpus_is_finished(
    small: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_planned_video = corpus_module.write_planned_video
    seen: list[tuple[int, int]] = []

    def die_in_the_second(path: Path, plan: VideoPlan) -> None:
        if plan.file_name == "video_0001.mp4":
            path.write_bytes(b"half a video")
            raise KeyboardInterrupt
        write_planned_video(path, plan)

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "write_planned_video", die_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            write_corpus(tmp_path, n_videos=3, seed=5, n_workers=1)
    assert list(digests(tmp_path)) == ["video_0000.mp4"]
    assert not (tmp_path / "manifest.json").exists()

    finished = write_corpus(
        tmp_path,
        n_videos=3,
        seed=5,
        n_workers=1,
        progress=lambda done, wanted: seen.append((done, wanted)),
    )

    assert finished.n_written == 2
    assert seen == [(2, 3), (3, 3)]
    assert digests(tmp_path) == digests(small.videos.parent)
    assert not (tmp_path / ".parts").exists()


def test_a_video_that_was_deleted_is_written_again(
    small: Corpus, tmp_path: Path
) -> None:
    write_corpus(tmp_path, n_videos=3, seed=5, n_workers=1)
    (tmp_path / "videos" / "video_0002.mp4").unlink()

    assert write_corpus(tmp_path, n_videos=3, seed=5).n_written == 1
    assert digests(tmp_path) == digests(small.videos.parent)


def test_another_corpus_in_the_folder_is_refused(small: Corpus) -> None:
    with pytest.raises(ConfigError, match="'seed': 6"):
        write_corpus(small.videos.parent, n_videos=3, seed=6)


@pytest.mark.parametrize("name", ["holiday.mp4", "video_0000.mp4"])
def test_videos_of_somebody_else_are_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / name).write_bytes(b"precious")

    with pytest.raises(ConfigError, match=name):
        write_corpus(tmp_path, n_videos=1)
    assert (tmp_path / "videos" / name).read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("n_videos", "n_workers", "seed"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)]
)
def test_numbers_out_of_range_are_refused(
    n_videos: int, n_workers: int, seed: int, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="write_corpus"):
        write_corpus(tmp_path, n_videos=n_videos, n_workers=n_workers, seed=seed)
    assert not list(tmp_path.iterdir())


def test_a_plan_depends_on_seed_and_index_only() -> None:
    assert plan_video(7, seed=1) == plan_video(7, seed=1)
    assert plan_video(7, seed=1) != plan_video(7, seed=2)
    assert plan_video(7, seed=1) != plan_video(8, seed=1)


def test_half_of_the_shots_correspond_and_classes_are_unequal() -> None:
    shots = [shot for i in range(400) for shot in plan_video(i, seed=0).shots]
    share = np.mean([shot.is_corresponding for shot in shots])
    counts = [sum(shot.visual_class == x.name for shot in shots) for x in CLASSES]

    assert share == pytest.approx(0.5, abs=0.03)
    assert min(counts) > 0.02 * len(shots)
    assert max(counts) > 1.5 * min(counts)
    for shot in shots:
        thing = CLASS_BY_NAME[shot.visual_class]
        assert thing.min_rate_hz <= shot.visual_rate_hz <= thing.max_rate_hz
        if shot.is_corresponding:
            assert shot.audio_rate_hz == shot.visual_rate_hz


def test_neighbouring_shots_differ_in_brightness_and_are_long_enough() -> None:
    for plan in (plan_video(index, seed=3) for index in range(200)):
        lumas = np.array([shot.luma for shot in plan.shots])
        assert (np.abs(np.diff(lumas)) >= LUMA_STEP - 1e-9).all()
        assert ((lumas > 60) & (lumas < 192)).all()
        for start, end in plan.shot_times_s:
            assert end - start > MIN_SHOT_S - 1 / plan.frame_rate


@pytest.mark.parametrize("name", [thing.name for thing in CLASSES])
def test_every_thing_moves_and_sounds(name: str) -> None:
    thing = CLASS_BY_NAME[name]
    rate_hz = (thing.min_rate_hz + thing.max_rate_hz) / 2
    shot = ShotPlan(name, name, 24, 90.0, rate_hz, rate_hz, (0, 0, 0))

    frames = np.stack(
        list(render_shot(shot, width=160, height=120, frame_rate=12, phase=0.2))
    )
    wave = synthesise_shot(shot, n_samples=48_000, phase=0.2)

    assert frames.shape == (24, 120, 160, 3)
    assert frames[0].mean() == pytest.approx(90, abs=25)
    moved = np.abs(frames.astype(np.int16) - frames[0]).max(axis=(0, 3))
    assert (moved > 30).mean() > 0.005
    assert wave.shape == (48_000,)
    assert np.abs(wave).max() < 1
    assert np.sqrt(np.mean(wave**2)) > 0.01


def test_every_class_has_a_scene_and_a_sound() -> None:
    assert set(SCENES) == set(SOUNDS) == set(CLASS_BY_NAME)


def test_a_colour_stands_out_on_dark_and_on_bright() -> None:
    weights = np.array([0.299, 0.587, 0.114])
    dark = Canvas(160, 120, 70.0, 1.0, 0.0).colour(0.1, 0.3, contrast=60)
    bright = Canvas(160, 120, 180.0, 1.0, 0.0).colour(0.1, 0.3, contrast=60)

    assert weights @ dark == pytest.approx(130, abs=2)
    assert weights @ bright == pytest.approx(120, abs=2)


def scene_scores(path: Path) -> dict[float, float]:
    """Return the scdet score of each frame by its time."""
    scores = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        source = graph.add_buffer(template=stream)
        detector, sink = graph.add("scdet", "t=0"), graph.add("buffersink")
        source.link_to(detector)
        detector.link_to(sink)
        graph.configure()
        for frame in container.decode(stream):
            graph.push(frame)
            scored = graph.pull()
            assert isinstance(scored, av.VideoFrame)
            assert scored.time is not None
            scores[round(scored.time, 3)] = float(scored.metadata["lavfi.scd.score"])
    return scores


def test_scdet_finds_the_cuts_and_nothing_else(small: Corpus) -> None:
    labels = read_labels(small.labels)
    for path in small.videos.iterdir():
        cuts = {round(x.start_s, 3) for x in labels if x.file == path.name} - {0.0}
        found = {time for time, score in scene_scores(path).items() if score >= 10}

        assert found == cuts


def test_the_manifest_says_what_was_asked_for(small: Corpus) -> None:
    manifest = json.loads((small.videos.parent / "manifest.json").read_text())

    assert (manifest["seed"], manifest["n_videos"]) == (5, 3)


def test_labels_are_plain_csv(small: Corpus) -> None:
    with small.labels.open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == small.n_shots
    for row in rows:
        same = row["visual_class"] == row["audio_class"]
        assert row["is_corresponding"] == ("true" if same else "false")
