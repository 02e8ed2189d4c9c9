"""Synthesises noise as audio of silence, so that a network learns a neutral face for room noise as well as for zeros.

The order in which random numbers are drawn is part of the contract.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from audio2face.errors import UserError
from audio2face.types import Float64Array

NoiseKind = Literal["gauss", "mic"]

_WINDOW, _HOP = 256, 128  # samples: scipy's default Hann window and 50 % overlap
_NUM_BINS = _WINDOW // 2 + 1
# Level of a quiet microphone over frequency, in decibels: falls from -82 at 0 Hz towards -121.
_FLOOR_DB, _RISE_DB, _FALL_HZ, _SPREAD_DB = -121.0, 39.0, 300.0, 5.85


def noise(
    num_samples: int, samplerate: int, kind: NoiseKind | None, scale: float, rng: np.random.Generator
) -> Float64Array:
    """Generates noise.

    Args:
        num_samples: length.
        samplerate: samples per second; determines the spectrum of "mic".
        kind: None for zeros (no random numbers are drawn), "gauss" for white noise of standard deviation 1, "mic" for
            the noise of a microphone.
        scale: factor on the result.
        rng: drawn from in a fixed order: for "mic" first the levels of the spectrogram, column by column, then all
            phases.

    Returns:
        Float64 [num_samples].

    Raises:
        UserError: the kind is unknown.
    """
    if kind is None:
        return np.zeros(num_samples)
    if kind == "gauss":
        return rng.normal(size=num_samples) * scale
    if kind == "mic":
        return _microphone(num_samples, samplerate, rng) * scale
    raise UserError(f"noise type {kind!r} is unknown", hint="Use 'gauss', 'mic' or None.")


def _microphone(num_samples: int, samplerate: int, rng: np.random.Generator) -> Float64Array:
    """Returns a signal from a spectrogram of random levels and phases, float64 [num_samples]."""
    from scipy.signal import istft  # loads in half a second

    num_columns = math.ceil((num_samples - _WINDOW) / _HOP) + 3
    frequencies = np.linspace(0.0, samplerate // 2, _NUM_BINS)
    mean_db = _FLOOR_DB + _RISE_DB * np.exp(-frequencies / _FALL_HZ)
    level_db = rng.normal(mean_db, _SPREAD_DB, size=(num_columns, _NUM_BINS)).T
    phase = 2 * math.pi * rng.random((_NUM_BINS, num_columns))
    spectrogram = 10 ** (level_db / 20) * np.exp(1j * phase)
    _, samples = istft(spectrogram, fs=samplerate)
    return np.asarray(samples[:num_samples], dtype=np.float64)
