"""Windows, frames and time stamps: every table of the contract (sections 2.3, 2.4 and 7 of it)."""

from __future__ import annotations

import dataclasses
import math
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.errors import UserError
from audio2face.models.windows import WindowSchedule

sys.path.insert(0, str(Path(__file__).parents[1] / "model_folder"))
from small_models import DIFFUSION, REGRESSION

NTSC = Fraction(30000, 1001)
DIFFUSION_30 = dataclasses.replace(
    DIFFUSION, num_frames_left_truncate=7, num_frames_center=15, num_frames_right_truncate=8
)


def schedule(window: int, start: int, target: int, stride: Fraction) -> WindowSchedule:
    """Windows of one frame each: samples, first sample of window 0, the sample described, distance."""
    return WindowSchedule(
        window=window, padding=-start, offset=Fraction(target), frame_stride=stride, hop=1, samplerate=16000
    )


TWO = schedule(window=3, start=0, target=1, stride=Fraction(2))
HALF = schedule(window=2, start=0, target=1, stride=Fraction(2))
THIRDS = schedule(window=8, start=-4, target=4, stride=Fraction(10, 3))


@pytest.mark.parametrize(
    ("windows", "samples", "opened", "closed"),
    [
        (TWO, 10, 4, 5),
        (TWO, 11, 5, 5),
        (TWO, 12, 5, 6),
        (TWO, 13, 6, 6),
        (TWO, 14, 6, 7),
        (TWO, 15, 7, 7),
        (schedule(16000, -16000, 1, Fraction(8000)), 16000, 3, None),
        *((HALF, samples, count, count) for samples, count in ((4, 2), (5, 2), (6, 3), (7, 3))),
        (schedule(8320, -4160, 4160, Fraction(16000, 30)), 7360, 7, None),
        *((THIRDS, n, 3, 3 if n == 10 else 4) for n in range(10, 14)),
        *((THIRDS, n, 4, 4 if n == 13 else 5 if n < 17 else 6) for n in range(14, 17)),
        (THIRDS, 17, 5, 6),
        (THIRDS, 18, 5, None),
        (schedule(1, -2, 0, Fraction(1)), 4, 6, None),
    ],
)
def test_counts_of_windows(windows: WindowSchedule, samples: int, opened: int, closed: int | None) -> None:
    assert windows.available_windows(samples, closed=False) == opened
    assert closed is None or windows.available_windows(samples, closed=True) == closed


def test_places_of_windows() -> None:
    places = [(TWO.first_sample(k), TWO.timestamp(k), TWO.end_sample(k)) for k in range(4)]
    assert places == [(0, 1, 3), (2, 3, 5), (4, 5, 7), (6, 7, 9)]
    ahead = schedule(16000, -16000, 1, Fraction(8000))
    assert [ahead.first_sample(k) for k in range(3)] == [-16000, -8000, 0]
    regression = REGRESSION.windows()
    assert [regression.timestamp(k) for k in range(7)] == [0, 533, 1066, 1600, 2133, 2666, 3200]


@given(
    window=st.integers(1, 50),
    start=st.integers(-60, 10),
    target=st.integers(0, 50),
    stride=st.fractions(1, 40, max_denominator=7),
    samples=st.integers(0, 200),
)
def test_counts_are_the_rule(window: int, start: int, target: int, stride: Fraction, samples: int) -> None:
    windows = schedule(window, start, target, stride)
    some = range(400)
    assert windows.available_windows(samples, closed=True) == sum(windows.timestamp(k) < samples for k in some)
    assert windows.available_windows(samples, closed=False) == sum(windows.end_sample(k) <= samples for k in some)


@pytest.mark.parametrize(
    ("samples", "frames", "frames_30", "closed", "opened"),
    [(16000, 60, 30, 4, 3), (64000, 240, 120, 10, 9), (65000, 244, 121, 10, 9)],
)
def test_diffusion(samples: int, frames: int, frames_30: int, closed: int, opened: int) -> None:
    fast, slow = DIFFUSION.windows(), DIFFUSION_30.windows()
    assert (fast.fps, fast.lead_in_frames, fast.timestamp(0), fast.first_sample(1)) == (60, 45, -12000, -8000)
    assert (slow.fps, slow.lead_in_frames, slow.timestamp(0), slow.first_sample(1)) == (30, 23, -12267, -8000)
    for windows, expected in ((fast, frames), (slow, frames_30)):
        assert windows.available_windows(samples, closed=True) == closed
        assert windows.available_windows(samples, closed=False) == opened
        stamps = [stamp for window in range(closed) for stamp in windows.timestamps(window)[:-1]]
        assert sum(0 <= stamp < samples for stamp in stamps) == expected


def test_time_stamps_of_diffusion() -> None:
    assert DIFFUSION.windows().timestamps(1)[15:20] == [0, 266, 533, 800, 1066]
    slow = DIFFUSION_30.windows()
    stamps = slow.timestamps(1)[:-1] + slow.timestamps(2)[:-1] + slow.timestamps(3)[:-1]
    given = [stamp for stamp in stamps if 0 <= stamp < 16000]
    assert given[:5] == [533, 1066, 1599, 2133, 2666]
    assert (given[-1], len(given)) == (15999, 30)
    assert slow.timestamps(1)[8] == -1  # what should lie at 0; as in the SDK, it is not given


@pytest.mark.parametrize(
    ("fps", "closed", "opened", "stamps"),
    [
        (Fraction(30), 120, 113, [0, 533, 1066, 1600]),
        (Fraction(60), 240, 225, [0, 266, 533, 800]),
        (NTSC, 120, None, [0, 533, 1067, 1601, 2135, 2669, 3203, 3737]),
        (Fraction(24), 96, None, [0, 666, 1333, 2000]),
    ],
)
def test_regression(fps: Fraction, closed: int, opened: int | None, stamps: list[int]) -> None:
    windows = REGRESSION.windows(fps)
    assert (windows.fps, windows.lead_in_frames, windows.hop) == (fps, 0, 1)
    assert windows.num_frames(64000) == windows.available_windows(64000, closed=True) == closed
    assert opened in (None, windows.available_windows(64000, closed=False))
    assert [windows.timestamps(k)[0] for k in range(len(stamps))] == stamps


@pytest.mark.parametrize("windows", [DIFFUSION.windows(), DIFFUSION_30.windows(), REGRESSION.windows(NTSC)])
def test_frames_cover_the_recording(windows: WindowSchedule) -> None:
    for samples in (1, 160, 16000, 64001, 123_457):
        assert windows.num_frames(samples) == math.ceil(samples * windows.fps / windows.samplerate)


def test_a_padding_between_two_frames_has_no_lead_in() -> None:
    """Timestamps are whole samples: the first frame, a third of a sample late, counts as the recording's first."""
    windows = dataclasses.replace(DIFFUSION_30, padding_left=3733).windows()
    assert (windows.lead_in_frames, windows.timestamp(0)) == (0, 0)


def test_rates_out_of_reach() -> None:
    for fps in (Fraction(0), Fraction(-30), Fraction(20000)):
        with pytest.raises(UserError, match="out of range"):
            REGRESSION.windows(fps)
    with pytest.raises(UserError, match="gives 60 frames per second, it cannot give 24"):
        DIFFUSION.windows(Fraction(24))
    with pytest.raises(UserError, match="padding_left"):
        dataclasses.replace(DIFFUSION, padding_left=3000).windows()
