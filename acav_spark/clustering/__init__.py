"""Learning codebooks and assigning clusters (paper, section 3.3.2, and 4.2).

Arrays and plain values in and out; nothing here needs Spark or a configuration.
"""

from acav_spark.clustering.assignment import nearest_centroids
from acav_spark.clustering.codebook import Codebook
from acav_spark.clustering.fit import EpochStatistics
from acav_spark.clustering.moments import Moments
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    PreprocessName,
    fit_preprocessing,
    moments_for,
    preprocessing_from,
)
from acav_spark.clustering.sgd_kmeans import SGDKMeans
from acav_spark.clustering.sizes import MAX_AUTO_CLUSTERS, auto_n_clusters

__all__ = [
    "MAX_AUTO_CLUSTERS",
    "Codebook",
    "EpochStatistics",
    "Moments",
    "PreprocessName",
    "Preprocessing",
    "SGDKMeans",
    "auto_n_clusters",
    "fit_preprocessing",
    "moments_for",
    "nearest_centroids",
    "preprocessing_from",
]
