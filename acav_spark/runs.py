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
from typing import TYPE_CHECKING, Any

import psutil

from acav_spark._version import __version__
from acav_spark.config import redacted
from acav_spark.tables import table_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acav_spark.config.models import Config
    from acav_spark.storage import Folder
    from acav_spark.tables.warehouse import Warehouse

_logger = logging.getLogger(__name__)
_MARKERS = "_running"


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
    is_off : bool
        Whether that is so because the configuration leaves the stage out.
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
    is_off: bool = False
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    message: str = ""


class Ledger:
    """Writes and reads the table ``runs``, one row for each run that ended.

    Parameters
    ----------
    warehouse : Warehouse
        Where the table is.
    folder : Folder
        Where markers of runs that are going on are.
    """

    def __init__(self, warehouse: Warehouse, folder: Folder) -> None:
        self._warehouse = warehouse
        self._folder = folder

    def start(
        self, stage: str, scope: str, stage_hash: str, config: Config, config_hash: str
    ) -> Run:
        """Leave a marker of a run that begins, and return the run.

        The row comes when it ends: rewriting a row of a Delta table takes seconds. A
        driver that is killed leaves its marker, from which the next one writes the row.
        """
        now = dt.datetime.now(dt.UTC)
        run = Run(
            run_id=f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}",
            stage=stage,
            scope=scope,
            stage_hash=stage_hash,
            started_at=now,
            config_hash=config_hash,
            config_json=json.dumps(
                redacted(config).model_dump(mode="json"), sort_keys=True
            ),
        )
        marker = {**self._begun(run), "started_at": now.isoformat()}
        self._folder.write_text(f"{_MARKERS}/{run.run_id}.json", json.dumps(marker))
        return run

    def finish(self, run: Run, status: str, result: StageResult) -> None:
        """Write the row of a run that ended, and take its marker away."""
        values = {
            **self._begun(run),
            "status": status,
            "ended_at": dt.datetime.now(dt.UTC),
            "seconds": time.monotonic() - run.clock,
            "inputs": run.inputs,
            "n_in": result.n_in,
            "n_out": result.n_out,
            "n_failed": result.n_failed,
            "n_rejected": result.n_rejected,
            "metrics": {name: float(value) for name, value in result.metrics.items()},
            "message": result.message,
        }
        self._append([values])
        self._folder.delete(f"{_MARKERS}/{run.run_id}.json")

    def running(self) -> list[dict[str, Any]]:
        """Return what is known of runs that have begun and not ended."""
        names = [name for name in self._folder.list(_MARKERS) if name.endswith(".json")]
        return [json.loads(self._folder.read_text(f"{_MARKERS}/{n}")) for n in names]

    def close_interrupted(self) -> int:
        """Write the rows of runs whose driver on this machine died; return how many.

        A driver that was killed cannot say so itself. Drivers on other machines are
        left alone: whether they live cannot be told from here.
        """
        dead = [
            marker
            for marker in self.running()
            if marker["host"] == socket.gethostname()
            and marker["pid"] != os.getpid()
            and not psutil.pid_exists(marker["pid"])
        ]
        if dead:
            # A driver that was killed between its row and its marker has ended well.
            known = self._warehouse.read("runs").select("run_id").collect()
            rows = [m for m in dead if m["run_id"] not in {r["run_id"] for r in known}]
            for marker in rows:
                marker["started_at"] = dt.datetime.fromisoformat(marker["started_at"])
                marker["status"] = "interrupted"
            if rows:
                self._append(rows)
            for marker in dead:
                self._folder.delete(f"{_MARKERS}/{marker['run_id']}.json")
            _logger.info("found interrupted runs n=%d", len(rows))
        return len(dead)

    def config_of(self, run_id: str) -> dict[str, object] | None:
        """Return the resolved configuration of a run; None if it is not known."""
        from pyspark.sql import functions as F

        row = (
            self._warehouse.read("runs")
            .where(F.col("run_id") == run_id)
            .select("config")
            .first()
        )
        return dict(json.loads(row["config"])) if row is not None else None

    def last_metrics(self, stage: str, scope: str) -> dict[str, float]:
        """Return the figures of the last run of a stage that succeeded."""
        from pyspark.sql import functions as F

        row = (
            self._warehouse.read("runs")
            .where((F.col("stage") == stage) & (F.col("scope") == scope))
            .where(F.col("status") == "succeeded")
            .orderBy(F.col("run_id").desc())
            .select("metrics")
            .first()
        )
        return dict(row["metrics"] or {}) if row is not None else {}

    def _begun(self, run: Run) -> dict[str, Any]:
        return {
            "run_id": run.run_id,
            "stage": run.stage,
            "scope": run.scope,
            "status": "running",
            "started_at": run.started_at,
            "code_version": __version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "stage_hash": run.stage_hash,
            "config_hash": run.config_hash,
            "config": run.config_json,
        }

    def _append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        table = table_named("runs")
        frame = self._warehouse.spark.createDataFrame(
            [tuple(row.get(name) for name in table.column_names) for row in rows],
            table.ddl,
        )
        self._warehouse.append("runs", frame)
