"""ONNX export of a network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx.helper import make_tensor_value_info
from torch import Tensor, nn

from audio2face.deploy.parity import Inputs
from audio2face.io.claims import temporary_folder
from audio2face.model_folder import NetworkInfo, TensorShape
from audio2face.model_folder.graph import OPSETS, check_graph, stored_tensors

BATCH = "batch"

# A protobuf message is limited to 2 GiB, of which the graph needs a few MB.
LARGEST_SINGLE_FILE = 2**31 - 2**24
_TRACED_BATCH = 3
_SMALL_TENSOR = 1024  # bytes; smaller ones stay in the graph


def export_graph(
    module: nn.Module,
    info: NetworkInfo,
    inputs: Inputs,
    path: Path,
    largest_single_file: int = LARGEST_SINGLE_FILE,
) -> None:
    """Writes `network.onnx`, and `network.onnx.data` beside it if the weights are too large for one file.

    Args:
        module: its inputs and outputs are the tensors of `info`, in order.
        info: names and shapes of inputs and outputs.
        inputs: makes inputs for tracing.
        path: the file to write.
        largest_single_file: bytes of weights above which they are written to a separate file.

    Raises:
        OSError: the files cannot be written.
        RuntimeError: the graph is not as consumers need it, which would be a defect of this module.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = path.with_name(f"{path.name}.data")
    with temporary_folder(path.parent, "graph") as folder:
        traced = folder / "traced.onnx"
        _trace(module, info, inputs(_TRACED_BATCH, torch.Generator().manual_seed(0)), traced)
        model = onnx.load(traced)
        traced.unlink()
        for tensor, value in zip(info.outputs, model.graph.output, strict=True):
            _set_shape(value, tensor)
        problems = check_graph(model, info)
        if problems:
            raise RuntimeError("the exported graph " + "; ".join(problems))
        onnx.checker.check_model(_without_weights(model), full_check=True)
        whole = folder / path.name
        external = sum(len(tensor.raw_data) for tensor in stored_tensors(model)) > largest_single_file
        onnx.save_model(model, whole, save_as_external_data=external, location=data.name, size_threshold=_SMALL_TENSOR)
        del model
        data.unlink(missing_ok=True)
        for file in ([whole.with_name(data.name)] if external else []) + [whole]:
            file.replace(path.with_name(file.name))


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which weights are inputs of their shapes, for checks of operators, types and shapes.

    The checker copies what it is given several times, and no check depends on the values of weights: their sizes are
    compared with their shapes when the file is loaded for the parity check.
    """
    graph = model.graph
    weights = [tensor for tensor in graph.initializer if len(tensor.raw_data) > _SMALL_TENSOR]
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.name = graph.name
    bare.graph.node.extend(graph.node)
    bare.graph.output.extend(graph.output)
    bare.graph.value_info.extend(graph.value_info)
    bare.graph.initializer.extend(tensor for tensor in graph.initializer if len(tensor.raw_data) <= _SMALL_TENSOR)
    bare.graph.input.extend(graph.input)
    bare.graph.input.extend(make_tensor_value_info(each.name, each.data_type, each.dims) for each in weights)
    return bare


def _trace(module: nn.Module, info: NetworkInfo, inputs: Mapping[str, Tensor], path: Path) -> None:
    axes = {tensor.name: {tensor.shape.index(None): BATCH} for tensor in (*info.inputs, *info.outputs)}
    with warnings.catch_warnings(), torch.no_grad(), _shapes_of_nodes_alone():
        # Tracing warns of every size that becomes a constant, which is intended for all but the batch.
        warnings.simplefilter("ignore")
        # The tracing exporter writes one GRU node per layer, and needs no other package.
        torch.onnx.export(
            module,
            tuple(inputs[tensor.name] for tensor in info.inputs),
            str(path),
            input_names=[tensor.name for tensor in info.inputs],
            output_names=[tensor.name for tensor in info.outputs],
            dynamic_axes=axes,
            opset_version=OPSETS[0],
            dynamo=False,
        )


@contextmanager
def _shapes_of_nodes_alone() -> Iterator[None]:
    """Leaves out the exporter's inference of shapes over the whole graph, and with it half of the time.

    The exporter infers the shapes behind each node as it makes it, and twice those of the whole graph, each time over a
    copy of all weights. The file is the same to the byte without (a test compares them); `check_model` infers all
    shapes once more.
    """
    name = "_jit_pass_onnx_graph_shape_type_inference"
    inference = getattr(torch._C, name, None)
    if inference is None:  # another version of torch, which exports in its own time
        yield
        return
    setattr(torch._C, name, lambda *_: None)
    try:
        yield
    finally:
        setattr(torch._C, name, inference)


def _set_shape(value: onnx.ValueInfoProto, tensor: TensorShape) -> None:
    """Sets lengths that tracing left dynamic."""
    axes = value.type.tensor_type.shape.dim
    for axis, length in zip(axes, tensor.shape, strict=True):
        if length is None:
            axis.dim_param = BATCH
        else:
            axis.dim_value = length
