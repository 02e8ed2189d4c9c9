"""Confidence intervals over shots, and when a difference is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from audio2face.evaluate.intervals import MIN_SHOTS, bootstrap_mean, bootstrap_ratio, group_by_shot, paired_difference
from audio2face.evaluate.metrics import Better


def by_shot(values: np.ndarray) -> dict[int, list[float]]:
    return {index: [float(value)] for index, value in enumerate(values)}


@pytest.mark.parametrize("shots", [10, 30])
def test_an_interval_holds_the_true_mean_in_95_of_100_samples(shots: int) -> None:
    random = np.random.default_rng(0)
    found = [bootstrap_mean(by_shot(random.normal(2.0, 1.0, shots)), 1_000) for _ in range(1_000)]
    hits = np.mean([one.low <= 2.0 <= one.high for one in found if one.low is not None and one.high is not None])
    assert 0.92 < hits < 0.98  # plain percentiles: 0.91 for 10 shots


def test_it_agrees_with_students_interval() -> None:
    values = np.random.default_rng(3).normal(0, 1, 40)
    low, high = t.interval(0.95, 39, values.mean(), values.std(ddof=1) / np.sqrt(40))
    found = bootstrap_mean(by_shot(values))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)
    assert (found.mean, found.recordings, found.shots) == (pytest.approx(values.mean()), 40, 40)


def test_voices_of_a_shot_are_resampled_together() -> None:
    values = np.random.default_rng(4).normal(0, 1, 12)
    once = bootstrap_mean(by_shot(values))
    four = bootstrap_mean({index: [value] * 4 for index, value in enumerate(values)})
    apart = bootstrap_mean(by_shot(np.repeat(values, 4)))
    assert (four.low, four.high) == pytest.approx((once.low, once.high))  # copies are no evidence
    assert apart.high is not None
    assert once.high is not None
    assert apart.high - apart.mean < 0.6 * (once.high - once.mean)
    assert (four.recordings, four.shots) == (48, 12)


def test_the_order_of_shots_changes_nothing() -> None:
    values = by_shot(np.random.default_rng(5).normal(0, 1, 9))
    assert bootstrap_mean(values) == bootstrap_mean(dict(reversed(values.items())))


def test_one_shot_has_no_interval_and_no_shot_no_mean() -> None:
    one = bootstrap_mean({"a": [1.0, 3.0]})
    assert (one.mean, one.low, one.high, one.recordings, one.shots) == (2.0, None, None, 2, 1)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean({})
    with pytest.raises(ValueError, match="not finite"):
        bootstrap_mean({"a": [1.0], "b": [float("nan")]})


@pytest.mark.parametrize(
    ("better", "shift", "verdict"),
    [
        ("lower", -0.5, "better"),
        ("lower", 0.5, "worse"),
        ("higher", 0.5, "better"),
        ("higher", -0.5, "worse"),
        ("lower", 0.01, "undecided"),
        ("descriptive", 0.5, "undecided"),
    ],
)
def test_verdict(better: Better, shift: float, verdict: str) -> None:
    random = np.random.default_rng(6)
    other = {f"r{index}": float(value) for index, value in enumerate(random.normal(0, 10, 10))}
    one = {name: value + shift + random.normal(0, 0.2) for name, value in other.items()}
    shots = {name: name for name in other}
    found = paired_difference(one, other, shots, better)
    assert found is not None
    assert found.verdict == verdict
    assert found.estimate.mean == pytest.approx(shift, abs=0.2)


def test_a_best_value_counts_from_both_sides() -> None:
    shots = {f"r{index}": index for index in range(MIN_SHOTS)}
    one, other = dict.fromkeys(shots, 1.1), dict.fromkeys(shots, 0.5)
    found = paired_difference(one, other, shots, "one")
    assert found is not None
    assert (found.verdict, found.estimate.mean) == ("better", pytest.approx(-0.4))
    found = paired_difference(dict.fromkeys(shots, -40.0), dict.fromkeys(shots, 10.0), shots, "zero")
    assert found is not None
    assert (found.verdict, found.estimate.mean) == ("worse", 30.0)


def test_five_shots_decide_nothing() -> None:
    shots = {f"r{index}": index for index in range(MIN_SHOTS - 1)}
    found = paired_difference(dict.fromkeys(shots, 1.0), dict.fromkeys(shots, 2.0), shots, "lower")
    assert found is not None
    assert found.verdict == "undecided"
    assert paired_difference({"r0": 1.0}, {"r1": 1.0}, shots, "lower") is None


def test_only_recordings_with_both_values_are_compared() -> None:
    assert group_by_shot({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 0, "b": 1, "c": 0}) == {0: [1.0, 3.0], 1: [2.0]}
    found = paired_difference({"a": 1.0, "b": 9.0}, {"a": 0.5}, {"a": 0, "b": 1}, "lower")
    assert found is not None
    assert (found.estimate.mean, found.estimate.recordings) == (0.5, 1)


def test_a_ratio_of_sums() -> None:
    """Equal denominators make it the mean; else a shot weighs as much as its denominator."""
    tops = {"a": [(1.0, 1.0)], "b": [(4.0, 1.0)], "c": [(2.5, 1.0), (0.5, 1.0)]}
    mean = bootstrap_mean({name: [top for top, _ in terms] for name, terms in tops.items()})
    assert bootstrap_ratio(tops) == mean
    weighted = bootstrap_ratio({"a": [(6.0, 3.0)], "b": [(1.0, 1.0)]})
    assert (weighted.mean, weighted.low, weighted.high) == pytest.approx((7 / 4, 1, 2))
    with pytest.raises(ValueError, match="no recordings"):
        bootstrap_ratio({})
