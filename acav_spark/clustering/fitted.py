"""Views of a clustering, and what a fit of one of them leaves: a row of Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from acav_spark.clustering.fit import Fit
    from acav_spark.clustering.preprocessing import Preprocessing

_EPOCH = pa.struct(
    [
        ("epoch", pa.int32()),
        ("inertia", pa.float64()),
        ("held_out_inertia", pa.float64()),
        ("n_used", pa.int32()),
        ("least_utilisation", pa.float64()),
        ("n_replaced", pa.int32()),
        ("shift", pa.float64()),
        ("n_rows", pa.int64()),
        ("seconds", pa.float64()),
    ]
)
FITTED = pa.schema(
    [
        ("view_position", pa.int32()),
        ("extractor", pa.string()),
        ("layer", pa.int32()),
        ("modality", pa.string()),
        ("n_clusters", pa.int32()),
        ("dimension", pa.int32()),
        ("model_version", pa.string()),
        ("centroids", pa.list_(pa.binary())),
        ("n_updates", pa.list_(pa.int64())),
        ("mean", pa.binary()),
        ("scale", pa.binary()),
        ("components", pa.binary()),
        ("n_rows", pa.int64()),
        ("inertia", pa.float64()),
        ("n_used", pa.int32()),
        ("fingerprint", pa.string()),
        ("epochs", pa.list_(_EPOCH)),
    ]
)
"""One row for each view and number of clusters."""


@dataclass(frozen=True)
class View:
    """One layer of one extractor, in its place among the views.

    Parameters
    ----------
    position : int
        Place in the arrays of cluster ids, from 0.
    extractor, layer, modality : str, int, str
        What it is.
    dimension : int
        Length of a vector.
    model_version : str
        Version of the extractor.
    """

    position: int
    extractor: str
    layer: int
    modality: str
    dimension: int
    model_version: str


def fitted_row(
    view: View,
    fit: Fit,
    preprocessing: Preprocessing,
    *,
    n_rows: int,
    n_passed: int,
    mean_inertia: float,
    n_used: int,
    seconds: Sequence[float],
) -> dict[str, object]:
    """Return a row of ``FITTED``.

    Parameters
    ----------
    view : View
        What was fitted.
    fit : Fit
        With all its epochs.
    preprocessing : Preprocessing
        Of the view.
    n_rows, n_passed : int
        Rows of the sample, and those of them that every epoch passed over.
    mean_inertia : float
        Mean squared distance of the passed rows under the final centres.
    n_used : int
        Clusters that hold one of them.
    seconds : sequence of float
        Time of every epoch.
    """
    codebook = fit.codebook(preprocessing)
    parts = {name: _bytes(values) for name, values in preprocessing.arrays().items()}
    return {
        "view_position": view.position,
        "extractor": view.extractor,
        "layer": view.layer,
        "modality": view.modality,
        "n_clusters": codebook.n_clusters,
        "dimension": view.dimension,
        "model_version": view.model_version,
        "centroids": [_bytes(centroid) for centroid in codebook.centroids],
        "n_updates": fit.n_updates.tolist(),
        **parts,
        "n_rows": n_rows,
        "inertia": mean_inertia,
        "n_used": n_used,
        "fingerprint": codebook.fingerprint(),
        "epochs": [
            {
                "epoch": one.epoch,
                "inertia": one.inertia / n_passed,
                "held_out_inertia": one.held_out,
                "n_used": one.n_used,
                "least_utilisation": one.least_utilisation,
                "n_replaced": one.n_replaced,
                "shift": one.shift,
                "n_rows": n_passed,
                "seconds": took,
            }
            for one, took in zip(fit.statistics, seconds, strict=True)
        ],
    }


def _bytes(values: NDArray[np.float32]) -> bytes:
    return values.astype("<f4").tobytes()
