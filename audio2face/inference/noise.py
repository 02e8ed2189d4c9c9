"""The noise that sampling starts from and adds on the way: seeded or from a file; the same in every window.

`seeded_noise` is a format of ours that anyone can repeat: for step index i, PCG64 of NumPy seeded with [seed, i] draws
float32 standard normal values for all frames of a window in order. Steps are drawn when they are asked for, so that a
process of a thousand steps does not hold a thousand windows of noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.io.arrays import read_npy, require_shape
from audio2face.types import Float32Array

# Noise of a step for a range of frames [start, stop): float32 [stop - start, values]. The index after the last step
# is where sampling starts from; index 0 is never added.
Noise = Callable[[int, int, int], Float32Array]

_STEPS_KEPT = 4  # windows of noise held at once; the usual two steps need three


def seeded_noise(seed: int, frames: int, values: int) -> Noise:
    """Noise of a window, see the top of the module.

    Args:
        seed: 0 or above.
        frames: frames of a window.
        values: values of a frame.
    """

    @lru_cache(maxsize=_STEPS_KEPT)
    def window(index: int) -> Float32Array:
        return np.random.default_rng([seed, index]).standard_normal((frames, values), np.float32)

    return lambda index, start, stop: window(index)[start:stop]


def read_noise(path: Path, steps: int, values: int) -> tuple[Noise, int]:
    """Noise from a `.npy` file `[1, steps + 1, frames, values]`, read as it is needed.

    Returns:
        The noise, and the number of frames that there are.

    Raises:
        UserError: the file is missing, or (FileFormatError) holds something else.
    """
    array = read_npy(path)
    require_shape(path, array.shape, array.dtype, (1, steps + 1, None, values))

    def read(index: int, start: int, stop: int) -> Float32Array:
        block = np.array(array[0, index, start:stop], np.float32)
        if not np.isfinite(block).all():
            raise FileFormatError(f"holds NaN or infinity at step {index}, frames {start} to {stop - 1}", path=path)
        return block

    return read, array.shape[2]


def repeated_noise(noise: Noise, left_context: int, hop: int, lead_in_frames: int) -> Noise:
    """The noise that a stream adds to the frames of a recording, for whoever animates it as a whole.

    Windows all have the same noise, and keep `hop` frames of it after `left_context` others; frame 0 of the recording
    comes `lead_in_frames` frames after the first that is kept.
    """

    def read(index: int, start: int, stop: int) -> Float32Array:
        return noise(index, left_context, left_context + hop)[(np.arange(start, stop) + lead_in_frames) % hop]

    return read
