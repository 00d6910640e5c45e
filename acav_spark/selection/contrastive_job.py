"""Method ``contrastive``: heads trained on executors, scores where the vectors are.

Paper, section 3.3.1. Several processes are a barrier stage: its tasks run at the same
time or not at all, and learn each other's addresses. Spark's ``TorchDistributor`` is
made of such a stage too, and adds a process started by torchrun in each task, a pickled
function and result, the tasks' output in the driver's, and a failure that is told as
the last lines of a log. Here a task trains itself, and its error stays what it is.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from acav_spark.errors import StageError
from acav_spark.selection.contrastive_tasks import read_share, train_share
from acav_spark.selection.contrastive_training import Alone
from acav_spark.selection.heads_file import (
    heads_from_bytes,
    heads_to_bytes,
    require_safetensors,
)
from acav_spark.selection.similarity import row_cosines
from acav_spark.selection.torch_processes import joined_processes, require_gloo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession

    from acav_spark.selection.contrastive import ProjectionHeads
    from acav_spark.selection.contrastive_training import TrainingSettings
    from acav_spark.selection.scored_job import ScoredClips
    from acav_spark.selection.scoring import FeatureView

_logger = logging.getLogger(__name__)
STAGE = "select_clips"
_STAGED = "contrastive_sample"
# Ids and numbers that every executor is sent, so that vectors stay where they are.
_MOST_BROADCAST = 1_000_000


@dataclass(frozen=True, eq=False)
class ContrastiveScorer:
    """Embeds vectors by trained heads and compares both embeddings of a clip.

    Parameters
    ----------
    views : two of FeatureView
        That the heads were trained on.
    heads : ProjectionHeads
        Trained.
    """

    views: tuple[FeatureView, ...]
    heads: ProjectionHeads

    def embeddings(
        self, view: int, vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the embeddings of one view's vectors, shape (n_clips, dimensions)."""
        return (self.heads.first, self.heads.second)[view].apply(vectors)

    def scores(self, embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return the cosines, as ``ProjectionHeads.scores`` does."""
        return row_cosines(embeddings[0], embeddings[1])


@dataclass(frozen=True)
class ContrastiveMethod:
    """How ``contrastive`` is fitted; a ``ScoredMethod``.

    Parameters
    ----------
    views : two of FeatureView
        Of two extractors.
    training : TrainingSettings
        Of the heads.
    max_rows : int
        Clips that they are trained on, at most.
    n_processes : int
        Tasks that train together.
    """

    views: tuple[FeatureView, FeatureView]
    training: TrainingSettings
    max_rows: int
    n_processes: int

    def settings(self) -> dict[str, object]:
        """Return what shapes the scores; the number of processes only rounds them."""
        return {
            "method": "contrastive",
            "views": [[str(view), view.dimension] for view in self.views],
            "max_rows": self.max_rows,
            **asdict(self.training),
        }

    def fit(self, clips: ScoredClips) -> bytes:
        """Return heads trained on a sample of the clips, as a safetensors file.

        Raises
        ------
        StageError
            If there are fewer clips than a batch has, or fewer tasks can run at the
            same time than there are processes.
        DependencyError
            If safetensors is not installed, or torch for several processes.
        """
        spark = clips.context.spark
        n_rows = min(self.max_rows, clips.n_clips)
        self._require_possible(spark, n_rows)
        clips.scratch.delete(_STAGED)
        uri = f"{clips.scratch.uri}/{_STAGED}"
        sample = clips.sample(self.max_rows, self.training.seed)
        numbered = numbered_clips(sample, self)
        if n_rows <= _MOST_BROADCAST:
            numbered = F.broadcast(numbered)
        rows = clips.vectors(sample, self.views).join(numbered, "clip_id")
        rows.write.mode("overwrite").partitionBy("process").parquet(uri)
        fitted = _trained(spark, self, uri, n_rows)
        clips.scratch.delete(_STAGED)
        losses = heads_from_bytes(fitted, self.settings()).losses
        _logger.info(
            "trained heads rows=%d epochs=%d first_loss=%.4f last_loss=%.4f",
            *(n_rows, len(losses), losses[0], losses[-1]),
        )
        return fitted

    def scorer(self, fitted: bytes) -> ContrastiveScorer:
        """Return the scorer with these heads."""
        return ContrastiveScorer(self.views, heads_from_bytes(fitted, self.settings()))

    def _require_possible(self, spark: SparkSession, n_rows: int) -> None:
        """Refuse what would fail after the sample was read."""
        require_safetensors()
        batch_size = self.training.batch_size
        if n_rows < batch_size:
            msg = (
                f"{STAGE}: expected at least selection.contrastive.batch_size "
                f"({batch_size}) clips to train on, got {n_rows}. Lower it, or add "
                "clips."
            )
            raise StageError(msg)
        if self.n_processes == 1:
            return
        require_gloo()
        context = spark.sparkContext
        # Elsewhere executors may still come; Spark waits for them, and then refuses.
        is_local = str(context.master).startswith("local[")
        if is_local and context.defaultParallelism < self.n_processes:
            n = self.n_processes
            msg = (
                f"{STAGE}: expected {n} tasks that can run at the same time, for "
                f"selection.contrastive.n_processes, got {context.defaultParallelism} "
                f"of master {context.master}. Set spark.master to local[{n}], or "
                "fewer processes."
            )
            raise StageError(msg)


def numbered_clips(sample: DataFrame, method: ContrastiveMethod) -> DataFrame:
    """Return ``clip_id``, ``position`` by hash, and the ``process`` that reads it.

    Places of a batch are shared as ``share_of`` does; ids alone pass through the one
    task that numbers them.
    """
    seed, batch_size = method.training.seed, method.training.batch_size
    order = F.xxhash64(F.lit(seed), F.col("clip_id"))
    number = F.row_number().over(Window.orderBy(order, "clip_id"))
    position = (number - 1).cast("long")
    n = method.n_processes
    process = F.expr(
        f"cast(((position % {batch_size} + 1) * {n} - 1) div {batch_size} AS int)"
    )
    named = sample.select("clip_id").withColumn("position", position)
    return named.withColumn("process", process)


def _trained(
    spark: SparkSession, method: ContrastiveMethod, uri: str, n_rows: int
) -> bytes:
    """Return the file of the heads that tasks train, each on its share."""
    n = method.n_processes
    training, views, settings = method.training, method.views, method.settings()

    def row_of(heads: ProjectionHeads) -> pa.RecordBatch:
        data = pa.array([heads_to_bytes(heads, settings)], pa.binary())
        return pa.RecordBatch.from_arrays([data], ["heads"])

    def alone(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for _ in batches:
            share = read_share(uri, 0, views)
            yield row_of(train_share(share, n_rows, training, Alone()))

    def together(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        from pyspark import BarrierTaskContext

        task = BarrierTaskContext.get()
        host = str(task.getTaskInfos()[0].address).rpartition(":")[0]
        tell = partial(_told_port, task.allGather)
        for batch in batches:
            rank = int(batch["id"][0].as_py())
            share = read_share(uri, rank, views)
            with joined_processes(rank, n, host=host, tell_port=tell) as collective:
                heads = train_share(share, n_rows, training, collective)
            if rank == 0:
                yield row_of(heads)

    tasks = spark.range(0, n, 1, n)
    # Where executors come and go by need, Spark refuses barrier stages.
    trained = (
        tasks.mapInArrow(alone, "heads BINARY")
        if n == 1
        else tasks.mapInArrow(together, "heads BINARY", barrier=True)
    )
    return bytes(trained.collect()[0]["heads"])


def _told_port(all_gather: Callable[[str], list[str]], port: str) -> str:
    """Return what the first task tells all others."""
    return all_gather(port)[0]
