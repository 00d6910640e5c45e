"""One step of Adam with AMSGrad, in one pass over the parameters.

Written as array operations the step reads and writes 5 arrays some 15 times, and with a
batch of 10 it would take most of the time of training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Buffer = NDArray[np.float32]


@compiled
def amsgrad_step(
    parameters: Buffer,
    gradient: Buffer,
    first_moment: Buffer,
    second_moment: Buffer,
    largest: Buffer,
    step_size: np.float32,
    correction: np.float32,
    beta_1: np.float32,
    beta_2: np.float32,
    epsilon: np.float32,
) -> None:
    """Move the parameters, and the state of each, in place.

    Parameters
    ----------
    parameters, gradient, first_moment, second_moment, largest
        One number a parameter; ``largest`` is the greatest second moment so far.
    step_size : float32
        Learning rate over ``1 - beta_1**t``, ``t`` counted from 1.
    correction : float32
        ``1 / sqrt(1 - beta_2**t)``.
    beta_1, beta_2, epsilon : float32
        Of Adam.

    Notes
    -----
    Kingma and Ba (2015), with the maximum of Reddi, Kale and Kumar (2018), whose bias
    is corrected after the maximum was taken.
    """
    one = np.float32(1)
    for i in range(len(parameters)):
        g = gradient[i]
        m = beta_1 * first_moment[i] + (one - beta_1) * g
        v = beta_2 * second_moment[i] + (one - beta_2) * g * g
        first_moment[i] = m
        second_moment[i] = v
        most = largest[i]
        most = v if v > most else most
        largest[i] = most
        parameters[i] -= step_size * m / (np.sqrt(most) * correction + epsilon)
