"""Sessions of ONNX Runtime over exported networks, whose tensors have been checked; one class for each family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import onnxruntime

from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.noise import Noise, seeded_noise
from audio2face.inference.onnx_session import GraphDevice, open_session
from audio2face.model_folder import DeployedModel, DiffusionInfo, RegressionInfo
from audio2face.model_folder.network_info import open_info_of
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.types import BoolArray, Float32Array


class NetworkTracks(Protocol):
    """Animates the next window of each track."""

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """Animates a window of each track; every call takes all tracks.

        Args:
            audio: `[tracks, samples]`.
            emotion: `[tracks, hop, emotions]`.
            executed: mask of the tracks to update, `[tracks]`; the state of the others stays unchanged.

        Returns:
            The frames of the windows, `[tracks, hop, values]`.
        """
        ...

    def reset(self) -> None:
        """Forgets all tracks."""
        ...


class Windows(NamedTuple):
    """What a network takes for the next window of each track.

    Attributes:
        network: it, with the state of the tracks.
        audio: `[tracks, samples]`.
        emotion: `[tracks, hop, emotions]`.
        executed: mask of the tracks that have a window, `[tracks]`.
    """

    network: NetworkTracks
    audio: Float32Array
    emotion: Float32Array
    executed: BoolArray


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Settings of one track.

    Attributes:
        emotion: the emotion over time; its keys count samples of the network's rate.
        actor: the actor; None where the model has only one.
        gain: what the sound is multiplied by; None for the model's own: `input_strength` where the network applies it
            (`NetworkInfo.applies_input_strength`), else 1.
        seed: of the noise of a network that takes noise, see `noise.seeded_noise`.
        noise: noise of a window, in place of the seed.
        guard: how far the mouth is held at rest where nobody speaks, 0 to 1 (`mouth_guard`).
    """

    emotion: EmotionCurve
    actor: str | None = None
    gain: float | None = None
    seed: int = 0
    noise: Noise | None = None
    guard: float = 0.0


class NetworkSession(Protocol):
    """An exported network of any family, loaded; stateless between calls."""

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> Self:
        """Loads the network of an exported training run (`<run>/deploy`) or of a deployed folder.

        Raises:
            UserError: there is no such network or device, or (FileFormatError) the folder holds one of another family.
        """
        ...

    def tracks(self, model: DeployedModel, tracks: Sequence[TrackSettings]) -> NetworkTracks:
        """The network over tracks, with the state of each track.

        Args:
            model: the deployed folder.
            tracks: the settings of each, its actor named.

        Raises:
            UserError: the folder lacks something that the network takes.
        """
        ...


@runtime_checkable
class JointSession(Protocol):
    """A network that animates windows of several executors in one call, where that is faster."""

    def run_jointly(self, windows: Sequence[Windows]) -> list[Float32Array]:
        """Animates windows, all of whose tracks are executed.

        Returns:
            The frames of each, `[tracks, hop, values]`, bit-equal whatever the other windows are.
        """
        ...


def run_windows(graph: NetworkSession, windows: Sequence[Windows]) -> list[Float32Array]:
    """Animates windows of several executors of a network, in one call where it is a `JointSession`.

    Returns:
        The frames of each, `[tracks, hop, values]`.
    """
    if isinstance(graph, JointSession):
        return graph.run_jointly(windows)
    return [each.network.run(each.audio, each.emotion, each.executed) for each in windows]


def open_graph(model: DeployedModel, device: GraphDevice = "cpu") -> NetworkSession:
    """Loads the network of a deployed folder.

    Raises:
        UserError: there is none, it cannot be loaded, or the device is not there.
    """
    session: type[NetworkSession] = resolve(FAMILIES[model.info.type].session)
    return session.open(model.folder, device)


class DiffusionTracks:
    """A diffusion network: it carries the hidden state between windows, and all windows have the same noise.

    Args:
        graph: the network.
        identities: the actor of each track, one-hot `[tracks, identities]`.
        noises: of a window, for each track.
    """

    def __init__(self, graph: DiffusionSession, identities: Float32Array, noises: Sequence[Noise]) -> None:
        left = graph.info.num_frames_left_truncate
        self._graph = graph
        self._identities = identities
        self._noise = np.concatenate([graph.window_noise(noise) for noise in noises])
        self._kept = slice(left, left + graph.info.num_frames_center)
        self.reset()

    def reset(self) -> None:
        """As `NetworkTracks`."""
        self._hidden_state = self._graph.initial_hidden_state(len(self._identities))

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """As `NetworkTracks`."""
        prediction, hidden_state = self._graph.run(audio, self._identities, emotion, self._hidden_state, self._noise)
        self._hidden_state[:, :, executed] = hidden_state[:, :, executed]
        kept: Float32Array = prediction[:, self._kept]
        return kept


class RegressionTracks:
    """A regression network, which is stateless.

    Args:
        graph: the network.
        implicit: the implicit emotion of all tracks, `[implicit emotions]`.
    """

    def __init__(self, graph: RegressionSession, implicit: Float32Array) -> None:
        self._graph = graph
        self._implicit = implicit

    def reset(self) -> None:
        """As `NetworkTracks`."""

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """As `NetworkTracks`; the network gives one frame a window."""
        implicit = np.broadcast_to(self._implicit, (len(audio), len(self._implicit)))
        values = self._graph.run(audio, np.concatenate([implicit, emotion[:, 0]], axis=1))
        frames: Float32Array = values[:, None]
        return frames


