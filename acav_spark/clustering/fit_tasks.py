"""What tasks do in a fit: check vectors, sum moments, pass over shards, merge.

Rows come as Arrow batches of any size, those of a shard one after another in the order
of a hash; what is returned does not depend on where batches were cut.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from acav_spark.clustering._validation import LARGEST
from acav_spark.clustering.blocks import widened
from acav_spark.clustering.fit import (
    Fit,
    FitSettings,
    n_reserved,
    run_epoch,
)
from acav_spark.clustering.fitted import FITTED, View, fitted_row
from acav_spark.clustering.packing import unpacked
from acav_spark.clustering.passes import PassPlan, PassSums, ShardPass, merged, passed
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    PreprocessName,
    merged_moments,
    moments_for,
    preprocessing_from,
)
from acav_spark.errors import MediaError
from acav_spark.features.vectors import NON_FINITE_VECTOR, decode_fp16, fp16_vectors
from acav_spark.rows import failure, record_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from acav_spark.clustering.fit import Shard
    from acav_spark.clustering.moments import Moments

WRONG_LENGTH = "vector_length"
# Bits of the exponent of fp16.
_EXPONENT = np.uint16(0x7C00)
# Bytes of one cell of sums: many small ones rather than few large ones are merged.
_PIECE_BYTES = 1 << 20

PIECES = pa.schema(
    [
        ("key", pa.string()),
        ("piece", pa.int32()),
        ("shard", pa.int32()),
        ("sums", pa.binary()),
        ("counts", pa.binary()),
        ("inertia", pa.float64()),
    ]
)
"""Sums of a pass over a shard, some centres at a time."""

MOMENTS = pa.schema(
    [("layer", pa.int32()), ("shard", pa.int32()), ("moments", pa.binary())]
)
"""Moments of a shard's vectors."""


class LayerPlan(NamedTuple):
    """What a pass does with a layer's vectors.

    Parameters
    ----------
    dimension : int
        Length of a vector.
    preprocessing : Preprocessing
        Of the layer.
    passes : mapping of str to PassPlan
        By key, one for each number of clusters.
    """

    dimension: int
    preprocessing: Preprocessing
    passes: Mapping[str, PassPlan]


def problem_of(vector: bytes | None, dimension: int) -> tuple[str, str] | None:
    """Return code and message of what is wrong with a vector, None for nothing."""
    if vector is None or len(vector) != 2 * dimension:
        found = "none" if vector is None else f"{len(vector)} bytes"
        return WRONG_LENGTH, f"expected {2 * dimension} bytes of fp16, got {found}"
    values = np.frombuffer(vector, "<f2").astype(np.float32)
    bad = np.flatnonzero(~(np.abs(values) <= LARGEST))
    if not bad.size:
        return None
    message = f"{len(bad)} of {dimension} numbers, such as number {bad[0]}"
    return NON_FINITE_VECTOR, message


def is_sound(batch: pa.RecordBatch, dimensions: Mapping[str, int]) -> NDArray[np.bool_]:
    """Return which rows have vectors of the right length and finite numbers."""
    sound = np.ones(len(batch), dtype=bool)
    for name, dimension in dimensions.items():
        column = batch[name]
        lengths = pc.fill_null(pc.binary_length(column), -1).to_numpy(
            zero_copy_only=False
        )
        fits = lengths == 2 * dimension
        sound &= fits
        if not fits.any():
            continue
        kept = column if fits.all() else column.filter(pa.array(fits))
        # A number is finite if its exponent is not all ones, and fp16 holds none that
        # is too large: the bits tell in a tenth of the time that decoding takes.
        exponents = fp16_vectors(kept, dimension).view("<u2") & _EXPONENT
        sound[fits] &= exponents.max(axis=1, initial=0) != _EXPONENT
    return sound


