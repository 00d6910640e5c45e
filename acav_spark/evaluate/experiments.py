"""The paper's tables and figures as lists of what is to be run.

Section 4.2 makes its ablations on Kinetics-Sounds, whose pairs correspond as samples;
here they are made on every chosen set of that kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from acav_spark.evaluate import paper_numbers as paper
from acav_spark.evaluate.methods import METHODS, MethodSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Part = Literal[
    "table1", "table2", "table4", "figure2", "figure3", "figure9", "sgd_em", "made"
]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

TITLES: Final[dict[Part, str]] = {
    "table1": "Table 1: precision of the best half, by method",
    "table2": "Table 2: pairs of views",
    "table4": "Table 4: weights of layers",
    "figure2": "Figure 2: greedy and batch greedy, b = 160",
    "figure3": "Figure 3: number of clusters",
    "figure9": "Figure 9: batch size and picks a batch",
    "sgd_em": "SGD against EM k-means",
    "made": "Made corpus of cluster ids",
}
"""Heading of each part."""

CURVES: Final[frozenset[Part]] = frozenset(("figure2", "figure3", "figure9"))
"""Parts whose precision is kept along the selection."""

CLASS_LEVEL: Final = ("cifar10_rotation", "cifar10_flip", "mnist_cifar10", "mnist_fsdd")
"""Sets whose pairs correspond by class (section 4.1)."""

_ON_SETS: Final[dict[Part, tuple[str, ...] | None]] = {
    "table1": None,
    "made": ("made_ids",),
}


@dataclass(frozen=True)
class Cell:
    """One line of a table, or one curve of a figure, on one data set.

    Parameters
    ----------
    part : str
        Table or figure.
    label : str
        What the line is called, unique in its part.
    method : str
        One of ``METHODS``.
    settings : MethodSettings
        What it is set by.
    paper_precision : float, optional
        What the paper prints for it, in per cent.
    """

    part: Part
    label: str
    method: str
    settings: MethodSettings = field(default_factory=MethodSettings)
    paper_precision: float | None = None


def is_covered(part: Part, data_set: str) -> bool:
    """Return whether a part is made on a data set.

    Table 1 is made on all sets with vectors; ``made`` on the made corpus of cluster
    ids; the others, as in the paper, on sets whose pairs correspond as samples.
    """
    sets = _ON_SETS.get(part, ())
    if sets is None:
        return data_set != "made_ids"
    return data_set in sets if sets else data_set not in (*CLASS_LEVEL, "made_ids")


def cells_of(
    part: Part, data_set: str, methods: Sequence[str] | None = None
) -> list[Cell]:
    """Return what is to be run for a part on a data set, in the order of the table.

    Parameters
    ----------
    part : str
        One of ``PARTS``.
    data_set : str
        Name of the data set; that decides on the paper's numbers, and on pairings of
        rankings.
    methods : sequence of str, optional
        Only these methods; all by default.

    Raises
    ------
    ValueError
        If a method is unknown.
    """
    unknown = [name for name in methods or () if name not in METHODS]
    if unknown:
        msg = f"methods: expected some of {list(METHODS)}, got {unknown}."
        raise ValueError(msg)
    if not is_covered(part, data_set):
        return []
    made = _MAKERS[part](data_set)
    return [cell for cell in made if methods is None or cell.method in methods]


def _table_1(data_set: str) -> list[Cell]:
    # The footnote of Table 1: the pairing that does best in each configuration.
    flat = data_set in ("cifar10_rotation", "cifar10_flip")
    ranking = MethodSettings(pairing="diagonal" if flat else "combination")
    column = data_set if data_set in CLASS_LEVEL else paper.SAMPLE_LEVEL
    usual = MethodSettings()
    contrastive = MethodSettings(contrastive_by_class=data_set in CLASS_LEVEL)
    cells = [
        ("random", "random", usual),
        ("ranking, inner product", "ranking_inner", ranking),
        ("ranking, cosine", "ranking_cos", ranking),
        ("ranking, l2", "ranking_l2", ranking),
        ("similarity", "similarity", usual),
        ("contrastive", "contrastive", contrastive),
        ("clustering", "mutual_information", usual),
        ("clustering, released code", "released", usual),
        ("clustering, greedy", "greedy", usual),
        *_variants(),
    ]
    in_paper = {
        "ranking, inner product": "ranking_inner",
        "ranking, cosine": "ranking_cos",
        "ranking, l2": "ranking_l2",
        "contrastive": "contrastive",
        "clustering": "clustering",
    }
    return [
        Cell(
            "table1",
            label,
            method,
            settings,
            paper.TABLE_1[in_paper[label]][column] if label in in_paper else None,
        )
        for label, method, settings in cells
        # Both sides of the made corpus are of spaces of their own.
        if not (method == "similarity" and data_set == "made")
    ]


def _variants() -> list[tuple[str, str, MethodSettings]]:
    """Return selections beyond the paper's."""
    crossing = MethodSettings(pairing="bipartite")
    return [
        ("clustering, bipartite", "mutual_information", crossing),
        (
            "clustering, s = 5",
            "mutual_information",
            MethodSettings(per_batch=5),
        ),
        (
            "clustering, bipartite, prior",
            "mutual_information",
            replace(crossing, prior="recommended", per_batch=5),
        ),
        ("pointwise, combination", "pmi", MethodSettings()),
        ("pointwise, bipartite", "pmi", crossing),
        (
            "clustering, bipartite, prior, k auto",
            "mutual_information",
            replace(crossing, prior="recommended", per_batch=5, n_clusters="auto"),
        ),
        ("pointwise, bipartite, k auto", "pmi", replace(crossing, n_clusters="auto")),
        ("mixture, bipartite, k auto", "mixture", replace(crossing, n_clusters="auto")),
    ]


