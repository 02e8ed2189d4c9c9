"""What surrounds the network in time: the channel of a recording it is given, and the rate of the frames it gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from audio2face.audio import inspect_channels
from audio2face.console import LOGGER
from audio2face.geometry.frame_times import lerp
from audio2face.inference.executor import NetworkOutput
from audio2face.types import Float32Array


def choose_voice(path: Path) -> int | None:
    """The channel to read alone, counted from 0; None for the mean of all, as training reads them.

    One channel is taken, with a warning, where channels cancel each other or where some carry no speech.

    Raises:
        UserError: the recording cannot be read.
    """
    found = inspect_channels(path)
    if found.voice is not None:
        silent = ", ".join(str(number + 1) for number, speaks in enumerate(found.has_speech) if not speaks)
        why = "its channels cancel each other when mixed" if found.cancel else f"channel {silent} carries no speech"
        LOGGER.warning("%s: %s; channel %d of %d is used alone", path.name, why, found.voice + 1, found.count)
    elif found.differ:
        LOGGER.warning("%s: its channels differ, and their mix is used; keep one if it is the voice", path.name)
    return found.voice


@dataclass(frozen=True, eq=False)
class FrameBlock:
    """Frames of a take that follow each other, float32; see `Animation` for the parts.

    Attributes:
        skin: `[frames, verts, 3]`.
        tongue: `[frames, tongue verts, 3]`.
        jaw: `[frames, 4, 4]`.
        eyes: `[frames, 4]`.
        emotion: `[frames, emotions]`.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    eyes: Float32Array
    emotion: Float32Array

    def __len__(self) -> int:
        return len(self.skin)

    def part(self, frames: slice | list[int]) -> FrameBlock:
        """Some of the frames."""
        return FrameBlock(*(getattr(self, field.name)[frames] for field in fields(self)))

    def joined(self, after: FrameBlock) -> FrameBlock:
        """These frames, then those."""
        pairs = ((getattr(self, field.name), getattr(after, field.name)) for field in fields(self))
        return FrameBlock(*(np.concatenate(pair) for pair in pairs))


class Retimer:
    """Changes the rate of a stream of frames.

    Frame i of the result shows the time `i / fps`. Before the first frame that comes in, and after the last, the face
    stays as it is there.

    Args:
        source_fps: frames per second of what comes in.
        fps: frames per second of what goes out.
        first: number of the first frame that comes in, counted from the start of the recording.
    """

    def __init__(self, source_fps: Fraction, fps: Fraction, first: int = 0) -> None:
        self._step = source_fps / fps
        self._first = first
        self._next = 0  # frame that goes out
        self._known: FrameBlock | None = None  # the frames that came in and are still needed
        self._base = first  # number of the first of them

    def __call__(self, frames: FrameBlock) -> FrameBlock:
        """Takes the next frames in, and gives those that can be told by now."""
        known = frames if self._known is None else self._known.joined(frames)
        last = self._base + len(known) - 1
        ready = max(0, math.floor(last / self._step) + 1 - self._next)
        made = self._make(known, ready)
        needed = min(max(math.floor(self._next * self._step), self._base), last)
        self._known, self._base = known.part(slice(needed - self._base, None)), needed
        return made

    def finish(self, num_frames: int) -> FrameBlock | None:
        """The frames that are left of `num_frames` in total, after the last one came in; None where there are none."""
        missing = num_frames - self._next
        return self._make(self._known, missing) if missing > 0 and self._known is not None else None

    def _make(self, known: FrameBlock, count: int) -> FrameBlock:
        last = self._base + len(known) - 1
        places = [
            min(max((self._next + frame) * self._step, Fraction(self._first)), Fraction(last)) for frame in range(count)
        ]
        self._next += count
        before = [math.floor(place) - self._base for place in places]
        shares = [float(place - math.floor(place)) for place in places]
        if not any(shares):
            return known.part(before)
        after = [min(index + 1, len(known) - 1) for index in before]
        return _between(known.part(before), known.part(after), np.array(shares, np.float32))


class TrackFrames:
    """Turns the network output of one track into frames at the animation's rate.

    Args:
        postprocess: makes the next frames of the face, at the network's rate.
        source_fps: frames per second of the network.
        fps: frames per second of the animation.
        samplerate: samples per second in which timestamps count.
    """

    def __init__(
        self, postprocess: Callable[[NetworkOutput], FrameBlock], source_fps: Fraction, fps: Fraction, samplerate: int
    ) -> None:
        self._postprocess = postprocess
        self._source_fps, self._fps, self._samplerate = source_fps, fps, samplerate
        self._retime: Retimer | None = None

    @property
    def has_started(self) -> bool:
        """Whether any network output came in."""
        return self._retime is not None

    def num_frames(self, num_samples: int) -> int:
        """Frames that cover a recording."""
        return math.ceil(num_samples * self._fps / self._samplerate)

    def __call__(self, output: NetworkOutput) -> FrameBlock:
        """Takes the next network output, and returns the frames that are known by now."""
        if self._retime is None:
            # The number of the first frame follows from its timestamp: where rounding puts a frame before the
            # recording, the executor skips it.
            first = round(output.timestamps[0] * self._source_fps / self._samplerate)
            self._retime = Retimer(self._source_fps, self._fps, first)
        return self._retime(self._postprocess(output))

    def finish(self, num_samples: int) -> FrameBlock | None:
        """The frames that are left of a recording of so many samples; None where there are none."""
        return None if self._retime is None else self._retime.finish(self.num_frames(num_samples))


def _between(one: FrameBlock, other: FrameBlock, share: Float32Array) -> FrameBlock:
    mixed = {field.name: lerp(getattr(one, field.name), getattr(other, field.name), share) for field in fields(one)}
    mixed["jaw"][:, :3, :3] = _turn(one.jaw[:, :3, :3], other.jaw[:, :3, :3], share)
    return FrameBlock(**mixed)


def _turn(one: Float32Array, other: Float32Array, share: Float32Array) -> Float32Array:
    """Rotations between those of two frames, `[frames, 3, 3]`."""
    if not len(one):
        return one
    start, end = Rotation.from_matrix(one), Rotation.from_matrix(other)
    way = (start.inv() * end).as_rotvec() * share[:, None]
    return np.asarray((start * Rotation.from_rotvec(way)).as_matrix(), np.float32)
