"""Samples a bounded number of frames of a shot during the single pass over all frames."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from audio2face.animation.rigid import fit_rigid
from audio2face.types import Float32Array, Int64Array

_MOST_FRAMES = 24  # of one shot
_MOST_FRAMES_IN_ALL = 4000
_FEWEST_FRAMES = 4
_ALIGNED_ON = 200  # vertices
_MOST_TRACKED = 400  # vertices: some dozens of them at the mouth
_STEADY = 0.25  # of a shift of the whole shot
_HEAD_MOVES = 0.01  # of the mesh's size: more than speech moves the centre of a face


def frames_per_shot(num_shots: int) -> int:
    """Returns the number of frames to sample of each shot, so that memory is independent of the number of shots."""
    return int(np.clip(_MOST_FRAMES_IN_ALL // max(num_shots, 1), _FEWEST_FRAMES, _MOST_FRAMES))


@dataclass
class FrameSample:
    """Samples evenly spaced frames of a shot.

    Attributes:
        num_frames: frames of the shot.
        most: maximum number of sampled frames.
    """

    num_frames: int
    most: int
    _frames: list[Float32Array] = field(default_factory=list)
    _numbers: list[Int64Array] = field(default_factory=list)

    def feed(self, block: Float32Array, numbers: Int64Array) -> None:
        """Samples a block `[frames, verts, 3]` with these frame numbers `[frames]`."""
        step = max(1, math.ceil(self.num_frames / self.most))
        rows = np.flatnonzero(numbers % step == step // 2)
        if len(rows):
            self._frames.append(block[rows])
            self._numbers.append(numbers[rows])

    def take(self) -> SampledShot | None:
        """Returns and releases the sample; None without frames."""
        if not self._frames:
            return None
        taken = SampledShot(np.concatenate(self._frames), np.concatenate(self._numbers))
        self._frames, self._numbers = [], []
        return taken


@dataclass(frozen=True)
class SampledShot:
    """Sampled frames of a shot.

    Attributes:
        frames: float32 `[frames, verts, 3]`.
        numbers: their numbers in the shot, `[frames]`.
    """

    frames: Float32Array
    numbers: Int64Array

    def steadied(self) -> Float32Array:
        """Returns the frames without the head's rigid motion, if that is significant, `[frames, verts, 3]`."""
        chosen = np.unique(np.linspace(0, self.frames.shape[1] - 1, _ALIGNED_ON).astype(np.int64))
        centres = self.frames[:, chosen].mean(axis=1)
        size = float(np.linalg.norm(np.ptp(self.frames[0], axis=0)))
        if len(self.frames) < 2 or float(centres.std(axis=0).max()) <= _HEAD_MOVES * size:
            return self.frames
        motion = fit_rigid(self.frames[:, chosen], self.frames[0, chosen])
        return motion.apply(self.frames).astype(np.float32)

    def stands_at(self, distance: float) -> bool:
        """Returns whether the mesh moves so little that a shift by this distance affects the whole shot."""
        centres = self.frames.mean(axis=1)
        return bool(np.linalg.norm(centres.std(axis=0)) < _STEADY * distance)

    def halves(self) -> tuple[SampledShot, ...]:
        """Returns the two halves of the shot; empty for a shot of few frames."""
        middle = len(self.frames) // 2
        if middle < _FEWEST_FRAMES:
            return ()
        parts = (slice(None, middle), slice(middle, None))
        return tuple(SampledShot(self.frames[part], self.numbers[part]) for part in parts)


@dataclass
class Tracks:
    """Positions of some vertices of a part in the sampled frames of every shot.

    Attributes:
        verts: numbers of the vertices `[points]`.
        shots: by shot, the numbers of the frames `[frames]` and the positions, float32 `[frames, points, 3]`.
    """

    verts: Int64Array
    shots: dict[str, tuple[Int64Array, Float32Array]] = field(default_factory=dict)

    @classmethod
    def spread(cls, num_verts: int) -> Tracks:
        """Creates tracks of vertices spread evenly over the list of vertices."""
        return cls(np.unique(np.linspace(0, num_verts - 1, min(num_verts, _MOST_TRACKED)).astype(np.int64)))

    def add(self, shot: str, sample: SampledShot) -> None:
        """Adds the tracked vertices of one shot."""
        self.shots[shot] = sample.numbers, sample.frames[:, self.verts]

    def without(self, shots: Collection[str]) -> Tracks:
        """Returns the tracks of all other shots."""
        return Tracks(self.verts, {shot: track for shot, track in self.shots.items() if shot not in shots})
