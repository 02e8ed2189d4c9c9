"""Convolutions of 8-bit numbers as matrix products: every integer is that of the runtime's own convolution."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tools.integer_convolutions import as_products

_IN, _OUT, _STEPS = 5, 7, 61


def convolution(taps: int, **attributes: object) -> bytes:
    """A model of one convolution with random weights, whose zero points are not in the middle."""
    rng = np.random.default_rng(taps)
    constants = {
        "weights": rng.integers(0, 256, (_OUT, _IN, taps)).astype(np.uint8),
        "zero": np.uint8(19),
        "weights_zero": np.uint8(140),
    }
    graph = helper.make_graph(
        [helper.make_node("ConvInteger", ["values", "weights", "zero", "weights_zero"], ["sums"], **attributes)],
        "convolution",
        [helper.make_tensor_value_info("values", TensorProto.UINT8, [1, _IN, "steps"])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("taps", "attributes"),
    [
        (1, {}),
        (5, {"pads": [2, 2]}),
        (3, {"pads": [4, 0], "dilations": [2]}),
        (12, {"pads": [3, 3], "strides": [6]}),
    ],
)
def test_products_give_the_integers_of_the_convolution(taps: int, attributes: dict[str, object]) -> None:
    model = convolution(taps, **attributes)
    changed = as_products(model)
    assert {node.op_type for node in onnx.load_from_string(changed).graph.node} >= {"MatMulInteger"}
    values = {"values": np.random.default_rng(0).integers(0, 256, (1, _IN, _STEPS)).astype(np.uint8)}
    sums = [onnxruntime.InferenceSession(each).run(None, values)[0] for each in (model, changed)]
    assert sums[0].any()
    np.testing.assert_array_equal(*sums)


def test_other_convolutions_are_refused() -> None:
    with pytest.raises(ValueError, match="no convolution of one group"):
        as_products(convolution(3, group=5))
