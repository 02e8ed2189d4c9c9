"""A deployed diffusion network run by ONNX Runtime: one window at a time, memory carried from window to window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from audio2face.errors import FileFormatError, UserError
from audio2face.inference.noise import Noise
from audio2face.model_folder import DiffusionInfo
from audio2face.model_folder.faults import Faults
from audio2face.model_folder.json_object import read_object
from audio2face.model_folder.network_info import INFO_FILE, read_info
from audio2face.model_folder.trt_info import ONNX_FILE

Float32Array = npt.NDArray[np.float32]
GraphDevice = Literal["cpu", "cuda"]
_PROVIDERS: Mapping[GraphDevice, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def best_device() -> GraphDevice:
    """The fastest device that this ONNX Runtime can use."""
    return "cuda" if _PROVIDERS["cuda"] in onnxruntime.get_available_providers() else "cpu"


class DiffusionGraph:
    """The network; it remembers nothing between calls.

    Args:
        session: of ONNX Runtime.
        info: what the network takes and gives.
    """

    def __init__(self, session: onnxruntime.InferenceSession, info: DiffusionInfo) -> None:
        self._session = session
        self.info = info

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> DiffusionGraph:
        """Loads the network of an exported training run (`<run>/deploy`) or of a deployed folder.

        Raises:
            UserError: as `load`, or (FileFormatError) the folder describes no diffusion network.
        """
        faults = Faults()
        info = read_info(read_object(folder / INFO_FILE, faults.of(INFO_FILE)))
        faults.raise_first(folder)
        if not isinstance(info, DiffusionInfo):
            raise FileFormatError("describes no diffusion network", path=folder / INFO_FILE)
        return cls.load(folder / ONNX_FILE, info, device)

    @classmethod
    def load(cls, path: Path, info: DiffusionInfo, device: GraphDevice = "cpu") -> DiffusionGraph:
        """Loads a graph.

        Args:
            path: `network.onnx`.
            info: its `network_info.json`.
            device: what it runs on.

        Raises:
            UserError: there is no such file or device, or (FileFormatError) the file is no such graph.
        """
        if not path.is_file():
            raise UserError("there is no such network", path=path, hint="Export the training run once more.")
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise UserError(
                f"this ONNX Runtime cannot run on {device!r}",
                hint="Install onnxruntime-gpu in place of onnxruntime, or use the device 'cpu'.",
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings are about optimisations that are not made
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # its own types of errors have no common base
            raise FileFormatError(
                f"cannot be loaded by ONNX Runtime: {error}", path=path, hint="Export the training run once more."
            ) from error
        _check_tensors(session, info, path)
        return cls(session, info)

    def zero_latents(self, batch: int = 1) -> Float32Array:
        """The memory at the start of a stream, `[steps, layers, batch, gru_latent_dim]`."""
        info = self.info
        return np.zeros((info.num_diffusion_steps, info.num_gru_layers, batch, info.gru_latent_dim), np.float32)

    def window_noise(self, noise: Noise) -> Float32Array:
        """Noise as the graph takes it, `[1, steps + 1, frames, values]`."""
        steps = range(self.info.num_diffusion_steps + 1)
        return np.stack([noise(index, 0, self.info.frames) for index in steps])[None]

    def run(
        self,
        window: Float32Array,
        identity: Float32Array,
        emotion: Float32Array,
        latents: Float32Array,
        noise: Float32Array,
    ) -> tuple[Float32Array, Float32Array]:
        """Animates one window of each item of a batch.

        Args:
            window: audio `[batch, samples]`.
            identity: `[batch, identities]`.
            emotion: for each frame that is kept, `[batch, block, emotions]`.
            latents: what the windows before gave; at first `zero_latents`.
            noise: `[batch, steps + 1, frames, values]`.

        Returns:
            Displacements from the face at rest `[batch, frames, values]`, zero outside the frames that are kept, and
            the memory for the next window.
        """
        feed = {"window": window, "identity": identity, "emotion": emotion, "input_latents": latents, "noise": noise}
        prediction, latents = self._session.run(["prediction", "output_latents"], feed)
        return prediction, latents


def _check_tensors(session: onnxruntime.InferenceSession, info: DiffusionInfo, path: Path) -> None:
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
