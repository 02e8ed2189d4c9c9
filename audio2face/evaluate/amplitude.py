"""Calibration of strength, offset and smoothing against recorded motion.

A network that minimises an error averages over motion that speech does not determine, so its motion is smaller than the
recorded motion. The strength therefore matches the 95th percentile of an opening curve to the recorded one, within a
bound on the error of that curve. Offset and smoothing minimise that error. All of them are regularised towards their
neutral values when data are scarce, and are neutral if cross-validation shows no improvement.

The positions of points over time may have any unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audio2face.evaluate.lips import correlation, vertex_error
from audio2face.types import Float64Array

PERCENTILE = 95.0
ERROR_BOUND = 1.05  # times the smallest error: accepted for matching the percentile
MIN_SECONDS = 3.0  # of held-out motion: less does not determine the amplitude
_PRIOR_SECONDS = 2.0  # the weight of the neutral value, as a recording of this length
_STRENGTH_STEP = 0.01
_MIN_GAIN = 0.02  # relative reduction of the error that justifies the latency of smoothing
_MAX_FOLDS = 8
_BISECTIONS = 8


@dataclass(frozen=True, eq=False)
class ClipPoints:
    """Points of one clip at the recorded frames; a position is `fixed + strength * moving`.

    Attributes:
        fixed: positions at strength 0, float64 `[frames, points, axes]`.
        moving: motion of a strength of 1, `[frames, points, axes]`.
        true: the recorded positions, `[frames, points, axes]`.
        fps: frames per second.
    """

    fixed: Float64Array
    moving: Float64Array
    true: Float64Array
    fps: float

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return len(self.true) / self.fps

    def slice_frames(self, frames: slice) -> ClipPoints:
        """A range of the frames."""
        return ClipPoints(self.fixed[frames], self.moving[frames], self.true[frames], self.fps)


@dataclass(frozen=True, eq=False)
class OffsetPose:
    """The effect of an offset of 1 on every frame: `fixed + strength * moving`, each `[points, axes]`."""

    fixed: Float64Array
    moving: Float64Array


@dataclass(frozen=True)
class Adjustment:
    """Parameters of post-processing.

    Attributes:
        strength: gain on the motion.
        offset: multiple of the offset pose.
        smoothing: half-life of the filter, seconds.
    """

    strength: float = 1.0
    offset: float = 0.0
    smoothing: float = 0.0


@dataclass(frozen=True)
class SearchRange:
    """Lowest and highest value of each parameter; equal if the parameter is fixed.

    Attributes:
        strength: of the gain.
        offset: of the offset.
    """

    strength: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Fit:
    """The result of a calibration.

    Attributes:
        adjustment: the parameters.
        reason: why they are neutral; empty if they were fitted.
        correlation: of the opening curve with the recorded one before any adjustment; nan if one is constant.
    """

    adjustment: Adjustment
    reason: str
    correlation: float


@dataclass(frozen=True, eq=False)
class AmplitudeProblem:
    """Held-out clips and the parameters to fit.

    Attributes:
        clips: by half-life of the smoothing, the same clips; the first entry is the neutral smoothing.
        weights: the opening curve is the sum of positions times these, `[points, axes]`.
        pose: effect of the offset; None without an offset.
        search: ranges of the parameters.
        neutral: values without effect, or the fixed values.
        min_spread: standard deviation of the recorded curve below which nothing is fitted.
        min_correlation: correlation of the curves below which nothing is fitted.
    """

    clips: Mapping[float, Sequence[ClipPoints]]
    weights: Float64Array
    search: SearchRange
    neutral: Adjustment
    min_spread: float
    min_correlation: float
    pose: OffsetPose | None = None

    def fit(self) -> Fit:
        """Chooses the parameters."""
        found = self._correlation()
        reason = self._insufficient_data() or self._unreliable(found)
        if reason:
            return Fit(self.neutral, reason, found)
        fitted = _rounded(self._fitted(range(self._num_clips)))
        if self._overfits():
            return Fit(self.neutral, "fitted values do not carry over from one held-out part to the other", found)
        return Fit(fitted, "", found)

    @property
    def _neutral_clips(self) -> Sequence[ClipPoints]:
        return self.clips[self.neutral.smoothing]

    @property
    def _num_clips(self) -> int:
        return len(self._neutral_clips)

    def _insufficient_data(self) -> str:
        seconds = sum(clip.seconds for clip in self._neutral_clips)
        return f"only {seconds:.1f} s are held out" if seconds < MIN_SECONDS else ""

    def _unreliable(self, found: float) -> str:
        curves = [self._curves(clip, self.neutral.strength, self.neutral.offset) for clip in self._neutral_clips]
        spread = np.concatenate([true for _, true in curves]).std()
        if spread < self.min_spread:
            return "it does not move on the held-out shots"
        if not found >= self.min_correlation:  # nan included
            return f"the network does not follow it there (correlation {found:.2f})"
        return ""

    def _correlation(self) -> float:
        curves = [self._curves(clip, self.neutral.strength, self.neutral.offset) for clip in self._neutral_clips]
        if not curves:
            return float("nan")
        predicted, true = (np.concatenate([pair[side] for pair in curves]) for side in (0, 1))
        return correlation(predicted, true)

    def _curves(self, clip: ClipPoints, strength: float, offset: float) -> tuple[Float64Array, Float64Array]:
        """The opening curve of a clip and the recorded one, `[frames]`."""
        predicted = self._curve(clip.fixed) + strength * self._curve(clip.moving) + offset * self._effect(strength)
        return predicted, self._curve(clip.true)

    def _curve(self, positions: Float64Array) -> Float64Array:
        return np.asarray(np.tensordot(positions, self.weights, axes=2))

    def _effect(self, strength: float) -> float:
        """Effect of an offset of 1 on the opening curve."""
        if self.pose is None:
            return 0.0
        return float((self.weights * (self.pose.fixed + strength * self.pose.moving)).sum())

    def _fitted(self, chosen: Iterable[int]) -> Adjustment:
        """Fits some of the clips, and shrinks the result towards the neutral values."""
        indices = list(chosen)
        options = {
            smoothing: _Curves.from_clips(self, [clips[index] for index in indices])
            for smoothing, clips in self.clips.items()
        }
        least = {smoothing: curves.smallest_error() for smoothing, curves in options.items()}
        best = min(least.values())
        smoothing = next(
            (option for option, error in least.items() if error * (1 - _MIN_GAIN) <= best), self.neutral.smoothing
        )
        strength = self._within_error(options[smoothing].match_percentile(), smoothing, indices)
        seconds = sum(self._neutral_clips[index].seconds for index in indices)
        share = seconds / (seconds + _PRIOR_SECONDS)
        strength = self.neutral.strength + share * (strength - self.neutral.strength)
        offset = self.neutral.offset + share * (options[smoothing].best_offset(strength) - self.neutral.offset)
        return Adjustment(strength, offset, smoothing)

    def _within_error(self, strength: float, smoothing: float, indices: Sequence[int]) -> float:
        """The strength itself, or the one closest to it whose vertex error is within the bound of the neutral's."""
        near, far = self.neutral.strength, strength
        bound = ERROR_BOUND * self._vertex_error(near, smoothing, indices)
        if self._vertex_error(far, smoothing, indices) <= bound:
            return far
        for _ in range(_BISECTIONS):
            middle = (near + far) / 2
            if self._vertex_error(middle, smoothing, indices) <= bound:
                near = middle
            else:
                far = middle
        return near

    def _vertex_error(self, strength: float, smoothing: float, indices: Sequence[int]) -> float:
        clips = [self.clips[smoothing][index] for index in indices]
        return float(np.mean([vertex_error(clip.fixed + strength * clip.moving, clip.true) for clip in clips]))

    def _overfits(self) -> bool:
        """Whether fitted parameters are worse than neutral ones on other clips, on average (cross-validation)."""
        halved = self if self._num_clips > 1 else self._halved()
        folds = np.array_split(np.arange(halved._num_clips), min(_MAX_FOLDS, halved._num_clips))
        fitted, neutral = [], []
        for fold in folds:
            others = np.setdiff1d(np.arange(halved._num_clips), fold)
            fitted.append(halved._score(_rounded(halved._fitted(others)), fold))
            neutral.append(halved._score(self.neutral, fold))
        return float(np.mean(fitted)) > float(np.mean(neutral))

    def _halved(self) -> AmplitudeProblem:
        """The same problem with every clip split in two."""
        clips = {
            smoothing: [clip.slice_frames(half) for clip in whole for half in _halves(len(clip.true))]
            for smoothing, whole in self.clips.items()
        }
        return replace(self, clips=clips)

    def _score(self, adjustment: Adjustment, indices: Iterable[int]) -> float:
        """Error of the curve together with that of its percentile, in the unit of the positions."""
        clips = [self.clips[adjustment.smoothing][index] for index in indices]
        curves = [self._curves(clip, adjustment.strength, adjustment.offset) for clip in clips]
        predicted, true = (np.concatenate([pair[side] for pair in curves]) for side in (0, 1))
        difference = np.percentile(predicted, PERCENTILE) - np.percentile(true, PERCENTILE)
        return float(np.sqrt(np.mean(np.square(predicted - true)) + difference**2))


