"""The ledger: what ran, with which code, configuration and inputs."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from acav_spark._version import __version__
from acav_spark.tables import table_named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from acav_spark.config.models import Config
    from acav_spark.tables.warehouse import Warehouse

_logger = logging.getLogger(__name__)


@dataclass
class Run:
    """One execution of one stage.

    Parameters
    ----------
    run_id, stage, scope : str
        Key; stage; name of the clustering or selection, or empty.
    stage_hash : str
        Hash of the settings that shape the stage's rows.
    """

    run_id: str
    stage: str
    scope: str
    stage_hash: str
    started_at: dt.datetime
    config_hash: str
    config_json: str
    inputs: dict[str, int] = field(default_factory=dict)
    clock: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class StageResult:
    """What a stage did.

    Parameters
    ----------
    stage : str
        Stage.
    n_in, n_out, n_failed, n_rejected : int
        Items to do; rows written; items that failed; items that were rejected.
    is_unchanged : bool
        Whether there was nothing to do.
    seconds : float
        Wall time.
    metrics : dict of str to float
        Other figures.
    message : str
        A remark for people.
    """

    stage: str
    n_in: int = 0
    n_out: int = 0
    n_failed: int = 0
    n_rejected: int = 0
    is_unchanged: bool = False
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    message: str = ""


class Ledger:
    """Writes and reads the table ``runs``.

    Parameters
    ----------
    warehouse : Warehouse
        Where the table is.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def start(
        self, stage: str, scope: str, stage_hash: str, config: Config, config_hash: str
    ) -> Run:
        """Write the row of a run that begins, and return the run."""
        now = dt.datetime.now(dt.UTC)
        run = Run(
            run_id=f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}",
            stage=stage,
            scope=scope,
            stage_hash=stage_hash,
            started_at=now,
            config_hash=config_hash,
            config_json=json.dumps(config.model_dump(mode="json"), sort_keys=True),
        )
        self._warehouse.append("runs", self._row(run, "running", None))
        return run

    def finish(self, run: Run, status: str, result: StageResult) -> None:
        """Complete the row of a run."""
        self._warehouse.upsert("runs", self._row(run, status, result))

    def close_interrupted(self) -> int:
        """Mark runs of dead drivers on this machine as interrupted; return how many.

        A driver that was killed cannot say so itself. Drivers on other machines are
        left alone: whether they live cannot be told from here.
        """
        from pyspark.sql import functions as F  # noqa: N812 - Spark's convention

        if not self._warehouse.exists("runs"):
            return 0
        runs = self._warehouse.read("runs")
        rows = (
            runs.where((F.col("status") == "running"))
            .where(F.col("host") == socket.gethostname())
            .collect()
        )
        dead = [
            row["run_id"]
            for row in rows
            if row["pid"] != os.getpid() and not psutil.pid_exists(row["pid"])
        ]
        if dead:
            rows_now = runs.where(F.col("run_id").isin(dead)).withColumn(
                "status", F.lit("interrupted")
            )
            self._warehouse.update("runs", rows_now, ["status"])
            _logger.info("marked interrupted runs n=%d", len(dead))
        return len(dead)

    def config_of(self, run_id: str) -> dict[str, object] | None:
        """Return the resolved configuration of a run; None if it is not known."""
        from pyspark.sql import functions as F  # noqa: N812

        row = (
            self._warehouse.read("runs")
            .where(F.col("run_id") == run_id)
            .select("config")
            .first()
        )
        return dict(json.loads(row["config"])) if row is not None else None

    def last_metrics(self, stage: str, scope: str) -> dict[str, float]:
        """Return the figures of the last run of a stage that succeeded."""
        from pyspark.sql import functions as F  # noqa: N812

        row = (
            self._warehouse.read("runs")
            .where((F.col("stage") == stage) & (F.col("scope") == scope))
            .where(F.col("status") == "succeeded")
            .orderBy(F.col("run_id").desc())
            .select("metrics")
            .first()
        )
        return dict(row["metrics"] or {}) if row is not None else {}

    def _row(self, run: Run, status: str, result: StageResult | None) -> DataFrame:
        ended = dt.datetime.now(dt.UTC) if result is not None else None
        values = {
            "run_id": run.run_id,
            "stage": run.stage,
            "scope": run.scope,
            "status": status,
            "started_at": run.started_at,
            "ended_at": ended,
            "seconds": time.monotonic() - run.clock if result is not None else None,
            "code_version": __version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "stage_hash": run.stage_hash,
            "config_hash": run.config_hash,
            "config": run.config_json,
            "inputs": run.inputs,
            "n_in": result.n_in if result else None,
            "n_out": result.n_out if result else None,
            "n_failed": result.n_failed if result else None,
            "n_rejected": result.n_rejected if result else None,
            "metrics": (
                {name: float(value) for name, value in result.metrics.items()}
                if result
                else None
            ),
            "message": result.message if result else None,
        }
        table = table_named("runs")
        return self._warehouse.spark.createDataFrame(
            [tuple(values[name] for name in table.column_names)], table.ddl
        )
