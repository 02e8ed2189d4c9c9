"""Loads exported networks in ONNX Runtime: the device, the number of threads, and a check of all tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import onnxruntime

from audio2face.config_base.types import Device, GraphPrecision
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.model_folder import NetworkInfo

GraphDevice = Literal["cpu", "cuda"]
_PROVIDERS: Mapping[GraphDevice, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def best_device() -> GraphDevice:
    """The fastest device that this ONNX Runtime can use."""
    return "cuda" if _PROVIDERS["cuda"] in onnxruntime.get_available_providers() else "cpu"


def graph_device(device: Device, precision: GraphPrecision = "float32") -> GraphDevice:
    """The device that an exported network runs on, where `device` was asked for; "auto" is a processor for int8.

    Raises:
        UserError: ONNX Runtime does not run on it.
    """
    if device == "auto":
        return best_device() if precision == "float32" else "cpu"
    if device == "mps":
        raise UserError("exported networks run on 'cpu' or 'cuda', not on 'mps'", hint="Give --device cpu.")
    return device


class _Threads:
    count = 0


def set_num_threads(count: int) -> None:
    """Sets how many threads each network of this process uses that is loaded from now on; 0 for all cores."""
    _Threads.count = count


def open_session(path: Path, info: NetworkInfo, device: GraphDevice) -> onnxruntime.InferenceSession:
    """Loads a graph.

    Args:
        path: `network.onnx`.
        info: its `network_info.json`.
        device: what it runs on.

    Raises:
        UserError: there is no such file or device, or (FileFormatError) the file is no such graph.
    """
    if not path.is_file():
        raise missing_file("there is no such network", path, "Export the training run once more.")
    provider = _PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise UserError(
            f"this ONNX Runtime cannot run on {device!r}",
            hint="Install onnxruntime-gpu in place of onnxruntime, or use the device 'cpu'.",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _Threads.count
    options.log_severity_level = 3  # errors; warnings are about optimisations that are not made
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # its own types of errors have no common base
        raise FileFormatError(
            f"cannot be loaded by ONNX Runtime: {error}", path=path, hint="Export the training run once more."
        ) from error
    _check_tensors(session, info, path)
    return session


def _check_tensors(session: onnxruntime.InferenceSession, info: NetworkInfo, path: Path) -> None:
    """Checks names and lengths of all inputs and outputs, so that a graph of another network is refused."""
    for kind, found, expected in (
        ("inputs", session.get_inputs(), info.inputs),
        ("outputs", session.get_outputs(), info.outputs),
    ):
        shapes = {tensor.name: tuple(tensor.shape) for tensor in found}
        wanted = {tensor.name: tensor.shape for tensor in expected}
        fits = shapes.keys() == wanted.keys() and all(
            len(shapes[name]) == len(shape)
            and all(length in (None, have) for length, have in zip(shape, shapes[name], strict=True))
            for name, shape in wanted.items()
        )
        if not fits:
            raise FileFormatError(
                f"has the {kind} {shapes}, expected {wanted} (None: the batch)",
                path=path,
                hint="Take the graph and its network_info.json from one export.",
            )
