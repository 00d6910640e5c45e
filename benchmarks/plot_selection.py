"""Draw the pictures of docs/selection.md.

    python benchmarks/plot_selection.py

The strengths of the prior come from results/study_prior.json; the other pictures are
made from planted clips, which takes seconds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from planted import planted

from acav_spark.selection import (
    ContingencyTables,
    batch_greedy,
    combination,
    mutual_information,
    random_selection,
    replay,
)
from acav_spark.selection.ranking import pointwise_ranking

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"
# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
RED, SKY, GREY = "#D55E00", "#56B4E9", "#666666"
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "acav",
}


def main() -> None:
    """Draw all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES])
    names = parser.parse_args().names or list(PICTURES)
    with plt.rc_context(STYLE):
        for name in names:
            figure = PICTURES[name]()
            path = IMAGES / f"selection_{name}.png"
            figure.savefig(path, dpi=110)
            plt.close(figure)
            # A palette of 256 colours: less than half of the size.
            with Image.open(path) as image:
                image.convert("RGB").quantize(256).save(path, optimize=True)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def trajectory() -> Figure:
    """Return objective and precision along four selections."""
    n_clips, c, n_select = 20_000, 100, 8_000
    pairs = combination(10)
    data = planted(n_clips, c, keep=0.45, seed=0)
    ids = data.assignments
    chosen = {}
    for name in ("Algorithm 1", "with prior"):
        chosen[name] = batch_greedy(
            ids,
            n_select,
            n_clusters=c,
            pairs=pairs,
            batch_size=1_000,
            per_batch=50,
            prior="recommended" if name == "with prior" else None,
        ).indices
    chosen["pointwise ranking"] = pointwise_ranking(
        ids, n_select, n_clusters=c, pairs=pairs
    )
    chosen["random"] = random_selection(n_clips, n_select)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7), layout="tight")
    looks = [(BLUE, "-"), (RED, "-"), (GREEN, "--"), (GREY, ":")]
    objectives = {
        name: replay(ids, rows, n_clusters=c, pairs=pairs).objectives
        for name, rows in chosen.items()
    }
    for (name, rows), (colour, line) in zip(chosen.items(), looks, strict=True):
        above = objectives[name] - objectives["random"]
        ranks = np.arange(1, n_select + 1)
        shown = np.unique(np.geomspace(100, n_select, 200).astype(int)) - 1
        right_share = np.cumsum(data.is_positive[rows]) / ranks
        look = {"color": colour, "linestyle": line, "linewidth": 2.0}
        left.plot(ranks[shown], above[shown], **look)
        right.plot(ranks[shown], right_share[shown], label=name, **look)
    n_true = int(data.is_positive.sum())
    right.axvline(n_true, color=GREY, linewidth=0.8)
    right.text(n_true * 0.96, 0.93, "as many as\ncorrespond", ha="right", va="center")
    left.set(xlabel="clips selected", ylabel="nats above a random selection")
    right.set(xlabel="clips selected", ylabel="share that corresponds", ylim=(0, 1))
    right.legend(loc="lower left", fontsize=9, ncols=2)
    left.set_title("Objective, less that of random clips", fontsize=11)
    right.set_title("Precision of the clips selected so far", fontsize=11)
    return figure


