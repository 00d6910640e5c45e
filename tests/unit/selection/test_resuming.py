"""A selection that goes on after any of its batches ends as one that never stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.selection import ContingencyTables, Limit, at_most, combination
from acav_spark.selection.in_progress import (
    BatchSettings,
    Picks,
    Position,
    SelectionInProgress,
)
from acav_spark.selection.limits import Constraints
from acav_spark.selection.prior import pseudo_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CLIPS, N_SELECT, SIZES = 400, 330, (5, 7, 4, 6)
PAIRS = combination(4)
Settings = dict[str, bool]


def _selection(
    options: Settings, seed: int
) -> tuple[SelectionInProgress, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    ids = np.stack([generator.integers(k, size=N_CLIPS) for k in SIZES], axis=1)
    weights = generator.uniform(0.5, 2, len(PAIRS)) if options.get("weights") else None
    if options.get("steep"):
        weights = np.exp(np.linspace(-10, 10, len(PAIRS)))
    tables = ContingencyTables.empty(
        PAIRS, n_clusters=SIZES, n_views=4, pair_weights=weights
    )
    limits: tuple[Limit, ...] = ()
    if options.get("limits"):
        groups = generator.integers(60, size=N_CLIPS)
        limits = (at_most(6, groups), at_most(120, groups % 4, name="other"))
    include = generator.permutation(N_CLIPS)[:6]
    constraints = Constraints(
        N_CLIPS, N_SELECT, limits, np.sort(include[:3]), np.sort(include[3:])
    )
    tables.count(ids[constraints.include])
    strength = 0.3 if options.get("prior") else None
    selection = SelectionInProgress(
        ids,
        tables,
        N_SELECT - 3,
        settings=BatchSettings(
            N_CLIPS if options.get("in_order") else 40,
            7,
            seed,
            mode="released" if options.get("released") else "paper",
            is_in_order=options.get("in_order", False),
        ),
        constraints=constraints,
        prior=pseudo_counts(strength, None, tables, ids),
    )
    return selection, ids


def _rows(picks: list[Picks]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *[part.rows for part in picks]])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limits": True},
        {"prior": True},
        {"weights": True},
        {"steep": True},
        {"released": True, "limits": True},
        {"in_order": True},
        {"limits": True, "prior": True, "weights": True},
    ],
)
def test_resumed_after_every_batch_the_rest_is_the_same(options: Settings) -> None:
    for seed in range(2):
        whole, ids = _selection(options, seed)
        picks: list[Picks] = []
        positions = [whole.position]
        for part in whole.steps():
            picks.append(part)
            positions.append(whole.position)
        assert len({position.listed_at for position in positions}) > 2, "never relisted"
        assert len(picks) > 30

        for n_done, position in enumerate(positions):
            resumed, _ = _selection(options, seed)
            done = picks[:n_done]
            # In pieces that do not fall together with batches.
            rows = _rows(done)
            scores = np.concatenate(
                [np.empty(0, picks[0].scores.dtype), *[part.scores for part in done]]
            )
            cuts = range(5, len(rows), 11)
            pieces = zip(np.split(rows, cuts), np.split(scores, cuts), strict=True)
            followed = resumed.resume_in_pieces(pieces, Position(*position))
            rest = list(resumed.steps())

            assert _rows(rest).tolist() == _rows(picks[n_done:]).tolist(), n_done
            for now, then in zip(rest, picks[n_done:], strict=True):
                assert now.batch == then.batch
                np.testing.assert_array_equal(now.gains, then.gains)
                np.testing.assert_array_equal(now.objectives, then.objectives)
            np.testing.assert_array_equal(
                np.concatenate([gains for gains, _ in followed]),
                np.concatenate([[], *[part.gains for part in done]]),
            )
            assert resumed.position == whole.position
            np.testing.assert_array_equal(
                resumed.tables().counters, whole.tables().counters
            )
        assert len(ids) == N_CLIPS
