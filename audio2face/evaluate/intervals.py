"""Confidence intervals of means over shots, and verdicts on paired differences.

Recordings of one shot (other voices) share their ground truth, so shots are resampled, each with all its recordings.
The interval is the expanded percentile bootstrap (Hesterberg 2015, "What Teachers Should Know About the Bootstrap",
section 5.3): percentiles are moved outwards as Student's t demands, since plain ones are too narrow for few shots.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, stdtrit

from audio2face.evaluate.metrics import TARGETS, Better
from audio2face.types import Float64Array

Verdict = Literal["better", "worse", "undecided"]

RESAMPLES = 10_000
CONFIDENCE = 0.95
MIN_SHOTS = 6  # the values of fewer lie on one side by chance in over 5 % of cases: 2 / 2^5
_CHUNK = 4_000_000  # drawn shots at a time, which bounds memory


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval.

    Attributes:
        mean: over all recordings; of `bootstrap_ratio`, the ratio.
        low: lower end of the interval of 95 %; None with fewer than two shots.
        high: upper end.
        recordings: number of values.
        shots: number of shots.
    """

    mean: float
    low: float | None
    high: float | None
    recordings: int
    shots: int


def group_by_shot(values: Mapping[str, float], shots: Mapping[str, Hashable]) -> dict[Hashable, list[float]]:
    """Groups the values of recordings by the shot of each."""
    grouped: dict[Hashable, list[float]] = {}
    for recording, value in values.items():
        grouped.setdefault(shots[recording], []).append(value)
    return grouped


def bootstrap_mean(
    values_by_shot: Mapping[Hashable, Sequence[float]], resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """The mean over recordings, with an interval by resampling shots; the order of the shots has no effect.

    Args:
        values_by_shot: the values of the recordings of each shot.
        resamples: number of resamples.
        seed: of the random numbers.

    Raises:
        ValueError: there is no value, or one is NaN or infinite.
    """
    groups = [np.sort(np.asarray(group, np.float64)) for group in values_by_shot.values() if len(group)]
    groups.sort(key=lambda group: group.tolist())
    if not groups or not all(np.isfinite(group).all() for group in groups):
        raise ValueError("no values to average, or one is not finite")
    sums, counts = np.array([group.sum() for group in groups]), np.array([len(group) for group in groups])
    return _ratio(sums, counts, int(counts.sum()), resamples, seed)


def bootstrap_ratio(
    terms_by_shot: Mapping[Hashable, Sequence[tuple[float, float]]], resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """The ratio of two sums over recordings, such as a least-squares gain, with an interval by resampling shots.

    Args:
        terms_by_shot: of the recordings of each shot, what they add to the numerator and to the denominator, above 0.
        resamples: number of resamples.
        seed: of the random numbers.

    Raises:
        ValueError: there is no recording.
    """
    groups = [list(group) for group in terms_by_shot.values() if group]
    if not groups:
        raise ValueError("no recordings")
    tops, bottoms = np.array(sorted(tuple(np.sum(group, axis=0)) for group in groups)).T
    return _ratio(tops, bottoms, sum(map(len, groups)), resamples, seed)


def _ratio(tops: Float64Array, bottoms: Float64Array, recordings: int, resamples: int, seed: int) -> Estimate:
    """The ratio of two sums over shots, with its interval."""
    ratio, shots = float(tops.sum() / bottoms.sum()), len(tops)
    if shots < 2:
        return Estimate(ratio, None, None, recordings, shots)
    tail = _expanded_tail(shots)
    low, high = np.quantile(_resampled_ratios(tops, bottoms, resamples, seed), (tail, 1 - tail))
    return Estimate(ratio, float(low), float(high), recordings, shots)


def _resampled_ratios(tops: Float64Array, bottoms: Float64Array, resamples: int, seed: int) -> Float64Array:
    random, shots = np.random.default_rng(seed), len(tops)
    ratios = []
    for start in range(0, resamples, max(1, _CHUNK // shots)):
        rows = min(max(1, _CHUNK // shots), resamples - start)
        drawn = random.integers(0, shots, (rows, shots))
        ratios.append(tops[drawn].sum(axis=1) / bottoms[drawn].sum(axis=1))
    return np.concatenate(ratios)


def _expanded_tail(shots: int) -> float:
    """The share of resampled means beyond each end of the interval."""
    quantile = stdtrit(shots - 1, (1 - CONFIDENCE) / 2)
    return float(ndtr(np.sqrt(shots / (shots - 1)) * quantile))


@dataclass(frozen=True)
class Difference:
    """A paired difference of two subjects in one metric.

    Attributes:
        estimate: mean over the recordings that both define of one minus other; of metrics whose best value is a number,
            of their distances from it.
        verdict: whether the interval lies on the better or the worse side of 0; undecided if it holds 0, if there are
            fewer than six shots, or if no value of the metric is better than another.
    """

    estimate: Estimate
    verdict: Verdict


def paired_difference(
    one: Mapping[str, float],
    other: Mapping[str, float],
    shots: Mapping[str, Hashable],
    better: Better,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference | None:
    """Compares two subjects on the same recordings.

    Args:
        one: values of the one by recording.
        other: values of the other by recording.
        shots: the shot of each recording.
        better: which values of the metric are better.
        resamples: number of resamples.
        seed: of the random numbers.

    Returns:
        None where no recording has both values.
    """
    target = TARGETS.get(better)

    def cost(value: float) -> float:
        return value if target is None else abs(value - target)

    common = {name: cost(one[name]) - cost(other[name]) for name in one if name in other}
    if not common:
        return None
    estimate = bootstrap_mean(group_by_shot(common, shots), resamples, seed)
    return Difference(estimate, _verdict(estimate, better))


def _verdict(estimate: Estimate, better: Better) -> Verdict:
    if estimate.low is None or estimate.high is None or estimate.shots < MIN_SHOTS or better == "descriptive":
        return "undecided"
    low, high = (estimate.low, estimate.high) if better == "higher" else (-estimate.high, -estimate.low)
    return "better" if low > 0 else "worse" if high < 0 else "undecided"
