"""Convolutions of pictures that stand for those of films: the same numbers."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from acav_spark.features.networks.flat_convolutions import (
    flat_convolution,
    flatten_convolutions,
    fold_batch_norms,
)
from acav_spark.features.registry import create_extractor

if TYPE_CHECKING:
    from acav_spark.features.networks.slowfast import SlowFastR50


@settings(max_examples=60)
@given(
    kernel=st.sampled_from(
        [(1, 1, 1), (1, 3, 3), (1, 7, 5), (3, 1, 1), (7, 1, 1), (3, 3, 3), (5, 7, 7)]
    ),
    stride=st.sampled_from([(1, 1, 1), (1, 2, 2), (4, 1, 1), (2, 2, 3)]),
    is_padded=st.booleans(),
    has_bias=st.booleans(),
    n_in=st.integers(1, 9),
    is_last=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_a_flat_convolution_is_the_one_it_stands_for(
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
    is_padded: bool,  # noqa: FBT001 - hypothesis passes names
    has_bias: bool,  # noqa: FBT001
    n_in: int,
    is_last: bool,  # noqa: FBT001
    seed: int,
) -> None:
    torch.manual_seed(seed)
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    padding = padding if is_padded else (0, 0, 0)
    plain = nn.Conv3d(n_in, 4, kernel, stride, padding, bias=has_bias).double()
    films = torch.randn(2, n_in, 8, 9, 10, dtype=torch.float64)
    if is_last:
        films = films.contiguous(memory_format=torch.channels_last_3d)

    with torch.inference_mode():
        expected, found = plain(films), flat_convolution(plain)(films)

    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    # What comes next takes it as it is; of one channel both layouts are the same.
    assert (
        n_in == 1
        or not is_last
        or found.is_contiguous(memory_format=torch.channels_last_3d)
    )


def test_strides_and_paddings_of_all_kinds_are_taken() -> None:
    import numpy as np

    plain = nn.Conv3d(2, 3, 1)
    plain.stride = (np.int64(1), np.int64(2), np.int64(2))  # type: ignore[assignment]  # as pytorchvideo has them
    films = torch.randn(1, 2, 3, 6, 6)
    torch.testing.assert_close(flat_convolution(plain)(films), plain(films))
    with pytest.raises(TypeError, match="expected numbers, got 'same'"):
        flat_convolution(nn.Conv3d(2, 3, 3, padding="same"))


def test_what_cannot_be_flat_stays() -> None:
    module = nn.Sequential(
        nn.Conv3d(4, 4, (1, 3, 3), groups=2),
        nn.Conv3d(4, 4, 3),
        nn.MaxPool3d(3, 1),
        nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(4, 4, (3, 1, 1)),
    )
    films = torch.randn(1, 4, 9, 16, 16)
    expected = module(films)

    flatten_convolutions(module, with_both=False)

    assert [type(part).__name__ for part in module] == [
        *("Conv3d", "Conv3d", "MaxPool3d", "FlatPool", "FlatConvolution")
    ]
    torch.testing.assert_close(module(films), expected)
    flatten_convolutions(module, with_both=True)
    assert type(module[1]).__name__ == "FlatConvolution"
    torch.testing.assert_close(module(films), expected)


@pytest.mark.parametrize("is_gpu", [False, True])
def test_slowfast_is_the_same_network_when_it_is_flat(
    is_gpu: bool,  # noqa: FBT001 - pytest passes names
) -> None:
    torch.manual_seed(3)
    network: SlowFastR50 = create_extractor("slowfast_r50", {"init": "random"})  # type: ignore[assignment]  # by its name
    plain = network._build().eval().requires_grad_(requires_grad=False)
    for part in plain.modules():
        if isinstance(part, nn.BatchNorm3d):
            for numbers in (part.weight, part.bias, part.running_mean):
                assert numbers is not None
                numbers.data.uniform_(0.5, 1.5)
            assert part.running_var is not None
            part.running_var.uniform_(0.5, 1.5)
    flat = copy.deepcopy(plain)
    place: Any = SimpleNamespace(is_gpu=is_gpu)
    network._prepare(flat, place)
    frames = torch.randint(0, 256, (2, 32, 32, 32, 3), dtype=torch.uint8)

    with torch.inference_mode():
        expected, found = plain(frames), flat(frames)

    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6 * float(b.abs().max()))
    kinds = [type(part) for part in flat.modules()]
    assert nn.BatchNorm3d not in kinds
    assert kinds.count(nn.Conv3d) == (0 if is_gpu else 1)


def test_a_batch_norm_that_is_not_there_is_no_matter() -> None:
    part = nn.Module()
    part.conv = nn.Conv3d(1, 1, 1)
    part.norm = None  # type: ignore[assignment]  # as pytorchvideo has it
    fold_batch_norms(part, {"conv": "norm", "other": "norm"})
    assert isinstance(part.conv, nn.Conv3d)
