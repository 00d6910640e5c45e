"""Convolutions over time and place, computed as convolutions of pictures.

Libraries are several times as fast in two dimensions as in three. Most kernels of video
networks reach either over time or over place (SlowFast, R(2+1)D): with channels last
in memory, frames are the pictures of a batch for the latter, and for the former the
places of a frame lie in one row. Nothing is copied, and the sums are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch


def fold_batch_norms(module: torch.nn.Module, norms: Mapping[str, str]) -> None:
    """Make batch norms part of the convolutions before them, in place.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    norms : mapping of str to str
        Attribute names of convolutions to those of the batch norms that they go
        through; these become None.

    Notes
    -----
    With mean m, variance v, scale g and shift b, ``g (W x - m) / sqrt(v + eps) + b`` is
    a convolution by ``W g / sqrt(v + eps)`` and a bias.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for part in list(module.modules()):
        for name, norm_name in norms.items():
            convolution = getattr(part, name, None)
            norm = getattr(part, norm_name, None)
            if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
                setattr(part, name, fuse_conv_bn_eval(convolution, norm))
                setattr(part, norm_name, None)


def flatten_convolutions(module: torch.nn.Module, *, with_both: bool) -> None:
    """Replace convolutions and poolings of three dimensions, in place.

    Parameters
    ----------
    module : torch.nn.Module
        Its convolutions of one group, without dilation, are replaced; poolings over
        place alone are.
    with_both : bool
        Whether kernels that reach over time and place are too. The steps in time then
        lie side by side as channels: so many times the memory of what goes in, which
        tensor cores make up for, and a CPU does not.
    """
    from torch import nn

    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.Conv3d) and child.groups == 1:
                n_times, *place = child.kernel_size
                if with_both or n_times == 1 or place == [1, 1]:
                    part.register_module(name, flat_convolution(child))
            elif isinstance(child, nn.MaxPool3d):
                kernel, stride, padding = (
                    _three(x) for x in (child.kernel_size, child.stride, child.padding)
                )
                if (kernel[0], stride[0], padding[0]) == (1, 1, 0):
                    pool = nn.MaxPool2d(kernel[1:], stride[1:], padding[1:])
                    part.register_module(name, _flat_pool(pool))


def flat_convolution(convolution: torch.nn.Conv3d) -> torch.nn.Module:
    """Return a module that does what a convolution of three dimensions does.

    It takes and returns (n, channels, times, height, width), best with channels last in
    memory.

    Parameters
    ----------
    convolution : torch.nn.Conv3d
        Of one group, without dilation, padded with zeros.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    # Some libraries leave numbers of numpy here, which torch.compile takes for arrays.
    kernel, stride, padding = (
        tuple(int(x) for x in numbers)
        for numbers in (
            convolution.kernel_size,
            convolution.stride,
            _three(convolution.padding),
        )
    )
    n_times, height, width = kernel
    # Tensor cores take channels by eights.
    n_empty = -n_times * convolution.in_channels % 8
    is_place = n_times == 1
    # A step in time leaves out rows: then less is computed with the taps side by side.
    is_time = (height, width) == (1, 1) and stride == (1, 1, 1)

    class FlatConvolution(nn.Module):
        """A convolution of pictures in place of one of films."""

        def __init__(self) -> None:
            super().__init__()
            weight = convolution.weight.detach()
            if is_place:
                flat = weight[:, :, 0]
            elif is_time:
                flat = weight[:, :, :, :, 0]
            else:
                flat = weight.transpose(1, 2).flatten(1, 2)
                flat = functional.pad(flat, (0, 0, 0, 0, 0, n_empty))
            flat = flat.contiguous(memory_format=torch.channels_last)
            self.weight = nn.Parameter(flat, requires_grad=False)
            self.bias = convolution.bias

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kind = x.device.type
            if torch.is_autocast_enabled(kind):
                x = x.to(torch.get_autocast_dtype(kind))
            films = x.permute(0, 2, 3, 4, 1)  # (n, times, height, width, channels)
            if is_time:
                rows = films.flatten(2, 3).permute(0, 3, 1, 2)
                y = functional.conv2d(
                    rows, self.weight, self.bias, padding=(padding[0], 0)
                )
                shape = (len(films), y.shape[2], *films.shape[2:4], y.shape[1])
                return y.permute(0, 2, 3, 1).reshape(shape).permute(0, 4, 1, 2, 3)
            taps = self._taps(films)
            y = functional.conv2d(
                taps.flatten(0, 1).permute(0, 3, 1, 2),
                self.weight,
                self.bias,
                stride=stride[1:],
                padding=padding[1:],
            )
            return _as_films(y, taps.shape[:2])

        def _taps(self, films: torch.Tensor) -> torch.Tensor:
            """Return the times that each time sees, side by side as channels."""
            step = stride[0]
            if is_place:
                return films[:, ::step]
            films = functional.pad(films, (0,) * 6 + (padding[0],) * 2)
            n_seen = (films.shape[1] - n_times) // step + 1
            parts = [
                films[:, first : first + (n_seen - 1) * step + 1 : step]
                for first in range(n_times)
            ]
            if n_empty:
                parts.append(films.new_zeros((*parts[0].shape[:-1], n_empty)))
            return torch.cat(parts, dim=-1)

    return FlatConvolution()


def _flat_pool(pool: torch.nn.MaxPool2d) -> torch.nn.Module:
    from torch import nn

    class FlatPool(nn.Module):
        """A pooling of pictures in place of one of films."""

        def __init__(self) -> None:
            super().__init__()
            self.pool = pool

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            films = x.permute(0, 2, 3, 4, 1)
            y = self.pool(films.flatten(0, 1).permute(0, 3, 1, 2))
            return _as_films(y, films.shape[:2])

    return FlatPool()


def _as_films(pictures: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return (n times, channels, h, w) as (n, channels, times, h, w), not copied."""
    films = pictures.permute(0, 2, 3, 1)
    return films.reshape((*shape, *films.shape[1:])).permute(0, 4, 1, 2, 3)


def _three(numbers: object) -> tuple[int, int, int]:
    """Return what torch takes as one number, a list or a tuple as three."""
    if isinstance(numbers, int):
        return (numbers,) * 3
    if isinstance(numbers, str):
        msg = f"padding: expected numbers, got {numbers!r}"
        raise TypeError(msg)
    first, second, third = (int(x) for x in numbers)  # type: ignore[attr-defined]  # checked
    return first, second, third
