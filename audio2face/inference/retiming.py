"""Frame blocks, their resampling to the animation's rate, and the channel of a recording that is used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from audio2face.audio import inspect_channels
from audio2face.console import LOGGER
from audio2face.geometry.frames import lerp
from audio2face.inference.executor import NetworkOutput
from audio2face.types import Float32Array


def choose_voice(path: Path) -> int | None:
    """The channel to use alone, counted from 0; None for the mean of all channels, as in training.

    A single channel is used, with a warning, if channels cancel each other or some carry no speech.

    Raises:
        UserError: the recording cannot be read.
    """
    found = inspect_channels(path)
    if found.voice is not None:
        silent = ", ".join(str(number + 1) for number, has_speech in enumerate(found.has_speech) if not has_speech)
        reason = "its channels cancel each other when mixed" if found.cancel else f"channel {silent} carries no speech"
        LOGGER.warning("%s: %s; channel %d of %d is used alone", path.name, reason, found.voice + 1, found.count)
    elif found.differ:
        LOGGER.warning("%s: its channels differ, and their mix is used; keep one if it is the voice", path.name)
    return found.voice


@dataclass(frozen=True, eq=False)
class FrameBlock:
    """Consecutive frames of an animation, float32.

    Attributes:
        skin: `[frames, verts, 3]`.
        tongue: `[frames, tongue verts, 3]`.
        jaw: `[frames, 4, 4]`.
        eyes: `[frames, 4]`.
        emotion: `[frames, emotions]`.
        skin_weights: weights that pose the skin, `[frames, shapes]`; None where no blend shapes do.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    eyes: Float32Array
    emotion: Float32Array
    skin_weights: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.skin)

    @property
    def arrays(self) -> dict[str, Float32Array]:
        """The arrays that there are, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}

    def select(self, frames: slice | list[int]) -> FrameBlock:
        """A subset of the frames."""
        return FrameBlock(**{name: array[frames] for name, array in self.arrays.items()})

    def concatenate(self, after: FrameBlock) -> FrameBlock:
        """These frames followed by others."""
        return FrameBlock(**{name: np.concatenate([one, after.arrays[name]]) for name, one in self.arrays.items()})

    def mixed(self, other: FrameBlock, share: Float32Array) -> FrameBlock:
        """Frames between these and others: `share` 0 gives these, 1 the others, `[frames]`."""
        mixed = {name: lerp(array, other.arrays[name], share) for name, array in self.arrays.items()}
        mixed["jaw"][:, :3, :3] = _slerp(self.jaw[:, :3, :3], other.jaw[:, :3, :3], share)
        return FrameBlock(**mixed)


class Retimable(Protocol):
    """A block of frames that can be resampled, with the methods of `FrameBlock`."""

    def __len__(self) -> int: ...

    def select(self, frames: slice | list[int]) -> Self: ...

    def concatenate(self, after: Self) -> Self: ...

    def mixed(self, other: Self, share: Float32Array) -> Self: ...


Block = TypeVar("Block", bound=Retimable)


class Retimer(Generic[Block]):
    """Resamples a stream of frames linearly to another rate.

    Output frame i is at the time `i / fps`. The face is constant before the first input frame and after the last.

    Args:
        source_fps: input frames per second.
        fps: output frames per second.
        first: index of the first input frame, counted from the start of the recording.
    """

    def __init__(self, source_fps: Fraction, fps: Fraction, first: int = 0) -> None:
        self._step = source_fps / fps
        self._first = first
        self._next = 0  # next output frame
        self._buffer: Block | None = None  # input frames that are still needed
        self._base = first  # index of the first of them

    def __call__(self, frames: Block) -> Block:
        """Adds input frames, and returns the output frames that they determine."""
        if self._step == 1 and self._next == self._base + (0 if self._buffer is None else 1) and len(frames):
            self._base, self._next = self._next + len(frames) - 1, self._next + len(frames)
            self._buffer = frames.select(slice(-1, None))
            return frames
        buffer = frames if self._buffer is None else self._buffer.concatenate(frames)
        last = self._base + len(buffer) - 1
        ready = max(0, math.floor(last / self._step) + 1 - self._next)
        output = self._interpolate(buffer, ready)
        needed = min(max(math.floor(self._next * self._step), self._base), last)
        self._buffer, self._base = buffer.select(slice(needed - self._base, None)), needed
        return output

    def finish(self, num_frames: int) -> Block | None:
        """The remaining output frames of `num_frames` in total, after the last input; None if there are none."""
        missing = num_frames - self._next
        return self._interpolate(self._buffer, missing) if missing > 0 and self._buffer is not None else None

    def _interpolate(self, buffer: Block, count: int) -> Block:
        last = self._base + len(buffer) - 1
        positions = [
            min(max((self._next + frame) * self._step, Fraction(self._first)), Fraction(last)) for frame in range(count)
        ]
        self._next += count
        before = [math.floor(position) - self._base for position in positions]
        shares = [float(position - math.floor(position)) for position in positions]
        if not any(shares):
            return buffer.select(before)
        after = [min(index + 1, len(buffer) - 1) for index in before]
        return buffer.select(before).mixed(buffer.select(after), np.array(shares, np.float32))


class TrackFrames(Generic[Block]):
    """Converts the network output of one track to frames at the animation's rate.

    Args:
        postprocess: converts network output to frames of the face, at the network's rate.
        source_fps: frames per second of the network.
        fps: frames per second of the animation.
        samplerate: samples per second of timestamps.
    """

    def __init__(
        self, postprocess: Callable[[NetworkOutput], Block], source_fps: Fraction, fps: Fraction, samplerate: int
    ) -> None:
        self._postprocess = postprocess
        self._source_fps, self._fps, self._samplerate = source_fps, fps, samplerate
        self._retime: Retimer[Block] | None = None

    @property
    def has_started(self) -> bool:
        """Whether there was any network output."""
        return self._retime is not None

    def num_frames(self, num_samples: int) -> int:
        """Number of frames that cover a recording."""
        return math.ceil(num_samples * self._fps / self._samplerate)

    def __call__(self, output: NetworkOutput) -> Block:
        """Adds network output, and returns the frames that it determines."""
        if self._retime is None:
            # The index of the first frame follows from its timestamp: the executor skips frames that rounding puts
            # before the recording.
            first = round(output.timestamps[0] * self._source_fps / self._samplerate)
            self._retime = Retimer(self._source_fps, self._fps, first)
        return self._retime(self._postprocess(output))

    def finish(self, num_samples: int) -> Block | None:
        """The remaining frames of a recording of `num_samples` samples; None if there are none."""
        return None if self._retime is None else self._retime.finish(self.num_frames(num_samples))


def _slerp(one: Float32Array, other: Float32Array, share: Float32Array) -> Float32Array:
    """Spherical interpolation of rotations, `[frames, 3, 3]`."""
    if not len(one):
        return one
    from scipy.spatial.transform import Rotation  # loads in a fifth of a second

    start, end = Rotation.from_matrix(one), Rotation.from_matrix(other)
    way = (start.inv() * end).as_rotvec() * share[:, None]
    return np.asarray((start * Rotation.from_rotvec(way)).as_matrix(), np.float32)
