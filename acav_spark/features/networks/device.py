"""Where a network runs: which device, in which numbers, by how many threads."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from acav_spark.errors import ConfigError, DependencyError
from acav_spark.features.placement import assigned_gpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from acav_spark.features.networks.options import Precision

Floats = NDArray[np.float32]
View = NDArray[np.uint8] | NDArray[np.float32]

_N_COPIERS: Final = 4
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A device and the numbers that networks are run in there.

    Parameters
    ----------
    device : torch.device
        Where.
    dtype : torch.dtype or None
        Of automatic mixed precision; None for float32 throughout.
    """

    device: torch.device
    dtype: torch.dtype | None

    @property
    def is_gpu(self) -> bool:
        """Whether it is an accelerator."""
        return self.device.type == "cuda"

    def gathered(self, views: Sequence[View], n_views: int) -> torch.Tensor:
        """Return views one above another where they are computed on.

        A GPU goes on computing meanwhile: copies have a queue (stream) of their own,
        which the next pass waits for.

        Parameters
        ----------
        views : sequence of ndarray
            All of one shape and type; need not be contiguous.
        n_views : int
            On a GPU the last one is repeated up to so many, so that every pass has
            one shape.
        """
        import torch

        if not self.is_gpu:
            return torch.from_numpy(np.stack(views))
        kind = torch.from_numpy(np.empty(0, views[0].dtype)).dtype
        # Memory that the GPU reads by itself; torch keeps it for the next pass.
        host = torch.empty((n_views, *views[0].shape), dtype=kind, pin_memory=True)
        rows = host.numpy()
        # One thread copies slower than a GPU takes views.
        list(_copiers().map(np.copyto, rows[: len(views)], views))
        rows[len(views) :] = rows[len(views) - 1]
        copies = _copying_stream(self.device)
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(copies):
            there = host.to(self.device, non_blocking=True)
        computing.wait_stream(copies)
        # Its memory is not given to another copy before the pass is through with it.
        there.record_stream(computing)
        return there

    def brought(self, tensor: torch.Tensor) -> Callable[[], Floats]:
        """Return what waits for a tensor, and for nothing queued later, as an array."""
        import torch

        if not self.is_gpu:
            return tensor.numpy
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(self.device))

        def wait() -> Floats:
            done.synchronize()
            return np.array(host.numpy(), dtype=np.float32)

        return wait

    @contextlib.contextmanager
    def numbers(self) -> Iterator[None]:
        """Run the body without gradients, in the numbers of this place."""
        import torch

        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self.dtype is not None:
                stack.enter_context(torch.autocast(self.device.type, dtype=self.dtype))
            yield


def find_place(device: str, precision: Precision) -> Place:
    """Return where to run, and set up torch for it.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda``, ``cuda:N``; ``auto`` is the GPU that the Spark task was
        given, else the first one, else the CPU, of which a process warns once.
    precision : {"auto", "fp32", "bf16", "fp16"}
        ``auto`` is fp32 on a CPU; on a GPU bf16, or fp16 where that is missing.

    Raises
    ------
    ConfigError
        If there is no such GPU, or fp16 is asked for on a CPU.
    DependencyError
        If torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        from acav_spark.features.networks.tensors import NOT_INSTALLED

        raise DependencyError(NOT_INSTALLED) from error
    name = _device_name(device)
    if name == "cpu":
        _limit_threads()
        if precision == "fp16":
            msg = "precision: expected fp32 or bf16 on a CPU, got fp16."
            raise ConfigError(msg)
        dtype = torch.bfloat16 if precision == "bf16" else None
        return Place(torch.device("cpu"), dtype)
    if precision == "fp32":
        # By default convolutions round their inputs to 10 bits.
        torch.backends.cudnn.allow_tf32 = False
        return Place(torch.device(name), None)
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    wants_bf16 = precision == "bf16" or (precision == "auto" and has_bf16)
    return Place(torch.device(name), torch.bfloat16 if wants_bf16 else torch.float16)


def gpu_index(address: str, visible: str | None, uuids: Sequence[str]) -> int:
    """Return torch's index of a GPU that a resource manager names.

    Parameters
    ----------
    address : str
        Index on the machine, or UUID, as discovery scripts print them.
    visible : str or None
        The environment variable CUDA_VISIBLE_DEVICES, by which torch counts.
    uuids : sequence of str
        Of the devices that torch sees, in its order.

    Raises
    ------
    ConfigError
        If torch does not see that GPU.
    """
    shown = [part.strip() for part in (visible or "").split(",") if part.strip()]
    plain = [_plain(uuid) for uuid in uuids]
    if _plain(address) in plain:
        return plain.index(_plain(address))
    if address in shown and shown.index(address) < len(uuids):
        return shown.index(address)
    # Where a container shows one GPU, it is the one, whatever its number outside.
    if len(uuids) == 1:
        return 0
    if not shown and address.isdigit() and int(address) < len(uuids):
        return int(address)
    msg = (
        f"device: expected to see the task's GPU {address!r}, got {len(uuids)} GPUs "
        f"({', '.join(uuids)}) with CUDA_VISIBLE_DEVICES={visible!r}. Let the "
        "discovery script print indices or UUIDs that the executor sees."
    )
    raise ConfigError(msg)


def _plain(uuid: str) -> str:
    return uuid.removeprefix("GPU-").lower()


def _device_name(option: str) -> str:
    """Return ``cpu`` or ``cuda:N`` for an option."""
    import torch

    if option == "cpu":
        return "cpu"
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    address = assigned_gpu()
    if n_gpus == 0:
        if option == "auto" and address is None:
            _warn_of_cpu()
            return "cpu"
        wanted = option if address is None else f"the task's GPU {address}"
        msg = (
            f"device: expected {wanted}, got no GPU that torch {torch.__version__} can "
            "use. Is it built for the driver of this machine? Or set device: cpu."
        )
        raise ConfigError(msg)
    if option.startswith("cuda:"):
        index = int(option.removeprefix("cuda:"))
        if index >= n_gpus:
            msg = (
                f"device: expected one of {n_gpus} GPUs, cuda:0 upwards, got {option}."
            )
            raise ConfigError(msg)
        return option
    if address is None:
        return "cuda:0"
    uuids = [str(torch.cuda.get_device_properties(i).uuid) for i in range(n_gpus)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return f"cuda:{gpu_index(address, visible, uuids)}"


@lru_cache(maxsize=1)
def _copiers() -> ThreadPoolExecutor:
    """Return the threads that copy views, made once in a process."""
    return ThreadPoolExecutor(_N_COPIERS, thread_name_prefix="copies")


@lru_cache(maxsize=16)
def _copying_stream(device: torch.device) -> torch.cuda.Stream:
    """Return a device's queue of copies, made once in a process."""
    import torch

    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1)
def _warn_of_cpu() -> None:
    """Say, once in a process, that networks run where they are slow."""
    _logger.warning(
        "no GPU: networks run on the CPU, some hundred times as slow; device: cpu "
        "silences this"
    )


def _limit_threads() -> None:
    """Within a Spark task use the cores that the task has, not the machine's."""
    import torch

    # Not imported: outside of Spark nobody has, and then there is no task.
    spark = sys.modules.get("pyspark.taskcontext")
    task = None if spark is None else spark.TaskContext.get()
    if task is not None:
        torch.set_num_threads(max(int(task.cpus()), 1))
