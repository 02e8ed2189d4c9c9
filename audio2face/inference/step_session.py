"""Session of ONNX Runtime over an exported streaming network: one frame a step, with a state for each track."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from audio2face.inference.sessions import GraphDevice, TrackSettings, open_session
from audio2face.model_folder import DeployedModel, StreamingInfo
from audio2face.model_folder.network_info import open_info_of
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.types import BoolArray, Float32Array


class StreamingTracks:
    """A streaming network, which carries a state from frame to frame.

    Args:
        graph: the network.
        identities: the actor of each track, one-hot `[tracks, identities]`.
    """

    def __init__(self, graph: StreamingSession, identities: Float32Array) -> None:
        self._graph = graph
        self._identities = identities
        self.reset()

    def reset(self) -> None:
        """As `NetworkTracks`."""
        self._state = np.zeros((len(self._identities), self._graph.info.state_size), np.float32)

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """As `NetworkTracks`; only the tracks that are updated are computed."""
        if executed.all():
            frames, self._state = self._graph.run(audio, self._identities, emotion[:, 0], self._state)
            return frames
        frames = np.zeros((len(audio), 1, self._graph.info.values), np.float32)
        own = np.flatnonzero(executed)
        frames[own], self._state[own] = self._graph.run(
            audio[own], self._identities[own], emotion[own, 0], self._state[own]
        )
        return frames


class StreamingSession:
    """The network; stateless between calls.

    Args:
        session: of ONNX Runtime.
        info: inputs and outputs of the network.
    """

    def __init__(self, session: onnxruntime.InferenceSession, info: StreamingInfo) -> None:
        self._session = session
        self.info = info

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> StreamingSession:
        """Loads the network of an exported training run (`<run>/deploy`) or of a deployed folder.

        Raises:
            UserError: there is no such network or device, or (FileFormatError) the folder holds no streaming network.
        """
        info = open_info_of(folder, StreamingInfo)
        return cls(open_session(folder / ONNX_FILE, info, device), info)

    def tracks(self, model: DeployedModel, tracks: Sequence[TrackSettings]) -> StreamingTracks:
        """The network over tracks, each with a state of its own; see `NetworkSession`."""
        identities = np.zeros((len(tracks), len(self.info.identities)), np.float32)
        for row, track in zip(identities, tracks, strict=True):
            row[self.info.identities.index(str(track.actor))] = 1.0
        return StreamingTracks(self, identities)

    def run(
        self, windows: Float32Array, identity: Float32Array, emotion: Float32Array, state: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Animates the next frame of each item of a batch.

        Args:
            windows: audio, `[batch, samples]`.
            identity: the actors, one-hot `[batch, identities]`.
            emotion: `[batch, emotions]`.
            state: what the steps before gave; zeros at first.

        Returns:
            Coefficients of skin and tongue, displacements of the jaw's key points in centimetres, rotations of the eyes
            in degrees, `[batch, 1, values]`; and the state for the next frame.
        """
        feed = {"window": windows, "identity": identity, "emotion": emotion, "state": state}
        frames, after = self._session.run(["result", "next_state"], feed)
        return frames, after
