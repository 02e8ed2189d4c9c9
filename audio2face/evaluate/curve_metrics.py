"""Metrics on curves over time: the opening of the mouth against the recorded one, and against loudness.

Openings are millimetres above the neutral face, at the recorded frames. A value that a shot does not define is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.audio.track import interval_loudness
from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.evaluate.lips import TOUCH_MM, closure_windows, correlation
from audio2face.types import BoolArray, Float32Array, Float64Array

LAG_REACH_MS, LAG_STEP_MS = 300.0, 5.0
REVERSAL_MM = 1.0  # a smaller swing of the opening is no change of the mouth's shape
PERCENTILE = 95.0
_MIN_OPENING_MM = 0.5  # a smaller recorded opening gives no ratio
_MIN_CORRELATION = 0.3  # a weaker best correlation says nothing about timing
_MIN_OVERLAP = 1.0  # seconds that a shifted curve shares with the recorded one
_LOUDNESS_RANGE = 60.0  # decibels below the loudest frame: silence
_PAUSE_DEPTH = 35.0  # decibels below the loudness that 5 % of the frames exceed
_MIN_PAUSE = 0.4  # seconds: longer than the closure of a stop
_PAUSE_MARGIN = 0.1  # seconds at either end, in which lips still close or already move to the next sound
_TAPS = 4  # correlations on either side that interpolate between two
NAN = float("nan")


def opening_difference(predicted: Float64Array, true: Float64Array) -> float:
    """Mean absolute difference of two openings `[frames]`, mm."""
    return float(np.abs(predicted - true).mean())


def opening_retention(predicted: Float64Array, true: Float64Array, least: float = _MIN_OPENING_MM) -> float:
    """The 95th percentile of an opening `[frames]` over the recorded one's; NaN where that is under `least`."""
    wide = float(np.percentile(true, PERCENTILE))
    return float(np.percentile(predicted, PERCENTILE)) / wide if wide >= least else NAN


@dataclass(frozen=True, eq=False)
class LagCurve:
    """Correlation of a shifted curve with the recorded one.

    Attributes:
        lag_ms: shifts, float64 `[lags]`, milliseconds; positive: the animation is late.
        correlation: at each shift, `[lags]`.
    """

    lag_ms: Float64Array
    correlation: Float64Array

    @property
    def best_ms(self) -> float:
        """The shift of the largest correlation, by a parabola; NaN if it lies at an end or is under 0.3."""
        if not len(self.correlation) or not np.isfinite(self.correlation).all():
            return NAN
        top = int(self.correlation.argmax())
        if not 0 < top < len(self.lag_ms) - 1 or self.correlation[top] < _MIN_CORRELATION:
            return NAN
        before, peak, after = self.correlation[top - 1 : top + 2]
        bend = before - 2 * peak + after
        return float(self.lag_ms[top] + (0.5 * (before - after) / bend if bend < 0 else 0.0) * LAG_STEP_MS)


def lag_curve(predicted: Float64Array, true: Float64Array, fps: float) -> LagCurve:
    """Correlates the opening, read later and earlier by up to 300 ms, with the recorded one.

    The correlations at whole frames are interpolated in steps of 5 ms (Lanczos' kernel). To interpolate the opening
    itself would smooth its noise between frames, and so move the maximum there. Empty for a shot too short to share a
    second at every shift.
    """
    steps = round(LAG_REACH_MS / LAG_STEP_MS)
    lags = np.arange(-steps, steps + 1) * LAG_STEP_MS
    reach = int(np.ceil(LAG_REACH_MS / 1000 * fps)) + _TAPS
    if len(true) - 2 * reach < _MIN_OVERLAP * fps:
        return LagCurve(np.zeros(0), np.zeros(0))
    last = len(true) - reach
    kept = true[reach:last]  # the same recorded frames at every shift
    shifts = range(-reach, reach + 1)
    whole = np.array([correlation(predicted[reach + shift : last + shift], kept) for shift in shifts])
    return LagCurve(np.asarray(lags, np.float64), _interpolate(whole, lags / 1000 * fps + reach))


