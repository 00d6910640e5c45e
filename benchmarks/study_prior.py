"""How strong should the prior from the population be? Precision and coverage together.

The stored results are of the prior as it was before its corrections (``shrinkage``);
``study_variants.py`` is the later study.

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

``measure`` appends to the rows and skips settings that they hold, so that it may run in
parts, such as one for each size and seed; with ``--recommended`` it measures the rule
of ``recommended_strength`` alone, which is needed where that is none of the strengths
that are measured anyway. ``report`` writes results/study_prior.json and
results/study_prior.md from any number of such files.
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
    recommended_strength,
)
from acav_spark.selection.ranking import pointwise_ranking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Row = dict[str, object]
RESULTS = Path(__file__).parent / "results"
SHARES = (0.01, 0.025, 0.05, 0.15, 0.29, 0.5)
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# Instead of a strength: the limit, and the rule.
POINTWISE, RECOMMENDED = -1.0, -2.0
NAMES = {POINTWISE: "pointwise", RECOMMENDED: "recommended"}
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
        write_report([row for path in options.rows for row in read_rows(path)])


def parsed_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["measure", "report"])
    parser.add_argument("--rows", type=Path, nargs="+", required=True)
    parser.add_argument("--recommended", action="store_true")
    parser.add_argument("--n-clips", type=int, default=20_000)
    parser.add_argument("--n-clusters", type=int, nargs="+", default=[20, 100, 500])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return parser.parse_args()


def settings(n_clips: int, n_clusters: list[int]) -> Iterator[Setting]:
    """Yield what is studied at a size; larger ones are studied in fewer settings."""
    keeps = (0.3, 0.45, 0.6) if n_clips <= 20_000 else (0.45,)
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
    path = options.rows[0]
    known = read_rows(path) if path.exists() else []
    done = {(*setting_of(row), row["seed"]) for row in known}
    strengths: tuple[float, ...] = (RECOMMENDED,)
    if not options.recommended:
        few = STRENGTHS[:1] + STRENGTHS[2:7]
        strengths = STRENGTHS if options.n_clips <= 20_000 else few
        strengths = (*strengths, POINTWISE)
    for seed in options.seeds:
        for setting in settings(options.n_clips, options.n_clusters):
            if (*asdict(setting).values(), seed) in done:
                continue
            started = time.perf_counter()
            rows = list(rows_of(setting, seed, strengths))
            with path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            print(seed, setting, f"{time.perf_counter() - started:.1f} s", flush=True)


def rows_of(setting: Setting, seed: int, strengths: tuple[float, ...]) -> Iterator[Row]:
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
    largest = 0.5 if n <= 20_000 else 0.29 if n <= 200_000 else 0.15
    shares = [x for x in SHARES if x <= largest]
    at_random = np.random.default_rng(seed).permutation(
        np.flatnonzero(data.is_positive)
    )
    for strength in strengths:
        chosen = choice(
            data.assignments, round(shares[-1] * n), population, strength, seed
        )
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


def choice(
    assignments: NDArray[np.uint16],
    n_select: int,
    population: ContingencyTables,
    strength: float,
    seed: int,
) -> NDArray[np.int64]:
    """Return the rows that a strength, the rule or pointwise ranking chooses."""
    c, n = population.n_clusters, len(assignments)
    if strength == POINTWISE:
        return pointwise_ranking(
            assignments, n_select, n_clusters=c, pairs=population.pairs
        )
    return batch_greedy(
        assignments,
        n_select,
        n_clusters=c,
        pairs=population.pairs,
        batch_size=n // 20,
        per_batch=n // 400,
        prior="recommended" if strength == RECOMMENDED else strength,
        population=population,
        seed=seed,
    ).indices


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


def read_rows(path: Path) -> list[Row]:
    """Return the rows that were measured."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def setting_of(row: Row) -> tuple[object, ...]:
    """Return a row's setting, without size of selection and strength."""
    return tuple(row[key] for key in KEYS[:5])


def write_report(rows: list[Row]) -> None:
    """Write means over the seeds as JSON, and tables of their means."""
    means = means_over_seeds(rows)
    columns = [*KEYS, *FIGURES, "n_seeds"]
    lines = ",\n  ".join(json.dumps([row[key] for key in columns]) for row in means)
    record = {
        "subject": "strength of the prior",
        **about("numpy", "numba"),
        "share_of_positives": 0.29,
        "batch": "n_clips / 20, of which n_clips / 400 are taken",
        "columns": columns,
    }
    head = json.dumps(record, indent=1)[:-2]
    (RESULTS / "study_prior.json").write_text(
        f'{head},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8"
    )
    (RESULTS / "study_prior.md").write_text(tables_of(means), encoding="utf-8")


