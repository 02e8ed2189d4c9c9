"""ONNX graphs of a few operators with the inputs and outputs of real networks; every input changes the output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from audio2face.model_folder import DiffusionInfo, NetworkInfo, RegressionInfo, StreamingInfo, TensorShape


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(3)

    def weights(self, *shape: int) -> str:
        return self.constant((self.random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32))

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def axes(self, *axes: int) -> str:
        return self.constant(np.array(axes, np.int64))

    def save(self, path: Path, info: NetworkInfo) -> None:
        graph = helper.make_graph(
            self.nodes, "small", [_value(t) for t in info.inputs], [_value(t) for t in info.outputs], self.constants
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def _value(tensor: TensorShape) -> onnx.ValueInfoProto:
    shape = ["batch" if length is None else length for length in tensor.shape]
    return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, shape)


def write_graph(path: Path, info: NetworkInfo) -> None:
    """Writes `network.onnx` for an info."""
    if isinstance(info, RegressionInfo):
        _regression(info).save(path, info)
    elif isinstance(info, StreamingInfo):
        _streaming(info).save(path, info)
    else:
        _diffusion(info).save(path, info)


def _regression(info: RegressionInfo) -> _Builder:
    build = _Builder()
    received = build.add("MatMul", "input", build.weights(info.buffer_len, info.values))
    felt = build.add("MatMul", "emotion", build.weights(info.implicit_emotion_len + len(info.emotions), info.values))
    build.add("Tanh", build.add("Add", received, felt), output="result")
    return build


def _streaming(info: StreamingInfo) -> _Builder:
    build = _Builder()
    size, values = info.state_size, info.values
    added = build.add("MatMul", "window", build.weights(info.buffer_len, size))
    faded = build.add("Mul", "state", build.constant(np.array(0.5, np.float32)))
    build.add("Add", faded, added, output="next_state")
    total = build.add("MatMul", "next_state", build.weights(size, values))
    for name, width in (("identity", len(info.identities)), ("emotion", len(info.emotions))):
        total = build.add("Add", total, build.add("MatMul", name, build.weights(width, values)))
    build.add("Unsqueeze", build.add("Tanh", total), build.axes(1), output="result")
    return build


def _diffusion(info: DiffusionInfo) -> _Builder:
    build = _Builder()
    frames, values = info.frames, info.values
    received = build.add("MatMul", "window", build.weights(info.buffer_len, frames))
    received = build.add("Mul", build.add("Unsqueeze", received, build.axes(2)), build.weights(values))
    who = build.add("Unsqueeze", build.add("MatMul", "identity", build.weights(2, values)), build.axes(1))
    felt = build.add("MatMul", "emotion", build.weights(len(info.emotions), values))
    pads = (0, info.num_frames_left_truncate, 0, 0, info.num_frames_right_truncate, 0)
    felt = build.add("Pad", felt, build.axes(*pads))
    drawn = build.add("Gather", "noise", build.constant(np.array(info.num_diffusion_steps)), axis=1)
    kept = build.add("ReduceMean", "input_latents", axes=[0, 1, 3], keepdims=0)
    kept = build.add("Unsqueeze", kept, build.axes(1, 2))
    total = received
    for part in (who, felt, drawn, kept):
        total = build.add("Add", total, part)
    build.add("Tanh", total, output="prediction")
    level = build.add("Unsqueeze", build.add("ReduceMean", "window", axes=[1], keepdims=1), build.axes(0, 1))
    faded = build.add("Mul", "input_latents", build.constant(np.array(0.5, np.float32)))
    build.add("Add", faded, level, output="output_latents")
    return build
