"""Processes that train together over torch's gloo: gathering and summing, no more.

Gradients are computed without torch; it brings the ring of messages between processes.
Nothing is encrypted or authenticated: the processes' network has to be a trusted one.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import DependencyError
from acav_spark.selection.contrastive_training import share_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

# One process may still read its rows while the others wait; one that died is noticed
# at once.
_PATIENCE = timedelta(minutes=30)


class TorchCollective:
    """The processes of torch's default group; see ``Collective``."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def gather(self, rows: NDArray[np.float32], n_rows: int) -> NDArray[np.float32]:
        """Return the rows of all processes' shares of ``n_rows``, by rank."""
        import torch
        from torch import distributed

        shares = [share_of(n_rows, rank, self.size) for rank in range(self.size)]
        counts = [share.stop - share.start for share in shares]
        # Messages are of one length; the last row of a shorter share is nothing.
        padded = np.zeros((max(counts), rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        found = torch.empty((self.size, *padded.shape))
        distributed.all_gather(list(found), torch.from_numpy(padded))
        parts = zip(found.numpy(), counts, strict=True)
        return np.concatenate([part[:count] for part, count in parts])

    def add_up(self, values: NDArray[np.floating]) -> None:
        """Put the sum over all processes into ``values``, alike in all of them."""
        import torch
        from torch import distributed

        distributed.all_reduce(torch.from_numpy(values))


@contextmanager
def joined_processes(
    rank: int, size: int, *, host: str, tell_port: Callable[[str], str]
) -> Iterator[TorchCollective]:
    """Join the processes of a training; leave them at the end.

    Parameters
    ----------
    rank, size : int
        Number of this process from 0, and of all.
    host : str
        Where process 0 is reached by the others.
    tell_port : callable
        Called once in every process; is given the port where process 0 listens, an
        empty text in the others, and returns that of process 0.

    Raises
    ------
    DependencyError
        If torch, or its gloo, is not installed.
    """
    require_gloo()
    from torch import distributed
    from torch._C._distributed_c10d import TCPStore

    # Port 0: the system chooses a free one, and nobody takes it in between.
    is_first = rank == 0
    port = 0 if is_first else int(tell_port(""))
    store = TCPStore(host, port, size, is_first, _PATIENCE, wait_for_workers=False)
    if is_first:
        tell_port(str(store.port))
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE
    )
    try:
        yield TorchCollective(rank, size)
    finally:
        distributed.destroy_process_group()


def require_gloo() -> None:
    """Raise ``DependencyError`` where torch has no gloo to join processes by."""
    try:
        from torch import distributed
    except ImportError as error:
        msg = (
            f"contrastive: expected torch for several processes, got {error}. Install "
            "acav_spark[models], or train in one process (n_processes: 1), which needs "
            "none."
        )
        raise DependencyError(msg) from error
    if not (distributed.is_available() and distributed.is_gloo_available()):
        msg = (
            "contrastive: expected a torch with gloo, which joins processes, got one "
            "without. Install the one of PyPI, or train in one process (n_processes: "
            "1)."
        )
        raise DependencyError(msg)
