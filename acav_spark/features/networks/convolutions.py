"""Convolutions as TensorFlow computes them, filled with a LiteRT file's constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acav_spark.errors import ConfigError
from acav_spark.features.networks.padding import same_padded
from acav_spark.features.networks.tflite import (
    CONV_2D,
    DEPTHWISE_CONV_2D,
    weighted_operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch


def same_convolution(
    n_in: int,
    n_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.nn.Module:
    """Return a convolution with TensorFlow's padding and a bias, then ``activation``.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel, stride : int
        Side and step of the window.
    groups : int, default 1
        ``n_in`` for a depthwise convolution.
    activation : callable, optional
        Of the result; None leaves it linear.

    Notes
    -----
    Batch norm has no place of its own: a LiteRT file has it folded into the kernel.
    """
    from torch import nn

    class Step(nn.Module):
        """Padding, convolution, activation."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(n_in, n_out, kernel, stride=stride, groups=groups)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(same_padded(x, (kernel, kernel), (stride, stride)))
            return x if activation is None else activation(x)

    return Step()


def litert_tensors(
    path: Path, *, name: str, n_convolutions: int | None = None
) -> dict[str, torch.Tensor]:
    """Return kernels and biases of a LiteRT file's convolutions, in their order.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Of the network, for messages.
    n_convolutions : int, optional
        Those that are wanted from the first on; None for all.

    Returns
    -------
    dict of str to torch.Tensor
        ``steps.N.conv.weight`` and ``steps.N.conv.bias`` from N = 0.

    Raises
    ------
    ConfigError
        If it is not a whole LiteRT file.
    """
    import torch

    try:
        operations = weighted_operations(path.read_bytes())
    except ValueError as error:
        msg = f"weights: expected {name} as a LiteRT file in {path}, got {error}"
        raise ConfigError(msg) from error
    chosen = [o for o in operations if o.code in (CONV_2D, DEPTHWISE_CONV_2D)]
    tensors = {}
    for i, operation in enumerate(chosen[:n_convolutions]):
        # (out, height, width, in) and (1, height, width, channels) to torch's order.
        order = (3, 0, 1, 2) if operation.code == DEPTHWISE_CONV_2D else (0, 3, 1, 2)
        kernel = np.ascontiguousarray(operation.kernel.transpose(order))
        tensors[f"steps.{i}.conv.weight"] = torch.from_numpy(kernel)
        tensors[f"steps.{i}.conv.bias"] = torch.from_numpy(operation.bias)
    return tensors
