"""Curves over time: their type, the times of frames, and a smooth step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES
from audio2face.geometry.frames import recorded_times

Floats = npt.NDArray[np.float32]
Curves = npt.NDArray[np.float64]


def frame_centres(num_frames: int, fps: float) -> Curves:
    """Returns the times in seconds at which frames are sampled, `[frames]`: (i + 0.5) / fps."""
    return recorded_times(np.arange(num_frames), fps)


def ease(share: Curves) -> Curves:
    """Returns a smooth step: 0 where `share` is below 0, 1 where it is above 1."""
    share = np.clip(share, 0.0, 1.0)
    eased: Curves = share**2 * (3 - 2 * share)
    return eased


__all__ = ["ARKIT_INDEX", "ARKIT_NAMES", "TONGUE_INDEX", "TONGUE_NAMES"]

ARKIT_INDEX: dict[str, int] = {name: index for index, name in enumerate(ARKIT_NAMES)}
TONGUE_INDEX: dict[str, int] = {name: index for index, name in enumerate(TONGUE_NAMES)}