def tables() -> Figure:
    """Return heat maps of one pair's table, of all clips and of the selected."""
    n_clips, c, n_select = 20_000, 20, 4_000
    data = planted(n_clips, c, keep=0.6, seed=1)
    pairs = combination(10)
    before = ContingencyTables.from_assignments(data.assignments, pairs, n_clusters=c)
    after = batch_greedy(
        data.assignments,
        n_select,
        n_clusters=c,
        pairs=pairs,
        batch_size=1_000,
        per_batch=50,
    ).tables
    pair = (4, 9)
    order = matching(before.table(*pair))
    names = (f"All {n_clips:,} clips", f"The {n_select:,} selected")
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 4.1), layout="constrained")
    for axis, found, name in zip(axes, (before, after), names, strict=True):
        counts = found.table(*pair)
        image = axis.imshow(
            np.log2(np.maximum(ratio_to_chance(counts[:, order]), 2.0**-3)),
            cmap="PuOr_r",
            vmin=-4,
            vmax=4,
        )
        axis.set_title(f"{name}: {mutual_information(counts):.2f} nats", fontsize=11)
        axis.set(xlabel="sound's cluster (ordered)", ylabel="picture's cluster")
        axis.grid(visible=False)
        axis.set_xticks([])
        axis.set_yticks([])
    bar = figure.colorbar(
        image, ax=axes, shrink=0.85, ticks=[-3, -2, -1, 0, 1, 2, 3, 4]
    )
    bar.ax.set_yticklabels(["≤ 1/8", "1/4", "1/2", "1", "2", "4", "8", "16"])
    bar.set_label("clips in the cell, as a multiple of chance")
    bar.ax.set_ylim(-3, 4)
    return figure


