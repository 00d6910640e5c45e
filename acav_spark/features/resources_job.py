"""Cores and GPUs of the tasks that extract: what Spark is asked for, what it gave."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from acav_spark.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.resource import ResourceProfile
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from acav_spark.config.models import ExecutionConfig

_logger = logging.getLogger(__name__)


def decoding_lanes(execution: ExecutionConfig) -> int:
    """Return the decoding processes of a task: as set, or one for each of its cores."""
    return execution.decode_workers or execution.cores_per_task or 1


def map_with_resources(
    items: DataFrame,
    function: Callable[..., Any],
    schema: StructType,
    execution: ExecutionConfig,
) -> DataFrame:
    """Return ``items.mapInArrow(function, schema)``, with the resources asked for.

    A task gets ``cores_per_task`` cores and ``gpus_per_task`` GPUs of its executor, by
    a resource profile of this stage alone: other stages use every core for a task.

    Raises
    ------
    ConfigError
        If Spark is older than 4.0, or one that has no resource profiles.
    """
    if not (execution.cores_per_task or execution.gpus_per_task):
        return items.mapInArrow(function, schema)
    master = str(items.sparkSession.sparkContext.master)
    if master == "local" or master.startswith("local["):
        _logger.warning(
            "execution.cores_per_task and gpus_per_task are left aside: tasks of %s "
            "share the machine. Set spark.master to as many tasks as there are GPUs.",
            master,
        )
        return items.mapInArrow(function, schema)
    if "profile" not in inspect.signature(items.mapInArrow).parameters:
        msg = (
            "execution.cores_per_task, execution.gpus_per_task: expected Spark 4.0 or "
            f"newer, got {items.sparkSession.version}. Leave them at 0 and set "
            "spark.task.cpus and spark.task.resource.gpu.amount for the whole job."
        )
        raise ConfigError(msg)
    return items.mapInArrow(function, schema, profile=_profile(execution))


def assigned_gpus() -> list[str]:
    """Return the addresses of the GPUs that Spark gave this task."""
    from pyspark import TaskContext

    task = TaskContext.get()
    found = task.resources().get("gpu") if task is not None else None
    return list(found.addresses) if found is not None else []


def _profile(execution: ExecutionConfig) -> ResourceProfile:
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    requests = TaskResourceRequests().cpus(execution.cores_per_task or 1)
    if execution.gpus_per_task:
        requests = requests.resource("gpu", execution.gpus_per_task)
    return ResourceProfileBuilder().require(requests).build
