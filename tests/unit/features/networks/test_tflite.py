from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from acav_spark.features.networks.tflite import (
    CONV_2D,
    DEPTHWISE_CONV_2D,
    FULLY_CONNECTED,
    weighted_operations,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def content(data_dir: Path) -> bytes:
    """A LiteRT file with weights in eight bits, one scale for each channel."""
    path = data_dir / "weights" / "coral_tf2_mobilenet_v2_1.0_224_ptq.tflite"
    if not path.is_file():
        pytest.skip(f"no LiteRT file {path}")
    return path.read_bytes()


def test_weights_are_those_that_the_interpreter_has(content: bytes) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    known: dict[tuple[int, ...], list[NDArray[np.float64]]] = {}
    for detail in interpreter.get_tensor_details():
        scale = detail["quantization_parameters"]["scales"]
        if detail["dtype"] is not np.int8 or scale.size == 0:
            continue
        try:
            values = interpreter.get_tensor(detail["index"])
        except ValueError:  # a tensor that is computed
            continue
        zero = detail["quantization_parameters"]["zero_points"]
        shape = [1] * values.ndim
        shape[detail["quantization_parameters"]["quantized_dimension"]] = -1
        wide = values.astype(np.float64) - zero.reshape(shape)
        known.setdefault(values.shape, []).append(wide * scale.reshape(shape))

    operations = weighted_operations(content)

    assert len(operations) == 53
    for operation in operations:
        assert any(
            np.allclose(operation.kernel, one, rtol=1e-6, atol=0)
            for one in known[operation.kernel.shape]
        )


def test_operations_come_in_the_order_of_the_network(content: bytes) -> None:
    operations = weighted_operations(content)

    assert [o.code for o in operations[:4]] == [
        CONV_2D,
        DEPTHWISE_CONV_2D,
        CONV_2D,
        CONV_2D,
    ]
    assert [o.kernel.shape for o in operations[:3]] == [
        (32, 3, 3, 3),
        (1, 3, 3, 32),
        (16, 1, 1, 32),
    ]
    assert FULLY_CONNECTED not in [o.code for o in operations]
    for o in operations:
        n_out = o.kernel.shape[3 if o.code == DEPTHWISE_CONV_2D else 0]
        assert o.bias.shape == (n_out,)
        assert o.kernel.dtype == o.bias.dtype == np.float32


def test_a_broken_file_is_an_error_and_never_something_else(
    content: bytes, rng: np.random.Generator
) -> None:
    for size in (0, 8, 100, len(content) // 2):
        with pytest.raises(ValueError, match="tflite: expected"):
            weighted_operations(content[:size])
    n_refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        # Tables lie at the end, behind the numbers.
        for place in rng.integers(len(content) - 60_000, len(content), 40):
            damaged[place] = rng.integers(256)
        try:
            weighted_operations(bytes(damaged))
        except ValueError:
            n_refused += 1
    assert n_refused > 0


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the mark b'TFL3' at 4"):
        weighted_operations(b"\x89PNG\r\n\x1a\n" + bytes(100))
