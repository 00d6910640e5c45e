"""What one piece of media may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one piece of media may take.

    Parameters
    ----------
    time_s : float, default 300
        Seconds of one call.
    memory_bytes : int, default 4 GiB
        Address space beyond that of the interpreter and its libraries.
    n_open_files : int, default 64
        Open files of the child.
    max_pixels : int, default 4096 * 4096
        Pixels of a frame.
    n_calls_before_recycle : int, default 500
        Calls after which the child is replaced, against slow leaks in libraries.
    gpu : str, optional
        Decode on the GPU of this address (an index or a UUID), or on the first one if
        it is empty; on the CPU, with a warning, where that cannot be. The driver
        reserves address space without measure, so ``memory_bytes`` then bounds what is
        written to (``RLIMIT_DATA``) instead.
    """

    time_s: float = 300.0
    memory_bytes: int = 4 * 2**30
    n_open_files: int = 64
    max_pixels: int = 4096 * 4096
    n_calls_before_recycle: int = 500
    gpu: str | None = None
