"""Trained projection heads as the bytes of a safetensors file: tensors, no code."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from acav_spark.errors import DependencyError, StageError
from acav_spark.selection.contrastive import ProjectionHead, ProjectionHeads

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = ("mean", "weight", "bias")
_SIDES = ("first", "second")
# A safetensors file begins with the length of its header.
_LENGTH_BYTES = 8


def require_safetensors() -> None:
    """Raise ``DependencyError`` where safetensors is not installed."""
    try:
        import safetensors.numpy  # noqa: F401 - whether it is there
    except ImportError as error:
        msg = (
            f"contrastive: expected safetensors, which heads are kept by, got {error}. "
            "Install acav_spark[models], or safetensors alone."
        )
        raise DependencyError(msg) from error


def heads_to_bytes(heads: ProjectionHeads, settings: Mapping[str, object]) -> bytes:
    """Return a safetensors file with the tensors, settings, losses and a digest."""
    require_safetensors()
    from safetensors.numpy import save

    tensors = {
        f"{side}.{part}": np.ascontiguousarray(getattr(getattr(heads, side), part))
        for side in _SIDES
        for part in _PARTS
    }
    described = {
        "settings": json.dumps(dict(settings), sort_keys=True),
        "losses": json.dumps(list(heads.losses)),
        "sha256": _digest(tensors),
    }
    found: bytes = save(tensors, metadata=described)
    return found


def read_heads(data: bytes) -> tuple[ProjectionHeads, dict[str, object]]:
    """Return the heads that ``heads_to_bytes`` has written, and their settings.

    Raises
    ------
    StageError
        If the file is broken.
    """
    require_safetensors()
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: dict[str, np.ndarray[Any, Any]] = load(data)
        length = int.from_bytes(data[:_LENGTH_BYTES], "little")
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
        described = header["__metadata__"]
        sides = [
            ProjectionHead(*(tensors[f"{side}.{part}"] for part in _PARTS))
            for side in _SIDES
        ]
        is_whole = described["sha256"] == _digest(tensors)
        losses = tuple(map(float, json.loads(described["losses"])))
        settings: dict[str, object] = json.loads(described["settings"])
    except (SafetensorError, ValueError, KeyError) as error:
        msg = _refusal(f"{type(error).__name__}: {error}")
        raise StageError(msg) from error
    if not is_whole:
        raise StageError(_refusal("tensors of another digest"))
    return ProjectionHeads(sides[0], sides[1], losses), settings


def heads_from_bytes(data: bytes, settings: Mapping[str, object]) -> ProjectionHeads:
    """Return the heads of these settings.

    Raises
    ------
    StageError
        If the file is broken, or of other settings.
    """
    heads, kept = read_heads(data)
    wanted = json.loads(json.dumps(dict(settings)))
    if kept != wanted:
        others = sorted(k for k in {*wanted, *kept} if wanted.get(k) != kept.get(k))
        raise StageError(_refusal(f"heads of other settings ({', '.join(others)})"))
    return heads


def _digest(tensors: Mapping[str, np.ndarray[Any, Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def _refusal(found: str) -> str:
    return (
        f"contrastive: expected the heads of this selection, got {found[:200]}. Delete "
        "the folder _scorers/SELECTION of the warehouse, and train them anew."
    )