def _table_2(data_set: str) -> list[Cell]:
    del data_set
    return [
        Cell(
            "table2",
            pairing.replace("_", " "),
            "mutual_information",
            MethodSettings(pairing=pairing),
            precision,
        )
        for pairing, precision in paper.TABLE_2.items()
    ]


def _table_4(data_set: str) -> list[Cell]:
    del data_set
    cells = []
    for label, precision in paper.TABLE_4.items():
        settings = MethodSettings()
        if label != "uniform":
            name, _, slope = label.removesuffix(")").partition("(")
            kind: Literal["linear", "exp"] = "linear" if name == "linear" else "exp"
            settings = MethodSettings(layer_weights=(kind, float(slope)))
        cells.append(Cell("table4", label, "mutual_information", settings, precision))
    return cells


def _figure_2(data_set: str) -> list[Cell]:
    del data_set
    return [
        Cell("figure2", "greedy", "greedy"),
        *(_batch_cell("figure2", 160, s) for s in (5, 10, 20, 40, 80)),
    ]


def _figure_9(data_set: str) -> list[Cell]:
    del data_set
    # The ratios of Figure 2: 1/32 to 1/2 of a batch, whole numbers of picks alone.
    return [
        _batch_cell("figure9", b, b // of_b)
        for b in (40, 80, 160)
        for of_b in (16, 8, 4, 2)
    ]


def _batch_cell(part: Part, b: int, s: int) -> Cell:
    settings = MethodSettings(batch_size=b, per_batch=s)
    return Cell(part, f"b = {b}, s = {s}", "mutual_information", settings)


def _figure_3(data_set: str) -> list[Cell]:
    del data_set
    return [
        Cell("figure3", f"k = {k}", "mutual_information", MethodSettings(n_clusters=k))
        for k in (8, 16, 32, 64, 128)
    ]


def _sgd_em(data_set: str) -> list[Cell]:
    del data_set
    em = MethodSettings(algorithm="em", n_epochs=100)
    return [
        Cell(
            "sgd_em",
            "SGD",
            "mutual_information",
            MethodSettings(),
            paper.SGD_EM["sgd"],
        ),
        Cell("sgd_em", "EM", "mutual_information", em, paper.SGD_EM["em"]),
    ]


def _made(data_set: str) -> list[Cell]:
    del data_set
    # The batches of appendix E.2 in ratio: s/b = 0.05.
    wide = MethodSettings(batch_size=10_000, per_batch=500)
    crossing = replace(wide, pairing="bipartite")
    return [
        Cell("made", label, method, settings)
        for label, method, settings in (
            ("random", "random", wide),
            ("clustering", "mutual_information", wide),
            ("clustering, bipartite", "mutual_information", crossing),
            (
                "clustering, prior",
                "mutual_information",
                replace(wide, prior="recommended"),
            ),
            (
                "clustering, bipartite, prior",
                "mutual_information",
                replace(crossing, prior="recommended"),
            ),
            ("pointwise, combination", "pmi", wide),
            ("pointwise, bipartite", "pmi", crossing),
            ("mixture, bipartite", "mixture", crossing),
        )
    ]


_MAKERS: Final[dict[Part, Callable[[str], list[Cell]]]] = {
    "table1": _table_1,
    "table2": _table_2,
    "table4": _table_4,
    "figure2": _figure_2,
    "figure3": _figure_3,
    "figure9": _figure_9,
    "sgd_em": _sgd_em,
    "made": _made,
}
