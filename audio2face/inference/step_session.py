"""Session of ONNX Runtime over an exported streaming network: one frame a step, with a state for each track."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

from audio2face.inference.onnx_session import GraphDevice, open_session
from audio2face.inference.sessions import NetworkTracks, TrackSettings, Windows
from audio2face.model_folder import DeployedModel, StreamingInfo
from audio2face.model_folder.network_info import open_info_of
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.types import BoolArray, Float32Array

_ROWS = 16  # of a call, where rows of calls of different lengths are not equal
_LARGEST = 64  # rows of a call for which that is measured


class StreamingTracks:
    """A streaming network, which carries a state from frame to frame.

    Args:
        graph: the network.
        identities: the actor of each track, one-hot `[tracks, identities]`.

    Attributes:
        identities: the same.
        state: of each track, `[tracks, values]`.
    """

    def __init__(self, graph: StreamingSession, identities: Float32Array) -> None:
        self._graph = graph
        self.identities = identities
        self.reset()

    def reset(self) -> None:
        """As `NetworkTracks`."""
        self.state = np.zeros((len(self.identities), self._graph.info.state_size), np.float32)

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """As `NetworkTracks`; only the tracks that are updated are computed."""
        if executed.all():
            frames, self.state = self._graph.run(audio, self.identities, emotion[:, 0], self.state)
            return frames
        frames = np.zeros((len(audio), 1, self._graph.info.values), np.float32)
        own = np.flatnonzero(executed)
        frames[own], self.state[own] = self._graph.run(
            audio[own], self.identities[own], emotion[own, 0], self.state[own]
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

    def run_jointly(self, windows: Sequence[Windows]) -> list[Float32Array]:
        """As `JointSession`: a call costs as much as two to five rows, so that one call for many is faster."""
        tracks = [_tracks(each.network) for each in windows]
        frames, after = self._run_rows(
            np.concatenate([each.audio for each in windows]),
            np.concatenate([each.identities for each in tracks]),
            np.concatenate([each.emotion[:, 0] for each in windows]),
            np.concatenate([each.state for each in tracks]),
        )
        result, start = [], 0
        for each in tracks:
            rows = slice(start, start + len(each.state))
            each.state = after[rows].copy()  # a view would keep the states of all
            result.append(frames[rows])
            start = rows.stop
        return result

    def _run_rows(
        self, windows: Float32Array, identity: Float32Array, emotion: Float32Array, state: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """As `run`, where each row of the results is bit-equal whatever the other rows are, and how many."""
        if self.has_equal_rows:
            return self.run(windows, identity, emotion, state)
        parts = []
        for start in range(0, len(windows), _ROWS):
            rows = [array[start : start + _ROWS] for array in (windows, identity, emotion, state)]
            count = len(rows[0])
            padded = [np.concatenate([row, np.zeros((_ROWS - count, *row.shape[1:]), np.float32)]) for row in rows]
            parts.append([result[:count] for result in self.run(*padded)])
        frames, after = (np.concatenate(results) for results in zip(*parts, strict=True))
        return frames, after

    @cached_property
    def has_equal_rows(self) -> bool:
        """Whether a row's result is the same bits in calls of any length, which depends on the processor; measured."""
        info, random = self.info, np.random.default_rng(0)
        widths = (info.buffer_len, len(info.identities), len(info.emotions), info.state_size)
        rows = [0.1 * random.standard_normal((_LARGEST, width)).astype(np.float32) for width in widths]
        whole = self.run(*(row[:1] for row in rows))
        for count in (2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 24, 33, _LARGEST):
            found = self.run(*(row[:count] for row in rows))
            last = self.run(*(row[count - 1 : count] for row in rows))
            if any(
                not np.array_equal(one, many[place])
                for singles, place in ((whole, 0), (last, count - 1))
                for (one,), many in zip(singles, found, strict=True)
            ):
                return False
        return True


def _tracks(network: NetworkTracks) -> StreamingTracks:
    assert isinstance(network, StreamingTracks)
    return network
