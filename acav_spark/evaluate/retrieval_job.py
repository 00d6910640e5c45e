"""``acav evaluate retrieval``: the experiments, their tables, figures and page."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from acav_spark.evaluate.results import line_of, summaries
from acav_spark.evaluate.results_job import read_results, write_results
from acav_spark.evaluate.retrieval import run_retrieval
from acav_spark.evaluate.tables_text import markdown
from acav_spark.report.retrieval import figure_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from acav_spark.context import StageContext
    from acav_spark.evaluate.results import RetrievalResult
    from acav_spark.evaluate.retrieval import RetrievalOptions
    from acav_spark.storage import Folder

STAGE = "evaluate_retrieval"
FOLDER = "retrieval"
"""Folder below the warehouse that figures and tables are written to."""


def evaluate_retrieval(
    context: StageContext, options: RetrievalOptions, output: Folder
) -> list[RetrievalResult]:
    """Run retrieval experiments and keep what they find.

    Fills ``retrieval_results`` and ``retrieval_curves``, one commit of each for every
    data set and run, and writes a PNG for each table and figure and
    ``retrieval.md`` to ``output``. Results that are there under the same hash are not
    computed again, so that a run that was killed goes on where it stopped.

    Returns
    -------
    list of RetrievalResult
        All results of the plan.
    """
    known = read_results(context.warehouse)
    hashes = {(line_of(result), result.run): result.stage_hash for result in known}
    text = repr((sorted(options.plan), options.methods, options.parts))
    stage_hash = hashlib.sha256(text.encode()).hexdigest()[:16]
    n_new = 0
    with context.run(STAGE, stage_hash) as opened:

        def store(results: Sequence[RetrievalResult]) -> None:
            nonlocal n_new
            new = [
                result
                for result in results
                if hashes.get((line_of(result), result.run)) != result.stage_hash
            ]
            write_results(context.warehouse, new, opened.run_id, known=known)
            n_new += len(new)

        results = run_retrieval(
            options, known=known, store=store, reporter=context.reporter
        )
        opened.result = replace(opened.result, n_in=len(results), n_out=n_new)
    write_files(output, results)
    return results


def write_files(output: Folder, results: Sequence[RetrievalResult]) -> list[str]:
    """Write the figures and the tables as text; return the names of the files."""
    lines = summaries(results)
    names = []
    for name, png in figure_files(lines):
        output.write_bytes(name, png)
        names.append(name)
    output.write_text("retrieval.md", markdown(lines))
    return [*names, "retrieval.md"]
