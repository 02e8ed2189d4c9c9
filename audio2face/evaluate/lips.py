"""Metrics on the lips: position error, correlation of their distance, and closures on p, b and m.

All positions are centimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.geometry.frames import MIDDLE, interpolate_frames
from audio2face.types import MM_PER_CM, Float64Array, FloatArray


@dataclass(frozen=True)
class LipScore:
    """Lip metrics of some shots.

    Attributes:
        error_mm: largest distance of a listed vertex from the ground truth, mean over frames and then shots.
        correlation: Pearson correlation of the lip distance with the ground truth, mean over shots; nan if constant.
    """

    error_mm: float
    correlation: float


def lip_distance(lips: FloatArray) -> Float64Array:
    """Distance of the lips.

    Args:
        lips: positions of paired vertices of the upper and the lower lip, `[frames, 2, pairs, 3]`, y up.

    Returns:
        Height of the upper lip above the lower, mean over the pairs, float64 `[frames]`, in the unit of the positions.
    """
    return np.asarray((lips[:, 0, :, 1] - lips[:, 1, :, 1]).mean(axis=1), np.float64)


def vertex_error(predicted: FloatArray, true: FloatArray) -> float:
    """Largest distance of a vertex from the ground truth, mean over frames, in the unit of the positions.

    Args:
        predicted: `[frames, ..., 3]`.
        true: ground truth, `[frames, ..., 3]`.
    """
    distances = np.linalg.norm(np.asarray(predicted, np.float64) - true, axis=-1)
    return float(distances.reshape(len(distances), -1).max(axis=1).mean())


def correlation(one: Float64Array, other: Float64Array) -> float:
    """Pearson's correlation of two curves `[frames]`; nan if one of them is constant, up to rounding."""
    first, second = one - one.mean(), other - other.mean()
    if any(abs(part).max() <= _ROUNDING * abs(whole).max() for part, whole in ((first, one), (second, other))):
        return float("nan")
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


_ROUNDING = 1e-12  # of float64, relative: a matrix product makes equal rows nearly equal


def resample_frames(
    values: FloatArray, fps: float, num_frames: int, target_fps: float, frame_offset: float = MIDDLE
) -> FloatArray:
    """Resamples an animation linearly to another frame rate; a resampled frame is at the middle of its interval.

    Args:
        values: `[frames, ...]` at `fps`.
        fps: frames per second.
        num_frames: number of resampled frames; the animation is constant beyond its ends.
        target_fps: their rate.
        frame_offset: frame i of `values` is at the time (i + frame_offset) / fps: 0.5 for recordings and diffusion
            networks, 0 for frames that a regression network computed at i / fps.

    Returns:
        `[num_frames, ...]`.
    """
    positions = np.clip((np.arange(num_frames) + MIDDLE) * (fps / target_fps) - frame_offset, 0, len(values) - 1)
    return interpolate_frames(values, positions, np.float64)


def score_lips(predicted: Sequence[FloatArray], true: Sequence[FloatArray]) -> LipScore:
    """Evaluates the lips of shots.

    Args:
        predicted: positions of each shot, `[frames, 2, pairs, 3]`, centimetres.
        true: ground truth of each shot, `[frames, 2, pairs, 3]`, centimetres.

    Raises:
        ValueError: there is no shot.
    """
    pairs = list(zip(predicted, true, strict=True))
    if not pairs:
        raise ValueError("no shot to score")
    errors = [vertex_error(*pair) for pair in pairs]
    correlations = [correlation(lip_distance(one), lip_distance(other)) for one, other in pairs]
    defined = [value for value in correlations if not np.isnan(value)]
    return LipScore(
        error_mm=MM_PER_CM * float(np.mean(errors)),
        correlation=float(np.mean(defined)) if defined else float("nan"),
    )


BILABIALS = frozenset("pbm")
TOUCH_MM = 1.0  # above the neutral distance: closed up to here


@dataclass(frozen=True)
class ClosureScore:
    """Closures of the lips on bilabial phones.

    Attributes:
        phones: number of p, b and m within the animation.
        closed: number of those on which the lips close.
    """

    phones: int
    closed: int

    @property
    def share(self) -> float:
        """Fraction of closed phones; nan if there are none."""
        return self.closed / self.phones if self.phones else float("nan")

    def __add__(self, other: ClosureScore) -> ClosureScore:
        """The sum of both counts."""
        return ClosureScore(self.phones + other.phones, self.closed + other.closed)


def score_closure(distance: Float64Array, neutral: float, phones: Sequence[PhonemeTime], fps: float) -> ClosureScore:
    """Counts the p, b and m of a shot, and those whose smallest lip distance is at most 1 mm above the neutral one.

    The minimum covers one frame before the phone to one frame after it, because a shift of one frame is imperceptible.
    Frame i is at (i + 0.5) / fps.

    Args:
        distance: result of `lip_distance`, `[frames]`, centimetres.
        neutral: lip distance of the neutral face, centimetres.
        phones: of the shot.
        fps: frames per second.
    """
    windows = closure_windows(phones, len(distance), fps)
    smallest = [distance[window].min() for window in windows]
    return ClosureScore(len(windows), sum(bool(MM_PER_CM * (value - neutral) <= TOUCH_MM) for value in smallest))


def closure_windows(phones: Sequence[PhonemeTime], frames: int, fps: float) -> list[slice]:
    """The frames in which the lips should meet: those of each p, b and m, with one frame before and one after it.

    A phone outside the animation has none.
    """
    windows = []
    for phone in phones:
        first = int(np.ceil(phone.start * fps - MIDDLE)) - 1
        last = int(np.floor(phone.end * fps - MIDDLE)) + 1
        window = slice(max(first, 0), min(last + 1, frames))
        if phone.symbol in BILABIALS and window.start < window.stop:
            windows.append(window)
    return windows
