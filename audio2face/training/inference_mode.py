"""INFERENCE_MODE, taken apart: by what the network is run, how it hears, and what its raw output means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from audio2face.config_base.types import InferenceMode
from audio2face.console import LOGGER
from audio2face.errors import UserError

DEFAULT_MODE: InferenceMode = "offline"


@dataclass(frozen=True)
class Mode:
    """How a network is run.

    Attributes:
        name: INFERENCE_MODE.
        windows: as a stream, window by window; otherwise the recording as a whole.
        onnx: the exported network by ONNX Runtime; otherwise the trained one by PyTorch.
        deltas: raw output is displacements; otherwise normalised values.
    """

    name: InferenceMode
    windows: bool
    onnx: bool
    deltas: bool

    @classmethod
    def of(cls, name: str) -> Mode:
        """Takes a mode apart.

        Raises:
            UserError: there is no such mode, or it asks for TensorRT.
        """
        known = {mode: mode for mode in get_args(InferenceMode)}
        if name not in known:
            raise UserError(f"there is no inference mode {name!r}", hint=f"There are: {', '.join(known)}.")
        if name.endswith("_trt"):
            instead = name.removesuffix("_trt") + "_onnx"
            raise UserError(
                f"INFERENCE_MODE is {name!r}, but TensorRT engines are not run here",
                hint=f"Use {instead!r}, which runs the network that the engine is built from. To build and use an "
                "engine, deploy the run and follow the README of the deployed folder.",
            )
        onnx = name.endswith("_onnx")
        if name == "offline_onnx":
            LOGGER.info(
                "the exported network takes windows only: offline_onnx gives what streaming_stateless_onnx gives"
            )
        return cls(
            known[name], windows=onnx or not name.startswith("offline"), onnx=onnx, deltas="output_delta" in name
        )
