"""``find_duplicates`` for videos of one clip each, in arrays instead of Spark.

Candidates, rule and groups are the stage's own functions; what Spark does there with
windows and joins is done with sorted arrays here. The study checks that both find the
same where it runs both.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.duplicates import (
    ClipEvidence,
    CopyRule,
    MinHashBands,
    are_copies,
    connected_groups,
    n_bands_for,
    sound_keys,
)
from acav_spark.duplicates.groups_job import MAX_ROUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from synthetic_clips import Signed

    from acav_spark.config.segmenting import DuplicatesConfig

Pairs = tuple["NDArray[np.int64]", "NDArray[np.int64]"]
_PER_TASK = 4000
# What the processes of the pool compare: they inherit it.
_signed: list[Signed] = []


def found_without_spark(
    signed: Sequence[Signed],
    qualities: Sequence[tuple[float, int]],
    settings: DuplicatesConfig,
    processes: int,
) -> tuple[NDArray[np.int64], int, int]:
    """Return the one kept of each one's group, and count candidates and links.

    Qualities are lengths in seconds and pixels.
    """
    _signed[:] = signed
    rule = CopyRule(
        **{limit.name: getattr(settings, limit.name) for limit in fields(CopyRule)}
    )
    pairs = candidates(signed, settings)
    links = copies_among(pairs, rule, processes)
    n_links = len(links[0])
    order = sorted(
        range(len(signed)),
        key=lambda place: (-round(qualities[place][0]), -qualities[place][1], place),
    )
    rank = np.empty(len(signed), dtype=np.int64)
    rank[order] = np.arange(len(signed))
    found = np.arange(len(signed), dtype=np.int64)
    for _ in range(MAX_ROUNDS):
        ids, groups = connected_groups(*links)
        if len(ids) == 0:
            break
        by_group = np.lexsort((rank[ids], groups))
        _, firsts, places = np.unique(
            groups[by_group], return_index=True, return_inverse=True
        )
        member, kept = ids[by_group], ids[by_group][firsts][places]
        member, kept = member[member != kept], kept[member != kept]
        low, high = np.minimum(member, kept), np.maximum(member, kept)
        is_linked = np.isin(low * len(signed) + high, links[0] * len(signed) + links[1])
        checked = copies_among((low[~is_linked], high[~is_linked]), rule, processes)
        is_linked |= np.isin(
            low * len(signed) + high, checked[0] * len(signed) + checked[1]
        )
        found[member[is_linked]] = kept[is_linked]
        left = member[~is_linked]
        stays = np.isin(links[0], left) & np.isin(links[1], left)
        links = links[0][stays], links[1][stays]
    return found, len(pairs[0]), n_links


def candidates(signed: Sequence[Signed], settings: DuplicatesConfig) -> Pairs:
    """Return pairs that share a key, the lesser place first."""
    bands = MinHashBands(
        n_bands=n_bands_for(
            settings.band_similarity, settings.band_recall, settings.band_rows
        ),
        n_rows=settings.band_rows,
        seed=settings.seed,
    )
    keys, places, rows = [], [], []
    for row, one in enumerate(signed):
        words, word_places = bands.keys(one.signature)
        heard = sound_keys(one.fingerprint, settings.n_sound_keys, settings.seed)
        keys += [words, heard]
        places += [word_places, np.roll(heard, -1)]
        rows.append(np.full(len(words) + len(heard), row, dtype=np.int64))
    key, place, owner = (np.concatenate(parts) for parts in (keys, places, rows))
    order = np.lexsort((owner, place, key))
    key, owner = key[order], owner[order]
    found = [np.empty(0, dtype=np.int64)]
    for step in range(1, settings.max_bucket_pairs + 1):
        is_same = np.flatnonzero(key[step:] == key[:-step])
        a, b = owner[is_same], owner[is_same + step]
        joined = np.minimum(a, b) * len(signed) + np.maximum(a, b)
        found.append(joined[a != b])
    distinct = np.unique(np.concatenate(found))
    return distinct // len(signed), distinct % len(signed)


def copies_among(pairs: Pairs, rule: CopyRule, processes: int) -> Pairs:
    """Return the pairs that are copies."""
    starts = range(0, len(pairs[0]), _PER_TASK)
    parts = [
        (pairs[0][start : start + _PER_TASK], pairs[1][start : start + _PER_TASK])
        for start in starts
    ]
    compare = partial(_compared, rule=rule)
    if len(parts) <= 1:
        answers = [compare(part) for part in parts]
    else:
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            answers = pool.map(compare, parts, chunksize=4)
    is_copy = np.concatenate([np.empty(0, np.bool_), *answers])
    return pairs[0][is_copy], pairs[1][is_copy]


def _compared(pairs: Pairs, rule: CopyRule) -> NDArray[np.bool_]:
    first, second = (
        ClipEvidence(*zip(*(_signed[place] for place in end), strict=True))
        for end in pairs
    )
    return are_copies(first, second, rule)