@dataclass(frozen=True, eq=False)
class _Curves:
    """The opening curves of all clips one after the other, and how parameters change them."""

    problem: AmplitudeProblem
    fixed: Float64Array
    moving: Float64Array
    true: Float64Array

    @classmethod
    def from_clips(cls, problem: AmplitudeProblem, clips: Sequence[ClipPoints]) -> _Curves:
        parts = [(problem._curve(clip.fixed), problem._curve(clip.moving), problem._curve(clip.true)) for clip in clips]
        fixed, moving, true = (np.concatenate(side) for side in zip(*parts, strict=True))
        return cls(problem, fixed, moving, true)

    def smallest_error(self) -> float:
        """The smallest error of the curve at any strength."""
        return min(self._error(strength) for strength in self._strengths())

    def match_percentile(self) -> float:
        """The strength whose percentile is closest to the recorded one, among those within the error bound."""
        bound = ERROR_BOUND * self.smallest_error() + 1e-9
        target = np.percentile(self.true, PERCENTILE)
        near = [strength for strength in self._strengths() if self._error(strength) <= bound]
        return min(near, key=lambda strength: abs(np.percentile(self._predicted(strength), PERCENTILE) - target))

    def best_offset(self, strength: float) -> float:
        """The offset with the smallest error."""
        (lowest, highest), effect = self.problem.search.offset, self.problem._effect(strength)
        if lowest == highest or not effect:
            return self.problem.neutral.offset
        missing = float(np.mean(self.true - self.fixed - strength * self.moving))
        return float(np.clip(missing / effect, lowest, highest))

    def _strengths(self) -> list[float]:
        lowest, highest = self.problem.search.strength
        steps = round((highest - lowest) / _STRENGTH_STEP)
        return [lowest + _STRENGTH_STEP * step for step in range(steps + 1)]

    def _predicted(self, strength: float) -> Float64Array:
        offset = self.best_offset(strength)
        return self.fixed + strength * self.moving + offset * self.problem._effect(strength)

    def _error(self, strength: float) -> float:
        return float(np.sqrt(np.mean(np.square(self._predicted(strength) - self.true))))


def principal_weights(true: Sequence[Float64Array]) -> Float64Array:
    """Weights of the curve along which points move most: the first principal component of the recorded motion.

    Args:
        true: recorded positions of each clip, `[frames, points, axes]`.

    Returns:
        `[points, axes]`, scaled so that the curve is the motion of a typical point in the unit of the positions. The
        second of three axes points upwards; the curve increases when most points move down.
    """
    poses = np.concatenate([clip.reshape(len(clip), -1) for clip in true])
    centred = poses - poses.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    direction: Float64Array = vectors[:, -1].reshape(len(true[0][0]), -1)
    # A mouth opens downwards: chin and lower lip move most.
    down = -direction[:, 1].sum() if direction.shape[1] == 3 else direction.sum()
    return np.asarray((direction if down >= 0 else -direction) / np.sqrt(len(direction)))


def _halves(frames: int) -> tuple[slice, slice]:
    return slice(0, frames // 2), slice(frames // 2, frames)


def _rounded(adjustment: Adjustment) -> Adjustment:
    """Rounded to two decimals of strength and three of the offset: the same on every machine, and precise enough."""
    return replace(adjustment, strength=round(adjustment.strength, 2), offset=round(adjustment.offset, 3))
