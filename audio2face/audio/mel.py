"""Bands of the mel scale, the input of speech encoders."""

from __future__ import annotations

import numpy as np

from audio2face.types import Float32Array

MEL_RATE = 16_000  # Hz
MEL_TAPS = 400  # 25 ms
MEL_HOP = 160  # 10 ms
MEL_BINS = MEL_TAPS // 2 + 1
MEL_BANDS = 80
_HZ_PER_MEL = 200.0 / 3.0  # of the scale's linear part
_LINEAR_HZ, _LINEAR_MELS = 1000.0, 15.0
_OCTAVE_MELS = 27.0 / np.log(6.4)  # per natural logarithm of the frequency, above the linear part


def mel_edges(sample_rate: int = MEL_RATE) -> Float32Array:
    """Computes the frequencies in Hz at which bands begin, peak and end: band i spans edges i to i + 2.

    They are evenly spaced on Slaney's mel scale from 0 to the Nyquist frequency.

    Source: M. Slaney, Auditory Toolbox version 2 (1998).

    Returns:
        `[bands + 2]`.
    """
    nyquist = sample_rate / 2
    mels = np.linspace(0.0, _LINEAR_MELS + _OCTAVE_MELS * np.log(nyquist / _LINEAR_HZ), MEL_BANDS + 2)
    logarithmic = _LINEAR_HZ * np.exp((mels - _LINEAR_MELS) / _OCTAVE_MELS)
    edges: Float32Array = np.where(mels < _LINEAR_MELS, mels * _HZ_PER_MEL, logarithmic)
    return edges


def mel_bands(sample_rate: int = MEL_RATE) -> Float32Array:
    """Computes triangular filters of equal area between the edges of `mel_edges`.

    Returns:
        float32 `[bands, bins]`.
    """
    edges = mel_edges(sample_rate)
    bins = np.linspace(0.0, sample_rate / 2, MEL_BINS)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    areas = 2.0 / (edges[2:] - edges[:-2])
    bands: Float32Array = (triangles * areas[:, None]).astype(np.float32)
    return bands
