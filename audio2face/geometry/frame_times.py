"""Times of frames: defines the two conventions and converts between them.

A recorded frame, and a frame of a network trained on recordings, has the time of its middle: (i + 0.5) / fps. A written
frame is shown from i / fps on, as in players and editing programs: frame 0 starts with the first audio sample. Frames
are counted from 0 in both conventions, so frame numbers of one instant differ by half a frame.
"""

from __future__ import annotations

import numpy as np

from audio2face.types import AnyArray, Float64Array

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
