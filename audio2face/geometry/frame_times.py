"""When a frame is: the two conventions, stated once.

A frame of a recording, and of a network that was trained on it, stands for the middle of its time: (i + 0.5) / fps. A
frame that is written is shown from i / fps on, as every player and program counts: frame 0 with the first sample of the
sound. Frames are counted from 0 in both. The same instant therefore has numbers that differ by half a frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.types import Float64Array

MIDDLE = 0.5
"""Where in its own time a recorded frame stands, in frames."""


def recorded_times(frames: npt.NDArray[Any], fps: float | npt.NDArray[Any]) -> Float64Array:
    """Seconds at which recorded frames stand; `fps` may be an array that broadcasts."""
    return np.asarray((frames + MIDDLE) / fps, np.float64)


def written_times(frames: npt.NDArray[Any], fps: float) -> Float64Array:
    """Seconds from which written frames are shown."""
    return np.asarray(frames / fps, np.float64)


def recorded_places(times_in_frames: npt.NDArray[Any]) -> Float64Array:
    """Which recorded frames, with fractions, stand at times that are given in frames of the recording."""
    return np.asarray(times_in_frames - MIDDLE, np.float64)
