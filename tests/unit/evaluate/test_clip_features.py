"""Features of a folder's videos in pieces, and how they are kept."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media_files import grey_of, write_video
from planted_extractors import MeanGrey, Pitch

from acav_spark.errors import MediaError, StageError
from acav_spark.evaluate.clip_features import (
    ClipFeatures,
    clip_features,
    clip_networks,
)
from acav_spark.media.codes import TIME_LIMIT
from acav_spark.media.decode import decode_clip
from acav_spark.media.types import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


TONES_HZ = {"a.mkv": 300, "b.mkv": 600, "sub/c.mkv": 900}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 2.3 s with a tone each."""
    made = tmp_path_factory.mktemp("clips")
    (made / "sub").mkdir()
    for name, tone_hz in TONES_HZ.items():
        write_video(made / name, duration_s=2.3, tone_hz=tone_hz)
    return made


def read(folder: Path, cache: Path, **options: object) -> ClipFeatures:
    given = {"networks": [MeanGrey(), Pitch()], "piece_s": 1.0, **options}
    return clip_features(folder, cache, **given)  # type: ignore[arg-type]


def test_pieces_lie_in_order_of_file_and_time_and_a_rest_is_left_out(
    folder: Path, tmp_path: Path
) -> None:
    features = read(folder, tmp_path)

    assert features.files == tuple(TONES_HZ)
    assert features.sources.tolist() == [0, 0, 1, 1, 2, 2]
    assert features.starts_s.tolist() == [0, 1, 0, 1, 0, 1]
    assert features.failed == ()
    assert features.networks == ("mean_grey/1", "pitch/1")


def test_both_sides_are_of_the_piece_s_own_time_and_file(
    folder: Path, tmp_path: Path
) -> None:
    (grey, frames), (pitch, halves) = read(folder, tmp_path).layers

    assert pitch[:, 0] == pytest.approx([300, 300, 600, 600, 900, 900], abs=1)
    np.testing.assert_allclose(halves, pitch * [0.5, 2])
    # Four frames of each second, at the middles of its quarters: 1, 3, 6, 8 of ten.
    for start, row in ((0, 0), (10, 1)):
        shown = [grey_of(start + i) for i in (1, 3, 6, 8)]
        assert frames[row] == pytest.approx(shown, abs=6)
        assert grey[row, 0] == pytest.approx(np.mean(shown), abs=6)


def test_loudness_is_the_root_mean_square_of_the_sound(
    folder: Path, tmp_path: Path
) -> None:
    # A sine of amplitude 0.5.
    assert read(folder, tmp_path).loudness == pytest.approx(
        [0.5 / 2**0.5] * 6, rel=0.02
    )


def test_what_is_kept_is_not_extracted_again(folder: Path, tmp_path: Path) -> None:
    first = read(folder, tmp_path)
    looks, listens = MeanGrey(), Pitch()

    again = read(folder, tmp_path, networks=[listens, looks])

    assert (looks.n_clips, listens.n_clips) == (0, 0)
    for before, after in zip(first.layers, again.layers, strict=True):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.loudness, again.loudness)


@pytest.mark.parametrize(
    ("looks", "listens", "options", "counts"),
    [
        (MeanGrey("mean_grey/2"), Pitch(), {}, (6, 0)),
        (MeanGrey(), Pitch("pitch/2"), {}, (0, 6)),
        (MeanGrey(), Pitch(), {"piece_s": 0.5}, (12, 12)),
        (MeanGrey(), Pitch(), {"max_pieces": 1}, (3, 3)),
        (MeanGrey(), Pitch(), {"max_pieces": 2}, (0, 0)),  # which is all there are
    ],
)
def test_only_what_shapes_features_makes_them_anew(
    folder: Path,
    tmp_path: Path,
    looks: MeanGrey,
    listens: Pitch,
    options: dict[str, object],
    counts: tuple[int, int],
) -> None:
    read(folder, tmp_path)
    read(folder, tmp_path, networks=[looks, listens], **options)
    assert (looks.n_clips, listens.n_clips) == counts


def test_a_file_that_moves_keeps_its_features_and_a_changed_one_does_not(
    folder: Path, tmp_path: Path
) -> None:
    read(folder, tmp_path / "cache")
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    (moved / "a.mkv").rename(moved / "z.mkv")
    write_video(moved / "b.mkv", duration_s=2.3, tone_hz=1200)
    looks = MeanGrey()

    features = read(moved, tmp_path / "cache", networks=[looks, Pitch()])

    assert looks.n_clips == 2
    assert features.files == ("b.mkv", "sub/c.mkv", "z.mkv")
    assert features.layers[1][0][::2, 0] == pytest.approx([1200, 900, 300], abs=1)


def test_what_cannot_be_read_is_told_and_costs_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    (mixed / "notes.txt").write_text("no video")
    write_video(mixed / "mute.mkv", tone_hz=None)
    shutil.copy(mixed / "a.mkv", mixed / "copy of a.mkv")
    write_video(mixed / "short.mkv", duration_s=0.5)
    # Sound for one second, picture for two.
    write_video(mixed / "late.mkv", duration_s=2.0, sound_start_s=1.2)

    features = read(mixed, tmp_path / "cache")

    assert {(f.file, f.code) for f in features.failed if f.start_s == 0} >= {
        ("notes.txt", "not_media"),
        ("mute.mkv", "no_audio_stream"),
        ("copy of a.mkv", "copy"),
    }
    named = [features.files[source] for source in features.sources]
    assert [named.count(name) for name in TONES_HZ] == [2, 2, 2]
    assert "short.mkv" not in named


