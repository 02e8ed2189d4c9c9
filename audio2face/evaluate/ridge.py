"""Baseline for trained networks: ridge regression from the spectrum of speech to the lips.

A linear map has no context beyond its window; a useful network performs better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from audio2face.audio import Track
from audio2face.geometry.frames import recorded_times
from audio2face.types import Float64Array, FloatArray

BANDS = 64
TAPS = 9
REACH = 0.16  # seconds from the frame to the first and the last tap
PENALTY = 1000.0  # on squared weights, features having unit variance
_LEAST_SPREAD = 1e-9  # added to standard deviations, because a feature may be constant
_WINDOW, _HOP = 0.025, 0.01  # seconds
_HIGHEST_HZ = 8000.0
_FLOOR = 1e-3  # of band power: suppresses changes of the noise between words
_STEPS = 6000  # of 10 ms whose spectra are in memory at a time
_ROWS = 4096  # frames of the normal equations that are in memory as float64 at a time


def speech_features(track: Track, num_frames: int, fps: float, start: float = 0.0) -> Float64Array:
    """Logarithmic mel bands around each frame of animation; frame i is at (start + i + 0.5) / fps.

    Args:
        track: the speech.
        num_frames: frames of animation.
        fps: frames per second.
        start: position of the first frame in the recording, in frames, fractions included.

    Returns:
        float64 `[num_frames, TAPS * BANDS]`.
    """
    bands = _log_mel(track)
    times = recorded_times(np.arange(num_frames) + start, fps)[:, None] + np.linspace(-REACH, REACH, TAPS)
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
        centre, spread, offset = x.mean(axis=0), x.std(axis=0) + _LEAST_SPREAD, y.mean(axis=0)
        x = (x - centre) / spread
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - offset))
        return cls(centre, spread, weights, offset)

    @classmethod
    def from_equations(cls, equations: NormalEquations, penalty: float = PENALTY) -> Ridge:
        """The map of `fit`, from sums over the shots.

        Args:
            equations: of the shots.
            penalty: on squared weights.
        """
        gram = equations.gram + penalty * np.eye(len(equations.gram))
        weights = np.asarray(np.linalg.solve(gram, equations.moments), np.float64)
        return cls(equations.centre, equations.spread, weights, equations.offset)

    def predict(self, features: FloatArray) -> Float64Array:
        """Values `[frames, values]` for features `[frames, features]`."""
        return np.asarray((features - self.centre) / self.spread @ self.weights + self.offset, np.float64)


@dataclass(frozen=True)
class NormalEquations:
    """Sums over frames that determine a linear regression on standardised features.

    Attributes:
        frames: number of frames.
        centre: mean of the features, `[features]`.
        spread: their standard deviation, `[features]`.
        offset: mean of the values, `[values]`.
        gram: sum of the products of standardised features, `[features, features]`.
        moments: sum of the products of standardised features and centred values, `[features, values]`.
    """

    frames: int
    centre: Float64Array
    spread: Float64Array
    offset: Float64Array
    gram: Float64Array
    moments: Float64Array

    @classmethod
    def of(cls, features: Sequence[FloatArray], values: Sequence[FloatArray]) -> NormalEquations:
        """Sums in three passes over blocks of the shots; deviations from means, because sums of squares cancel.

        Args:
            features: of each shot, `[frames, features]`.
            values: of each shot, `[frames, values]`.

        Raises:
            ValueError: there is no frame, or a shot has features of another number of frames than values.
        """
        if any(len(x) != len(y) for x, y in zip(features, values, strict=True)):
            raise ValueError("features and values of a shot differ in frames")
        frames = sum(len(each) for each in values)
        if not frames:
            raise ValueError("no frame to fit")
        centre = _sum(block.sum(axis=0) for block in _blocks(features)) / frames
        offset = _sum(block.sum(axis=0) for block in _blocks(values)) / frames
        variance = _sum(np.square(block - centre).sum(axis=0) for block in _blocks(features)) / frames
        spread = np.sqrt(variance) + _LEAST_SPREAD
        gram, moments = np.zeros((centre.size, centre.size)), np.zeros((centre.size, offset.size))
        for block, targets in zip(_blocks(features), _blocks(values), strict=True):
            scaled = (block - centre) / spread
            gram += scaled.T @ scaled
            moments += scaled.T @ (targets - offset)
        return cls(frames, centre, spread, offset, gram, moments)


def _blocks(shots: Iterable[FloatArray]) -> Iterator[Float64Array]:
    """Consecutive frames of each shot, float64."""
    for shot in shots:
        for start in range(0, len(shot), _ROWS):
            yield np.asarray(shot[start : start + _ROWS], np.float64)


def _sum(parts: Iterable[Float64Array]) -> Float64Array:
    return reduce(np.add, parts)


def _log_mel(track: Track) -> Float64Array:
    """Logarithm of the power in each band, `[steps, BANDS]`; step k is centred on k * 10 ms."""
    rate = track.samplerate
    taps = round(_WINDOW * rate)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(track.data, (taps // 2, taps)), taps)
    firsts = np.rint(np.arange(0, len(windows), _HOP * rate)).astype(int)  # of whole samples at any rate
    firsts = firsts[firsts < len(windows)]
    shape, triangles = np.hanning(taps), _mel_triangles(2 * taps, rate)
    bands = np.empty((len(firsts), BANDS))
    for start in range(0, len(firsts), _STEPS):
        spectrum = np.fft.rfft(windows[firsts[start : start + _STEPS]] * shape, n=2 * taps)
        bands[start : start + _STEPS] = np.log(np.square(np.abs(spectrum)) @ triangles + _FLOOR)
    return bands


def _mel_triangles(num_points: int, samplerate: int) -> Float64Array:
    """Weights of overlapping triangles, evenly spaced on the mel scale 2595 log10(1 + f / 700), `[bins, BANDS]`."""
    highest = 2595 * np.log10(1 + min(_HIGHEST_HZ, samplerate / 2) / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(num_points, 1 / samplerate)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    return np.maximum(np.minimum(rising, falling), 0.0)
