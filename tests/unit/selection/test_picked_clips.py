"""Picks meet the ids of their clips, whatever the order of either."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from acav_spark.selection.picked_clips import PickedClips

N_CLIPS = 30


def picks_of(rows: list[int], first_rank: int) -> pa.Table:
    """Return staged picks of clips by row number."""
    n = len(rows)
    ranks = np.arange(first_rank, first_rank + n)
    return pa.table(
        {
            "rank": ranks,
            "row_number": np.array(rows),
            "gain": ranks / 7,
            "objective": ranks / 3,
            "batch": pa.array([4] * n, pa.int32()),
            "lane": pa.nulls(n, pa.int32()),
            "score": ranks,
        }
    )


def test_every_pick_gets_the_id_of_its_row() -> None:
    generator = np.random.default_rng(1)
    chosen = generator.permutation(N_CLIPS)[:12].tolist()
    # The selection had eleven clips before; picks are staged in two files.
    staged = [picks_of(chosen[:5], 12), picks_of(chosen[5:], 17)]
    order = generator.permutation(N_CLIPS)
    clips = pa.record_batch(
        {"row_number": order, "clip_id": [f"clip {row}" for row in order]}
    )

    picked = PickedClips(staged, N_CLIPS)
    found = pa.concat_tables([picked.of(clips.slice(0, 11)), picked.of(clips[11:])])

    assert picked.n_picks == 12
    assert found.column_names == [
        *("clip_id", "rank", "gain", "objective", "batch", "lane")
    ]
    by_rank = found.sort_by("rank").to_pydict()
    assert by_rank["rank"] == list(range(12, 24))
    assert by_rank["clip_id"] == [f"clip {row}" for row in chosen]
    assert by_rank["gain"] == [rank / 7 for rank in range(12, 24)]
    assert by_rank["objective"] == [rank / 3 for rank in range(12, 24)]
    assert by_rank["batch"] == [4] * 12
    assert by_rank["lane"] == [None] * 12


def test_clips_that_were_not_picked_give_no_row() -> None:
    picked = PickedClips([picks_of([3], 1)], N_CLIPS)
    clips = pa.record_batch({"row_number": [4, 5], "clip_id": ["a", "b"]})

    assert picked.of(clips).num_rows == 0
