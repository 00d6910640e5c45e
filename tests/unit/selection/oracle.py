"""A brute force of the selection that recounts everything at each choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.selection.fixed_point import FRACTION_BITS, gain_units
from acav_spark.selection.limits import Constraints, no_groups
from acav_spark.selection.pool import CandidatePool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acav_spark.selection import ContingencyTables, Limit

Pairs = list[tuple[int, int]]


@dataclass
class Problem:
    """What is selected from, and how."""

    ids: NDArray[np.int64]
    sizes: tuple[int, ...]
    pairs: Pairs
    n_select: int
    batch_size: int
    per_batch: int
    seed: int
    weights: NDArray[np.int64] | None = None
    unit_bits: int = 46
    population: ContingencyTables | None = None
    strength: float = 0.0
    limits: list[Limit] = field(default_factory=list)
    include: list[int] = field(default_factory=list)
    exclude: list[int] = field(default_factory=list)
    mode: str = "paper"
    is_in_order: bool = False


@dataclass
class Answer:
    """The choices, and the candidates that each was taken from, in order."""

    chosen: list[int]
    candidates: list[list[int]]


def random_problem(seed: int) -> Problem:
    """Return small assignments with many ties: few clusters, repeated rows."""
    generator = np.random.default_rng(seed)
    n_clips = int(generator.integers(2, 40))
    n_views = int(generator.integers(2, 6))
    sizes = tuple(int(k) for k in generator.integers(1, 6, size=n_views))
    ids = np.stack([generator.integers(k, size=n_clips) for k in sizes], axis=1)
    pairs = [(u, v) for u in range(n_views) for v in range(u + 1, n_views)]
    kept = generator.permutation(len(pairs))[: int(generator.integers(1, 11))]
    batch_size = int(generator.integers(1, n_clips + 3))
    return Problem(
        ids,
        sizes,
        [pairs[i] for i in kept],
        n_select=int(generator.integers(1, n_clips + 1)),
        batch_size=batch_size,
        per_batch=int(generator.integers(1, batch_size + 1)),
        seed=seed,
    )


def scores(problem: Problem, chosen: list[int], rows: list[int]) -> list[int]:
    """Return the integer score of each row after the choices, from a recount."""
    ids, total = problem.ids, np.zeros(len(rows), dtype=np.int64)
    weights = problem.weights
    if weights is None:
        weights = np.ones(len(problem.pairs), dtype=np.int64)
    for weight, (u, v) in zip(weights.tolist(), problem.pairs, strict=True):
        table = np.zeros((problem.sizes[u], problem.sizes[v]), dtype=np.int64)
        np.add.at(table, (ids[chosen, u], ids[chosen, v]), 1)
        total += weight * _gains(problem, table, (u, v))[ids[rows, u], ids[rows, v]]
        for view in (u, v):
            margin = np.bincount(ids[chosen, view], minlength=problem.sizes[view])
            total -= weight * _gains(problem, margin, view)[ids[rows, view]]
    result: list[int] = total.tolist()
    return result


def _gains(
    problem: Problem, counts: NDArray[np.int64], of: tuple[int, int] | int
) -> NDArray[np.int64]:
    if problem.strength == 0:
        return gain_units(counts, unit_bits=problem.unit_bits)
    assert problem.population is not None
    factor = problem.strength * 2**FRACTION_BITS
    if isinstance(of, int):
        pseudo = np.rint(np.maximum(problem.population.margin(of) - 1, 0) * factor)
    else:
        # Every clip is counted in its own cell, and is left out when it is judged.
        first, second = (
            np.maximum(problem.population.margin(view) - 1, 0) for view in of
        )
        expected = np.outer(first, second) / max(problem.population.n_clips - 1, 1)
        others = np.maximum(problem.population.table(*of) - 1, 0)
        pseudo = np.rint(expected * ((others + 0.5) / (expected + 0.5)) * factor)
    return gain_units(
        (counts << FRACTION_BITS) + pseudo.astype(np.int64),
        unit_bits=problem.unit_bits,
        fraction_bits=FRACTION_BITS,
    )


def brute_force(problem: Problem) -> Answer:
    """Return the choices of Algorithm 1 (or of the released code), by recounting."""
    n = len(problem.ids)
    constraints = Constraints(
        n,
        problem.n_select,
        tuple(problem.limits),
        np.array(sorted(problem.include), dtype=np.int64),
        np.array(problem.exclude, dtype=np.int64),
    )
    # The pool only draws here; that it draws open rows is tested by themselves.
    out = np.array([*problem.include, *problem.exclude], dtype=np.int64)
    groups = constraints.groups() if problem.limits else no_groups(n)
    pool = CandidatePool(n, problem.seed, groups, excluded=out)
    chosen, candidates = sorted(problem.include), []
    batch_number = 0
    while len(chosen) < problem.n_select:
        if problem.is_in_order:
            batch = pool.draw_all().tolist()
        else:
            batch = pool.draw(min(problem.batch_size, n), batch_number).tolist()
        batch_number += 1
        taken: list[int] = []
        at_start = scores(problem, chosen, batch)
        while len(taken) < problem.per_batch and len(chosen) < problem.n_select:
            left = [
                place
                for place in range(len(batch))
                if place not in taken and _is_open(problem, chosen, batch[place])
            ]
            if not left:
                break
            if problem.mode == "paper":
                values = scores(problem, chosen, [batch[place] for place in left])
            else:
                values = [at_start[place] for place in left]
            best = left[int(np.argmax(values))]
            candidates.append([batch[place] for place in left])
            chosen.append(batch[best])
            taken.append(best)
            for number, limit in enumerate(problem.limits):
                code = int(limit.codes[batch[best]])
                groups.left[int(groups.first[number]) + code] -= 1
        pool.keep(np.array(taken, dtype=np.int64))
    return Answer(chosen, candidates)


def _is_open(problem: Problem, chosen: list[int], row: int) -> bool:
    return all(
        (limit.codes[chosen] == limit.codes[row]).sum()
        < limit.capacity[limit.codes[row]]
        for limit in problem.limits
    )
