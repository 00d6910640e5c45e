"""Data sets of the retrieval experiments by name, as problems, run by run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from acav_spark.errors import ConfigError
from acav_spark.evaluate.corpus_model import CorpusModel
from acav_spark.evaluate.experiments import CLASS_LEVEL
from acav_spark.evaluate.made_corpus import made_corpus
from acav_spark.evaluate.made_features import made_sets
from acav_spark.evaluate.problem import problem_of_corpus, problem_of_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from acav_spark.evaluate.problem import Problem
    from acav_spark.evaluate.retrieval_set import Negatives

CLIPS: Final = "clips"
MADE: Final = "made"
MADE_IDS: Final = "made_ids"
DATA_SETS: Final = (*CLASS_LEVEL, CLIPS, MADE, MADE_IDS)
"""All names: the paper's four class-level sets, clips of a folder, a made corpus with
vectors, and a large one of cluster ids."""

# Of the size of the paper's sets, with the classes of Kinetics-Sounds.
_MADE = CorpusModel(n_clusters=32, tail=0.5)
_MADE_PAIRS, _MADE_IDS_CLIPS = 10_000, 200_000
_QUICK = CorpusModel(n_clusters=16, tail=0.5)
_QUICK_PAIRS = 1_200
_QUICK_IDS = CorpusModel(n_clusters=50)
_QUICK_IDS_CLIPS = 10_000
# Three in ten clips correspond: a tenth can be all of them.
_MADE_IDS_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where data sets come from.

    Parameters
    ----------
    data : Path, optional
        Folder with ``datasets``, ``videos`` and ``weights``; made sets need none.
    cache : Path
        Folder of extracted features.
    n_runs : int, default 5
        Runs of each set (section 4.1).
    negatives : {"whole", "per_layer"}, default "whole"
        How pairs that do not belong together are made.
    is_quick : bool, default False
        Whether made sets are small.
    """

    data: Path | None
    cache: Path
    n_runs: int = 5
    negatives: Negatives = "whole"
    is_quick: bool = False


def available(data: Path | None) -> list[str]:
    """Return the sets for which there is data."""
    found: list[str] = []
    if data is not None and (data / "datasets").is_dir():
        found += CLASS_LEVEL
    if data is not None and (data / "videos").is_dir():
        found.append(CLIPS)
    return [*found, MADE, MADE_IDS]


def check(name: str, source: DataSource) -> None:
    """Refuse a set that cannot be made, before anything is computed.

    Raises
    ------
    ConfigError
        If the name is unknown, or the folder that it is made from is missing.
    """
    if name not in DATA_SETS:
        msg = f"--sets: expected some of {', '.join(DATA_SETS)}, got {name!r}."
        raise ConfigError(msg)
    if name in (MADE, MADE_IDS):
        return
    folder = "videos" if name == CLIPS else "datasets"
    if source.data is None or not (source.data / folder).is_dir():
        msg = (
            f"--data: expected a folder with {folder!r} in it for {name}, got "
            f"{source.data}. Name one, or choose {MADE} and {MADE_IDS} by --sets."
        )
        raise ConfigError(msg)
    if not (source.data / "weights").is_dir():
        msg = (
            f"--data: expected a folder 'weights' in {source.data} for {name}. Put the "
            "networks' weights there: see docs/features.md."
        )
        raise ConfigError(msg)


def problems(name: str, source: DataSource) -> Iterator[Problem]:
    """Yield a data set's problem of each run; what it needs is checked already."""
    if name == MADE_IDS:
        yield from _made_ids(source)
        return
    makers: dict[str, Callable[[DataSource], Iterator[Problem]]] = {
        MADE: _made,
        CLIPS: _clips,
    }
    yield from makers[name](source) if name in makers else _class_level(name, source)


def _made(source: DataSource) -> Iterator[Problem]:
    model = _broken(_QUICK if source.is_quick else _MADE, source)
    n_pairs = _QUICK_PAIRS if source.is_quick else _MADE_PAIRS
    name = _name(MADE, source)
    for train, test in made_sets(n_pairs, model, name=name, n_runs=source.n_runs):
        yield problem_of_sets(train, test)


def _made_ids(source: DataSource) -> Iterator[Problem]:
    model = _broken(_QUICK_IDS if source.is_quick else CorpusModel(), source)
    n_clips = _QUICK_IDS_CLIPS if source.is_quick else _MADE_IDS_CLIPS
    for run in range(source.n_runs):
        corpus = made_corpus(n_clips, model, seed=run)
        yield problem_of_corpus(
            _name(MADE_IDS, source), run, corpus, selected_share=_MADE_IDS_SHARE
        )


def _broken(model: CorpusModel, source: DataSource) -> CorpusModel:
    """Return a model whose pairs are broken as asked for."""
    return replace(model, negatives=source.negatives)


def _name(name: str, source: DataSource) -> str:
    """Return a made set's name: results of small ones stay apart."""
    return f"{name}_quick" if source.is_quick else name


def _clips(source: DataSource) -> Iterator[Problem]:
    from acav_spark.evaluate.clip_features import clip_networks
    from acav_spark.evaluate.clip_sets import clip_sets

    if source.data is None:
        return
    sets = clip_sets(
        source.data / "videos",
        source.cache,
        networks=clip_networks(source.data / "weights"),
        name=CLIPS,
        n_runs=source.n_runs,
        negatives=source.negatives,
    )
    for train, test in sets:
        yield problem_of_sets(train, test)


def _class_level(name: str, source: DataSource) -> Iterator[Problem]:
    from acav_spark.evaluate.class_sets import class_level_sets

    if source.data is None:
        return
    sets = class_level_sets(
        source.data,
        source.cache,
        name=name,
        n_runs=source.n_runs,
        negatives=source.negatives,
    )
    for train, test in sets:
        yield problem_of_sets(train, test)
