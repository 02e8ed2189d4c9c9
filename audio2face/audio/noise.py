"""Noise that stands for silence, so that a network learns a resting face for a room and not only for zeros.

Arrays and a random generator in, arrays out; the order of draws is part of what is promised.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import istft

from audio2face.errors import UserError

NoiseKind = Literal["gauss", "mic"]

_WINDOW, _HOP = 256, 128  # samples: scipy's default Hann window and 50 % overlap
_NUM_BINS = _WINDOW // 2 + 1
# Level of a quiet microphone over frequency, in decibels: falls from -82 at 0 Hz towards -121.
_FLOOR_DB, _RISE_DB, _FALL_HZ, _SPREAD_DB = -121.0, 39.0, 300.0, 5.85


def noise(
    num_samples: int, samplerate: int, kind: NoiseKind | None, scale: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draws noise.

    Args:
        num_samples: length.
        samplerate: samples per second; shapes the spectrum of "mic".
        kind: None for zeros (nothing is drawn), "gauss" for white noise of deviation 1, "mic" for the hiss of a
            microphone.
        scale: factor on the result.
        rng: drawn from in a fixed order: for "mic" the levels of one column of the spectrogram after the other, then
            all phases.

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


def _microphone(num_samples: int, samplerate: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A spectrogram of random levels and phases, turned into float64 [num_samples]."""
    num_columns = math.ceil((num_samples - _WINDOW) / _HOP) + 3
    frequencies = np.linspace(0.0, samplerate // 2, _NUM_BINS)
    mean_db = _FLOOR_DB + _RISE_DB * np.exp(-frequencies / _FALL_HZ)
    level_db = rng.normal(mean_db, _SPREAD_DB, size=(num_columns, _NUM_BINS)).T
    phase = 2 * math.pi * rng.random((_NUM_BINS, num_columns))
    spectrogram = 10 ** (level_db / 20) * np.exp(1j * phase)
    _, samples = istft(spectrogram, fs=samplerate)
    return np.asarray(samples[:num_samples], dtype=np.float64)
