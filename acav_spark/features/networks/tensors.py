"""Reads files of weights as tensors and nothing else, and fits them into modules."""

from __future__ import annotations

import json
import pickle
import zipfile
from typing import TYPE_CHECKING, Final

import numpy as np

from acav_spark.errors import ConfigError, DependencyError
from acav_spark.features.networks.tflite import TFLITE_MARK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

NOT_INSTALLED: Final = (
    "torch: expected to be installed, for the networks. Where no platform provides it: "
    "pip install 'acav_spark[models]'."
)

_N_EXAMPLES = 5
# Names under which training programs keep the tensors of the network itself.
_INNER = ("model_state", "state_dict", "model_state_dict")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, by name, in the file's numbers.

    Parameters
    ----------
    path : Path
        safetensors, an ``npz`` of NumPy, or what ``torch.save`` wrote; told by content.

    Raises
    ------
    ConfigError
        If it is none of these, or holds anything besides tensors: a pickle that would
        run code is refused by ``torch.load(weights_only=True)`` and by NumPy.
    """
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                is_npz = all(name.endswith(".npy") for name in archive.namelist())
            if is_npz:
                with np.load(path, allow_pickle=False) as arrays:
                    return {name: torch.from_numpy(arrays[name]) for name in arrays}
        with path.open("rb") as file:
            head = file.read(9)
        if head[4:8] == TFLITE_MARK:
            msg = "a LiteRT file"
            raise ValueError(msg)
        if head[8:9] == b"{":
            return _safetensors(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        ValueError,
        OSError,
        EOFError,
        RuntimeError,
        pickle.UnpicklingError,
    ) as error:
        msg = (
            f"weights: expected tensors (safetensors, npz, or torch.save) in {path}, "
            f"got {_in_one_line(error)}. Nothing else is loaded from it."
        )
        raise ConfigError(msg) from error
    for key in _INNER:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        msg = f"weights: expected named tensors in {path}, got {type(found).__name__}."
        raise ConfigError(msg)
    return {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}


def fit_tensors(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    name: str,
    ignored: str = "",
) -> None:
    """Copy tensors into a module's parameters of the same names.

    Parameters
    ----------
    module : torch.nn.Module
        What they are for.
    tensors : mapping of str to torch.Tensor
        All that it has; counters of batches may lack.
    name : str
        Of the network, for messages.
    ignored : str
        Tensors whose names begin with this belong to a part that is left out.

    Raises
    ------
    ConfigError
        If names lack or are too many, or shapes differ; up to five are named.
    """
    wanted = module.state_dict()
    given = {
        k: v for k, v in tensors.items() if not (ignored and k.startswith(ignored))
    }
    problems = [
        f"{key} of shape {tuple(given[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    problems += [
        f"no {key}"
        for key in wanted
        if key not in given and not key.endswith("num_batches_tracked")
    ]
    problems += [f"{key}, which it has not" for key in given if key not in wanted]
    if problems:
        more = len(problems) - _N_EXAMPLES
        told = problems[:_N_EXAMPLES] + [f"{more} more"] * (more > 0)
        msg = (
            f"weights: expected those of {name}, got {'; '.join(told)}. Is it another "
            "network's file?"
        )
        raise ConfigError(msg)
    module.load_state_dict(
        {key: tensor.float() for key, tensor in given.items()}, strict=False
    )


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        msg = "safetensors: expected to be installed: pip install safetensors."
        raise DependencyError(msg) from error
    try:
        return dict(load_file(path))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(str(error)) from error


def _in_one_line(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:200]}"
