"""Blinks: when they come, how far they shut the eyes, and that a seed always means the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.animation import NATURAL_BLINK, BlinkTrack
from audio2face.animation.eyes import INTERVAL, MIN_PAUSE, SPREAD
from audio2face.errors import UserError


def starts(shut: np.ndarray, fps: float) -> np.ndarray:
    """Times at which the eyes begin to shut, seconds."""
    closed = shut > 0
    return np.flatnonzero(closed[1:] & ~closed[:-1]) / fps


@pytest.mark.parametrize("fps", [24.0, 30.0, 30000 / 1001, 60.0])
def test_an_hour_of_blinks_at_natural_intervals(fps: float) -> None:
    shut = BlinkTrack(NATURAL_BLINK, fps, seed=4)(round(3600 * fps))
    pauses = np.diff(starts(shut, fps))
    assert shut.dtype == np.float32
    assert pauses.mean() == pytest.approx(INTERVAL, rel=0.05)
    assert np.log(pauses).std() == pytest.approx(SPREAD, rel=0.1)
    assert pauses.min() >= 0.3 + MIN_PAUSE - 1 / fps  # a blink, a pause, and the rounding to a frame
    # At any rate, a frame shows the eyes fully shut in every blink.
    assert np.count_nonzero(shut == 1) == len(pauses) + 1


def test_at_the_rate_of_the_keys_a_blink_is_its_keys() -> None:
    shut = BlinkTrack(NATURAL_BLINK, 30)(300)
    begin = np.flatnonzero(shut)[0] - 1
    np.testing.assert_allclose(shut[begin : begin + len(NATURAL_BLINK)], NATURAL_BLINK, atol=1e-6)
    assert not shut[:begin].any()


@given(
    cuts=st.lists(st.integers(0, 90), min_size=1, max_size=12),
    fps=st.floats(5, 120),
    interval=st.floats(0.5, 5),
    seed=st.integers(0, 99),
)
def test_frames_do_not_depend_on_how_they_are_asked_for(
    cuts: list[int], fps: float, interval: float, seed: int
) -> None:
    track = BlinkTrack(NATURAL_BLINK, fps, interval=interval, seed=seed)
    whole = track(sum(cuts))
    assert ((whole >= 0) & (whole <= 1)).all()
    track.reset()
    np.testing.assert_array_equal(np.concatenate([track(cut) for cut in cuts]), whole)


def test_seed_and_interval_change_the_blinks_and_zeros_never_blink() -> None:
    first = BlinkTrack(NATURAL_BLINK, 60)(3600)
    assert not np.array_equal(first, BlinkTrack(NATURAL_BLINK, 60, seed=1)(3600))
    often = BlinkTrack(NATURAL_BLINK, 60, interval=1.0)(3600)
    assert len(starts(often, 60)) > 2 * len(starts(first, 60))
    assert not BlinkTrack(np.zeros(10), 60)(3600).any()


@pytest.mark.parametrize(
    ("keys", "options", "problem"),
    [
        ([0, 1.2, 0], {}, "0 .open. to 1 .shut."),
        ([0, np.nan], {}, "keys of a blink"),
        ([], {}, "keys of a blink"),
        (NATURAL_BLINK, {"interval": 0.0}, "interval between blinks is 0, expected a number from 0.5 to 600"),
        (NATURAL_BLINK, {"seed": -1}, "seed of blinks is -1"),
    ],
)
def test_what_is_refused(keys: list[float], options: dict[str, float], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        BlinkTrack(keys, 30, **options)
