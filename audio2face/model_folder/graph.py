"""Validation of ONNX graphs: names, shapes, types and operators.

The operators are those that TensorRT 10's parser and onnxruntime on a CPU both have; an engine is not built here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, ValueInfoProto

from audio2face.model_folder.model import DeployedModel
from audio2face.model_folder.network_info import NetworkInfo, TensorShape
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.validation import FileDiagnostics, is_inner_path

OPSETS = (17, 18)
_EXPORT = "Export the network again: python run_deploy.py CONFIG_NAME TRAINING_RUN_NAME_FULL --export --force"

_OPERATORS = """
    Abs Add And BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv Cos CumSum Div Equal Erf Exp
    Expand Flatten Floor GRU Gather GatherElements GatherND Gemm Greater GreaterOrEqual Identity InstanceNormalization
    IsNaN LayerNormalization Less LessOrEqual Log MatMul Max Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceMax
    ReduceMean ReduceMin ReduceSum Relu Reshape Shape Sigmoid Sin Slice Softmax Softplus Split Sqrt Squeeze Sub Tanh
    Tile Transpose Unsqueeze Where
"""
OPERATORS = frozenset(_OPERATORS.split())
_TYPES = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)


def check_graph(model: onnx.ModelProto, info: NetworkInfo) -> list[str]:
    """All problems of a graph; weights are not checked."""
    return [
        *_check_tensors("inputs", model.graph.input, info.inputs),
        *_check_tensors("outputs", model.graph.output, info.outputs),
        *_check_operators(model),
        *_check_types(model),
    ]


def _check_tensors(what: str, found: Sequence[ValueInfoProto], expected: Sequence[TensorShape]) -> Iterator[str]:
    names = [value.name for value in found]
    if sorted(names) != sorted(tensor.name for tensor in expected):
        yield f"has the {what} {', '.join(names)}, expected {', '.join(tensor.name for tensor in expected)}"
        return
    by_name = {value.name: value.type.tensor_type for value in found}
    for tensor in expected:
        kind = by_name[tensor.name]
        lengths = [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
        if kind.elem_type != TensorProto.FLOAT:
            yield f"{tensor.name} is not float32"
        # A fixed batch is valid, if all other lengths are correct.
        if len(lengths) != len(tensor.shape) or any(
            has != want for has, want in zip(lengths, tensor.shape, strict=True) if want is not None
        ):
            wanted = ["B" if length is None else length for length in tensor.shape]
            yield f"{tensor.name} has the shape {['?' if has is None else has for has in lengths]}, expected {wanted}"


def _check_operators(model: onnx.ModelProto) -> Iterator[str]:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") not in OPSETS:
        yield f"is of opset {versions.get('')}, expected {' or '.join(map(str, OPSETS))}"
    used = {(node.domain, node.op_type) for node in model.graph.node}
    unsupported = sorted(f"{domain}.{kind}".strip(".") for domain, kind in used if domain or kind not in OPERATORS)
    if unsupported or model.functions:
        unsupported += [function.name for function in model.functions]
        yield f"uses operators that are not supported everywhere: {', '.join(unsupported)}"


def _check_types(model: onnx.ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        casts = [attribute.i for attribute in node.attribute if node.op_type == "Cast" and attribute.name == "to"]
        if any(kind not in _TYPES for kind in casts):
            yield f"{node.name} casts to a type that TensorRT does not support"
    wrong = [tensor.name or "a constant" for tensor in stored_tensors(model) if tensor.data_type not in _TYPES]
    if wrong:
        yield f"{', '.join(wrong[:5])} have types that TensorRT does not support (such as float64)"


def stored_tensors(model: onnx.ModelProto) -> list[TensorProto]:
    """All weights and constants."""
    attributes = (attribute for node in model.graph.node for attribute in node.attribute)
    return [*model.graph.initializer, *(attribute.t for attribute in attributes if attribute.HasField("t"))]


def check_deployed_graph(model: DeployedModel, faults: FileDiagnostics) -> None:
    """Reports the problems of the graph of a deployed folder."""
    if not model.onnx.is_file():
        faults.warning("is missing: the engine cannot be built", "Deploy the model again.")
        return
    graph = read_graph(model.onnx)
    if graph is None:
        faults.error("is not an ONNX file", _EXPORT)
        return
    for problem in check_graph(graph, model.info):
        faults.error(problem, _EXPORT)
    entries = [entry for tensor in graph.graph.initializer for entry in tensor.external_data]
    for name in sorted({entry.value for entry in entries if entry.key == "location"}):
        if not is_inner_path(name):
            faults.error(f"its weights are in {name!a}, outside of the folder", _EXPORT)
        elif not (model.folder / name).is_file():
            faults.error(f"its weights are in {name}, which is missing", f"Copy {name} beside {ONNX_FILE}.")


def read_graph(path: Path) -> onnx.ModelProto | None:
    """Reads a graph without external weights; None if the file contains no graph."""
    try:
        return onnx.load(path, load_external_data=False)
    except (OSError, ValueError, DecodeError):
        return None
