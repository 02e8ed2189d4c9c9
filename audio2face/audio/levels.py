"""Measures the level of recordings and detects clipping, in blocks; used by the dataset checks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.audio.reading import BLOCK_SAMPLES, read_header, sample_blocks
from audio2face.audio.track import QUIET_PEAK, Track
from audio2face.types import Float32Array

# The largest positive value is one step below 1 in integer formats. The step of 16 bits covers all finer formats.
_FULL_SCALE = 1 - 2.0**-15
_FULL_SCALE_8_BIT = 1 - 2.0**-7


@dataclass(frozen=True)
class AudioLevels:
    """Levels of a recording; full scale is 1.

    Attributes:
        peak: largest magnitude of the mono mix.
        rms: root mean square of the mono mix.
        clipped_fraction: share of the samples of all channels that are at or above full scale. Peak normalisation
            puts one sample there; clipping many.
        is_silent: whether the peak is at most `QUIET_PEAK`.
    """

    peak: float
    rms: float
    clipped_fraction: float
    is_silent: bool


def measure_levels(source: Track | Path | str, block: int = BLOCK_SAMPLES) -> AudioLevels:
    """Measures a track, or a file at its own sample rate with bounded memory.

    Args:
        source: the track or file.
        block: samples per block.

    Raises:
        UserError, FileFormatError: the file cannot be read, as for `sample_blocks`.
    """
    peak, squares, clipped, num_samples, num_values = 0.0, 0.0, 0, 0, 0
    full_scale = _FULL_SCALE
    if not isinstance(source, Track) and read_header(source).subtype in ("PCM_U8", "PCM_S8"):
        full_scale = _FULL_SCALE_8_BIT
    for samples in _blocks(source, block):
        mono = samples.mean(axis=1, dtype=np.float64)
        peak = max(peak, float(np.abs(mono).max()))
        squares += float(mono @ mono)
        clipped += int(np.count_nonzero(np.abs(samples) >= full_scale))
        num_samples += len(samples)
        num_values += samples.size
    return AudioLevels(
        peak=peak,
        rms=math.sqrt(squares / max(num_samples, 1)),
        clipped_fraction=clipped / max(num_values, 1),
        is_silent=peak <= QUIET_PEAK,
    )


def _blocks(source: Track | Path | str, block: int) -> Iterator[Float32Array]:
    """Yields blocks of float32 [samples, channels]."""
    if not isinstance(source, Track):
        yield from sample_blocks(source, block)
        return
    for start in range(0, len(source.data), block):
        yield source.data[start : start + block, np.newaxis]
