"""Find which variant of the selection finds most, and which defaults to take.

Clips of which it is known who corresponds are selected by the paper's Algorithm 1, with
the prior from the population, with the prior as it would be without its corrections,
and by pointwise ranking. Parts:

- ``noise``: planted noise (``planted.py``), 20,000 clips, 29 % true, views agree with
  probability .45, 500 clusters, 500 selected. The prior must reach .90.
- ``corrections``: what leaving a clip out of its own counts, and shrinking thin cells,
  each add, in planted settings from sparse to full tables.
- ``strengths``: pseudo-clips a cell from 0 to 128, in the same settings.
- ``corpus``: a made corpus of 200,000 clips, heavy-tailed, 30 % clean and 20 % partly
  corresponding, layers that show more and more of the class. The best variant must be 5
  points above Algorithm 1 with combination pairing, with disjoint 99 % intervals.
- ``batches``: b and s on the made corpus.
- ``clusters``: clusters of a view, for 500 classes, on made corpora.
- ``large``: a made corpus of a million clips.
- ``full``: one of 400,000 clips and 32 clusters: full tables, as many clips have.

    python benchmarks/study_variants.py measure --part corpus --rows rows.jsonl
    python benchmarks/study_variants.py report --rows rows.jsonl
    python benchmarks/study_variants.py quick

``measure`` appends to the rows and skips what they hold. ``report`` checks the answers
and writes results/study_variants.json and .md. ``quick`` measures small data, checks
and prints. Seeds of this study are 1000 and up: what the prior is (half a clip, eight
clips a cell) was chosen on planted data of seeds 100 to 201, before any made corpus.
A clip that corresponds in part counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from record import about
from scipy import stats
from variant_parts import A1, PARTS, Clips

from acav_spark.evaluate.diversity import diversity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

Row = dict[str, object]
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure a part, report all, or do a small part and check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["measure", "report", "quick"])
    parser.add_argument("--part", choices=[*PARTS], default="noise")
    parser.add_argument("--rows", type=Path, nargs="+", default=[Path("rows.jsonl")])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1000])
    parser.add_argument("--json", type=Path, help="of quick: write its means there")
    options = parser.parse_args()
    if options.command == "measure":
        path = options.rows[0]
        known = read_rows(path) if path.exists() else []
        done = {(r["part"], r["setting"], r["variant"], r["seed"]) for r in known}
        for seed in options.seeds:
            for row in measured(options.part, seed, done):
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(seed, row["setting"], row["variant"], row["n"], row["precision"])
    elif options.command == "report":
        write_report([row for path in options.rows for row in read_rows(path)])
    else:
        rows = [row for seed in range(1000, 1005) for row in measured("quick", seed)]
        means = means_over_seeds(rows)
        print(table_of(means, "quick"))
        require(means, "quick", 0.2)
        if options.json:
            options.json.write_text(json.dumps(means, indent=1), encoding="utf-8")


def measured(
    part: str, seed: int, done: Collection[tuple[object, ...]] = ()
) -> Iterator[Row]:
    """Yield a row for each beginning of each selection of a part that is not done."""
    for clips, tasks in PARTS[part](seed):
        for task in tasks:
            if (part, task.setting, task.variant, seed) in done:
                continue
            started = time.process_time()
            chosen = task.choose(clips, task.n_selected[-1], seed)
            cpu_s = time.process_time() - started
            for n in task.n_selected:
                yield {
                    "part": part,
                    "setting": task.setting,
                    "variant": task.variant,
                    "n": n,
                    "seed": seed,
                    **judged(clips, chosen[:n]),
                    "cpu_us_a_choice": round(1e6 * cpu_s / task.n_selected[-1], 1),
                }


def judged(clips: Clips, chosen: NDArray[np.int64]) -> Row:
    """Return precision and diversity of a selection."""
    true = chosen[clips.is_positive[chosen]]
    covered = diversity(clips.classes[true])
    return {
        "precision": round(len(true) / len(chosen), 4),
        "partly": round(float(clips.is_partly[chosen].mean()), 4),
        "n_classes": covered.n_groups,
        "entropy": round(covered.entropy, 3),
    }


# -- variants


def read_rows(path: Path) -> list[Row]:
    """Return the rows that were measured."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def means_over_seeds(rows: list[Row]) -> list[Row]:
    """Return the mean of each figure, and half the 99 % interval of the precision."""
    groups: dict[tuple[object, ...], dict[object, Row]] = defaultdict(dict)
    for row in rows:
        group = (row["part"], row["setting"], row["variant"], row["n"])
        groups[group][row["seed"]] = row
    means = []
    for key, by_seed in groups.items():
        n = len(by_seed)
        mean: Row = dict(zip(("part", "setting", "variant", "n"), key, strict=True))
        for figure, digits in (
            *(("precision", 4), ("partly", 4), ("n_classes", 1)),
            *(("entropy", 3), ("cpu_us_a_choice", 1)),
        ):
            values = np.array([float(str(r[figure])) for r in by_seed.values()])
            mean[figure] = round(float(values.mean()), digits)
            # Of two seeds Student's interval says next to nothing.
            if figure == "precision" and n > 2:
                half = stats.t.ppf(0.995, n - 1) * values.std(ddof=1) / np.sqrt(n)
                mean["half_99"] = round(float(half), 4)
        mean["n_seeds"] = n
        means.append(mean)
    return means


