"""Which settings shape a stage's rows, and what is done when they have changed.

Rows made under another setting are refused, kept with their setting, or computed anew,
as the user says; they are never mixed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from acav_spark.config import Config, diff
from acav_spark.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from acav_spark.context import StageContext

_logger = logging.getLogger(__name__)


def settle(
    context: StageContext,
    *,
    stage: str,
    table: str,
    stage_hash_of: Callable[[Config], str],
    section: str,
    where: str = "true",
    dependants: tuple[tuple[str, str], ...] = (),
) -> Config:
    """Return the configuration under which a stage, and later ones, go on.

    Where former settings are kept, they become those of the context.

    Parameters
    ----------
    context : StageContext
        Where the tables are; its ``execution.on_change`` says what to do.
    stage, table : str
        The stage, and the table whose rows tell what was done before.
    stage_hash_of : callable
        Hash of what shapes the rows, from a configuration.
    section : str
        Section of the configuration that belongs to the stage.
    where : str
        SQL condition of the rows in question (such as those of one clustering).
    dependants : tuple of (str, str)
        Further tables, with conditions, that go when rows are computed anew.

    Raises
    ------
    StageError
        If rows were made under other settings and ``on_change`` is ``error``, or they
        are to be kept but their settings cannot be had any more.
    """
    config = context.config
    if not context.warehouse.exists(table):
        return config
    current = stage_hash_of(config)
    rows = context.warehouse.read(table).where(where)
    groups = rows.groupBy("stage_hash").agg(
        F.count("*").alias("n_rows"), F.max("run_id").alias("run_id")
    )
    old = [row for row in groups.collect() if row["stage_hash"] != current]
    if not old:
        return config
    old_hash, n_rows = old[0]["stage_hash"], old[0]["n_rows"]
    choice = "recompute" if context.is_refit else config.execution.on_change
    if choice == "recompute":
        for name, condition in ((table, where), *dependants):
            context.warehouse.delete(
                name, f"({condition}) AND stage_hash != '{current}'"
            )
        _logger.info("deleted rows to compute anew table=%s n=%d", table, n_rows)
        # What later stages learnt from the whole was learnt from rows that are gone.
        context.is_refit = True
        return config
    stored = context.ledger.config_of(old[0]["run_id"])
    if choice == "keep":
        # Later stages of the same command go on from the rows that were kept.
        context.config = _kept(config, stored, section, stage_hash_of, old_hash, table)
        return context.config
    changes = _changes(config, stored, section)
    msg = (
        f"{stage}: {table} holds {n_rows} rows made under other settings"
        f"{': ' + '; '.join(changes) if changes else ''}. Rows of both are never "
        "mixed. Choose --on-change keep (go on under the old settings), --on-change "
        "recompute (delete them, compute anew), or another --set storage.root=FOLDER."
    )
    raise StageError(msg)


def _changes(
    config: Config, stored: dict[str, object] | None, section: str
) -> list[str]:
    if stored is None:
        return []
    new = config.model_dump(mode="json")
    lines = diff({section: stored.get(section)}, {section: new[section]})
    return lines or ["an earlier stage, or the version of an extractor, has changed"]


def _kept(
    config: Config,
    stored: dict[str, object] | None,
    section: str,
    stage_hash_of: Callable[[Config], str],
    old_hash: str,
    table: str,
) -> Config:
    """Return the configuration with the section as it was."""
    if stored is not None:
        merged = {**config.model_dump(mode="json"), section: stored[section]}
        kept = Config.model_validate(merged)
        if stage_hash_of(kept) == old_hash:
            _logger.warning("kept the settings of the rows there table=%s", table)
            return kept
    msg = (
        f"{table}: expected to keep the settings of the rows there ({old_hash}), but "
        "they depend on more than this stage's settings: an earlier stage's rows, or "
        "the version of an extractor. Choose --on-change recompute."
    )
    raise StageError(msg)
