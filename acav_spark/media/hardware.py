"""Decoding on a GPU (NVIDIA's NVDEC, through FFmpeg), in the decoding child alone.

Decoders of H.264, HEVC, VP9 and AV1 are exact by their standards, so that a GPU gives
the pictures that a CPU gives; they come back to main memory, where the frames that are
wanted are picked and resized as ever. What the GPU cannot decode, the CPU does.
"""

from __future__ import annotations

import os
from typing import Final

import av.error
from av.codec import Codec
from av.codec.hwaccel import HWAccel

GPU: Final = "ACAV_DECODING_GPU"
"""Variable of the child's environment that holds the GPU's address."""

_kept: list[HWAccel] = []


def visible_gpu(address: str, visible: str | None) -> str:
    """Return what ``CUDA_VISIBLE_DEVICES`` of a process with one GPU is to be.

    Parameters
    ----------
    address : str
        Index or UUID that a resource manager gives; empty for the first one.
    visible : str or None
        The variable in this process, which other indices count by.
    """
    shown = [part.strip() for part in (visible or "").split(",") if part.strip()]
    if not address:
        return shown[0] if shown else "0"
    # Within a container GPUs are numbered anew, and the manager may not know.
    if shown and address not in shown and address.isdigit():
        return shown[int(address)] if int(address) < len(shown) else address
    return address


def use_gpu() -> str:
    """Have this process decode on its GPU from now on; return what prevents it.

    Returns
    -------
    str
        Empty if the GPU is ready, else the reason; decoding then stays on the CPU.
    """
    try:
        # Kept, so that the driver is set up once and not for every clip.
        accelerator = _accelerator().create(Codec("h264", "r"))
    except (av.error.FFmpegError, NotImplementedError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    _kept.append(accelerator)
    return ""


def decoding_hardware() -> HWAccel | None:
    """Return what ``av.open`` is given; None where decoding is on the CPU."""
    return _accelerator() if _kept else None


def wants_gpu() -> bool:
    """Whether this process was started to decode on a GPU."""
    return GPU in os.environ


def _accelerator() -> HWAccel:
    return HWAccel(
        "cuda",
        allow_software_fallback=True,
        # One context of the process, which ``use_gpu`` keeps.
        options={"primary_ctx": "1"},
    )
