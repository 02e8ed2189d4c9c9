"""ONNX export of a network."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from audio2face.deploy.parity import Inputs
from audio2face.io.atomic import atomic_write
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
        UserError: the files cannot be written.
        RuntimeError: the graph is not as consumers need it, which would be a defect of this module.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = path.with_name(f"{path.name}.data")
    with temporary_folder(path.parent, "graph") as folder:
        traced = folder / "traced.onnx"
        _trace(module, info, inputs(_TRACED_BATCH, torch.Generator().manual_seed(0)), traced)
        model = onnx.load(traced)
        for tensor, value in zip(info.outputs, model.graph.output, strict=True):
            _set_shape(value, tensor)
        problems = check_graph(model, info)
        if problems:
            raise RuntimeError("the exported graph " + "; ".join(problems))
        whole = folder / path.name
        external = sum(len(tensor.raw_data) for tensor in stored_tensors(model)) > largest_single_file
        onnx.save_model(model, whole, save_as_external_data=external, location=data.name, size_threshold=_SMALL_TENSOR)
        del model
        onnx.checker.check_model(whole, full_check=True)
        data.unlink(missing_ok=True)
        if external:
            _move(whole.with_name(data.name), data)
        _move(whole, path)


def _trace(module: nn.Module, info: NetworkInfo, inputs: Mapping[str, Tensor], path: Path) -> None:
    axes = {tensor.name: {tensor.shape.index(None): BATCH} for tensor in (*info.inputs, *info.outputs)}
    with warnings.catch_warnings(), torch.no_grad():
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


def _set_shape(value: onnx.ValueInfoProto, tensor: TensorShape) -> None:
    """Sets lengths that tracing left dynamic."""
    axes = value.type.tensor_type.shape.dim
    for axis, length in zip(axes, tensor.shape, strict=True):
        if length is None:
            axis.dim_param = BATCH
        else:
            axis.dim_value = length


def _move(source: Path, target: Path) -> None:
    with source.open("rb") as read, atomic_write(target) as write:
        shutil.copyfileobj(read, write, 1 << 24)