def _interpolate(curve: Float64Array, positions: Float64Array) -> Float64Array:
    """The curve at fractional indices that leave `_TAPS` samples at either end, by Lanczos' kernel."""
    nearest = np.floor(positions).astype(np.intp)[:, None] + np.arange(1 - _TAPS, _TAPS + 1)
    gap = positions[:, None] - nearest
    weights = np.sinc(gap) * np.sinc(gap / _TAPS)
    return np.asarray((weights * curve[nearest]).sum(axis=1) / weights.sum(axis=1))


@dataclass(frozen=True)
class Contact:
    """Closures of the lips on p, b and m.

    Attributes:
        hits: share of phones whose smallest opening is at most 1 mm; NaN without a phone, as the others.
        error_mm: mean over phones of the smallest opening, 0 where it is below the neutral one.
        depth_mm: mean over phones of the smallest opening minus the recorded smallest; positive: less closed.
    """

    hits: float
    error_mm: float
    depth_mm: float


def score_contact(predicted: Float64Array, true: Float64Array, phones: Sequence[PhonemeTime], fps: float) -> Contact:
    """Measures the closures of an opening `[frames]` within one frame of each p, b and m (`lips.score_closure`)."""
    windows = closure_windows(phones, len(true), fps)
    if not windows:
        return Contact(NAN, NAN, NAN)
    least, recorded = (np.array([curve[window].min() for window in windows]) for curve in (predicted, true))
    return Contact(
        hits=float((least <= TOUCH_MM).mean()),
        error_mm=float(np.maximum(least, 0).mean()),
        depth_mm=float((least - recorded).mean()),
    )


def shape_changes(opening: Float64Array, fps: float) -> float:
    """Swings of the opening by at least 1 mm, up or down, per second; a swing ends where it is reversed by 1 mm."""
    swings, direction = 0, 0
    low = high = float(opening[0])  # of the stretch since the last swing began
    for value in opening.tolist():
        if direction <= 0:
            low = min(low, value)
        if direction >= 0:
            high = max(high, value)
        if direction <= 0 and value - low >= REVERSAL_MM:
            swings, direction, high = swings + 1, 1, value
        elif direction >= 0 and high - value >= REVERSAL_MM:
            swings, direction, low = swings + 1, -1, value
    return swings * fps / len(opening)


# --- loudness ---------------------------------------------------------------------------------------------------------


def frame_loudness(samples: Float32Array, samplerate: int, fps: float, frames: int) -> Float64Array:
    """Loudness at the recorded frames: RMS of the samples within each frame's interval, decibels of full scale.

    Values are at least 60 dB below the loudest frame's; beyond the recording, as silence.

    Args:
        samples: mono, float32 `[samples]`.
        samplerate: samples per second.
        fps: frames per second.
        frames: number of frames.

    Returns:
        Float64 `[frames]`.
    """
    decibels = interval_loudness(samples, samplerate, fps, frames)
    return np.asarray(np.maximum(decibels, decibels.max(initial=-120.0) - _LOUDNESS_RANGE))


def pauses(still: BoolArray, fps: float) -> BoolArray:
    """The frames of stretches of at least 0.4 s that are still throughout, without 0.1 s at either end, `[frames]`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    result = np.zeros(len(still), np.bool_)
    margin = round(_PAUSE_MARGIN * fps)
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= _MIN_PAUSE * fps:
            result[start + margin : stop - margin] = True
    return result


def quiet_frames(loudness: Float64Array) -> BoolArray:
    """Frames over 35 dB below the loudness that 5 % of the frames exceed, `[frames]`."""
    return np.asarray(loudness < np.percentile(loudness, PERCENTILE) - _PAUSE_DEPTH)