def vector_failures(
    batch: pa.RecordBatch, key: str, dimensions: Mapping[str, int]
) -> list[dict[str, object]]:
    """Return the outcome of each row, none of them sound; ``key`` names its id."""
    found = []
    for row in batch.to_pylist():
        for layer, dimension in dimensions.items():
            problem = problem_of(row[layer], dimension)
            if problem is not None:
                error = MediaError(problem[0], f"{layer}: {problem[1]}")
                found.append({"item_id": row[key], **failure(error)})
                break
    return found


def sound_batches(
    batches: Iterable[pa.RecordBatch],
    *,
    dimensions: Mapping[str, int],
    report: Callable[[int], None],
) -> Iterator[pa.RecordBatch]:
    """Yield the sound rows, and report how many others there were."""
    for batch in batches:
        sound = is_sound(batch, dimensions)
        n_bad = int(np.count_nonzero(~sound))
        if n_bad:
            report(n_bad)
            batch = batch.filter(pa.array(sound))
        yield batch


def moments_of_shards(
    batches: Iterable[pa.RecordBatch],
    *,
    name: PreprocessName,
    layers: Mapping[int, int],
) -> Iterator[pa.RecordBatch]:
    """Yield the moments of every shard and layer; ``layers`` gives dimensions.

    Batches are of packed rows (``packing``), as for ``pass_over_shards``.
    """
    current, moments = -1, {n: moments_for(name, d) for n, d in layers.items()}

    def finished() -> pa.RecordBatch:
        rows = [
            {"layer": layer, "shard": current, "moments": one.to_bytes()}
            for layer, one in moments.items()
            if one is not None
        ]
        return record_batch(rows, MOMENTS)

    for shard, vectors in unpacked(batches, layers=layers):
        if shard != current and current >= 0:
            yield finished()
            moments = {n: moments_for(name, d) for n, d in layers.items()}
        current = shard
        for layer, one in moments.items():
            if one is not None:
                one.add(widened(vectors[layer]))
    if current >= 0:
        yield finished()


def pass_over_shards(
    batches: Iterable[pa.RecordBatch], *, plans: Mapping[int, LayerPlan]
) -> Iterator[pa.RecordBatch]:
    """Yield the sums of a pass over every shard, for all layers and clusterings."""
    current = -1
    passes: dict[str, ShardPass] = {}
    layers = {number: layer.dimension for number, layer in plans.items()}
    for shard, halves in unpacked(batches, layers=layers):
        if shard != current:
            yield from _finished(passes, current)
            current = shard
            passes = {
                key: ShardPass(plan)
                for layer in plans.values()
                for key, plan in layer.passes.items()
            }
        for number, layer in plans.items():
            vectors = layer.preprocessing.apply(widened(halves[number]))
            for key in layer.passes:
                passes[key].add(vectors)
    yield from _finished(passes, current)


def _finished(passes: Mapping[str, ShardPass], shard: int) -> Iterator[pa.RecordBatch]:
    for key, one in passes.items():
        total = one.finish()
        n_clusters, n_features = total.sums.shape
        step = max(1, _PIECE_BYTES // (8 * n_features))
        for piece, start in enumerate(range(0, n_clusters, step)):
            part = slice(start, start + step)
            row = {
                "key": key,
                "piece": piece,
                "shard": shard,
                "sums": total.sums[part].astype("<f8").tobytes(),
                "counts": total.counts[part].astype("<i8").tobytes(),
                "inertia": total.inertia if piece == 0 else 0.0,
            }
            yield record_batch([row], PIECES)


def merge_shards(rows: pa.Table) -> pa.Table:
    """Return the sum of one piece over all shards, added in their order."""
    rows = rows.sort_by("shard")
    total = merged(
        PassSums(
            np.frombuffer(row["sums"], "<f8"),
            np.frombuffer(row["counts"], "<i8"),
            row["inertia"],
        )
        for row in rows.to_pylist()
    )
    row = {
        "key": rows["key"][0].as_py(),
        "piece": rows["piece"][0].as_py(),
        "shard": -1,
        "sums": total.sums.tobytes(),
        "counts": total.counts.tobytes(),
        "inertia": total.inertia,
    }
    return pa.Table.from_batches([record_batch([row], PIECES)])


def whole_sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, PassSums]:
    """Return the sums by key from their merged pieces."""
    pieces: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        pieces.setdefault(str(row["key"]), {})[int(row["piece"])] = row
    found = {}
    for key, by_number in pieces.items():
        ordered = [by_number[number] for number in range(len(by_number))]
        counts = np.concatenate(
            [np.frombuffer(bytes(row["counts"]), "<i8") for row in ordered]
        )
        sums = np.concatenate(
            [np.frombuffer(bytes(row["sums"]), "<f8") for row in ordered]
        )
        inertia = float(sum(float(row["inertia"]) for row in ordered))
        found[key] = PassSums(sums.reshape(len(counts), -1), counts.copy(), inertia)
    return found


