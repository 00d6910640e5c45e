"""What a report is made of: plain values, gathered by a job, read by the renderer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.evaluate.layout import RetrievalTable
    from acav_spark.report.film import FilmStrip


@dataclass(frozen=True)
class FunnelStep:
    """How many items are left after one step.

    Parameters
    ----------
    label : str
        The step in a word or two, such as ``accepted``.
    n : int
        Items left.
    note : str
        Why the others are gone, or what is counted.
    unit : str
        What is counted, such as ``videos``. A share of the step before is shown only
        where both count the same.
    is_headline : bool
        Whether the number also stands at the top of the page; where no step says so,
        the first and the last do.
    """

    label: str
    n: int
    note: str = ""
    unit: str = ""
    is_headline: bool = False


@dataclass(frozen=True)
class ReasonCount:
    """How many items a stage rejected, or failed on, for one reason; one as example."""

    stage: str
    reason: str
    n: int
    example: str = ""


@dataclass(frozen=True, eq=False)
class ClipCard:
    """One clip on a contact sheet.

    Parameters
    ----------
    clip_id, uri, title : str
        Key, source and title of the clip; title may be empty.
    start_s, end_s : float or None
        Times in the source in seconds; None for imported items without times.
    rank : int, optional
        Place in the selection, from 1.
    gain : float, optional
        What the clip added to the objective when it was picked, in nats.
    clusters : mapping of str to int
        Cluster id by view, in the order of the views.
    poster_jpeg : bytes, optional
        A frame of the clip, see ``poster_jpeg`` of ``acav_spark.report.cards``.
    waveform : ndarray of float32, shape (n_bins,), optional
        Peak envelope in [0, 1], see ``peak_envelope``.
    note : str
        Anything else worth a line.
    is_corresponding : bool, optional
        The label, where labels are known.
    """

    clip_id: str
    uri: str
    title: str = ""
    start_s: float | None = None
    end_s: float | None = None
    rank: int | None = None
    gain: float | None = None
    clusters: Mapping[str, int] = field(default_factory=dict)
    poster_jpeg: bytes | None = None
    waveform: NDArray[np.float32] | None = None
    note: str = ""
    is_corresponding: bool | None = None


@dataclass(frozen=True, eq=False)
class ClusterSizes:
    """Clips in each cluster of one view.

    Parameters
    ----------
    view, modality : str
        Name of the view, and what its extractor looks at.
    population, selected : ndarray of int64, shape (n_clusters,)
        Clips of all, and of the selected ones, by cluster; ``selected`` is empty
        where nothing is selected yet.

    Raises
    ------
    ValueError
        If the two lengths differ.
    """

    view: str
    modality: str
    population: NDArray[np.int64]
    selected: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.selected.size and self.selected.shape != self.population.shape:
            msg = (
                f"ClusterSizes of {self.view!r}: expected population and selected of "
                f"one shape, got {self.population.shape} and {self.selected.shape}."
            )
            raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class SelectionProgress:
    """Gain and objective along the selection.

    Parameters
    ----------
    ranks : ndarray of int64, shape (n_points,)
        Places in the selection, increasing; all of them or a sample.
    gains, objectives : ndarray of float64, shape (n_points,)
        Gain of the pick and objective after it, in nats.

    Raises
    ------
    ValueError
        If the lengths differ.
    """

    ranks: NDArray[np.int64]
    gains: NDArray[np.float64]
    objectives: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = self.ranks.shape, self.gains.shape, self.objectives.shape
        if len(set(shapes)) != 1:
            msg = (
                "SelectionProgress: expected ranks, gains and objectives of one "
                f"shape, got {shapes}."
            )
            raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class ScoreProgress:
    """Scores along a selection that was made by scores.

    Parameters
    ----------
    ranks : ndarray of int64, shape (n_points,)
        Places in the selection, increasing; all of them or a sample.
    scores : ndarray of float64, shape (n_points,)
        Score of each, larger is better.
    method : str
        Name of the method.
    """

    ranks: NDArray[np.int64]
    scores: NDArray[np.float64]
    method: str


@dataclass(frozen=True)
class EpochCurve:
    """How the fit of one view went: inertia and clusters in use after each epoch."""

    view: str
    inertia: Sequence[float]
    n_used: Sequence[int]
    k: int


@dataclass(frozen=True)
class SeedResult:
    """Shares of truly corresponding clips among those selected, for one seed.

    Parameters
    ----------
    seed : int
        Seed of clustering and of selection.
    selected : float
        By all pairs of views of the pairing.
    random : float
        Of a random selection of the same size.
    best_single : float
        By one layer of one modality and one of another: the pair that is best on the
        average of the seeds.
    best_single_pair : str
        Names of that pair's views.
    """

    seed: int
    selected: float
    random: float
    best_single: float
    best_single_pair: str


@dataclass(frozen=True)
class Correspondence:
    """How many of the selected clips truly correspond, where labels are known.

    Parameters
    ----------
    n_selected : int
        Clips selected.
    base_rate : float
        Share of corresponding clips among all.
    selected, random, best_single : float
        Share among the selected, among as many drawn at random, and among as many
        selected with the one pair of layers that does best.
    best_single_pair : str
        Name of that pair.
    seeds : sequence of SeedResult
        The same for several seeds.
    """

    n_selected: int
    base_rate: float
    selected: float
    random: float
    best_single: float
    best_single_pair: str
    seeds: Sequence[SeedResult] = ()


@dataclass(frozen=True)
class StageRun:
    """One line of the ledger; ``seconds`` is None while the stage runs.

    Times without a zone are taken as UTC.
    """

    stage: str
    status: str
    started_at: datetime
    seconds: float | None
    n_in: int
    n_out: int
    n_failed: int
    n_rejected: int
    run_id: str
    code_version: str
    config_hash: str


@dataclass(frozen=True)
class TableInfo:
    """One table of the warehouse."""

    name: str
    n_rows: int
    version: int
    comment: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportData:
    """Everything that a report shows; what is left out is reported as not there yet."""

    title: str
    subtitle: str
    created_at: datetime
    code_version: str
    run_ids: Sequence[str] = ()
    funnel: Sequence[FunnelStep] = ()
    rejections: Sequence[ReasonCount] = ()
    failures: Sequence[ReasonCount] = ()
    first: Sequence[ClipCard] = ()
    last: Sequence[ClipCard] = ()
    not_selected: Sequence[ClipCard] = ()
    cluster_sizes: Sequence[ClusterSizes] = ()
    progress: SelectionProgress | ScoreProgress | None = None
    epochs: Sequence[EpochCurve] = ()
    correspondence: Correspondence | None = None
    strips: Sequence[FilmStrip] = ()
    retrieval: Sequence[RetrievalTable] = ()
    stage_runs: Sequence[StageRun] = ()
    config_yaml: str = ""
    tables: Sequence[TableInfo] = ()
