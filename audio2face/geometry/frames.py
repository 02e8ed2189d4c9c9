"""Frames of animation as numerical code reads them: blocks of vertices, and the times of frames.

Any object with the interface `PoseReader` is read in blocks, and poses that are not finite are refused. A recorded
frame, and a frame of a network trained on recordings, has the time of its middle: (i + 0.5) / fps. A written frame is
shown from i / fps on, as in players and editing programs: frame 0 starts with the first audio sample. Frames are
counted from 0 in both conventions, so frame numbers of one instant differ by half a frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.types import AnyArray, Float64Array, FloatArray, Int64Array

Item = TypeVar("Item")
BLOCK_BYTES = 64 << 20
_MOST_WORKERS = 4  # each holds a block; more would only wait for memory
MIDDLE = 0.5
"""Time of a recorded frame within its interval, in frames."""


class PoseReader(Protocol):
    """Poses `[frames, verts, 3]` of one shot, read on demand; `PointCache` is one."""

    @property
    def num_frames(self) -> int:
        """Number of frames, at least 1."""

    @property
    def num_verts(self) -> int:
        """Number of vertices of every frame, at least 1."""

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Reads frames `start` up to, not including, `stop`: float32 `[stop - start, verts, 3]`, in `out` if given."""


def blocks_of(count: int, bytes_each: int, block_bytes: int = BLOCK_BYTES) -> Iterator[slice]:
    """Splits `0 .. count` into slices of items of at most `block_bytes` together, at least one item each.

    Args:
        count: number of items.
        bytes_each: size of one item, in bytes.
        block_bytes: maximum size of one block, in bytes.
    """
    step = max(1, block_bytes // max(bytes_each, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def in_threads(work: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Processes all items in a few threads; NumPy releases the interpreter lock while it computes."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_WORKERS)) as pool:
        for _ in pool.map(work, items):
            pass


def read_rows(poses: PoseReader, frames: slice) -> FloatArray:
    """Reads frames as rows `[frames, 3 * verts]` of float32, in a new array."""
    return poses.read(frames.start, frames.stop).reshape(frames.stop - frames.start, -1)


def read_frames(poses: PoseReader, frames: Int64Array, out: AnyArray | None = None) -> AnyArray:
    """Reads frames of any numbers, float32 `[frames, verts, 3]`; adjacent frames are read together.

    Args:
        poses: the shot.
        frames: frame numbers, increasing.
        out: array that is filled and returned, of that shape; None for a new one.
    """
    block = np.empty((len(frames), poses.num_verts, 3), np.float32) if out is None else out
    done = 0
    for run in np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1):
        if len(run):
            poses.read(int(run[0]), int(run[-1]) + 1, out=block[done : done + len(run)])
        done += len(run)
    return block


def check_finite(rows: FloatArray, frames: int | Int64Array) -> None:
    """Refuses frames with a coordinate that is NaN or infinite.

    Args:
        rows: `[frames, coords]`.
        frames: their numbers in the shot `[frames]`, or the number of the first of consecutive frames; for the
            message.

    Raises:
        UserError: names the first such frame.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bad = np.flatnonzero(~np.isfinite(np.einsum("ij,ij->i", rows, rows)))
    if bad.size:
        frame = frames + int(bad[0]) if isinstance(frames, int) else int(frames[bad[0]])
        raise UserError(
            f"frame {frame} holds a coordinate that is not a finite number",
            hint="Export this shot again, or remove it from the list of shots.",
        )


def recorded_times(frames: AnyArray, fps: float | AnyArray) -> Float64Array:
    """Returns the times of recorded frames, in seconds; `fps` may be an array that broadcasts."""
    return np.asarray((frames + MIDDLE) / fps, np.float64)


def written_times(frames: AnyArray, fps: float) -> Float64Array:
    """Returns the times from which written frames are shown, in seconds."""
    return np.asarray(frames / fps, np.float64)


def recorded_indices(times_in_frames: AnyArray) -> Float64Array:
    """Returns the fractional indices of recorded frames at times given in frames of the recording."""
    return np.asarray(times_in_frames - MIDDLE, np.float64)


def interpolate_frames(frames: FloatArray, positions: Float64Array, dtype: npt.DTypeLike = np.float32) -> FloatArray:
    """Returns frames at fractional indices, by linear interpolation.

    Args:
        frames: `[frames, ...]`.
        positions: indices, `[positions]`, each within [0, frames - 1].
        dtype: type of the weights; the result has the wider type of weights and frames.

    Returns:
        `[positions, ...]`.
    """
    lower = np.floor(positions).astype(np.intp)
    upper = np.minimum(lower + 1, len(frames) - 1)
    return lerp(frames[lower], frames[upper], (positions - lower).astype(dtype))


def lerp(start: FloatArray, end: FloatArray, weight: FloatArray) -> FloatArray:
    """Returns `start (1 - weight) + end weight`; weights apply to the leading axes of `start` and `end`."""
    weight = weight.reshape(*weight.shape, *(1,) * (start.ndim - weight.ndim))
    return np.asarray(start * (1 - weight) + end * weight)
