"""What a stage is given: session, tables, configuration, ledger, progress."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from acav_spark._version import __version__
from acav_spark.config import config_hash
from acav_spark.progress import SilentReporter
from acav_spark.runs import Ledger, Run, StageResult
from acav_spark.storage import Folder, prepare_storage
from acav_spark.tables.catalog import FORMAT_VERSION
from acav_spark.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from acav_spark.config.models import Config
    from acav_spark.progress import Reporter

_logger = logging.getLogger(__name__)


@dataclass
class StageContext:
    """Everything that a stage may touch.

    Parameters
    ----------
    spark : SparkSession
        Session with Delta.
    config : Config
        Resolved configuration.
    is_refit : bool, default False
        Whether what was learnt from the whole is learnt anew.
    reporter : Reporter
        Who is told about the progress.
    """

    spark: SparkSession
    config: Config
    is_refit: bool = False
    reporter: Reporter = field(default_factory=SilentReporter)
    folder: Folder = field(init=False)
    warehouse: Warehouse = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.folder = prepare_storage(
            self.config.storage.root,
            format_version=FORMAT_VERSION,
            code_version=__version__,
        )
        self.warehouse = Warehouse(self.spark, self.folder.uri)
        self.ledger = Ledger(self.warehouse, self.folder)

    @contextmanager
    def run(
        self,
        stage: str,
        stage_hash: str,
        *,
        scope: str = "",
        inputs: tuple[str, ...] = (),
        config: Config | None = None,
    ) -> Iterator[OpenRun]:
        """Keep a row in the ledger while a stage works; failed if it raises."""
        config = config or self.config
        run = self.ledger.start(stage, scope, stage_hash, config, config_hash(config))
        run.inputs = {name: self.warehouse.version(name) for name in inputs}
        _logger.info("started stage=%s scope=%s run_id=%s", stage, scope, run.run_id)
        opened = OpenRun(run, StageResult(stage))
        try:
            yield opened
        except BaseException as error:
            text = str(error).split("\n", 1)[0][:1000]
            message = f"{type(error).__name__}: {text}"
            self.ledger.finish(run, "failed", replace(opened.result, message=message))
            raise
        self.ledger.finish(run, "succeeded", opened.result)
        r = opened.result
        _logger.info(
            "finished stage=%s n_in=%d n_out=%d n_rejected=%d n_failed=%d",
            *(stage, r.n_in, r.n_out, r.n_rejected, r.n_failed),
        )


@dataclass
class OpenRun:
    """A run that is going on; the stage leaves its result here."""

    run: Run
    result: StageResult

    @property
    def run_id(self) -> str:
        """Key of the run, for the rows it writes."""
        return self.run.run_id
