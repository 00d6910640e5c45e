"""Fits of many rows: every epoch a Spark job over the shards of a cached sample.

Centres are broadcast; a task runs SGD over its shards, for all layers of an extractor
and all numbers of clusters in one pass, and returns sums and counts; these are merged
in the order of shards, and the driver moves the centres. The state after every epoch
is a file, from which a killed fit goes on.
"""

from __future__ import annotations

import io
import json
import logging
import time
from typing import TYPE_CHECKING

import numpy as np
from pyspark import StorageLevel
from pyspark.sql import functions as F

from acav_spark.clustering.fit import Fit, n_reserved
from acav_spark.clustering.fit_tasks import (
    MOMENTS,
    PIECES,
    LayerPlan,
    final_plan,
    merge_shards,
    moments_of_shards,
    pass_over_shards,
    whole_sums,
)
from acav_spark.clustering.fitted import fitted_row
from acav_spark.clustering.moments import Moments
from acav_spark.clustering.packing import packed, packed_schema
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    merged_moments,
    moments_for,
    preprocessing_from,
)
from acav_spark.features.vectors import decode_fp16
from acav_spark.rows import spark_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from acav_spark.clustering.fit import FitSettings
    from acav_spark.clustering.fitted import View
    from acav_spark.clustering.passes import PassPlan, PassSums
    from acav_spark.clustering.sample_job import Sample
    from acav_spark.context import StageContext
    from acav_spark.storage import Folder

_logger = logging.getLogger(__name__)