def means_over_seeds(rows: list[Row]) -> list[Row]:
    """Return a row for each setting, size of selection and strength."""
    groups: dict[tuple[object, ...], dict[object, Row]] = defaultdict(dict)
    for row in rows:
        strengths = [float(str(row["strength"]))]
        rule = recommended_strength(
            int(str(row["n_clips"])), float(str(row["n_clusters"]))
        )
        if strengths == [rule]:
            strengths.append(RECOMMENDED)
        elif strengths == [RECOMMENDED] and rule in STRENGTHS:
            continue
        for strength in strengths:
            key = (*(row[key] for key in KEYS[:-1]), NAMES.get(strength, strength))
            groups[key][row["seed"]] = row
    means = []
    for group, by_seed in groups.items():
        mean: Row = dict(zip(KEYS, group, strict=True))
        for figure in FIGURES:
            values = [float(str(row[figure])) for row in by_seed.values()]
            mean[figure] = round(float(np.mean(values)), 4)
        mean["n_seeds"] = len(by_seed)
        means.append(mean)
    return means


def tables_of(means: list[Row]) -> str:
    """Return tables in Markdown: means over kinds, pairings and ``keep``."""
    parts = [
        "# Strength of the prior: precision and coverage\n",
        "Written by `benchmarks/study_prior.py`; every single figure is in "
        "[study_prior.json](study_prior.json). 29 % of the clips correspond. Each "
        "number is a mean over kinds of data, shares `keep`, pairings and seeds. 0 is "
        "the paper's algorithm; `m_share` is the share of the clips that is "
        "selected. Settings at larger sizes are fewer, and some have fewer seeds "
        "(`n_seeds`).\n",
    ]
    parts.append(summary_of(means))
    titles = {
        "precision": "Precision",
        "classes": "Coverage of classes (effective number, 1: as equally many "
        "corresponding clips at random)",
        "clusters": "Coverage of clusters (the same, mean over the views)",
    }
    for figure, title in titles.items():
        parts.append(f"## {title}\n")
        parts.append(table_of(means, figure, ("n_clips", "n_clusters", "m_share")))
    parts.append("## Precision by kind of data and pairing\n")
    parts.append(table_of(means, "precision", ("n_clips", "kind", "pairing")))
    return "\n".join(parts)


def summary_of(means: list[Row]) -> str:
    """Return how the rule compares, setting by setting, and where it loses most."""
    found: dict[tuple[object, ...], Row] = defaultdict(dict)
    for row in means:
        found[tuple(row[key] for key in KEYS[:-1])][str(row["strength"])] = row
    needed = {"0.0", "recommended", "pointwise"}
    full = {key: rows for key, rows in found.items() if needed <= set(rows)}

    def changes(other: str) -> dict[tuple[object, ...], float]:
        return {
            key: float(str(rows["recommended"]["precision"]))  # type: ignore[index]
            - float(str(rows[other]["precision"]))  # type: ignore[index]
            for key, rows in full.items()
        }

    lines = [f"Precision of `recommended` in {len(full)} settings and sizes:\n"]
    for name, other in (("the paper's algorithm", "0.0"), ("pointwise", "pointwise")):
        values = np.array(list(changes(other).values()))
        lines.append(
            f"- less that of {name}: {values.mean():+.3f} in the mean; lower by more "
            f"than .01 in {(values < -0.01).sum()}, at worst by {-values.min():.3f}."
        )
    worst = sorted(changes("0.0").items(), key=lambda item: item[1])[:5]
    lines.append("\nWhere it loses most against the paper's algorithm:\n")
    lines += [
        "- "
        + ", ".join(f"{k} {v}" for k, v in zip(KEYS, key, strict=False))
        + f": {change:+.3f}"
        for key, change in worst
    ]
    return "\n".join(lines) + "\n"


def table_of(means: list[Row], figure: str, keys: tuple[str, ...]) -> str:
    """Return a table of a figure by strength, in Markdown.

    A line is the mean over those of its settings that were measured at every strength.
    """
    groups: dict[tuple[object, ...], dict[tuple[object, ...], Row]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in means:
        setting = tuple(row[key] for key in KEYS[:-1])
        line = tuple(row[key] for key in keys)
        groups[line][setting][str(row["strength"])] = row[figure]
    strengths: list[float | str] = [*STRENGTHS, "recommended", "pointwise"]
    heads = [*keys, *(x if isinstance(x, str) else f"{x:g}" for x in strengths)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for line in sorted(groups, key=str_last):
        settings_of_line = list(groups[line].values())
        most = max(len(setting) for setting in settings_of_line)
        full = [setting for setting in settings_of_line if len(setting) == most]
        cells = []
        for strength in map(str, strengths):
            values = [float(str(x[strength])) for x in full if strength in x]
            cells.append(f"{np.mean(values):.3f}" if values else "")
        lines.append("| " + " | ".join([*(str(x) for x in line), *cells]) + " |")
    return "\n".join(lines) + "\n"


def str_last(key: tuple[object, ...]) -> tuple[tuple[float, str], ...]:
    """Return what sorts numbers by size and texts by letters."""
    return tuple(
        (float(x), "") if isinstance(x, int | float) else (0.0, str(x)) for x in key
    )


if __name__ == "__main__":
    main()
