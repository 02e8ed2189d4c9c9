"""Rewrites convolutions of 8-bit numbers in an ONNX graph as matrix products, which give the same integers faster.

ONNX Runtime's `ConvInteger` takes weights without a sign, for which it uses no instructions for products of 8-bit
numbers (VNNI). Its matrix product by weights with a sign does, and takes half the time together with the rows that it
needs: for each step, all values under the kernel (Chellapilla, Puri and Simard, High performance convolutional neural
networks for document processing, 2006). Weights and their zero point are moved by 128, so all differences stay what
they were; sums of 32 bits are exact, so not a bit of a result changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_MOVED = 128


def as_products(model: bytes) -> bytes:
    """Replaces every `ConvInteger`.

    Args:
        model: a serialised model of opset 18 or newer. Its convolutions go over one axis, have one group, and uint8
            constants as weights, with one zero point.

    Raises:
        ValueError: a convolution is of another kind.
    """
    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    made: dict[str, onnx.TensorProto] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _product(node, constants, made) if node.op_type == "ConvInteger" else [node]
    used = {name for node in nodes for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, [*kept, *made.values()])):
        del field[:]
        field.extend(values)
    return bytes(loaded.SerializeToString())


def _product(
    node: onnx.NodeProto, constants: Mapping[str, np.ndarray[Any, Any]], made: dict[str, onnx.TensorProto]
) -> list[onnx.NodeProto]:
    """The nodes in place of a convolution; their constants are added to `made`, each once."""

    def constant(name: str, array: np.ndarray[Any, Any]) -> str:
        made.setdefault(name, numpy_helper.from_array(array, name))
        return name

    values, weights, zero, weights_zero = node.input
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    kernel, of_zero = constants[weights], constants[weights_zero]
    if kernel.ndim != 3 or kernel.dtype != np.uint8 or of_zero.size != 1 or given.get("group", 1) != 1:
        raise ValueError(f"{node.name} is no convolution of one group over one axis by uint8 weights")
    moved, moved_zero = ((array.astype(np.int16) - _MOVED).astype(np.int8) for array in (kernel, of_zero))
    (stride,), (dilation,) = given.get("strides", [1]), given.get("dilations", [1])
    before, after = given.get("pads", [0, 0])
    name, taps = node.output[0], kernel.shape[2]
    padding = constant(f"padding_{before}_{after}", np.array([0, before, 0, 0, after, 0]))
    nodes = [
        helper.make_node("Transpose", [values], [f"{name}_rows"], perm=[0, 2, 1]),
        helper.make_node("Pad", [f"{name}_rows", padding, zero], [f"{name}_padded"]),
    ]
    for tap in range(taps):
        behind = (taps - 1 - tap) * dilation
        ends = tap * dilation, -behind if behind else np.iinfo(np.int64).max
        places = [constant(f"place_{place}", np.array([place])) for place in (*ends, 1, stride)]
        nodes.append(helper.make_node("Slice", [f"{name}_padded", *places], [f"{name}_tap_{tap}"]))
    matrix = constant(f"{weights}_matrix", moved.transpose(2, 1, 0).reshape(-1, len(kernel)))
    factors = [f"{name}_windows", matrix, zero, constant(f"{weights_zero}_moved", moved_zero)]
    return [
        *nodes,
        helper.make_node("Concat", [f"{name}_tap_{tap}" for tap in range(taps)], [f"{name}_windows"], axis=2),
        helper.make_node("MatMulInteger", factors, [f"{name}_sums"]),
        helper.make_node("Transpose", [f"{name}_sums"], [name], perm=[0, 2, 1]),
    ]
