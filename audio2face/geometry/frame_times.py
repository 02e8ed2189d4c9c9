"""Times of frames: defines the two conventions, converts between them, and interpolates frames.

A recorded frame, and a frame of a network trained on recordings, has the time of its middle: (i + 0.5) / fps. A written
frame is shown from i / fps on, as in players and editing programs: frame 0 starts with the first audio sample. Frames
are counted from 0 in both conventions, so frame numbers of one instant differ by half a frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio2face.types import AnyArray, Float64Array, FloatArray

MIDDLE = 0.5
"""Time of a recorded frame within its interval, in frames."""


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