class DistributedFit:
    """The fit of all layers of one extractor, for one or several numbers of clusters.

    Parameters
    ----------
    context : StageContext
        Session and progress.
    sample : Sample
        Which rows, in which shards.
    rows : DataFrame
        The extractor's sound rows.
    views : sequence of View
        Its layers.
    settings : mapping of int to sequence of FitSettings
        By position of the view, one for each number of clusters.
    scratch : Folder
        For the state after each epoch.
    identity : str
        What the fit depends on: a state of another is not gone on from.
    """

    def __init__(
        self,
        context: StageContext,
        sample: Sample,
        rows: DataFrame,
        views: Sequence[View],
        settings: Mapping[int, Sequence[FitSettings]],
        scratch: Folder,
        identity: str,
    ) -> None:
        self._context = context
        self._sample = sample
        self._views = views
        self._settings = settings
        self._scratch = scratch
        self._identity = identity
        self._rows = rows
        self._n_held_out = sample.n_held_out
        self._preprocessing: dict[int, Preprocessing] = {}
        self._fits: dict[str, Fit] = {}
        self._seconds: list[float] = []
        self._n_passed = sample.n_rows - self._n_held_out

    def run(self, at: Callable[[float], None]) -> list[dict[str, object]]:
        """Fit, and return a row of ``FITTED`` for each view and number of clusters.

        Parameters
        ----------
        at : callable
            Told how many epochs are done.
        """
        reserve, passed = self._divided()
        passed = passed.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            self._fit_preprocessing(passed)
            self._begin(reserve)
            self._restore()
            while not all(fit.is_done for fit in self._fits.values()):
                self._epoch(passed)
                at(float(len(self._seconds)))
            final = self._passed(
                passed, {k: final_plan(f) for k, f in self._fits.items()}
            )
        finally:
            passed.unpersist()
        return [
            self._row(view, n, final)
            for view in self._views
            for n in self._numbers(view)
        ]

    def forget(self) -> None:
        """Delete the state, once its result is in the tables."""
        self._scratch.delete(self._state_file)

    def _divided(self) -> tuple[dict[int, NDArray[np.float32]], DataFrame]:
        """Return the first rows by layer, in the driver, and what is passed over."""
        n = max(
            n_reserved(s.n_clusters) for s in self._settings[self._views[0].position]
        )
        n = max(n, self._n_held_out)
        first = self._rows.orderBy("draw_order", "clip_id").limit(n).toArrow()
        first = first.sort_by([("draw_order", "ascending"), ("clip_id", "ascending")])
        reserve = {
            view.layer: decode_fp16(
                first[f"layer_{view.layer}"].combine_chunks(), view.dimension
            )
            for view in self._views
        }
        rows = self._rows
        if self._n_held_out:
            last = first.slice(self._n_held_out - 1, 1).to_pylist()[0]
            order, clip = F.col("draw_order"), F.col("clip_id")
            rows = rows.where(
                (order > last["draw_order"])
                | ((order == last["draw_order"]) & (clip > last["clip_id"]))
            )
        layers = {view.layer: view.dimension for view in self._views}

        def joined(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
            return packed(batches, layers=layers)

        # Spark 4.1 can give every task one shard; hashes of shards leave some several.
        dealt = getattr(rows, "repartitionById", rows.repartition)
        passed = (
            dealt(self._sample.n_shards, "shard")
            .sortWithinPartitions("shard", "draw_order", "clip_id")
            .drop("draw_order", "clip_id")
            .mapInArrow(joined, spark_schema(packed_schema(layers)))
        )
        return reserve, passed

    def _fit_preprocessing(self, passed: DataFrame) -> None:
        name = self._settings[self._views[0].position][0].preprocess
        layers = {view.layer: view.dimension for view in self._views}
        by_layer: dict[int, list[Moments]] = {}

        def summed(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
            return moments_of_shards(batches, name=name, layers=layers)

        if moments_for(name, 1) is not None:
            found = passed.mapInArrow(summed, spark_schema(MOMENTS)).collect()
            for row in sorted(found, key=lambda row: row["shard"]):
                one = Moments.from_bytes(bytes(row["moments"]))
                by_layer.setdefault(row["layer"], []).append(one)
        for layer in layers:
            total = merged_moments(by_layer.get(layer, []))
            self._preprocessing[layer] = preprocessing_from(name, total)

    def _begin(self, reserve: Mapping[int, NDArray[np.float32]]) -> None:
        for view in self._views:
            vectors = self._preprocessing[view.layer].apply(reserve[view.layer])
            for number, chosen in enumerate(self._settings[view.position]):
                n = max(n_reserved(chosen.n_clusters), self._n_held_out)
                self._fits[_key(view, number)] = Fit(
                    chosen, vectors[:n], n_held_out=self._n_held_out
                )

    def _epoch(self, passed: DataFrame) -> None:
        started = time.perf_counter()
        going = {key: fit for key, fit in self._fits.items() if not fit.is_done}
        n_shards = self._sample.n_shards
        plans = {k: fit.plan(n_shards, self._n_passed) for k, fit in going.items()}
        sums = self._passed(passed, plans)
        for key, fit in going.items():
            fit.end_epoch(sums[key])
        self._seconds.append(time.perf_counter() - started)
        self._save()
        self._tell()

    def _passed(
        self, passed: DataFrame, passes: Mapping[str, PassPlan]
    ) -> dict[str, PassSums]:
        """Return the sums of a pass over all shards, by key."""
        plans: dict[int, LayerPlan] = {}
        for view in self._views:
            of_view = {
                key: passes[key]
                for number in self._numbers(view)
                if (key := _key(view, number)) in passes
            }
            if of_view:
                preprocessing = self._preprocessing[view.layer]
                plans[view.layer] = LayerPlan(view.dimension, preprocessing, of_view)
        shared = self._context.spark.sparkContext.broadcast(plans)

        def summed(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
            return pass_over_shards(batches, plans=shared.value)

        def merged(rows: pa.Table) -> pa.Table:
            return merge_shards(rows)

        schema = spark_schema(PIECES)
        found = (
            passed.mapInArrow(summed, schema)
            .groupBy("key", "piece")
            .applyInArrow(merged, schema)
            .toArrow()
        )
        shared.unpersist()
        return whole_sums(found.to_pylist())

    def _numbers(self, view: View) -> range:
        return range(len(self._settings[view.position]))

    def _row(
        self, view: View, number: int, final: Mapping[str, PassSums]
    ) -> dict[str, object]:
        fit, sums = self._fits[_key(view, number)], final[_key(view, number)]
        n_passed = int(sums.counts.sum())
        return fitted_row(
            view,
            fit,
            self._preprocessing[view.layer],
            n_rows=n_passed + self._n_held_out,
            n_passed=n_passed,
            mean_inertia=sums.inertia / n_passed,
            n_used=int(np.count_nonzero(sums.counts)),
            seconds=self._seconds[: len(fit.statistics)],
        )

    @property
    def _state_file(self) -> str:
        return f"epochs-{self._views[0].extractor}.npz"

    def _save(self) -> None:
        arrays: dict[str, NDArray[np.generic]] = {
            "identity": np.frombuffer(self._identity.encode(), np.uint8),
            "seconds": np.array(self._seconds),
        }
        for key, fit in self._fits.items():
            arrays |= {f"{key}/{name}": a for name, a in fit.to_arrays().items()}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        self._scratch.write_bytes(self._state_file, buffer.getvalue())

    def _restore(self) -> None:
        """Go on from the last epoch that a killed fit finished, if it was this one."""
        if not self._scratch.exists(self._state_file):
            return
        data = io.BytesIO(self._scratch.read_bytes(self._state_file))
        with np.load(data, allow_pickle=False) as arrays:
            if arrays["identity"].tobytes().decode() != self._identity:
                return
            self._seconds = arrays["seconds"].tolist()
            for key, fit in self._fits.items():
                names = fit.to_arrays()
                fit.restore({name: arrays[f"{key}/{name}"] for name in names})
        _logger.info(
            "went on extractor=%s after_epoch=%d",
            *(self._views[0].extractor, len(self._seconds)),
        )

    def _tell(self) -> None:
        """Log the epoch, a line for each view."""
        rate = self._n_passed / max(self._seconds[-1], 1e-9)
        for key, fit in self._fits.items():
            if len(fit.statistics) != len(self._seconds):
                continue
            one = fit.statistics[-1]
            quality = (
                one.inertia / self._n_passed if one.held_out is None else one.held_out
            )
            _logger.info(
                "epoch=%d view=%s/%s inertia=%.6g used=%d/%d replaced=%d shift=%.3g "
                "rows_per_s=%.0f",
                *(one.epoch, self._views[0].extractor, key, quality, one.n_used),
                *(len(fit.centres), one.n_replaced, one.shift, rate),
            )


def _key(view: View, number: int) -> str:
    return f"{view.layer}-{number}"


def identity_of(**parts: object) -> str:
    """Return a text that is equal where all parts are."""
    return json.dumps(parts, sort_keys=True, default=str)
