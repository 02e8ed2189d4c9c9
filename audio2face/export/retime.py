"""Animated frames at another rate: straight lines between neighbours, turns along the shortest way."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TakeFrames:
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

    def part(self, frames: slice | list[int]) -> TakeFrames:
        """Some of the frames."""
        return TakeFrames(*(getattr(self, field.name)[frames] for field in fields(self)))

    def joined(self, after: TakeFrames) -> TakeFrames:
        """These frames, then those."""
        pairs = ((getattr(self, field.name), getattr(after, field.name)) for field in fields(self))
        return TakeFrames(*(np.concatenate(pair) for pair in pairs))


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
        self._known: TakeFrames | None = None  # the frames that came in and are still needed
        self._base = first  # number of the first of them

    def __call__(self, frames: TakeFrames) -> TakeFrames:
        """Takes the next frames in, and gives those that can be told by now."""
        known = frames if self._known is None else self._known.joined(frames)
        last = self._base + len(known) - 1
        ready = max(0, math.floor(last / self._step) + 1 - self._next)
        made = self._make(known, ready)
        needed = min(max(math.floor(self._next * self._step), self._base), last)
        self._known, self._base = known.part(slice(needed - self._base, None)), needed
        return made

    def finish(self, num_frames: int) -> TakeFrames | None:
        """The frames that are left of `num_frames` in total, after the last one came in; None where there are none."""
        missing = num_frames - self._next
        return self._make(self._known, missing) if missing > 0 and self._known is not None else None

    def _make(self, known: TakeFrames, count: int) -> TakeFrames:
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


def _between(one: TakeFrames, other: TakeFrames, share: Float32Array) -> TakeFrames:
    mixed = {field.name: _line(getattr(one, field.name), getattr(other, field.name), share) for field in fields(one)}
    mixed["jaw"][:, :3, :3] = _turn(one.jaw[:, :3, :3], other.jaw[:, :3, :3], share)
    return TakeFrames(**mixed)


def _line(one: Float32Array, other: Float32Array, share: Float32Array) -> Float32Array:
    weight = share.reshape(-1, *[1] * (one.ndim - 1))
    return one * (1 - weight) + other * weight


def _turn(one: Float32Array, other: Float32Array, share: Float32Array) -> Float32Array:
    """Rotations between those of two frames, `[frames, 3, 3]`."""
    if not len(one):
        return one
    start, end = Rotation.from_matrix(one), Rotation.from_matrix(other)
    way = (start.inv() * end).as_rotvec() * share[:, None]
    return np.asarray((start * Rotation.from_rotvec(way)).as_matrix(), np.float32)
