"""The stages in their order: what ``acav run`` walks through."""

from __future__ import annotations

import difflib
import importlib
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acav_spark.errors import ConfigError
from acav_spark.worker_errors import own_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from acav_spark.context import StageContext
    from acav_spark.runs import StageResult

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline.

    Parameters
    ----------
    name : str
        A verb and the table that it fills.
    module : str
        Where the function of that name is.
    summary : str
        One line for people.
    reads, fills : tuple of str
        Tables.
    """

    name: str
    module: str
    summary: str
    reads: tuple[str, ...]
    fills: tuple[str, ...]

    def load(self) -> Callable[[StageContext], StageResult]:
        """Return the stage's function."""
        function: Callable[[StageContext], StageResult] = getattr(
            importlib.import_module(self.module), self.name
        )
        return function


STAGES: tuple[Stage, ...] = (
    Stage(
        "ingest_videos",
        "acav_spark.ingest.job",
        "Find candidates; filter by duration, category, keywords, language.",
        (),
        ("videos", "failures"),
    ),
    Stage(
        "segment_clips",
        "acav_spark.segment.job",
        "Find shots and cut clips inside them.",
        ("videos",),
        ("segmentations", "clips", "failures"),
    ),
    Stage(
        "find_duplicates",
        "acav_spark.duplicates.job",
        "Reject all but one of the videos that show the same (duplicates.enabled).",
        ("videos", "segmentations", "clips"),
        ("videos", "segmentations", "clips"),
    ),
    Stage(
        "cut_clips",
        "acav_spark.cutting.job",
        "Write clips to files of their own (segmentation.cut).",
        ("clips", "videos"),
        ("clip_files", "clips", "failures"),
    ),
    Stage(
        "import_features",
        "acav_spark.imports.job",
        "Take over vectors that are there already (features.extractors[].imported).",
        ("clips",),
        ("features", "clips", "imports", "failures"),
    ),
    Stage(
        "extract_features",
        "acav_spark.features.job",
        "Look at and listen to clips: vectors of every layer.",
        ("clips", "videos", "clip_files"),
        ("features", "failures"),
    ),
    Stage(
        "fit_centroids",
        "acav_spark.clustering.job",
        "Learn a codebook for every view by SGD k-means.",
        ("features", "imports"),
        ("codebooks", "centroids", "epochs"),
    ),
    Stage(
        "assign_clusters",
        "acav_spark.assign.job",
        "Give every clip its nearest centroid in every view.",
        ("features", "codebooks", "centroids"),
        ("assignments", "packed"),
    ),
    Stage(
        "select_clips",
        "acav_spark.selection.job",
        "Choose the clips that maximise mutual information, or by selection.method.",
        ("packed", "codebooks", "features"),
        ("selections", "contingency"),
    ),
    Stage(
        "publish_clips",
        "acav_spark.publish.job",
        "Write the selection as Parquet, CSV and JSON Lines.",
        ("selections", "clips", "videos", "clip_files", "packed"),
        (),
    ),
)
"""All stages, in the order of the data."""


def stages_named(names: Sequence[str]) -> list[Stage]:
    """Return stages by their names in the order of the data; all when none is named.

    Raises
    ------
    ConfigError
        If a name is unknown.
    """
    known = [stage.name for stage in STAGES]
    unknown = [name for name in names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        msg = (
            f"stage: expected some of {', '.join(known)}; got {', '.join(unknown)}."
            f"{hint}"
        )
        raise ConfigError(msg)
    return [stage for stage in STAGES if not names or stage.name in names]


def run_stages(
    context: StageContext,
    stages: Sequence[Stage],
    told: Callable[[StageResult], None] = lambda _: None,
) -> list[StageResult]:
    """Run stages one after another; a rerun does only what is left.

    Parameters
    ----------
    context : StageContext
        What the stages work with.
    stages : sequence of Stage
        In the order of the data.
    told : callable, optional
        Called with each result.

    Raises
    ------
    AcavError
        What ended a stage; also where it was raised on an executor.
    """
    context.ledger.close_interrupted()
    results = []
    for stage in stages:
        started = time.monotonic()
        try:
            result = stage.load()(context)
        except Exception as error:
            if (cause := own_error(error)) is not None:
                raise cause from error
            raise
        result = replace(result, seconds=time.monotonic() - started)
        if result.is_unchanged:
            _logger.info("nothing to do stage=%s", stage.name)
        results.append(result)
        told(result)
    return results
