"""Baseline for trained networks: ridge regression from the spectrum of speech to the lips.

A linear map has no context beyond its window; a useful network performs better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.audio import Track
from audio2face.geometry.frames import recorded_times
from audio2face.types import Float64Array

BANDS = 64
TAPS = 9
REACH = 0.16  # seconds from the frame to the first and the last tap
PENALTY = 1000.0  # on squared weights, features having unit variance
_WINDOW, _HOP = 0.025, 0.01  # seconds
_HIGHEST_HZ = 8000.0
_FLOOR = 1e-3  # of band power: suppresses changes of the noise between words


def speech_features(track: Track, num_frames: int, fps: float) -> Float64Array:
    """Logarithmic mel bands around each frame of animation; frame i is at (i + 0.5) / fps.

    Args:
        track: the speech.
        num_frames: frames of animation.
        fps: frames per second.

    Returns:
        float64 `[num_frames, TAPS * BANDS]`.
    """
    bands = _log_mel(track)
    times = recorded_times(np.arange(num_frames), fps)[:, None] + np.linspace(-REACH, REACH, TAPS)
    rows = np.clip(np.rint(times / _HOP).astype(int), 0, len(bands) - 1)
    return np.ascontiguousarray(bands[rows].reshape(num_frames, -1))


@dataclass(frozen=True)
class Ridge:
    """A linear map from features to values.

    Attributes:
        centre: mean of the features, `[features]`.
        spread: their standard deviation, `[features]`.
        weights: `[features, values]`.
        offset: mean of the values, `[values]`.
    """

    centre: Float64Array
    spread: Float64Array
    weights: Float64Array
    offset: Float64Array

    @classmethod
    def fit(cls, features: Sequence[Float64Array], values: Sequence[Float64Array], penalty: float = PENALTY) -> Ridge:
        """Fits a map to shots.

        Regression commutes with linear maps: fitting PCA coefficients or blend-shape weights and reconstructing the
            face
        gives the same lips as fitting the lips directly, up to the reconstruction error.

        Args:
            features: of each shot, `[frames, features]`.
            values: targets of each shot, `[frames, values]`.
            penalty: on squared weights.
        """
        x, y = np.concatenate(features), np.concatenate(values)
        centre, spread, offset = x.mean(axis=0), x.std(axis=0) + 1e-9, y.mean(axis=0)
        x = (x - centre) / spread
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - offset))
        return cls(centre, spread, weights, offset)

    def predict(self, features: Float64Array) -> Float64Array:
        """Values `[frames, values]` for features `[frames, features]`."""
        return (features - self.centre) / self.spread @ self.weights + self.offset


def _log_mel(track: Track) -> Float64Array:
    """Logarithm of the power in each band, `[steps, BANDS]`; step k is centred on k * 10 ms."""
    rate = track.samplerate
    taps, hop = round(_WINDOW * rate), round(_HOP * rate)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(track.data, (taps // 2, taps)), taps)[::hop]
    spectrum = np.fft.rfft(windows * np.hanning(taps), n=2 * taps)
    bands: Float64Array = np.log(np.square(np.abs(spectrum)) @ _mel_triangles(2 * taps, rate) + _FLOOR)
    return bands


def _mel_triangles(num_points: int, samplerate: int) -> Float64Array:
    """Weights of overlapping triangles, evenly spaced on the mel scale 2595 log10(1 + f / 700), `[bins, BANDS]`."""
    highest = 2595 * np.log10(1 + min(_HIGHEST_HZ, samplerate / 2) / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(num_points, 1 / samplerate)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    return np.maximum(np.minimum(rising, falling), 0.0)
