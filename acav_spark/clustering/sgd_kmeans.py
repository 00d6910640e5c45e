"""Mini-batch SGD k-means (paper, section 3.3.2, Stochastic Clustering, and 4.2).

The paper's rule: find the nearest centre of every sample of a batch, then update each
centre by a convex combination with its samples, weighting the samples with a learning
rate and the centre with the rest. A centre's utilisation is its number of updates
divided by all estimation steps; a centre whose utilisation falls below ``(1/k)**2`` is
placed anew. What the paper leaves open is decided so:

- Every sample moves its centre. In a batch, ``m`` samples of mean ``s`` move a centre
  ``c`` to ``(1 - r) c + r s`` with ``r = 1 - (1 - rate)**m``, which is what ``m`` steps
  would do, averaged over their order. Moving it once a batch would leave centres where
  they started: at a rate of 0.01 a batch of all clips and 100 epochs make 100 steps.
- A centre starts as a single sample. Until it has had ``1/rate`` updates it is the mean
  of them (a rate of one over their number); at 0.01 from the start it would keep that
  sample's noise, which cost 4 to 5 % of inertia on 1,000 vectors of length 500.
- Every sample is one estimation step, and a centre's steps count from its placement;
  otherwise a fresh centre would be dead at once. Expected utilisation is ``1/k``.
- For fewer than ten clusters the limit is ``0.1/k``: with two, ``(1/k)**2`` would call
  a cluster of a fifth of the samples dead for ever.
- Centres are judged after every epoch but the last tenth, which lets all of them
  settle. First centres, and those placed anew, are drawn by greedy k-means++.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from acav_spark.clustering._validation import checked_integer, checked_vectors
from acav_spark.clustering.assignment import NearestFinder
from acav_spark.clustering.codebook import Codebook
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    PreprocessName,
    check_preprocess_name,
    fit_preprocessing,
)
from acav_spark.clustering.seeding import draw_centres

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Rows among which centres are drawn: enough for every centre, however many rows.
_SEEDING_ROWS = 5_000
_SEEDING_ROWS_PER_CENTRE = 20
# Of the expected utilisation, where (1/k)**2 is too much to ask.
_SMALLEST_SHARE = 0.1


class EpochStatistics(NamedTuple):
    """What one epoch of the fit did.

    Attributes
    ----------
    epoch : int
        From 1.
    inertia : float
        Sum over the samples of the squared distance to the nearest centre, each at the
        time of its batch.
    n_used : int
        Centres that were the nearest of some sample.
    n_replaced : int
        Centres placed anew after the epoch.
    shift : float
        Largest distance that a centre moved by updates.
    """

    epoch: int
    inertia: float
    n_used: int
    n_replaced: int
    shift: float


class SGDKMeans:
    """K-means by stochastic gradient steps over mini-batches.

    Parameters
    ----------
    n_clusters : int
        Number of clusters (k), at most the number of samples.
    learning_rate : float, default 0.01
        Weight, in (0, 1], of one sample against its centre (the paper's).
    minibatch_size : int, default 100_000
        Samples whose nearest centres are found before centres move (the paper's).
    n_epochs : int, default 100
        Passes over the samples (the paper's).
    preprocess : {"none", "standardise", "l2", "pca_whiten"}, default "none"
        What is done to the vectors first, in ``predict`` as well.
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
        One for each epoch.
    labels_ : ndarray of int32, shape (n_samples,)
        Cluster of each sample of the fit under the final centres.
    inertia_ : float
        Sum of the samples' squared distances to their final centres.
    n_features_in_ : int
        Length of a vector.

    Notes
    -----
    The same samples in the same order, parameters and seed give the same centres:
    nearest centres are exact (``nearest_centroids``) and sums are taken in float64 in
    the order of rows. Only draws of centres go through a matrix product (in float64),
    whose last bits may depend on the number of threads. Centres that find no place,
    since there are fewer distinct samples than clusters, stay unused copies.

    Memory besides the samples: a few blocks of 16 MiB, and a float64 copy of the
    ``max(5000, 20 k)`` rows that centres are drawn from.

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
    n_features_in_: int

    def __init__(
        self,
        n_clusters: int,
        *,
        learning_rate: float = 0.01,
        minibatch_size: int = 100_000,
        n_epochs: int = 100,
        preprocess: PreprocessName = "none",
        seed: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.learning_rate = learning_rate
        self.minibatch_size = minibatch_size
        self.n_epochs = n_epochs
        self.preprocess = preprocess
        self.seed = seed

    def fit(self, x: ArrayLike) -> Self:
        """Fit the centres to samples.

        Parameters
        ----------
        x : array_like of float, shape (n_samples, n_features)
            Vectors; float32 is read in place, other types are copied to it.

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
        self._check_parameters()
        samples = checked_vectors(x, name="x")
        if self.n_clusters > len(samples):
            msg = (
                f"n_clusters: expected at most {len(samples)}, the number of samples, "
                f"got {self.n_clusters}. Choose fewer clusters or give more samples."
            )
            raise ValueError(msg)
        preprocessing = fit_preprocessing(self.preprocess, samples)
        generator = np.random.default_rng(self.seed)
        run = _Run(samples, preprocessing, self.n_clusters, generator)
        self.epoch_statistics_ = []
        last_judged = self.n_epochs - max(1, self.n_epochs // 10)
        for epoch in range(1, self.n_epochs + 1):
            statistics = run.epoch(epoch, self.learning_rate, self.minibatch_size)
            if epoch <= last_judged:
                statistics = statistics._replace(n_replaced=run.replace_dead())
            self.epoch_statistics_.append(statistics)
        self.codebook_ = Codebook(
            run.centres.astype(np.float32),
            preprocessing.name,
            preprocessing.mean,
            preprocessing.scale,
            preprocessing.components,
        )
        self.cluster_centers_ = self.codebook_.centroids
        self.n_updates_ = run.n_updates
        self.n_features_in_ = samples.shape[1]
        self.preprocessing_ = preprocessing.arrays()
        self.labels_, squared = self.codebook_.assign(samples)
        self.inertia_ = float(squared.sum(dtype=np.float64))
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
        codebook = self._fitted()
        samples = checked_vectors(
            x, name="x", n_features=codebook.n_features, min_rows=0
        )
        distances = np.empty((len(samples), codebook.n_clusters), dtype=np.float32)
        finder = NearestFinder(codebook.centroids)
        for start in range(0, len(samples), finder.block_rows):
            block = slice(start, start + finder.block_rows)
            vectors = codebook.preprocessing.apply(samples[block])
            distances[block] = finder.distances(vectors)
        return distances

    def _fitted(self) -> Codebook:
        """Return the codebook, refusing an estimator that is not fitted."""
        if not hasattr(self, "codebook_"):
            msg = "SGDKMeans: expected a fitted estimator. Call fit first."
            raise ValueError(msg)
        return self.codebook_

    def _check_parameters(self) -> None:
        """Refuse parameters that are out of range."""
        for name in ("n_clusters", "minibatch_size", "n_epochs"):
            checked_integer(getattr(self, name), name=name, minimum=1)
        checked_integer(self.seed, name="seed", minimum=0)
        check_preprocess_name(self.preprocess)
        if not 0 < self.learning_rate <= 1:
            msg = (
                "learning_rate: expected a number in (0, 1], got "
                f"{self.learning_rate!r}."
            )
            raise ValueError(msg)


class _Run:
    """The changing state of one fit; validation is assumed."""

    def __init__(
        self,
        samples: NDArray[np.float32],
        preprocessing: Preprocessing,
        n_clusters: int,
        generator: np.random.Generator,
    ) -> None:
        self._samples = samples
        self._preprocessing = preprocessing
        self._generator = generator
        candidates = self._candidates(n_clusters)
        drawn = draw_centres(candidates, n_clusters, generator)
        # Fewer distinct rows than clusters: the rest stay copies of the first.
        places = np.append(drawn, np.full(n_clusters - len(drawn), drawn[0]))
        self.centres = candidates[places].astype(np.float64)
        self.n_updates = np.zeros(n_clusters, dtype=np.int64)
        self._n_steps = np.zeros(n_clusters, dtype=np.int64)

    def epoch(
        self, number: int, learning_rate: float, minibatch_size: int
    ) -> EpochStatistics:
        """Pass once over the samples, in a random order when there are more batches."""
        n_samples = len(self._samples)
        order = np.arange(n_samples)
        if minibatch_size < n_samples:
            order = self._generator.permutation(n_samples)
        before = self.centres.copy()
        counts = np.zeros_like(self.n_updates)
        inertia = 0.0
        for start in range(0, n_samples, minibatch_size):
            rows = order[start : start + minibatch_size]
            batch_counts, batch_inertia = self._step(rows, learning_rate)
            counts += batch_counts
            inertia += batch_inertia
        self._n_steps += n_samples
        shift = float(np.sqrt(np.square(self.centres - before).sum(axis=1).max()))
        return EpochStatistics(number, inertia, int(np.count_nonzero(counts)), 0, shift)

    def _step(
        self, rows: NDArray[np.int64], learning_rate: float
    ) -> tuple[NDArray[np.int64], float]:
        """Move the centres by one batch; return samples per centre and inertia."""
        finder = NearestFinder(self.centres.astype(np.float32))
        sums = np.zeros_like(self.centres)
        counts = np.zeros(len(sums), dtype=np.int64)
        inertia = 0.0
        for start in range(0, len(rows), finder.block_rows):
            block = self._samples[rows[start : start + finder.block_rows]]
            vectors = self._preprocessing.apply(block)
            labels, squared = finder.nearest(vectors)
            _add_by_label(sums, vectors, labels)
            counts += np.bincount(labels, minlength=len(counts))
            inertia += float(squared.sum())
        used = np.flatnonzero(counts)
        means = sums[used] / counts[used, None]
        kept = _kept_weight(self.n_updates[used], counts[used], learning_rate)[:, None]
        self.centres[used] = kept * self.centres[used] + (1 - kept) * means
        self.n_updates += counts
        return counts, inertia

    def replace_dead(self) -> int:
        """Place unused centres anew on the data; return how many found a place."""
        n_clusters = len(self.centres)
        limit = min(1 / n_clusters**2, _SMALLEST_SHARE / n_clusters)
        is_dead = self.n_updates < limit * self._n_steps
        dead = np.flatnonzero(is_dead)
        if not dead.size:
            return 0
        candidates = self._candidates(len(dead))
        drawn = draw_centres(
            candidates, len(dead), self._generator, self.centres[~is_dead]
        )
        placed = dead[: len(drawn)]
        self.centres[placed] = candidates[drawn]
        self.n_updates[placed] = 0
        self._n_steps[placed] = 0
        return len(placed)

    def _candidates(self, n_centres: int) -> NDArray[np.float32]:
        """Return preprocessed rows on which centres may be placed."""
        n_samples = len(self._samples)
        n_wanted = max(_SEEDING_ROWS, _SEEDING_ROWS_PER_CENTRE * n_centres)
        if n_wanted >= n_samples:
            return self._preprocessing.apply(self._samples)
        rows = self._generator.choice(n_samples, size=n_wanted, replace=False)
        return self._preprocessing.apply(self._samples[np.sort(rows)])


def _kept_weight(
    n_before: NDArray[np.int64], n_samples: NDArray[np.int64], learning_rate: float
) -> NDArray[np.float64]:
    """Return the weight that centres keep after some samples each.

    The product, over each sample's number ``i`` since the centre was placed, of
    ``1 - max(learning_rate, 1 / i)``.
    """
    n_after = n_before + n_samples
    n_averaged = np.clip(int(1 / learning_rate), n_before, n_after)
    averaged = n_before / np.maximum(n_averaged, 1)
    return np.asarray(averaged * np.power(1 - learning_rate, n_after - n_averaged))


def _add_by_label(
    sums: NDArray[np.float64], vectors: NDArray[np.float32], labels: NDArray[np.int32]
) -> None:
    """Add each vector to the sum of its label, in the order of rows, in float64."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    grouped = vectors[order].astype(np.float64)
    sums[ordered[starts]] += np.add.reduceat(grouped, starts, axis=0)
