"""A whole recording animated window by window: by an exported network, or by the network of a training run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from audio2face.audio import Track
from audio2face.inference.noise import Noise
from audio2face.inference.sessions import DiffusionSession, DiffusionTracks
from audio2face.models.windows import WindowSchedule
from audio2face.types import Float32Array

# Animates the next windows, float32 audio [windows, samples], to the frames that are kept of them, float32
# [windows * hop, values]. It carries what the network remembers from window to window.
WindowStep = Callable[[Float32Array], Float32Array]


def animate_windows(
    schedule: WindowSchedule, track: Track, step: WindowStep, batch_size: int = 1
) -> Iterator[Float32Array]:
    """Animates a recording; what lies outside of it sounds silent.

    Args:
        schedule: the windows.
        track: the recording, at the schedule's sample rate.
        step: animates windows.
        batch_size: windows of a call; 1 for a network that remembers the window before.

    Yields:
        Frames `[up to batch_size * hop, values]`, `schedule.num_frames` in total, the first at the start of the
        recording.
    """
    num_frames = schedule.num_frames(len(track.data))
    num_windows = schedule.num_windows(num_frames)
    for start in range(0, num_windows, batch_size):
        windows = range(start, min(start + batch_size, num_windows))
        audio = np.stack([track.read(schedule.first_sample(window), schedule.end_sample(window)) for window in windows])
        frames = step(audio)
        first = start * schedule.hop - schedule.lead_in_frames  # number of the first of them in the animation
        kept = frames[max(0, -first) : max(0, num_frames - first)]
        if len(kept):
            yield kept


class StreamingSession:
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