class DiffusionStream:
    """Animates one recording with an exported diffusion network, window after window.

    Args:
        graph: the network.
        identity: float32 `[identities]`.
        emotion: float32 `[emotions]`.
        noise: of a window.
    """

    def __init__(self, graph: DiffusionSession, identity: Float32Array, emotion: Float32Array, noise: Noise) -> None:
        self._tracks = DiffusionTracks(graph, identity[None], [noise])
        self._emotion = np.tile(emotion, (1, graph.info.num_frames_center, 1))

    def __call__(self, window: Float32Array) -> Float32Array:
        """The frames kept of the next window: audio `[1, samples]` to displacements `[hop, values]`, float32."""
        frames: Float32Array = self._tracks.run(window, self._emotion, np.ones(1, np.bool_))[0]
        return frames


class DiffusionSession:
    """The network; stateless between calls.

    Args:
        session: of ONNX Runtime.
        info: inputs and outputs of the network.
    """

    def __init__(self, session: onnxruntime.InferenceSession, info: DiffusionInfo) -> None:
        self._session = session
        self.info = info

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> DiffusionSession:
        """Loads the network of an exported training run (`<run>/deploy`) or of a deployed folder.

        Raises:
            UserError: as `load`, or (FileFormatError) the folder describes no diffusion network.
        """
        return cls.load(folder / ONNX_FILE, open_info_of(folder, DiffusionInfo), device)

    @classmethod
    def load(cls, path: Path, info: DiffusionInfo, device: GraphDevice = "cpu") -> DiffusionSession:
        """Loads a graph.

        Args:
            path: `network.onnx`.
            info: its `network_info.json`.
            device: what it runs on.

        Raises:
            UserError: there is no such file or device, or (FileFormatError) the file is no such graph.
        """
        return cls(open_session(path, info, device), info)

    def tracks(self, model: DeployedModel, tracks: Sequence[TrackSettings]) -> DiffusionTracks:
        """The network over tracks, each with a state of its own; see `NetworkSession`."""
        info = self.info
        identities = np.zeros((len(tracks), len(info.identities)), np.float32)
        for row, track in zip(identities, tracks, strict=True):
            row[info.identities.index(str(track.actor))] = 1.0
        noises = [track.noise or seeded_noise(track.seed, info.frames, info.values) for track in tracks]
        return DiffusionTracks(self, identities, noises)

    def initial_hidden_state(self, batch: int = 1) -> Float32Array:
        """The hidden state at the start of a stream, `[steps, layers, batch, gru_latent_dim]`."""
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
        hidden_state: Float32Array,
        noise: Float32Array,
    ) -> tuple[Float32Array, Float32Array]:
        """Animates one window of each item of a batch.

        Args:
            window: audio `[batch, samples]`.
            identity: `[batch, identities]`.
            emotion: for each frame that is kept, `[batch, hop, emotions]`.
            hidden_state: what the windows before gave; at first `initial_hidden_state`.
            noise: `[batch, steps + 1, frames, values]`.

        Returns:
            Offsets from the neutral pose `[batch, frames, values]`, zero outside the frames that are kept, and
            the hidden state for the next window.
        """
        feed = {
            "window": window,
            "identity": identity,
            "emotion": emotion,
            "input_latents": hidden_state,
            "noise": noise,
        }
        prediction, hidden_state = self._session.run(["prediction", "output_latents"], feed)
        return prediction, hidden_state


class RegressionSession:
    """The network.

    Args:
        session: of ONNX Runtime.
        info: inputs and outputs of the network.
    """

    def __init__(self, session: onnxruntime.InferenceSession, info: RegressionInfo) -> None:
        self._session = session
        self.info = info

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> RegressionSession:
        """Loads the network of an exported training run (`<run>/deploy`) or of a deployed folder.

        Raises:
            UserError: there is no such network or device, or (FileFormatError) the folder holds no regression network.
        """
        info = open_info_of(folder, RegressionInfo)
        return cls(open_session(folder / ONNX_FILE, info, device), info)

    def tracks(self, model: DeployedModel, tracks: Sequence[TrackSettings]) -> RegressionTracks:
        """The network over tracks, which all speak in the model's implicit emotion; see `NetworkSession`."""
        implicit = model.implicit_emotion
        if implicit is None:
            raise UserError("has no implicit emotion", path=model.folder, hint="Deploy it once more.")
        return RegressionTracks(self, implicit)

    def run(self, windows: Float32Array, emotion: Float32Array) -> Float32Array:
        """Animates independent windows.

        Args:
            windows: audio, times `input_strength`, `[batch, samples]`.
            emotion: implicit emotion, then explicit, `[batch, implicit + explicit]`.

        Returns:
            `[batch, values]`: coefficients of skin and tongue, displacements of the jaw's key points in centimetres,
            rotations of the eyes in degrees.
        """
        result: Float32Array = self._session.run(["result"], {"input": windows[:, None], "emotion": emotion[:, None]})[
            0
        ]
        return result[:, 0]
