from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from acav_spark.errors import ConfigError
from acav_spark.features.networks.tensors import fit_tensors, read_tensors

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5])}


class Opens:
    """A pickle of it would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(
        torch.equal(found[name], TENSORS[name]) for name in TENSORS
    )


@pytest.mark.parametrize("wrapped", [None, "model_state", "state_dict"])
@pytest.mark.parametrize("legacy", [True, False])
def test_what_torch_saved_is_read(
    tmp_path: Path, wrapped: str | None, *, legacy: bool
) -> None:
    path = tmp_path / "weights"
    saved = TENSORS if wrapped is None else {wrapped: TENSORS, "epoch": 5}
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)

    assert same(read_tensors(path))


def test_npz_and_safetensors_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    npz, safe = tmp_path / "a", tmp_path / "b"
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in TENSORS.items()}
    with npz.open("wb") as file:
        np.savez(file, **arrays)
    save_file(TENSORS, safe)

    assert same(read_tensors(npz))
    assert same(read_tensors(safe))


@pytest.mark.parametrize("kind", ["torch", "legacy torch", "pickle", "npz"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    path, made = tmp_path / "weights", tmp_path / "made"
    evil = Opens(made)
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"a": evil}, protocol=2))
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, a=np.array([evil], dtype=object))
    else:
        torch.save({"a": evil}, path, _use_new_zipfile_serialization=kind == "torch")

    with pytest.raises(ConfigError, match="Nothing else is loaded"):
        read_tensors(path)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>404</html>",
        b"\x10\0\0\0\0\0\0\0{not json",
        b"\xff\xff\xff\xff\0\0\0\0{}",
        b"\x1c\0\0\0TFL3" + bytes(40),
        b"PK\x03\x04 a torn archive",
    ],
)
def test_what_is_no_file_of_tensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="expected tensors"):
        read_tensors(path)


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save(TENSORS, whole)
    path = tmp_path / "weights"
    for size in (40, len(whole.getvalue()) // 2, len(whole.getvalue()) - 30):
        path.write_bytes(whole.getvalue()[:size])
        with pytest.raises(ConfigError, match="expected tensors"):
            read_tensors(path)


def test_a_list_is_not_named_tensors(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "weights")
    with pytest.raises(ConfigError, match=r"expected named tensors .* got list"):
        read_tensors(tmp_path / "weights")


def test_tensors_are_fitted_by_name_in_float32() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    ones = {
        name: torch.ones_like(tensor).half()
        for name, tensor in module.state_dict().items()
        if "num_batches" not in name
    }

    fit_tensors(module, {**ones, "head.w": torch.ones(1)}, name="net", ignored="head.")

    for name in ones:
        tensor = module.state_dict()[name]
        assert tensor.dtype == torch.float32
        assert bool((tensor == 1).all())


def test_another_network_s_tensors_are_refused_with_both_shapes() -> None:
    module = torch.nn.Linear(3, 2)
    before = module.weight.clone()
    wrong = {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}
    with pytest.raises(ConfigError) as caught:
        fit_tensors(module, wrong, name="net")

    assert str(caught.value) == (
        "weights: expected those of net, got weight of shape (2, 4), expected (2, 3); "
        "no bias; extra, which it has not. Is it another network's file?"
    )
    assert torch.equal(module.weight, before)


def test_only_some_of_many_problems_are_named() -> None:
    many = {f"x{i}": torch.zeros(1) for i in range(20)}
    with pytest.raises(ConfigError, match=r"x2, which it has not; 17 more\. Is"):
        fit_tensors(torch.nn.Linear(3, 2), many, name="net")
