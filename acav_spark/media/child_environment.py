"""The environment of the decoding child: enough to import this package."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from acav_spark.media.hardware import GPU, visible_gpu

# What a Python of another environment (conda, a cluster's image) needs to start.
_PASSED_ON: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


def child_environment(gpu: str | None) -> dict[str, str]:
    """Return what the child needs to import this package, and no secrets.

    Parameters
    ----------
    gpu : str or None
        Address of the GPU that it decodes on, empty for the first one; None for none.
    """
    folders = [folder for folder in sys.path if folder and Path(folder).is_absolute()]
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if gpu is not None:
        shown = visible_gpu(gpu, os.environ.get("CUDA_VISIBLE_DEVICES"))
        kept |= {GPU: gpu, "CUDA_VISIBLE_DEVICES": shown}
    return {
        **kept,
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(folders),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # Each arena reserves address space, which the memory limit counts.
        "MALLOC_ARENA_MAX": "2",
    }
