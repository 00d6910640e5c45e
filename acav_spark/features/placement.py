"""Which accelerator this worker may use; told by the Spark task, read by networks."""

from __future__ import annotations

_assigned: list[str] = []


def assign_gpus(addresses: list[str]) -> None:
    """Keep the addresses of the GPUs that Spark gave this task, the first one is used.

    Parameters
    ----------
    addresses : list of str
        Indices or UUIDs, as a discovery script prints them; empty without a GPU.
    """
    _assigned[:] = addresses


def assigned_gpu() -> str | None:
    """Return the address of this worker's GPU; None where none was assigned."""
    return _assigned[0] if _assigned else None
