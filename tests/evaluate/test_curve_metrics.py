"""Measures on mouth-opening curves, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.evaluate.curve_metrics import (
    frame_loudness,
    lag_curve,
    opening_retention,
    pauses,
    quiet_frames,
    score_contact,
    shape_changes,
)
from audio2face.evaluate.lips import score_closure
from audio2face.evaluate.vertex_metrics import hold_time, jitter, warped_distance

FPS = 30.0


def speech(delay: float = 0.0, frames: int = 240) -> np.ndarray:
    """A smooth random curve of up to 4 Hz, the same at any delay in seconds."""
    random, times = np.random.default_rng(0), (np.arange(frames) + 0.5) / FPS - delay
    waves = [(random.uniform(0.5, 4), random.uniform(0, 7), random.normal()) for _ in range(12)]
    return np.asarray(sum(size * np.sin(2 * np.pi * rate * times + phase) for rate, phase, size in waves))


@pytest.mark.parametrize("delay_ms", [0, 12, 60, -87, 250])
def test_lag_is_positive_for_a_late_animation(delay_ms: int) -> None:
    found = lag_curve(speech(delay_ms / 1000), speech(), FPS)
    assert found.best_ms == pytest.approx(delay_ms, abs=1.0)
    assert found.correlation.max() > 0.99
    assert (found.lag_ms[0], found.lag_ms[-1]) == (-300.0, 300.0)


def test_noise_does_not_pull_the_lag_between_frames() -> None:
    curves = [speech() + np.random.default_rng(seed).normal(0, speech().std(), 240) for seed in range(40)]
    found = np.array([lag_curve(noisy, speech(), FPS).best_ms for noisy in curves])
    assert np.abs(found).mean() < 3  # 10 where the curve itself is interpolated


def test_lag_is_undefined_where_nothing_fits() -> None:
    assert np.isnan(lag_curve(np.zeros(240), speech(), FPS).best_ms)
    bump = np.exp(-np.square((np.arange(240) - 120) / FPS / 0.3))
    assert lag_curve(np.roll(bump, 6), bump, FPS).best_ms == pytest.approx(200, abs=1)
    assert np.isnan(lag_curve(np.roll(bump, 12), bump, FPS).best_ms)  # 400 ms: beyond the search
    noise = np.random.default_rng(1).standard_normal((2, 240))
    assert np.isnan(lag_curve(*noise, FPS).best_ms)
    assert len(lag_curve(speech()[:40], speech()[:40], FPS).lag_ms) == 0


def test_contact() -> None:
    phones = [PhonemeTime("p", 10 / FPS, 12 / FPS), PhonemeTime("m", 1.0, 1.1), PhonemeTime("s", 0.5, 0.6)]
    predicted, true = np.full(60, 8.0), np.full(60, 8.0)
    predicted[11], predicted[30] = -0.4, 3.0
    true[10], true[31] = -0.5, 0.2
    found = score_contact(predicted, true, phones, FPS)
    assert found.hits == 0.5
    assert found.error_mm == pytest.approx((0 + 3.0) / 2)
    assert found.depth_mm == pytest.approx((0.1 + 2.8) / 2)
    assert found.hits == score_closure(predicted / 10 + 0.2, 0.2, phones, FPS).share  # one rule
    assert np.isnan(score_contact(predicted, true, phones[2:], FPS).hits)


def test_retention() -> None:
    true = np.linspace(0, 10, 101)
    assert opening_retention(0.6 * true, true) == pytest.approx(0.6)
    assert np.isnan(opening_retention(true, 0.04 * true))


def test_swings_of_the_mouth() -> None:
    times = np.arange(90) / FPS
    three = 4 - 4 * np.cos(2 * np.pi * times)  # opens and closes once a second for 3 s, by 8 mm
    assert shape_changes(three, FPS) == pytest.approx(2.0)
    assert shape_changes(three + 0.4 * np.resize([1, -1], 90), FPS) == pytest.approx(2.0)  # 0.8 mm of noise
    assert shape_changes(0.1 * three, FPS) == 0
    assert shape_changes(np.array([0.0, 1.0]), 1.0) == 0.5


def test_held_shapes() -> None:
    steps = np.repeat([0.0, 2.0, 0.0], [10, 5, 15])[:, None, None] * np.ones((1, 4, 1)) * [0, 1, 0]
    assert hold_time(steps, FPS) == pytest.approx(1000 / 3)
    assert hold_time(0.49 * steps, FPS) == pytest.approx(1000)


def test_jitter_ignores_what_is_slow() -> None:
    still = np.zeros(90, np.bool_)
    still[30:60] = True
    drift = np.linspace(0, 5, 90)[:, None, None] * np.ones((1, 3, 3))
    assert jitter(drift, still, FPS) == pytest.approx(0, abs=1e-9)
    shaking = np.zeros((90, 3, 3))
    shaking[:, :, 1] = 0.7 * np.resize([1, -1], 90)[:, None]
    assert jitter(shaking, still, FPS) == pytest.approx(0.7 * 8 / 7)  # the other three pairs of seven leave -0.1
    assert np.isnan(jitter(shaking, np.zeros(90, np.bool_), FPS))


def test_warping_forgives_a_delay_but_not_a_shape() -> None:
    def points(curve: np.ndarray) -> np.ndarray:
        return curve[:, None, None] * np.ones((1, 5, 1)) * [0.0, 1.0, 0.0]

    bump, late, flat = np.zeros(60), np.zeros(60), np.zeros(60)
    bump[10:20], late[16:26] = 3.0, 3.0
    far = np.roll(bump, 30)
    assert warped_distance(points(late), points(bump), FPS) == 0
    assert warped_distance(points(bump), points(bump), FPS) == 0
    assert warped_distance(points(flat), points(bump), FPS) == pytest.approx(0.5)  # 10 of 60 frames, 3 mm
    assert warped_distance(points(far), points(bump), FPS) == pytest.approx(1.0)  # a second late: both bumps miss


def test_loudness_of_frames() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[:8_000] = np.sqrt(2) * np.sin(2 * np.pi * 800 * np.arange(8_000) / 16_000)
    found = frame_loudness(samples, 16_000, 20.0, 24)  # 40 periods in a frame, 0.5 s of them
    np.testing.assert_allclose(found, [0] * 10 + [-60] * 14, atol=1e-4)
    assert quiet_frames(found).tolist() == [False] * 10 + [True] * 14


def test_short_stillness_is_no_pause() -> None:
    still = np.repeat([True, False, True, False, True], [12, 3, 11, 3, 20])
    assert np.flatnonzero(pauses(still, FPS)).tolist() == [*range(3, 9), *range(32, 46)]