def require(means: list[Row], part: str, points: float) -> None:
    """End with an error unless the prior beats the paper by so much, intervals apart.

    At every size of selection of the part.
    """
    for n in sorted({int(str(row["n"])) for row in means if row["part"] == part}):
        found = {
            str(row["variant"]): row
            for row in means
            if row["part"] == part and row["n"] == n
        }
        paper, ours = found[f"{A1}, combination"], found["prior, bipartite"]
        ends = [float(str(row["precision"])) for row in (paper, ours)]
        halves = [float(str(row["half_99"])) for row in (paper, ours)]
        assert ends[1] - ends[0] >= points, (part, n, ends)
        assert ends[1] - halves[1] > ends[0] + halves[0], (part, n, ends, halves)


def write_report(rows: list[Row]) -> None:
    """Check the answers; write means over the seeds as JSON, and tables of them."""
    means = means_over_seeds(rows)
    parts = {str(row["part"]) for row in means}
    if "noise" in parts:
        require(means, "noise", 0.5)
        reached = [
            row["precision"]
            for row in means
            if (row["part"], row["variant"]) == ("noise", "prior, bipartite")
        ]
        assert float(str(reached[0])) >= 0.9, reached
    if "corpus" in parts:
        require(means, "corpus", 0.05)
    columns = [
        *("part", "setting", "variant", "n", "precision", "half_99", "partly"),
        *("n_classes", "entropy", "cpu_us_a_choice", "n_seeds"),
    ]
    lines = ",\n  ".join(json.dumps([row.get(key) for key in columns]) for row in means)
    record = {
        "subject": "variants of the selection",
        **about("numpy", "numba", "scipy"),
        "seeds": sorted({int(str(row["seed"])) for row in rows}),
        "columns": columns,
    }
    head = json.dumps(record, indent=1)[:-2]
    (RESULTS / "study_variants.json").write_text(
        f'{head},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8"
    )
    text = [
        "# Variants of the selection\n",
        "Written by `benchmarks/study_variants.py`, whose head says what the parts "
        "are. Precision with half the 99 % interval over the seeds (Student's t) "
        "where there are several; then the classes covered by the correct clips and "
        "the entropy of these (nats). Processor microseconds a choice are of a "
        "machine that was busy otherwise: compare within a table at most.\n",
    ]
    for part in PARTS:
        if part in parts:
            text += [f"## {part.capitalize()}\n", table_of(means, part)]
    (RESULTS / "study_variants.md").write_text("\n".join(text), encoding="utf-8")


def table_of(means: list[Row], part: str) -> str:
    """Return a part's table in Markdown: a line for each variant, sizes as columns."""
    lines = []
    mine = [row for row in means if row["part"] == part]
    for setting in dict.fromkeys(row["setting"] for row in mine):
        rows = [row for row in mine if row["setting"] == setting]
        sizes = sorted({int(str(row["n"])) for row in rows})
        n_seeds = sorted({int(str(row["n_seeds"])) for row in rows})
        seeds = " to ".join(map(str, dict.fromkeys([n_seeds[0], n_seeds[-1]])))
        lines += [f"{setting}; seeds: {seeds}\n"]
        lines += ["| variant | " + " | ".join(f"{n:,}" for n in sizes) + " | us |"]
        lines += ["|---|" + "---|" * (len(sizes) + 1)]
        for variant in dict.fromkeys(row["variant"] for row in rows):
            by_size = {row["n"]: row for row in rows if row["variant"] == variant}
            cells = [cell_of(by_size[n]) if n in by_size else "" for n in sizes]
            us = next(iter(by_size.values()))["cpu_us_a_choice"]
            lines.append(f"| {variant} | " + " | ".join(cells) + f" | {us} |")
        lines.append("")
    return "\n".join(lines)


def cell_of(row: Row) -> str:
    """Return a mean as text."""
    half = f" ± {row['half_99']:.3f}" if "half_99" in row else ""
    return (
        f"{row['precision']:.3f}{half}; {float(str(row['n_classes'])):.0f}, "
        f"{row['entropy']:.2f}"
    )


if __name__ == "__main__":
    main()
