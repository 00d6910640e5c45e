"""The padding of TensorFlow, whose networks see other pixels without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


def same_padded(
    x: torch.Tensor, kernel: Sequence[int], stride: Sequence[int]
) -> torch.Tensor:
    """Return ``x`` with the zeros around it that TensorFlow's SAME puts there.

    Parameters
    ----------
    x : torch.Tensor, shape (n, channels, ...)
        What a window is to slide over.
    kernel, stride : sequence of int
        Length and step of the window in each dimension behind the channels.

    Notes
    -----
    The output has ``ceil(size / stride)`` places; where the number of zeros is odd, the
    last side gets one more.
    """
    from torch.nn import functional

    pads: list[int] = []
    for size, length, step in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + length - size, 0)
        pads[:0] = [total // 2, total - total // 2]
    return functional.pad(x, pads) if any(pads) else x
