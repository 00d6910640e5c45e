"""By how much samples move a centre: the paper's constant rate, and two others.

Every rule is the convex combination of section 3.3.2: the ``i``-th sample of a centre
moves it by ``max(rate, 1/i)`` of the way to the sample, ``i`` counting from its
placement. Two things that the paper leaves open are decided by that:

- Every sample moves its centre. In a batch, ``m`` samples of mean ``s`` move a centre
  ``c`` to ``(1 - r) c + r s`` with ``r = 1 - (1 - rate)**m``, which is what ``m`` steps
  would do, averaged over their order. Moving it once a batch would leave centres where
  they started: at a rate of 0.01 a batch of all clips and 100 epochs make 100 steps.
- A centre starts as a single sample. Until it has had ``1/rate`` updates it is the mean
  of them (a rate of one over their number); at 0.01 from the start it would keep that
  sample's noise, which cost 4 to 5 % of inertia on 1,000 vectors of length 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UpdateRule = Literal["constant", "decayed", "per_centre"]


def check_update_rule(name: str) -> None:
    """Refuse an unknown rule."""
    if name not in get_args(UpdateRule):
        msg = f"update: expected one of {list(get_args(UpdateRule))}, got {name!r}."
        raise ValueError(msg)


def rate_of(update: UpdateRule, learning_rate: float, epoch: int) -> float:
    """Return the least weight of one sample in an epoch.

    Parameters
    ----------
    update : {"constant", "decayed", "per_centre"}
        ``constant`` is the paper's: ``learning_rate`` in all epochs. ``decayed``
        divides it by the number of the epoch. ``per_centre`` has none, so that a centre
        is the mean of all its samples (Sculley, 2010, Web-scale k-means clustering).
    learning_rate : float
        In (0, 1].
    epoch : int
        From 1.
    """
    if update == "per_centre":
        return 0.0
    return learning_rate / epoch if update == "decayed" else learning_rate


def kept_weight(
    n_before: NDArray[np.int64], n_samples: NDArray[np.int64], rate: float
) -> NDArray[np.float64]:
    """Return the weight that centres keep after some samples each.

    Parameters
    ----------
    n_before, n_samples : ndarray of int64, shape (n_centres,)
        Samples since the centre was placed, and those that move it now.
    rate : float
        Least weight of a sample, in [0, 1].

    Returns
    -------
    ndarray of float64, shape (n_centres,)
        The product, over each sample's number ``i``, of ``1 - max(rate, 1 / i)``.
    """
    n_after = n_before + n_samples
    if rate == 0:
        return np.asarray(n_before / np.maximum(n_after, 1))
    n_averaged = np.clip(int(1 / rate), n_before, n_after)
    averaged = n_before / np.maximum(n_averaged, 1)
    return np.asarray(averaged * np.power(1 - rate, n_after - n_averaged))
