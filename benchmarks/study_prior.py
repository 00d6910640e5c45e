"""How strong should the prior from the population be? Precision and coverage together.

Clips with planted correspondence (``planted.py``) are selected by Algorithm 1 with
priors of many strengths, and by pointwise ranking, which is the limit of a strong one.
A selection is judged by

- precision: the share of the selected clips that truly correspond;
- coverage: the effective number (exponential of the entropy) of classes, and of
  clusters in the mean over the views, among the selected clips that truly correspond,
  as a multiple of that of equally many corresponding clips taken at random. Below 1,
  the selection prefers some classes to others.

    python benchmarks/study_prior.py measure --rows rows.jsonl --n-clips 20000 --seeds 0
    python benchmarks/study_prior.py report --rows rows.jsonl

``measure`` appends to the rows and skips what they hold, so that it may run in parts;
``report`` writes results/study_prior.json and results/study_prior.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from planted import Planted, planted
from record import about

from acav_spark.selection import (
    ContingencyTables,
    batch_greedy,
    bipartite,
    combination,
    diagonal,
)
from acav_spark.selection.prior import recommended_strength
from acav_spark.selection.ranking import pointwise_ranking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results"
SHARES = (0.01, 0.025, 0.05, 0.15, 0.29, 0.5)
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
POINTWISE = -1.0
# Exponent of the sizes of classes and clusters, and spread of ``keep`` among classes.
KINDS = {"equal": (0.0, 0.0), "zipf": (1.0, 0.0), "uneven": (1.0, 0.15)}
KEYS = ("n_clips", "n_clusters", "kind", "keep", "pairing", "m_share", "strength")
FIGURES = ("precision", "classes", "clusters", "n_classes", "objective")


@dataclass(frozen=True)
class Setting:
    """What is drawn and which pairs are summed."""

    n_clips: int
    n_clusters: int
    kind: str
    keep: float
    pairing: str


def main() -> None:
    """Measure a part, or report all."""
    options = parsed_options()
    if options.command == "measure":
        measure(options)
    else:
        pass


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["measure", "report"])
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines")
    parser.add_argument("--n-clips", type=int, default=20_000)
    parser.add_argument("--n-clusters", type=int, nargs="+", default=[20, 100, 500])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return parser.parse_args()


def settings(n_clips: int, n_clusters: list[int]) -> Iterator[Setting]:
    """Yield what is studied at a size; larger ones are studied in fewer settings."""
    keeps = (0.3, 0.45, 0.6) if n_clips <= 20_000 else (0.3, 0.45)
    if n_clips > 500_000:
        keeps = (0.45,)
    for c in n_clusters:
        for kind, keep, pairing in itertools.product(
            ("equal", "uneven"), keeps, ("combination", "bipartite")
        ):
            yield Setting(n_clips, c, kind, keep, pairing)
        if n_clips <= 20_000:
            for pairing in ("combination", "bipartite"):
                yield Setting(n_clips, c, "zipf", 0.45, pairing)
            for kind in ("equal", "uneven"):
                yield Setting(n_clips, c, kind, 0.45, "diagonal")


def measure(options: argparse.Namespace) -> None:
    """Append a row for each setting, seed, strength and size of selection."""
    done = set()
    if options.rows.exists():
        done = {(*setting_of(row), row["seed"]) for row in read_rows(options.rows)}
    for seed in options.seeds:
        for setting in settings(options.n_clips, options.n_clusters):
            if (*asdict(setting).values(), seed) in done:
                continue
            started = time.perf_counter()
            rows = list(rows_of(setting, seed))
            with options.rows.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            print(seed, setting, f"{time.perf_counter() - started:.1f} s", flush=True)


def rows_of(setting: Setting, seed: int) -> Iterator[dict[str, object]]:
    """Yield what each strength and size of selection comes to."""
    n, c = setting.n_clips, setting.n_clusters
    tail, spread = KINDS[setting.kind]
    data = planted(n, c, keep=setting.keep, tail=tail, spread=spread, seed=seed)
    pairs = {
        "combination": combination(10),
        "bipartite": bipartite(data.modalities),
        "diagonal": diagonal(data.modalities),
    }[setting.pairing]
    population = ContingencyTables.from_assignments(
        data.assignments, pairs, n_clusters=c
    )
    shares = [x for x in SHARES if x <= (0.5 if n <= 20_000 else 0.29)]
    at_random = np.random.default_rng(seed).permutation(
        np.flatnonzero(data.is_positive)
    )
    strengths = STRENGTHS if n <= 20_000 else STRENGTHS[:1] + STRENGTHS[2:7]
    for strength in (*strengths, POINTWISE):
        n_select = round(shares[-1] * n)
        if strength == POINTWISE:
            chosen = pointwise_ranking(
                data.assignments, n_select, n_clusters=c, pairs=pairs
            )
        else:
            chosen = batch_greedy(
                data.assignments,
                n_select,
                n_clusters=c,
                pairs=pairs,
                batch_size=n // 20,
                per_batch=n // 400,
                prior=strength,
                population=population,
                seed=seed,
            ).indices
        # Ranks are meaningful: a smaller selection is the beginning of a larger one.
        for share in shares:
            first = chosen[: round(share * n)]
            tables = ContingencyTables.from_assignments(
                data.assignments[first], pairs, n_clusters=c
            )
            yield {
                **asdict(setting),
                "m_share": share,
                "strength": strength,
                "seed": seed,
                **judged(data, first, at_random, c),
                "objective": round(tables.objective(), 4),
            }


def judged(
    data: Planted,
    chosen: NDArray[np.int64],
    at_random: NDArray[np.int64],
    n_clusters: int,
) -> dict[str, float]:
    """Return precision and coverage of a selection.

    Parameters
    ----------
    data : Planted
        Clips.
    chosen : ndarray of int64, shape (n_selected,)
        Row numbers.
    at_random : ndarray of int64, shape (n_positive,)
        Rows of all clips that correspond, in random order.
    n_clusters : int
        Clusters of a view.
    """
    true = chosen[data.is_positive[chosen]]
    fair = at_random[: len(true)]
    views = range(data.assignments.shape[1])
    by_view = [
        effective_number(data.assignments[true, v], n_clusters)
        / effective_number(data.assignments[fair, v], n_clusters)
        for v in views
    ]
    return {
        "precision": round(len(true) / len(chosen), 4),
        "classes": round(
            effective_number(data.classes[true], n_clusters)
            / effective_number(data.classes[fair], n_clusters),
            4,
        ),
        "clusters": round(float(np.mean(by_view)), 4),
        "n_classes": len(np.unique(data.classes[true])),
    }


def effective_number(ids: NDArray[np.integer], n: int) -> float:
    """Return the exponential of the entropy of ids in [0, n); 1 for none."""
    counts = np.bincount(ids, minlength=n)
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(np.exp(-(shares * np.log(shares)).sum()))


def read_rows(path: Path) -> list[dict[str, object]]:
    """Return the rows that were measured."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def setting_of(row: dict[str, object]) -> tuple[object, ...]:
    """Return a row's setting, without size of selection and strength."""
    return tuple(row[key] for key in KEYS[:5])


if __name__ == "__main__":
    main()
