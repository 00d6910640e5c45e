"""Read the labels of the demo corpus: for the report, and for nothing else."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["LABEL_COLUMNS", "ShotLabel", "label_of_clip", "read_labels"]

LABEL_COLUMNS = (
    "file",
    "shot_index",
    "start_s",
    "end_s",
    "visual_class",
    "audio_class",
    "is_corresponding",
)


@dataclass(frozen=True)
class ShotLabel:
    """What a shot shows and plays.

    Parameters
    ----------
    file : str
        Name of the video's file.
    shot_index : int
        Number of the shot in its video, from 0.
    start_s, end_s : float
        Times in seconds, half-open.
    visual_class, audio_class : str
        What is seen and what is heard.
    is_corresponding : bool
        Whether the sound belongs to the picture.
    """

    file: str
    shot_index: int
    start_s: float
    end_s: float
    visual_class: str
    audio_class: str
    is_corresponding: bool


def read_labels(path: Path) -> list[ShotLabel]:
    """Return the rows of ``labels.csv``, in the order of the file.

    Raises
    ------
    ConfigError
        If the file is not there, lacks a column, or has a value that is not one.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [
                name for name in LABEL_COLUMNS if name not in (reader.fieldnames or [])
            ]
            if missing:
                msg = (
                    f"{path}: expected the columns {list(LABEL_COLUMNS)}, got "
                    f"{list(reader.fieldnames or [])}; missing {missing}."
                )
                raise ConfigError(msg)
            return [_label(row, path, number) for number, row in enumerate(reader, 2)]
    except OSError as error:
        msg = f"{path}: expected a file of labels, got: {error.strerror}."
        raise ConfigError(msg) from error


def label_of_clip(
    labels: Sequence[ShotLabel], file_name: str, start_s: float, end_s: float
) -> ShotLabel | None:
    """Return the label of the shot that a clip shows most of; the earlier when equal.

    None when no shot of that file overlaps the clip.
    """

    def overlap_s(label: ShotLabel) -> float:
        return min(label.end_s, end_s) - max(label.start_s, start_s)

    overlapping = [
        label for label in labels if label.file == file_name and overlap_s(label) > 0
    ]
    return max(overlapping, key=lambda x: (overlap_s(x), -x.start_s), default=None)


def _label(row: dict[str, str], path: Path, line: int) -> ShotLabel:
    """Return one row as a label."""
    try:
        return ShotLabel(
            file=row["file"],
            shot_index=int(row["shot_index"]),
            start_s=float(row["start_s"]),
            end_s=float(row["end_s"]),
            visual_class=row["visual_class"],
            audio_class=row["audio_class"],
            is_corresponding={"true": True, "false": False}[row["is_corresponding"]],
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path}, line {line}: expected whole shot_index, times in seconds and "
            f"is_corresponding true or false, got {row}."
        )
        raise ConfigError(msg) from error
