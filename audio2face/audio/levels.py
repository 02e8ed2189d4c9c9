"""Measures recordings in blocks, for the dataset checks: their level, clipping, and what each channel carries.

Speech is detected by its level, which varies by the syllable; the level of hum, noise, time code and silence is steady.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.audio.reading import BLOCK_SAMPLES, read_header, sample_blocks
from audio2face.audio.track import QUIET_PEAK, Track
from audio2face.types import Float32Array, Float64Array

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


_LEVELS_PER_SECOND = 50
_CANCELLED = 0.5  # of the level that a mix of uncorrelated channels would have
_QUIET_DB = -50.0  # relative to full scale: below the level of recorded speech
_WEAK_DB = 25.0  # below the loudest channel: the level of crosstalk
_SPEECH_RANGE_DB = 12.0  # between loud and soft passages
_ALIKE = 0.5  # correlation of channels with the same content


@dataclass(frozen=True)
class Channels:
    """Properties of the channels of a recording.

    Attributes:
        count: number of channels.
        level: root mean square of each; full scale is 1.
        has_speech: whether each carries speech.
        cancel: whether they cancel each other when mixed to mono.
        differ: whether two channels carry different speech.
        best: the channel with the most speech, counted from 0.
    """

    count: int
    level: tuple[float, ...]
    has_speech: tuple[bool, ...]
    cancel: bool
    differ: bool
    best: int

    @property
    def voice(self) -> int | None:
        """The channel to use instead of the mix: where channels cancel, or only some of them carry speech."""
        some_silent = any(self.has_speech) and not all(self.has_speech)
        return self.best if self.cancel or some_silent else None


def inspect_channels(path: Path | str) -> Channels:
    """Compares the channels of a recording.

    Raises:
        UserError, FileFormatError: the file cannot be read, as for `sample_blocks`.
    """
    header = read_header(path)
    count = header.num_channels
    if count == 1:
        return Channels(1, (0.0,), (True,), cancel=False, differ=False, best=0)
    hop = max(1, round(header.samplerate / _LEVELS_PER_SECOND))
    products = np.zeros((count, count))
    levels: list[Float64Array] = []
    rest = np.zeros((0, count), np.float32)
    samples = 0
    for block in sample_blocks(path):
        wide = block.astype(np.float64)
        products += wide.T @ wide
        samples += len(block)
        rest = np.concatenate([rest, block])
        whole = len(rest) // hop
        levels.append(np.square(rest[: whole * hop], dtype=np.float64).reshape(whole, hop, count).mean(axis=1))
        rest = rest[whole * hop :]
    decibels = 10 * np.log10(np.concatenate(levels) + 1e-12) if levels else np.zeros((0, count))
    return _classify(products / max(samples, 1), decibels if len(decibels) else np.full((1, count), -120.0))


def _classify(products: Float64Array, decibels: Float64Array) -> Channels:
    """Classifies channels by mean products `[channels, channels]` and levels over time `[rows, channels]`."""
    count = len(products)
    squares = np.diag(products)
    mixed, unrelated = float(products.sum()) / count**2, float(squares.sum()) / count**2
    soft, loud = np.percentile(decibels, (10, 95), axis=0)
    span = loud - soft
    speaks = (loud > max(_QUIET_DB, float(loud.max()) - _WEAK_DB)) & (span > _SPEECH_RANGE_DB)
    scores = np.where(speaks, loud, loud - 1000)
    related = products / np.sqrt(np.maximum(np.outer(squares, squares), 1e-24))
    return Channels(
        count=count,
        level=tuple(float(value) for value in np.sqrt(squares)),
        has_speech=tuple(bool(value) for value in speaks),
        cancel=unrelated > 10 ** (_QUIET_DB / 10) / count and mixed < _CANCELLED**2 * unrelated,
        differ=bool((np.abs(related[np.ix_(speaks, speaks)]) < _ALIKE).any()),
        best=int(np.argmax(scores)),
    )
