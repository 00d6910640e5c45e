"""A fit in progress: centres, what moved them, and where dead ones are placed anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from acav_spark.clustering._validation import checked_integer
from acav_spark.clustering.assignment import NearestFinder
from acav_spark.clustering.codebook import Codebook
from acav_spark.clustering.passes import PassPlan, PassSums, merged, passed
from acav_spark.clustering.preprocessing import (
    Preprocessing,
    PreprocessName,
    check_preprocess_name,
)
from acav_spark.clustering.rules import (
    UpdateRule,
    check_update_rule,
    kept_weight,
    rate_of,
)
from acav_spark.clustering.seeding import draw_centres, draw_splits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Shard = Callable[[], Iterable[NDArray[np.float32]]]

InitName = Literal["k-means++", "random"]
ReinitName = Literal["far", "split", "none"]

# Rows on which centres are placed: enough for every centre, however many rows.
_RESERVE_ROWS = 5_000
_RESERVE_ROWS_PER_CENTRE = 20
# Of the expected utilisation, where (1/k)**2 is too much to ask.
_SMALLEST_SHARE = 0.1
# Fewer rows are not worth a shard.
_SHARD_ROWS = 10_000
# Where there are so many rows, some are held out to tell the quality.
_HELD_OUT_FROM, _HELD_OUT_ROWS = 200_000, 10_000


@dataclass(frozen=True)
class FitSettings:
    """Parameters of a fit; see ``SGDKMeans``.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    n_clusters: int
    learning_rate: float = 0.01
    minibatch_size: int = 100_000
    n_epochs: int = 100
    init: InitName = "k-means++"
    update: UpdateRule = "constant"
    reinit: ReinitName = "far"
    preprocess: PreprocessName = "none"
    tolerance: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_clusters", "minibatch_size", "n_epochs"):
            checked_integer(getattr(self, name), name=name, minimum=1)
        checked_integer(self.seed, name="seed", minimum=0)
        check_preprocess_name(self.preprocess)
        check_update_rule(self.update)
        for name, allowed in (("init", InitName), ("reinit", ReinitName)):
            value = getattr(self, name)
            if value not in get_args(allowed):
                msg = (
                    f"{name}: expected one of {list(get_args(allowed))}, got {value!r}."
                )
                raise ValueError(msg)
        if not 0 < self.learning_rate <= 1:
            msg = (
                "learning_rate: expected a number in (0, 1], got "
                f"{self.learning_rate!r}."
            )
            raise ValueError(msg)
        if not 0 <= self.tolerance < 1:
            msg = f"tolerance: expected a number in [0, 1), got {self.tolerance!r}."
            raise ValueError(msg)

    @property
    def last_judged(self) -> int:
        """The last epoch after which dead centres are placed anew."""
        return self.n_epochs - max(1, self.n_epochs // 10)


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
    least_utilisation : float
        Smallest utilisation of a centre, its updates divided by the estimation steps
        since it was placed; ``1/k`` is expected.
    held_out : float
        Mean squared distance of the held-out samples to their nearest centres after
        the epoch; None where none are held out.
    """

    epoch: int
    inertia: float
    n_used: int
    n_replaced: int
    shift: float
    least_utilisation: float
    held_out: float | None


def n_reserved(n_clusters: int) -> int:
    """Return how many rows are kept for placing centres, where there are so many."""
    return max(_RESERVE_ROWS, _RESERVE_ROWS_PER_CENTRE * n_clusters)


def n_useful_shards(n_rows: int, n_shards: int) -> int:
    """Return into how many shards rows are cut: no more than are worth it."""
    return max(1, min(n_shards, n_rows // _SHARD_ROWS))


def n_held_out(n_rows: int) -> int:
    """Return how many rows are held out of a fit, to tell its quality."""
    return _HELD_OUT_ROWS if n_rows >= _HELD_OUT_FROM else 0


class Fit:
    """The changing state of one fit; validation is assumed.

    Parameters
    ----------
    settings : FitSettings
        Parameters.
    reserve : ndarray of float32, shape (n_reserved, n_features)
        Preprocessed rows on which centres may be placed.
    n_held_out : int
        So many of them, the first, are none of those that are passed over: they tell
        the quality after each epoch.
    centres : ndarray of float, shape (n_clusters, n_features), optional
        First centres; drawn from the reserve by default.
    """

    def __init__(
        self,
        settings: FitSettings,
        reserve: NDArray[np.float32],
        *,
        n_held_out: int = 0,
        centres: NDArray[np.floating] | None = None,
    ) -> None:
        self.settings = settings
        self.reserve = reserve
        self._held_out = reserve[:n_held_out]
        if centres is None:
            centres = self._first_centres()
        self.centres = np.array(centres, dtype=np.float64)
        k = len(self.centres)
        self.n_updates = np.zeros(k, dtype=np.int64)
        self._n_steps = np.zeros(k, dtype=np.int64)
        self.statistics: list[EpochStatistics] = []

    @property
    def is_done(self) -> bool:
        """Whether all epochs are done, or the last ones gained too little."""
        done = self.statistics
        if len(done) >= self.settings.n_epochs:
            return True
        if self.settings.tolerance == 0 or len(done) < 2 or done[-1].n_replaced:
            return False
        last, before = (
            s.inertia if s.held_out is None else s.held_out
            for s in (done[-1], done[-2])
        )
        return before - last < self.settings.tolerance * before

    def plan(self, n_shards: int = 1, n_rows: int | None = None) -> PassPlan:
        """Return what each of so many shards starts from in the epoch that comes.

        Where all ``n_rows`` are no more than a mini-batch, no shard is cut, even if it
        has more rows than others.
        """
        settings = self.settings
        batch_rows = -(-settings.minibatch_size // n_shards)
        if n_rows is not None and n_rows <= settings.minibatch_size:
            batch_rows = settings.minibatch_size
        rate = rate_of(settings.update, settings.learning_rate, self._epoch)
        return PassPlan(self.centres, self.n_updates, rate, batch_rows)

    def codebook(self, preprocessing: Preprocessing) -> Codebook:
        """Return the codebook of the centres as they are."""
        return Codebook(
            self.centres.astype(np.float32),
            preprocessing.name,
            preprocessing.mean,
            preprocessing.scale,
            preprocessing.components,
        )

    def end_epoch(self, sums: PassSums) -> EpochStatistics:
        """Move the centres by what all shards brought, and place dead ones anew."""
        epoch, settings = self._epoch, self.settings
        shift = self.move(sums)
        n_replaced = 0
        least = float((self.n_updates / np.maximum(self._n_steps, 1)).min())
        if epoch <= settings.last_judged:
            n_replaced = self.replace_dead(sums.counts == 0)
        statistics = EpochStatistics(
            epoch,
            sums.inertia,
            int(np.count_nonzero(sums.counts)),
            n_replaced,
            shift,
            least,
            self._quality() if len(self._held_out) else None,
        )
        self.statistics.append(statistics)
        return statistics

    def move(self, sums: PassSums) -> float:
        """Move the centres; return the largest distance that one moved."""
        settings = self.settings
        used = np.flatnonzero(sums.counts)
        counts = sums.counts[used]
        rate = rate_of(settings.update, settings.learning_rate, self._epoch)
        kept = kept_weight(self.n_updates[used], counts, rate)[:, None]
        means = sums.sums[used] / counts[:, None]
        moved = kept * self.centres[used] + (1 - kept) * means
        shifts = np.sqrt(np.square(moved - self.centres[used]).sum(axis=1))
        self.centres[used] = moved
        self.n_updates[used] += counts
        self._n_steps += int(counts.sum())
        return float(shifts.max(initial=0.0))

    def judge(self, reserve: NDArray[np.float32], least_steps: int) -> int:
        """Place dead centres anew on other rows; return how many found a place.

        Centres are judged after ``least_steps`` estimation steps.
        """
        self.reserve = reserve
        return self.replace_dead(least_steps=least_steps)

    def merge(self, others: Iterable[Fit]) -> None:
        """Take in fits that went on apart: means weighted by samples."""
        fits = [self, *others]
        n_updates = np.sum([fit.n_updates for fit in fits], axis=0)
        sums = np.sum([fit.centres * fit.n_updates[:, None] for fit in fits], axis=0)
        used = np.flatnonzero(n_updates)
        self.centres[used] = sums[used] / n_updates[used, None]
        self.n_updates = n_updates
        self._n_steps = np.sum([fit._n_steps for fit in fits], axis=0)

    def replace_dead(
        self, is_unused: NDArray[np.bool_] | None = None, *, least_steps: int = 0
    ) -> int:
        """Place dead centres anew on the data; return how many found a place.

        Parameters
        ----------
        is_unused : ndarray of bool, shape (n_clusters,), optional
            Centres that no sample of a whole epoch was nearest to: dead, however many
            samples they had before.
        least_steps : int, default 0
            Of others the utilisation is judged after so many estimation steps.
        """
        if self.settings.reinit == "none":
            return 0
        k = len(self.centres)
        limit = min(1 / k**2, _SMALLEST_SHARE / k)
        is_dead = self.n_updates < limit * self._n_steps
        is_dead &= self._n_steps >= least_steps
        if is_unused is not None:
            is_dead |= is_unused
        dead = np.flatnonzero(is_dead)
        if not dead.size:
            return 0
        generator = self._generator()
        alive = self.centres[~is_dead]
        if self.settings.reinit == "split":
            loads = self.n_updates[~is_dead] / np.maximum(self._n_steps[~is_dead], 1)
            drawn = draw_splits(self.reserve, len(dead), generator, alive, loads)
        else:
            drawn = draw_centres(self.reserve, len(dead), generator, alive)
        placed = dead[: len(drawn)]
        self.centres[placed] = self.reserve[drawn]
        self.n_updates[placed] = 0
        self._n_steps[placed] = 0
        return len(placed)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the state between two epochs as arrays."""
        return {
            "centres": self.centres,
            "n_updates": self.n_updates,
            "n_steps": self._n_steps,
            "statistics": np.array(self.statistics, dtype=np.float64).reshape(
                -1, len(EpochStatistics._fields)
            ),
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from the state that ``to_arrays`` returned."""
        self.centres = np.array(arrays["centres"], dtype=np.float64)
        self.n_updates = np.array(arrays["n_updates"], dtype=np.int64)
        self._n_steps = np.array(arrays["n_steps"], dtype=np.int64)
        self.statistics = [
            EpochStatistics(
                *(int(row[0]), row[1], int(row[2]), int(row[3]), row[4], row[5]),
                None if math.isnan(row[6]) else row[6],
            )
            for row in np.asarray(arrays["statistics"], dtype=np.float64).tolist()
        ]

    @property
    def _epoch(self) -> int:
        return len(self.statistics) + 1

    def _generator(self) -> np.random.Generator:
        """Return the draws of the coming epoch: a fit that goes on repeats them."""
        return np.random.default_rng([self.settings.seed, self._epoch])

    def _first_centres(self) -> NDArray[np.float64]:
        k, generator = (
            self.settings.n_clusters,
            np.random.default_rng(self.settings.seed),
        )
        if self.settings.init == "random":
            n = min(k, len(self.reserve))
            drawn = generator.choice(len(self.reserve), size=n, replace=False)
        else:
            drawn = draw_centres(self.reserve, k, generator)
        # Fewer distinct rows than clusters: the rest stay copies of the first.
        places = np.append(drawn, np.full(k - len(drawn), drawn[0]))
        first: NDArray[np.float64] = self.reserve[places].astype(np.float64)
        return first

    def _quality(self) -> float:
        """Return the mean squared distance of the held-out rows."""
        finder = NearestFinder(self.centres.astype(np.float32))
        total, rows = 0.0, self._held_out
        for start in range(0, len(rows), finder.block_rows):
            total += float(
                finder.nearest(rows[start : start + finder.block_rows])[1].sum()
            )
        return total / len(rows)


def run_epoch(
    fit: Fit, shards: Sequence[Shard], plan: PassPlan | None = None
) -> EpochStatistics:
    """Do one epoch in this process.

    Parameters
    ----------
    fit : Fit
        What is fitted.
    shards : sequence of callable
        Each returns the pieces of a shard: preprocessed vectors, in order.
    plan : PassPlan, optional
        Where all start; that of as many shards by default.
    """
    chosen = fit.plan(len(shards)) if plan is None else plan
    return fit.end_epoch(merged(passed(chosen, shard()) for shard in shards))
