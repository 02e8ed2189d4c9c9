"""A deployed diffusion network run by ONNX Runtime: one window at a time, memory carried from window to window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from audio2face.errors import FileFormatError
from audio2face.inference.noise import Noise
from audio2face.inference.session import GraphDevice, best_device, open_session
from audio2face.model_folder import DiffusionInfo
from audio2face.model_folder.network_info import INFO_FILE, open_info
from audio2face.model_folder.trt_info import ONNX_FILE

__all__ = ["DiffusionGraph", "GraphDevice", "best_device"]

Float32Array = npt.NDArray[np.float32]


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
        info = open_info(folder)
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
        return cls(open_session(path, info, device), info)

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
