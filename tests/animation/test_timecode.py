"""SMPTE time code: known labels, round trips at every rate, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.animation.timecode import Start, TimecodeRate
from audio2face.errors import UserError

RATES = [
    TimecodeRate.of(Fraction(24000, 1001)),
    TimecodeRate.of(24),
    TimecodeRate.of(25),
    TimecodeRate.of(30),
    TimecodeRate.of(29.97),
    TimecodeRate.of(29.97, drop=True),
    TimecodeRate.of(Fraction(60000, 1001), drop=True),
    TimecodeRate.of(Fraction(120000, 1001), drop=True),
    TimecodeRate.of(60),
]


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate.exact):.2f}{'df' if rate.drop else ''}")
@given(frame=st.integers(0, 24 * 3600 * 120))
def test_labels_are_unique_and_in_order(rate: TimecodeRate, frame: int) -> None:
    frame %= rate.day - 1
    fields, following = rate.fields(frame), rate.fields(frame + 1)
    assert rate.frame(*fields) == frame
    assert fields < following
    assert Start.parse(rate.label(frame), rate.exact) == Start(frame, rate.drop)
    assert rate.label(frame + rate.day) == rate.label(frame)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate.drop], ids=str)
def test_drop_frame_follows_the_clock(rate: TimecodeRate) -> None:
    for minutes in range(0, 1440, 7):
        clock = minutes * 60 * rate.exact
        hours, minute, second, frame = rate.fields(round(clock))
        labelled = (hours * 60 + minute) * 60 + second + Fraction(frame, rate.nominal)
        assert abs(labelled - minutes * 60) < Fraction(8 * rate.nominal, 30 * rate.nominal)


@pytest.mark.parametrize(
    ("fps", "text", "frame"),
    [
        (30, "01:00:00:00", 108_000),
        (25, "10:00:00:12", 900_012),
        (23.976, "01:00:00:00", 86_400),
        (29.97, "00:01:00;02", 1_800),
        (29.97, "00:00:59;29", 1_799),
        (29.97, "00:10:00;00", 17_982),
        (29.97, "01:00:00;00", 107_892),
        (29.97, "01:00:00:00", 108_000),
        (59.94, "00:01:00;04", 3_600),
        (Fraction(60000, 1001), "01:00:00;00", 215_784),
        (29.97, "23:59:59;29", 2_589_407),
    ],
)
def test_known_labels(fps: float, text: str, frame: int) -> None:
    start = Start.parse(text, fps)
    assert start.frame == frame
    assert start.label(0, fps) == text


@pytest.mark.parametrize(
    ("fps", "text", "problem"),
    [
        (30, "one", "'one' is no time code"),
        (30, "01:00:00", "is no time code"),
        (30, "01:00:00:30", "there is no time code 01:00:00:30 at 30"),
        (30, "24:00:00:00", "there is no time code 24:00"),
        (30, "01:00:00;00", "no drop frame time code at 30"),
        (23.976, "01:00:00;00", "no drop frame time code at 23.976"),
        (29.97, "01:01:00;01", "which drop frame leaves out"),
        (12.5, "01:00:00:00", "no time code at 12.5"),
    ],
)
def test_what_is_refused(fps: float, text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        Start.parse(text, fps)


def test_the_time_of_the_day() -> None:
    assert Start.at(Fraction(3600), 25) == Start(90_000)
    assert Start.at(Fraction(3600), 29.97) == Start(107_892, drop=True)
    assert Start.at(Fraction(10), 12.5) == Start(125)
    assert Start(125).label(0, 12.5) is None
