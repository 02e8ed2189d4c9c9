"""A network with what it remembers of each track of a batch: as the executor runs it, whichever type it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from audio2face.inference.diffusion_graph import DiffusionGraph
from audio2face.inference.noise import Noise
from audio2face.inference.regression_graph import RegressionGraph

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


class NetworkBatch(Protocol):
    """Animates the next window of each track."""

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """Animates a window of each track; every call takes all tracks.

        Args:
            audio: `[tracks, samples]`.
            emotion: `[tracks, block, emotions]`.
            executed: which tracks go on, `[tracks]`; nothing is remembered of the others.

        Returns:
            The frames of the windows, `[tracks, block, values]`.
        """
        ...

    def reset(self) -> None:
        """Forgets all tracks."""
        ...


class DiffusionBatch:
    """A diffusion network: its memory goes from window to window, its noise is the same in all.

    Args:
        graph: the network.
        identities: whose face each track has, `[tracks, identities]`.
        noises: of a window, for each track.
    """

    def __init__(self, graph: DiffusionGraph, identities: Float32Array, noises: Sequence[Noise]) -> None:
        left = graph.info.num_frames_left_truncate
        self._graph = graph
        self._identities = identities
        self._noise = np.concatenate([graph.window_noise(noise) for noise in noises])
        self._kept = slice(left, left + graph.info.num_frames_center)
        self.reset()

    def reset(self) -> None:
        """As `NetworkBatch`."""
        self._latents = self._graph.zero_latents(len(self._identities))

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """As `NetworkBatch`."""
        prediction, latents = self._graph.run(audio, self._identities, emotion, self._latents, self._noise)
        self._latents[:, :, executed] = latents[:, :, executed]
        kept: Float32Array = prediction[:, self._kept]
        return kept


class RegressionBatch:
    """A regression network, which remembers nothing.

    Args:
        graph: the network.
        implicit: the implicit emotion of all tracks, `[implicit emotions]`.
    """

    def __init__(self, graph: RegressionGraph, implicit: Float32Array) -> None:
        self._graph = graph
        self._implicit = implicit

    def reset(self) -> None:
        """As `NetworkBatch`."""

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        """As `NetworkBatch`; the network gives one frame a window."""
        implicit = np.broadcast_to(self._implicit, (len(audio), len(self._implicit)))
        values = self._graph.run(audio, np.concatenate([implicit, emotion[:, 0]], axis=1))
        frames: Float32Array = values[:, None]
        return frames


class GraphStream:
    """Animates one recording with an exported diffusion network, window after window.

    Args:
        graph: the network.
        identity: `[identities]`.
        emotion: `[emotions]`.
        noise: of a window.
    """

    def __init__(self, graph: DiffusionGraph, identity: Float32Array, emotion: Float32Array, noise: Noise) -> None:
        self._batch = DiffusionBatch(graph, identity[None], [noise])
        self._emotion = np.tile(emotion, (1, graph.info.num_frames_center, 1))

    def __call__(self, window: Float32Array) -> Float32Array:
        """The frames kept of the next window: audio `[samples]` to displacements `[block, values]`."""
        frames: Float32Array = self._batch.run(window[None], self._emotion, np.ones(1, np.bool_))[0]
        return frames