def fit_view(
    rows: pa.Table,
    *,
    view: View,
    settings: Sequence[FitSettings],
    n_rows: int,
    n_held_out: int,
    n_shards: int,
) -> pa.Table:
    """Fit one view in this process, for one or several numbers of clusters.

    Parameters
    ----------
    rows : Table
        ``clip_id``, ``draw_order``, ``shard`` and ``vector`` of the sample.
    view : View
        What they are of.
    settings : sequence of FitSettings
        One for each number of clusters, otherwise equal.
    n_rows : int
        Rows of the sample, those with broken vectors among them, as the driver counts
        for many: the size of a shard's mini-batch depends on it.
    n_held_out : int
        So many rows, the first, are not passed over.
    n_shards : int
        Shards of the sample.
    """
    rows = rows.sort_by([("draw_order", "ascending"), ("clip_id", "ascending")])
    vectors = decode_fp16(rows["vector"].combine_chunks(), view.dimension)
    shard_of = rows["shard"].to_numpy()[n_held_out:]
    shards = [
        vectors[n_held_out:][shard_of == number]
        for number in range(n_shards)
        if (shard_of == number).any()
    ]
    preprocessing = _preprocessing_of(shards, settings[0].preprocess)
    shards = [preprocessing.apply(shard) for shard in shards]
    n_passed = sum(map(len, shards))
    pieces: list[Shard] = [partial(list, [shard]) for shard in shards]
    done = []
    for chosen in settings:
        n_first = max(n_reserved(chosen.n_clusters), n_held_out)
        reserve = preprocessing.apply(vectors[:n_first])
        fit, seconds = Fit(chosen, reserve, n_held_out=n_held_out), []
        while not fit.is_done:
            started = time.perf_counter()
            run_epoch(fit, pieces, fit.plan(n_shards, n_rows - n_held_out))
            seconds.append(time.perf_counter() - started)
        final = final_sums(fit, shards)
        done.append(
            fitted_row(
                view,
                fit,
                preprocessing,
                n_rows=len(vectors),
                n_passed=n_passed,
                mean_inertia=final.inertia / n_passed,
                n_used=int(np.count_nonzero(final.counts)),
                seconds=seconds,
            )
        )
    return pa.Table.from_batches([record_batch(done, FITTED)])


def _preprocessing_of(
    shards: Sequence[NDArray[np.float32]], name: PreprocessName
) -> Preprocessing:
    """Return the preprocessing fitted to shards, as the driver does for many rows."""
    found: list[Moments] = []
    for shard in shards:
        one = moments_for(name, shard.shape[1])
        if one is not None:
            one.add(shard)
            found.append(one)
    return preprocessing_from(name, merged_moments(found))


def final_plan(fit: Fit) -> PassPlan:
    """Return the plan of a pass that finds nearest centres and moves none."""
    return fit.plan()._replace(batch_rows=1 << 62)


def final_sums(fit: Fit, shards: Sequence[NDArray[np.float32]]) -> PassSums:
    """Return counts and inertia of all shards under the centres as they are."""
    plan = final_plan(fit)
    return merged(passed(plan, [shard]) for shard in shards)
