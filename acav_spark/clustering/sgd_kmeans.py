"""Mini-batch SGD k-means (paper, section 3.3.2, Stochastic Clustering, and 4.2).

The paper's rule: find the nearest centre of every sample of a batch, then update each
centre by a convex combination with its samples, weighting the samples with a learning
rate and the centre with the rest. A centre's utilisation is its number of updates
divided by all estimation steps; a centre whose utilisation falls below ``(1/k)**2`` is
placed anew. What the paper leaves open is decided so:

- Every sample moves its centre; a young one is the mean of its samples: see ``rules``.
- Every sample is one estimation step, and a centre's steps count from its placement;
  otherwise a fresh centre would be dead at once. Expected utilisation is ``1/k``.
- A centre that was nearest to no sample of a whole epoch is dead as well: one that had
  many samples once would take long to fall below the limit.
- For fewer than ten clusters the limit is ``0.1/k``: with two, ``(1/k)**2`` would call
  a cluster of a fifth of the samples dead for ever.
- Centres are judged after every epoch but the last tenth, which lets all of them
  settle. First centres, and those placed anew, are drawn by greedy k-means++.
- Samples are put in a random order once, not in every epoch.

Samples that are spread over shards: see ``passes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from acav_spark.clustering._estimator import Clusterer, not_fitted
from acav_spark.clustering._validation import checked_vectors
from acav_spark.clustering.fit import (
    EpochStatistics,
    Fit,
    FitSettings,
    InitName,
    ReinitName,
    n_reserved,
    run_epoch,
)
from acav_spark.clustering.passes import passed
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    PreprocessName,
    fit_preprocessing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from acav_spark.clustering.codebook import Codebook
    from acav_spark.clustering.rules import UpdateRule

# Rows that are preprocessed at once.
_PIECE_ROWS = 4096
# Estimation steps for each centre before ``partial_fit`` judges it: as many as leave an
# average one without an update once in 20,000 times.
_LEAST_STEPS = 10


class SGDKMeans(Clusterer):
    """K-means by stochastic gradient steps over mini-batches.

    Parameters
    ----------
    n_clusters : int, default 8
        Number of clusters (k), at most the number of samples.
    learning_rate : float, default 0.01
        Weight, in (0, 1], of a sample against its centre (the paper's).
    minibatch_size : int, default 100_000
        Samples whose nearest centres are found before centres move (the paper's).
    n_epochs : int, default 100
        Passes over the samples (the paper's).
    init : {"k-means++", "random"} or array_like, default "k-means++"
        First centres: drawn far from each other, drawn evenly, or given with the shape
        (n_clusters, n_features), preprocessed already.
    update : {"constant", "decayed", "per_centre"}, default "constant"
        Least weight of a sample: the paper's rate in all epochs, the rate divided by
        the number of the epoch, or none, so that centres are means of all their
        samples; see ``rules``.
    reinit : {"far", "split", "none"}, default "far"
        Where dead centres are placed anew: on samples far from all centres, or on
        samples of the most used clusters; or not at all.
    preprocess : {"none", "standardise", "l2", "pca_whiten"}, default "none"
        What is done to the vectors first, in ``predict`` as well.
    tolerance : float, default 0
        Stops when an epoch lowers the inertia by a smaller part, in [0, 1); 0 never.
    seed : int, default 0
        Seed of first centres, of the order of samples, and of centres placed anew.

    Attributes
    ----------
    codebook_ : Codebook
        What is needed to assign vectors, without the estimator.
    cluster_centers_ : ndarray of float32, shape (n_clusters, n_out)
        Centres of preprocessed vectors; whitening may leave out dimensions.
    preprocessing_ : dict of str to ndarray of float32
        ``mean`` and ``scale`` of each dimension when standardised, ``mean`` and
        ``components`` when whitened, else empty.
    n_updates_ : ndarray of int64, shape (n_clusters,)
        Samples that moved each centre since it was placed.
    epoch_statistics_ : list of EpochStatistics
        One for each epoch; empty after ``partial_fit``.
    labels_ : ndarray of int32, shape (n_samples,)
        Cluster of each sample of the last fit under the centres after it.
    inertia_ : float
        Sum of these samples' squared distances to their centres.
    n_iter_ : int
        Epochs that were done.
    n_features_in_ : int
        Length of a vector.

    Notes
    -----
    The same samples in the same order, parameters and seed give the same centres:
    nearest centres are exact (``nearest_centroids``) and sums are taken in float64 in
    the order of rows. Only draws of centres go through a matrix product (in float64),
    whose last bits may depend on the number of threads. Centres that find no place,
    since there are fewer distinct samples than clusters, stay unused copies.

    Memory besides the samples: a few blocks of 16 MiB, four float64 copies of the
    centres, and a float64 copy of the ``max(5000, 20 k)`` rows that centres are drawn
    from.

    It has the methods of an estimator of scikit-learn without needing it.

    Examples
    --------
    >>> x = np.array([[0.0], [0.2], [4.0], [4.2]])
    >>> SGDKMeans(2).fit(x).predict(x).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    codebook_: Codebook
    cluster_centers_: NDArray[np.float32]
    preprocessing_: dict[str, NDArray[np.float32]]
    n_updates_: NDArray[np.int64]
    epoch_statistics_: list[EpochStatistics]
    labels_: NDArray[np.int32]
    inertia_: float
    n_iter_: int
    n_features_in_: int

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        learning_rate: float = 0.01,
        minibatch_size: int = 100_000,
        n_epochs: int = 100,
        init: InitName | ArrayLike = "k-means++",
        update: UpdateRule = "constant",
        reinit: ReinitName = "far",
        preprocess: PreprocessName = "none",
        tolerance: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.learning_rate = learning_rate
        self.minibatch_size = minibatch_size
        self.n_epochs = n_epochs
        self.init = init
        self.update = update
        self.reinit = reinit
        self.preprocess = preprocess
        self.tolerance = tolerance
        self.seed = seed

    def fit(self, x: ArrayLike, y: object = None) -> Self:
        """Fit the centres to samples.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors; float32 is read in place, other types are copied to it.
        y : object, optional
            Ignored.

        Returns
        -------
        SGDKMeans
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter is out of range, there are fewer samples than clusters, or
            a value is not finite.
        """
        del y
        settings = self._settings()
        samples = self._checked_samples(x)
        preprocessing = fit_preprocessing(self.preprocess, samples)
        order = np.arange(len(samples))
        if self.minibatch_size < len(samples):
            order = np.random.default_rng([self.seed, 0]).permutation(len(samples))
        fit = self._begun(settings, samples, preprocessing)

        def pieces() -> Iterator[NDArray[np.float32]]:
            for start in range(0, len(order), _PIECE_ROWS):
                yield preprocessing.apply(samples[order[start : start + _PIECE_ROWS]])

        while not fit.is_done:
            run_epoch(fit, [pieces])
        self._fit, self._preprocessing = fit, preprocessing
        return self._finished(samples)

    def partial_fit(self, x: ArrayLike, y: object = None) -> Self:
        """Move the centres by one more mini-batch.

        The first call places the centres on its samples, and fits the preprocessing to
        them. Dead centres are placed anew on the samples at hand.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            A mini-batch of any size; the first one has at least ``n_clusters`` rows.
        y : object, optional
            Ignored.

        Returns
        -------
        SGDKMeans
            The estimator itself.

        Raises
        ------
        ValueError
            As ``fit``, or if vectors are of another length than before.
        """
        del y
        settings = self._settings()
        is_first = not hasattr(self, "_fit")
        samples = self._checked_samples(x, is_first=is_first)
        if is_first:
            self._preprocessing = fit_preprocessing(self.preprocess, samples)
            self._fit = self._begun(settings, samples, self._preprocessing)
        fit = self._fit
        vectors = self._preprocessing.apply(samples)
        fit.move(passed(fit.plan(), [vectors]))
        fit.judge(vectors, _LEAST_STEPS * len(fit.centres))
        return self._finished(samples)

    def merge(self, others: Iterable[SGDKMeans]) -> Self:
        """Take in what estimators learnt apart, on other samples.

        Each centre becomes the mean of the estimators' centres of the same number,
        weighted by the samples that moved each: what a fit on shards of the samples
        ends with, when they started from the same centres (``init``).

        Parameters
        ----------
        others : iterable of SGDKMeans
            Fitted with the same number of clusters and the same preprocessing.

        Returns
        -------
        SGDKMeans
            The estimator itself. ``labels_`` and ``inertia_`` stay those of its own
            samples before the merger.

        Raises
        ------
        ValueError
            If one is not fitted, or centres are not of the same shape or preprocessing.
        """
        ours, apart = self._fitted(), list(others)
        for other in apart:
            theirs = other._fitted()  # of the same class
            is_alike = (
                theirs.centroids.shape == ours.centroids.shape
                and theirs.preprocessing.is_like(ours.preprocessing)
            )
            if not is_alike:
                msg = (
                    f"merge: expected {ours!r} with the same preprocessing, got "
                    f"{theirs!r}. Fit all from the same centres and preprocessing."
                )
                raise ValueError(msg)
        self._fit.merge(other._fit for other in apart)
        self._publish()
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.int32]:
        """Return the cluster of each vector, the lowest of equally near ones.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors that are not preprocessed yet.

        Raises
        ------
        ValueError
            If the estimator is not fitted, or as ``Codebook.assign``.
        """
        return self._fitted().assign(x)[0]

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return the distance of each preprocessed vector to each centre.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors that are not preprocessed yet.

        Returns
        -------
        ndarray of float32, shape (n_samples, n_clusters)
        """
        return self._fitted().distances(x)

    def score(self, x: ArrayLike, y: object = None) -> float:
        """Return minus the sum of squared distances to the nearest centres."""
        del y
        return -float(self._fitted().assign(x)[1].sum(dtype=np.float64))

    def _settings(self) -> FitSettings:
        """Return the checked parameters."""
        init: InitName = "k-means++"
        if isinstance(self.init, str):
            init = self.init  # type: ignore[assignment]  # FitSettings checks it
        return FitSettings(
            self.n_clusters,
            self.learning_rate,
            self.minibatch_size,
            self.n_epochs,
            init,
            self.update,
            self.reinit,
            self.preprocess,
            self.tolerance,
            self.seed,
        )

    def _checked_samples(
        self, x: ArrayLike, *, is_first: bool = True
    ) -> NDArray[np.float32]:
        """Return the samples as float32; the first are as many as the clusters."""
        n_features = None if is_first else self.n_features_in_
        samples = checked_vectors(x, name="x", n_features=n_features)
        if is_first and self.n_clusters > len(samples):
            msg = (
                f"n_clusters: expected at most {len(samples)}, the number of samples, "
                f"got {self.n_clusters}. Choose fewer clusters or give more samples."
            )
            raise ValueError(msg)
        return samples

    def _begun(
        self,
        settings: FitSettings,
        samples: NDArray[np.float32],
        preprocessing: Preprocessing,
    ) -> Fit:
        """Return a fit with its first centres."""
        n, n_wanted = len(samples), n_reserved(settings.n_clusters)
        reserve = samples
        if n_wanted < n:
            generator = np.random.default_rng([settings.seed, 1])
            rows = generator.choice(n, size=n_wanted, replace=False)
            reserve = samples[np.sort(rows)]
        centres = None
        if not isinstance(self.init, str):
            centres = checked_vectors(self.init, name="init")
        fit = Fit(settings, preprocessing.apply(reserve), centres=centres)
        expected = settings.n_clusters, fit.reserve.shape[1]
        if fit.centres.shape != expected:
            msg = (
                f"init: expected centres of shape {expected}, got {fit.centres.shape}."
            )
            raise ValueError(msg)
        return fit

    def _finished(self, samples: NDArray[np.float32]) -> Self:
        """Set what a fit leaves."""
        self.n_features_in_ = samples.shape[1]
        self._publish()
        self.labels_, squared = self.codebook_.assign(samples)
        self.inertia_ = float(squared.sum(dtype=np.float64))
        return self

    def _publish(self) -> None:
        """Set what is said of the centres."""
        preprocessing, fit = self._preprocessing, self._fit
        self.codebook_ = fit.codebook(preprocessing)
        self.cluster_centers_ = self.codebook_.centroids
        self.n_updates_ = fit.n_updates
        self.epoch_statistics_ = fit.statistics
        self.n_iter_ = max(1, len(fit.statistics))
        self.preprocessing_ = preprocessing.arrays()

    def _fitted(self) -> Codebook:
        """Return the codebook, refusing an estimator that is not fitted."""
        if not hasattr(self, "codebook_"):
            raise not_fitted(self)
        return self.codebook_