def matching(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of columns that puts the most clips on the diagonal."""
    from scipy.optimize import linear_sum_assignment

    order: NDArray[np.int64] = linear_sum_assignment(-counts)[1]
    return order


def ratio_to_chance(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each count over what independent clusters would give."""
    chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    ratios: NDArray[np.float64] = counts / np.maximum(chance, 1e-9)
    return ratios


def rounds() -> Figure:
    """Return a diagram of lanes and rounds."""
    figure, axis = plt.subplots(figsize=(8.4, 4.4), layout="tight")
    axis.set(xlim=(0, 100), ylim=(0, 58))
    axis.axis("off")
    columns = ((15, "first rounds"), (45, "a later round"), (75, "the next round"))
    for x, title in columns:
        axis.text(x + 9, 54.5, title, ha="center", fontsize=12, weight="bold")
    for lane in range(4):
        y = 43 - 7 * lane
        axis.text(12.5, y + 2, f"lane {lane}", ha="right", va="center")
        for x, _ in columns:
            axis.add_patch(Rectangle((x, y), 18, 4, facecolor="#f0f0f0"))
    draw_batches(axis)
    for x, text in (
        (15, "one chain: every batch\nsees all picks before it"),
        (45, "all lanes at once: tables of the\nformer rounds and own picks"),
        (75, "read on from the cursor;\nunpicked rows come again"),
    ):
        axis.text(x + 9, 17.6, text, ha="center", va="center", fontsize=9.5)
        draw_merge(axis, x)
    for x in (34, 64):
        arrow(axis, (x, 7.5), (x + 10, 7.5))
        axis.text(x + 5, 8.6, "broadcast", ha="center", va="bottom", fontsize=10)
    axis.text(1, 7.5, "driver", va="center", weight="bold")
    axis.text(1, 50, "executors", va="center", weight="bold")
    keys = "orange: batches one after another   blue: batches of all lanes at once   "
    axis.text(
        50, 0.8, keys + "grey: read before", ha="center", fontsize=9.5, color="#333333"
    )
    return figure


def draw_batches(axis: Axes) -> None:
    """Draw a chain of batches through the lanes, then rounds of all lanes at once."""
    for lane in range(4):
        y = 43 - 7 * lane
        axis.add_patch(Rectangle((15 + 0.6, y), 4, 4, facecolor=ORANGE))
        if lane < 3:
            arrow(axis, (17.6, y), (17.6, y - 3))
    for x, offset in ((45, 5.2), (75, 9.8)):
        for lane in range(4):
            y = 43 - 7 * lane
            axis.add_patch(Rectangle((x, y), offset - 0.6, 4, facecolor="#d8d8d8"))
            axis.add_patch(Rectangle((x + offset, y), 4, 4, facecolor=SKY))


def draw_merge(axis: Axes, x: float) -> None:
    """Draw what the driver does at the end of a round."""
    arrow(axis, (x + 9, 14.6), (x + 9, 11.2))
    box = FancyBboxPatch(
        (x, 4.5), 18, 6, boxstyle="round,pad=0.3", facecolor="white", edgecolor=BLUE
    )
    axis.add_patch(box)
    axis.text(x + 9, 7.5, "merge counts,\ncommit", ha="center", va="center")


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow."""
    axis.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": BLUE, "linewidth": 1.4},
    )


def prior() -> Figure:
    """Return precision and coverage over the strength of the prior."""
    study = json.loads((HERE / "results" / "study_prior.json").read_text("utf-8"))
    rows = [dict(zip(study["columns"], row, strict=True)) for row in study["rows"]]
    clusters = sorted({row["n_clusters"] for row in rows})
    figure, axes = plt.subplots(
        2, len(clusters), figsize=(8.8, 5.6), sharex=True, sharey="row", layout="tight"
    )
    shares = {0.01: BLUE, 0.05: SKY, 0.15: GREEN, 0.29: ORANGE, 0.5: RED}
    for column, c in enumerate(clusters):
        for axis, figure_name in zip(
            axes[:, column], ("precision", "classes"), strict=True
        ):
            for share, colour in shares.items():
                draw_strengths(axis, rows, (c, share, figure_name), colour)
            axis.set_xlim(-0.6, 8.6)
        axes[0, column].set_title(f"{c} clusters", fontsize=11)
        axes[1, column].set_xticks(
            range(9), ["0", ".01", ".03", ".1", ".3", "1", "3", "10", "PMI"], fontsize=8
        )
        axes[1, column].set_xlabel("strength")
    axes[0, 0].set(ylabel="precision", ylim=(0.25, 0.95))
    axes[1, 0].set(
        ylabel="classes, effective number\n(1: as at random)", ylim=(0, None)
    )
    handles = [Line2D([], [], color=x, marker="o") for x in shares.values()]
    handles.append(Line2D([], [], color="black", marker="*", linestyle=""))
    figure.legend(
        handles,
        [*(f"{share:.0%}" for share in shares), "recommended"],
        loc="upper center",
        ncols=7,
        fontsize=9,
        title="share of the clips that is selected",
        title_fontsize=9,
    )
    figure.tight_layout(rect=(0, 0, 1, 0.9))
    return figure


def draw_strengths(
    axis: Axes,
    rows: list[dict[str, object]],
    what: tuple[int, float, str],
    colour: str,
) -> None:
    """Draw one figure of 20,000 clips over the strengths, and at the rule's."""
    c, share, figure = what
    places: dict[object, list[float]] = {}
    for row in rows:
        if (row["n_clips"], row["n_clusters"], row["m_share"]) == (20_000, c, share):
            places.setdefault(row["strength"], []).append(float(str(row[figure])))
    grid = sorted(x for x in places if isinstance(x, float))
    values = [np.mean(places[x]) for x in grid]
    axis.plot(range(len(grid)), values, color=colour, marker="o", markersize=4)
    axis.plot(
        [8], [np.mean(places["pointwise"])], color=colour, marker="o", markersize=4
    )
    axis.plot(
        [7, 8], [values[-1], np.mean(places["pointwise"])], color=colour, linestyle=":"
    )
    if "recommended" in places:
        # The rule of the prior that the study measured, the one without corrections.
        strength = min(1.0, 40 * c / 20_000)
        at = float(np.interp(np.log(strength), np.log(grid[1:]), range(1, len(grid))))
        axis.plot(
            [at],
            [np.mean(places["recommended"])],
            color="black",
            marker="*",
            markersize=9,
            zorder=5,
        )


PICTURES = {
    "trajectory": trajectory,
    "tables": tables,
    "rounds": rounds,
    "prior": prior,
}


if __name__ == "__main__":
    main()
