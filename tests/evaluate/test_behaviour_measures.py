"""Measures on curves of the mouth opening, with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.evaluate.behaviour import closing_seconds, deviation, largest_burst, opening_at

FPS = 30.0


def test_closing_counts_from_the_end_of_speech_to_the_last_open_frame() -> None:
    opening = np.zeros(60)
    opening[:36] = 5.0  # shown until 1.2 s
    assert closing_seconds(opening, FPS, speech_end=1.0) == pytest.approx(0.2)
    opening[45] = 1.01  # opens once more, until 46 / 30 s
    assert closing_seconds(opening, FPS, speech_end=1.0) == pytest.approx(46 / 30 - 1)
    assert closing_seconds(np.full(60, 1.0), FPS, speech_end=1.0) == 0  # 1 mm touches
    assert closing_seconds(np.full(60, 1.1), FPS, speech_end=1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0, 120.0])
def test_a_burst_is_seen_at_any_rate_and_a_slow_opening_is_none(fps: float) -> None:
    twitch = np.zeros(int(fps))
    twitch[7] = 2.0  # a single frame
    assert largest_burst(twitch, fps) == 2.0
    slow = np.linspace(0, 3, int(fps))  # 3 mm in a second
    assert largest_burst(slow, fps) < 0.13
    assert largest_burst(np.ones(1), fps) == 0


def test_deviation_is_a_share_of_the_opening() -> None:
    curve = 5 + 5 * np.sin(np.arange(300) / 5)
    assert deviation(curve, curve) == 0
    assert deviation(curve + 1, curve) == pytest.approx(100 / np.percentile(curve, 95))
    assert deviation(np.zeros(300), curve) == pytest.approx(50, abs=2)
    assert np.isnan(deviation(curve, np.full(300, 0.9)))  # a still mouth has no share
    assert deviation(curve[:100], curve) == 0


def test_a_lag_is_allowed_for_up_to_its_limit_in_both_directions() -> None:
    curve = 5 + 5 * np.sin(np.arange(300) / 5)
    for shift in (-2, 2):
        assert deviation(np.roll(curve, shift)[5:-5], curve[5:-5]) > 10
        assert deviation(np.roll(curve, shift)[5:-5], curve[5:-5], max_lag=2) == pytest.approx(0, abs=1e-9)
        assert deviation(np.roll(curve, shift)[5:-5], curve[5:-5], max_lag=1) > 5


def test_a_part_of_a_curve_between_frames() -> None:
    curve = np.arange(30.0)
    assert opening_at(curve, FPS, 0.05, 3).tolist() == pytest.approx([1.5, 2.5, 3.5])
    assert opening_at(curve, FPS, 28 / FPS, 3).tolist() == [28, 29, 29]
