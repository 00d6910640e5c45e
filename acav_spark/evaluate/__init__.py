"""Correspondence retrieval: whether selections find what belongs together.

Data sets of which the truth is known, all selection methods, the tables and figures of
the paper's section 4. ``acav evaluate retrieval`` runs them; here they are functions.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acav_spark.evaluate.data_sets import DataSource
    from acav_spark.evaluate.results import RetrievalResult, summaries
    from acav_spark.evaluate.retrieval import RetrievalOptions, run_retrieval
    from acav_spark.evaluate.retrieval_set import RetrievalSet, Side

_LAZY = {
    "DataSource": "data_sets",
    "RetrievalOptions": "retrieval",
    "RetrievalResult": "results",
    "RetrievalSet": "retrieval_set",
    "Side": "retrieval_set",
    "run_retrieval": "retrieval",
    "summaries": "results",
}

__all__ = [
    "DataSource",
    "RetrievalOptions",
    "RetrievalResult",
    "RetrievalSet",
    "Side",
    "run_retrieval",
    "summaries",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module holds
    """Load a public name when it is first asked for (PEP 562)."""
    if name in _LAZY:
        module = importlib.import_module(f"acav_spark.evaluate.{_LAZY[name]}")
        return getattr(module, name)
    msg = f"module 'acav_spark.evaluate' has no attribute {name!r}"
    raise AttributeError(msg)
