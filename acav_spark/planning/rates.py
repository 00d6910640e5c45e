"""What one item costs: rates that ``acav plan --calibrate`` measures, as a file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeFloat, field_validator

from acav_spark.planning.reading import Strict, read_values

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN_RATES = Path(__file__).parents[1] / "conf" / "rates.json"
FORMAT = 1


class StageRate(Strict):
    """What a stage costs apart from its items.

    Parameters
    ----------
    fixed_s, fixed_core_s : float
        Wall clock and processor time of a stage with one chunk, without its items'
        work: planning, looking at tables, commits.
    chunk_s, chunk_core_s : float
        The same of each further chunk.
    """

    fixed_s: NonNegativeFloat
    fixed_core_s: NonNegativeFloat
    chunk_s: NonNegativeFloat = 0.0
    chunk_core_s: NonNegativeFloat = 0.0


class ExtractorRate(Strict):
    """What an extractor costs a clip, decoding apart.

    Parameters
    ----------
    core_s : float
        Processor time of a clip.
    clip_s : float
        Length in seconds of the clips that were measured.
    """

    core_s: NonNegativeFloat
    clip_s: float = Field(gt=0)


class SelectionRate(Strict):
    """Processor time of one pick with so many clusters and pairs of views."""

    n_clusters: int = Field(ge=1)
    n_pairs: int = Field(ge=1)
    core_s_per_pick: NonNegativeFloat


class Rates(Strict):
    """What items cost on one machine.

    All times are seconds of processor time of one core where not said otherwise.

    Parameters
    ----------
    machine, date, versions, n_videos, video_s
        Where and when, with which packages, on how many videos of which length.
    cores : int
        Cores of that machine.
    contention : float
        Seconds that a second of processor time took there: 1 when nothing else ran.
    efficiency : float
        Speed of each of several cores, that of one alone being 1.
    start_s, start_core_s, end_s, end_core_s : float
        A command's start with its session, and its end, in seconds of wall clock and
        of processor time.
    stages : mapping of str to StageRate
        By the stage's name.
    metadata_row_core_s, probe_video_core_s : float
        Judging a row of metadata; probing a file, its hash included.
    segment_pixel_frame_core_s, segment_second_core_s : float
        Measuring a video: for each pixel of each frame, and for each second.
    decode_pixel_frame_core_s, decode_clip_core_s : float
        Decoding a clip for all extractors: for each pixel of each frame of the clip,
        and once a clip.
    extractors : mapping of str to ExtractorRate
        By name; those that are not there are reckoned from their operations.
    product_core_s, row_core_s : float
        Finding a nearest centroid: for each dimension and centroid, and for each
        dimension of a row.
    feature_byte_core_s, assigned_row_core_s : float
        Carrying a vector's byte from the table to a worker; committing and packing a
        row of one extractor.
    selection : list of SelectionRate
        Costs of a pick.
    packed_clip_core_s : float
        Reading, counting and looking up a clip before and after choosing.
    published_row_core_s : float
        Writing a selected clip in one format.
    compared_clip_core_s : float
        Looking for near-duplicates of a clip.
    merged_row_core_s : float
        Looking at a row that is there, by each chunk that is merged.
    clip_yield : float
        Clips cut, divided by those that durations permit.
    bytes_per_row : mapping of str to float
        By table; those that are not there are reckoned.
    not_measured : list of str
        Names of those above that were not measured there.
    """

    format: int = Field(default=FORMAT, ge=FORMAT, le=FORMAT)
    machine: str
    date: str
    versions: dict[str, str]
    n_videos: int = Field(ge=0)
    video_s: NonNegativeFloat
    cores: int = Field(ge=1)
    contention: float = Field(default=1.0, ge=1)
    efficiency: float = Field(default=0.86, gt=0, le=1)
    start_s: NonNegativeFloat
    start_core_s: NonNegativeFloat
    end_s: NonNegativeFloat
    end_core_s: NonNegativeFloat
    stages: dict[str, StageRate]
    metadata_row_core_s: NonNegativeFloat
    probe_video_core_s: NonNegativeFloat
    segment_pixel_frame_core_s: NonNegativeFloat
    segment_second_core_s: NonNegativeFloat
    decode_pixel_frame_core_s: NonNegativeFloat
    decode_clip_core_s: NonNegativeFloat
    extractors: dict[str, ExtractorRate]
    product_core_s: NonNegativeFloat
    row_core_s: NonNegativeFloat
    feature_byte_core_s: NonNegativeFloat
    assigned_row_core_s: NonNegativeFloat
    selection: list[SelectionRate] = Field(min_length=1)
    packed_clip_core_s: NonNegativeFloat
    published_row_core_s: NonNegativeFloat
    compared_clip_core_s: NonNegativeFloat
    merged_row_core_s: NonNegativeFloat = 1.0e-6
    clip_yield: float = Field(default=1.0, ge=0, le=1)
    bytes_per_row: dict[str, NonNegativeFloat]
    not_measured: list[str] = Field(default_factory=list)

    @field_validator("not_measured")
    @classmethod
    def _names_are_known(cls, value: list[str]) -> list[str]:
        unknown = [name for name in value if name not in cls.model_fields]
        if unknown:
            msg = f"expected names of rates, got {unknown[:5]}"
            raise ValueError(msg)
        return value

    def stage(self, name: str) -> StageRate:
        """Return what a stage costs apart from its items; nothing if not known."""
        return self.stages.get(name, StageRate(fixed_s=0.0, fixed_core_s=0.0))


def read_rates(path: Path | None = None) -> Rates:
    """Return the rates of a file; the package's own where none is named.

    Raises
    ------
    ConfigError
        If it cannot be read or does not hold rates.
    """
    return read_values(path or OWN_RATES, Rates)


def write_rates(rates: Rates, path: Path) -> None:
    """Write rates as JSON, four digits of each figure: more was not measured."""
    text = json.dumps(_rounded(rates.model_dump(mode="json")), indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def nearest_selection_rate(
    rates: Sequence[SelectionRate], n_clusters: int, n_pairs: int
) -> SelectionRate:
    """Return the rate whose clusters, then whose pairs, are nearest by their ratio."""

    def distance(rate: SelectionRate) -> tuple[float, float]:
        return (
            abs(math.log(rate.n_clusters / n_clusters)),
            abs(math.log(rate.n_pairs / n_pairs)),
        )

    return min(rates, key=distance)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_rounded(below) for below in value]
    return value