class Moody(Pitch):
    """Fails at its second clip, for a passing reason or for good."""

    def __init__(self, *, is_permanent: bool) -> None:
        super().__init__()
        self._is_permanent = is_permanent
        self.fails_at = 2

    def extract(
        self, clips: Sequence[DecodedClip]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        vectors = super().extract(clips)
        if self.n_clips == self.fails_at:
            raise MediaError(TIME_LIMIT, "slow", is_permanent=self._is_permanent)
        return vectors


@pytest.mark.parametrize("is_permanent", [True, False])
def test_a_piece_that_fails_is_left_out_and_tried_again_unless_for_good(
    folder: Path, tmp_path: Path, *, is_permanent: bool
) -> None:
    first = read(
        folder, tmp_path, networks=[MeanGrey(), Moody(is_permanent=is_permanent)]
    )
    assert first.sources.tolist() == [0, 1, 1, 2, 2]
    assert [(f.file, f.start_s, f.code) for f in first.failed] == [
        ("a.mkv", 1.0, "time_limit")
    ]
    assert first.layers[0][0].shape == (5, 1)

    again = read(folder, tmp_path)

    assert len(again.sources) == (5 if is_permanent else 6)


def test_a_broken_file_of_features_is_made_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = read(folder, tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 6
    kept[0].write_bytes(kept[0].read_bytes()[:100])

    again = read(folder, tmp_path)

    assert "made anew" in caplog.text
    np.testing.assert_array_equal(first.layers[0][1], again.layers[0][1])
    np.testing.assert_array_equal(first.layers[1][1], again.layers[1][1])


def test_progress_is_told_for_each_file(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    read(folder, tmp_path, progress=lambda n, of: told.append((n, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"piece_s": 0.1}, "piece_s: expected 0.25 to 60"),
        ({"piece_s": float("nan")}, "piece_s"),
        ({"max_pieces": 0}, "max_pieces: expected at least 1"),
        ({"networks": [Pitch(), Pitch()]}, r"got \['audio', 'audio'\]"),
        ({"networks": [Pitch()]}, "look and listen"),
    ],
)
def test_options_are_refused_before_anything_is_read(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path / "no such folder", tmp_path, **options)


def test_a_folder_without_any_piece_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.txt").write_text("x")
    with pytest.raises(StageError, match=r"1 files and no piece.*'not_media'"):
        read(tmp_path / "in", tmp_path / "cache")
    with pytest.raises(StageError, match="expected an existing folder"):
        read(tmp_path / "none", tmp_path / "cache")


def test_networks_are_found_by_their_weights(data_dir: Path, tmp_path: Path) -> None:
    if not (data_dir / "weights").is_dir():
        pytest.skip(f"no weights in {data_dir}")
    looks, listens = clip_networks(data_dir / "weights", n_frames=16, device="cpu")
    assert (looks.modality, listens.modality) == ("visual", "audio")
    assert looks.version.startswith("i3d_rgb/1 16 frames")
    (tmp_path / "i3d_rgb_a.npz").touch()
    (tmp_path / "i3d_rgb_b.npz").touch()
    with pytest.raises(StageError, match=r"one file i3d_rgb\*.*'i3d_rgb_b.npz'"):
        clip_networks(tmp_path)


def test_pieces_of_real_clips_are_what_decoding_them_gives(
    data_dir: Path, tmp_path: Path
) -> None:
    names = ["cockatoo.mp4", "crystal.webm", "elf.webm"]
    (tmp_path / "in").mkdir()
    for name in names:
        if not (data_dir / "videos" / name).is_file():
            pytest.skip(f"no such test data: {name}")
        (tmp_path / "in" / name).write_bytes((data_dir / "videos" / name).read_bytes())
    looks, listens = MeanGrey(), Pitch()

    features = read(tmp_path / "in", tmp_path / "cache", piece_s=2.0, max_pieces=2)

    assert features.files == tuple(names)
    assert features.sources.tolist() == [0, 0, 1, 1, 2, 2]
    for row, (source, start_s) in enumerate(
        zip(features.sources.tolist(), features.starts_s.tolist(), strict=True)
    ):
        assert looks.video_sampling is not None
        assert listens.audio_sampling is not None
        decoded = decode_clip(
            tmp_path / "in" / names[source],
            start_s,
            start_s + 2,
            video=[looks.video_sampling],
            audio=[listens.audio_sampling],
            max_pixels=2**24,
        )
        seen = DecodedClip("", frames=decoded.frames[0][0])
        heard = DecodedClip("", waveform=decoded.waveforms[0])
        for side, vectors in zip(
            features.layers,
            (looks.extract([seen])[0], listens.extract([heard])[0]),
            strict=True,
        ):
            for layer, vector in zip(side, vectors, strict=True):
                np.testing.assert_array_equal(layer[row], vector)
    # The cockatoo's sound track is silence.
    assert (features.loudness[:2] < 1e-4).all()
    assert (features.loudness[2:] > 1e-4).all()
