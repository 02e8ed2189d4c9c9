"""What a recording sounds like over time: energies in a few bands, fifty times a second.

Made in blocks, so that a recording of hours takes a few megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.audio import read_header, sample_blocks
from audio2face.dataset.arrays import Float32Array

_RATE = 50  # rows of features per second, as nearly as whole samples allow
_EDGES = (80, 300, 600, 1000, 1600, 2400, 3600, 5500, 8000)  # Hz
_WINDOW = 2  # hops
_QUIET_DB = -55.0  # of full scale: what is below is no speech
_SPEECH_DB = 25.0  # below the loudest twentieth
_EVEN_DB = 6.0  # between soft and loud passages


@dataclass(frozen=True, eq=False)
class SoundFeatures:
    """Energies of a recording, mixed to mono.

    Attributes:
        energy: mean square in each band, full scale being 1, float32 `[rows, bands]`; row i is centred at
            `(i + 0.5) / rate` seconds.
        rate: rows per second.
    """

    energy: Float32Array
    rate: float

    def speech_seconds(self, start: float, stop: float) -> float:
        """How many of the seconds from `start` to `stop` hold speech, or anything that goes up and down like it.

        Noise and hum, which stay at one level, are no speech.
        """
        level = 10 * np.log10(self.energy.sum(axis=1) + 1e-12)
        soft, loud = np.percentile(level, (10, 95)).tolist() if len(level) else (_QUIET_DB, _QUIET_DB)
        if loud - soft < _EVEN_DB:
            return 0.0
        part = level[max(0, round(start * self.rate)) : max(0, round(stop * self.rate))]
        return float(np.count_nonzero(part > max(_QUIET_DB, loud - _SPEECH_DB))) / self.rate


def sound_features(path: Path) -> SoundFeatures:
    """Reads the features of a recording.

    Raises:
        UserError: it cannot be read.
    """
    samplerate = read_header(path).samplerate
    hop = max(1, round(samplerate / _RATE))
    window = np.hanning(_WINDOW * hop).astype(np.float32)
    bands = _band_matrix(_WINDOW * hop, samplerate, float(np.square(window).sum()))
    rows = [_energies(frames * window, bands) for frames in _windows(path, hop)]
    energy = np.concatenate(rows) if rows else np.zeros((0, bands.shape[1]), np.float32)
    return SoundFeatures(energy, samplerate / hop)


def _windows(path: Path, hop: int) -> Iterator[Float32Array]:
    """Windows of two hops each, centred on each hop, `[rows, 2 * hop]`; silence lies before the first and the last."""
    rest = np.zeros(hop // 2, np.float32)
    for block in sample_blocks(path):
        rest = np.concatenate([rest, block.mean(axis=1, dtype=np.float32)])
        count = len(rest) // hop - 1
        if count > 0:
            yield np.lib.stride_tricks.sliding_window_view(rest, _WINDOW * hop)[: count * hop : hop]
            rest = rest[count * hop :]
    rest = np.concatenate([rest, np.zeros(hop, np.float32)])
    count = len(rest) // hop - 1
    if count > 0:
        yield np.lib.stride_tricks.sliding_window_view(rest, _WINDOW * hop)[: count * hop : hop]


def _energies(frames: Float32Array, bands: Float32Array) -> Float32Array:
    spectrum = np.fft.rfft(frames, axis=1)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32)
    return np.asarray(power @ bands, np.float32)


def _band_matrix(length: int, samplerate: int, weight: float) -> npt.NDArray[np.float32]:
    """Sums power spectra `[rows, bins]` to bands `[bins, bands]`, scaled to mean squares."""
    frequency = np.fft.rfftfreq(length, 1 / samplerate)
    low, high = np.array(_EDGES[:-1]), np.array(_EDGES[1:])
    inside = (frequency[:, None] >= low) & (frequency[:, None] < high)
    return (inside * (2 / (weight * length))).astype(np.float32)
