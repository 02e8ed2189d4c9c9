"""Noise of diffusion sampling, initial and per step: seeded or from a file; the same in every window.

`seeded_noise` is reproducible in other programs: for step index i, NumPy's PCG64 seeded with [seed, i] draws float32
standard normal values for all frames of a window in order. Steps are drawn lazily, so a process of a thousand steps
does not keep a thousand windows of noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.io.arrays import read_npy, require_shape
from audio2face.types import Float32Array

# Noise of a step for a range of frames [start, stop): float32 [stop - start, channels]. The index after the last step
# is the initial noise; index 0 is never added.
Noise = Callable[[int, int, int], Float32Array]

_STEPS_KEPT = 4  # cached windows of noise; the usual two steps need three


def seeded_noise(seed: int, frames: int, values: int) -> Noise:
    """Reproducible noise of a window; for step index i, PCG64 is seeded with [seed, i].

    Args:
        seed: 0 or above.
        frames: frames of a window.
        values: channels of a frame.
    """

    @lru_cache(maxsize=_STEPS_KEPT)
    def window(index: int) -> Float32Array:
        return np.random.default_rng([seed, index]).standard_normal((frames, values), np.float32)

    return lambda index, start, stop: window(index)[start:stop]


def read_noise(path: Path, steps: int, values: int) -> tuple[Noise, int]:
    """Noise from a `.npy` file `[1, steps + 1, frames, values]`, read on demand.

    Returns:
        The noise, and its number of frames.

    Raises:
        UserError: the file is missing, or (FileFormatError) has another shape or type.
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
    """The noise of a windowed stream for the frames of a whole recording, to sample it at once with equal results.

    All windows have the same noise, and keep `hop` frames of it after `left_context` context frames; frame 0 of the
    recording comes `lead_in_frames` frames after the first one that is kept.
    """

    def read(index: int, start: int, stop: int) -> Float32Array:
        return noise(index, left_context, left_context + hop)[(np.arange(start, stop) + lead_in_frames) % hop]

    return read
