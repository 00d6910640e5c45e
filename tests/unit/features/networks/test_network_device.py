from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

from acav_spark.errors import ConfigError, DependencyError
from acav_spark.features.networks import device
from acav_spark.features.networks.device import find_place, gpu_index
from acav_spark.features.placement import assign_gpus

if TYPE_CHECKING:
    from collections.abc import Iterator

UUIDS = ["GPU-aaaa-1", "GPU-BBBB-2"]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    allows_tf32 = torch.backends.cudnn.allow_tf32
    yield
    torch.set_num_threads(n_threads)
    torch.backends.cudnn.allow_tf32 = allows_tf32
    assign_gpus([])


def has_gpus(
    monkeypatch: pytest.MonkeyPatch, n_gpus: int, *, bf16: bool = True
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda i: SimpleNamespace(uuid=UUIDS[i].removeprefix("GPU-")),
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("address", "visible", "uuids", "index"),
    [
        ("1", None, UUIDS, 1),
        ("1", "", UUIDS, 1),
        ("3", "2,3", UUIDS, 1),  # torch counts what is visible
        ("0", "1, 0", UUIDS, 1),
        ("GPU-aaaa-1", None, UUIDS, 0),
        ("bbbb-2", "whatever", UUIDS, 1),
        ("7", "0", UUIDS[:1], 0),  # a container shows one
    ],
)
def test_the_task_s_gpu_is_found(
    address: str, visible: str | None, uuids: list[str], index: int
) -> None:
    assert gpu_index(address, visible, uuids) == index


@pytest.mark.parametrize(
    ("address", "visible"), [("2", None), ("0", "2,3"), ("GPU-cccc", None)]
)
def test_a_gpu_that_torch_does_not_see_is_an_error(
    address: str, visible: str | None
) -> None:
    with pytest.raises(ConfigError, match=f"the task's GPU '{address}', got 2 GPUs"):
        gpu_index(address, visible, UUIDS)


def test_without_a_gpu_a_process_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    has_gpus(monkeypatch, 0)
    device._warn_of_cpu.cache_clear()
    with caplog.at_level(logging.WARNING):
        places = [find_place("auto", "auto") for _ in range(3)]

    assert {p.device.type for p in places} == {"cpu"}
    assert places[0].dtype is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()
    device._warn_of_cpu.cache_clear()
    find_place("cpu", "auto")
    assert not caplog.records


def test_auto_takes_the_task_s_gpu_and_else_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_gpus(monkeypatch, 2)
    assert find_place("auto", "auto").device == torch.device("cuda:0")
    assign_gpus(["1"])
    assert find_place("auto", "auto").device == torch.device("cuda:1")
    assert find_place("cuda", "auto").device == torch.device("cuda:1")
    assert find_place("cuda:0", "auto").device == torch.device("cuda:0")
    assign_gpus(["GPU-bbbb-2"])
    assert find_place("auto", "auto").device == torch.device("cuda:1")


def test_numbers_are_those_that_the_device_is_quick_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_gpus(monkeypatch, 1)
    assert find_place("cuda", "auto").dtype == torch.bfloat16
    assert find_place("cuda", "fp16").dtype == torch.float16
    assert torch.backends.cudnn.allow_tf32
    assert find_place("cuda", "fp32").dtype is None
    assert not torch.backends.cudnn.allow_tf32
    has_gpus(monkeypatch, 1, bf16=False)
    assert find_place("cuda", "auto").dtype == torch.float16
    assert find_place("cpu", "bf16").dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="fp32 or bf16 on a CPU"):
        find_place("cpu", "fp16")


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    has_gpus(monkeypatch, 0)
    with pytest.raises(ConfigError, match="expected cuda, got no GPU that torch"):
        find_place("cuda", "auto")
    assign_gpus(["4"])
    with pytest.raises(ConfigError, match="expected the task's GPU 4, got no GPU"):
        find_place("auto", "auto")
    has_gpus(monkeypatch, 2)
    with pytest.raises(ConfigError, match="one of 2 GPUs, cuda:0 upwards, got cuda:2"):
        find_place("cuda:2", "auto")


def test_a_task_uses_its_own_cores_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    task: list[object] = [None]
    context = SimpleNamespace(TaskContext=SimpleNamespace(get=lambda: task[0]))
    monkeypatch.setitem(sys.modules, "pyspark.taskcontext", context)
    find_place("cpu", "auto")
    assert torch.get_num_threads() == 3  # not in a task
    task[0] = SimpleNamespace(cpus=lambda: 1)
    find_place("cpu", "auto")
    assert torch.get_num_threads() == 1


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"acav_spark\[models\]"):
        find_place("cpu", "auto")
