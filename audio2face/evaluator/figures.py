"""Numbers as a reader sees them: as many decimals as a metric needs, a real minus sign, intervals in words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from audio2face.evaluator.results import Interval

MISSING = "–"
_DECIMALS = ((100.0, 0), (10.0, 1), (1.0, 2))  # from this size on, so many decimals
_MOST_DECIMALS = 3


def decimals_for(values: Iterable[float | None]) -> int:
    """The decimals with which the largest of some values has three digits; one number for all, so that they align."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    return next((decimals for size, decimals in _DECIMALS if largest >= size), _MOST_DECIMALS)


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """The number with a true minus sign, and a plus sign where `signed`; a dash for one that is missing or NaN."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        return text
    return f"−{text}" if value < 0 else f"+{text}" if signed else text


def range_words(interval: Interval, decimals: int, *, signed: bool = False) -> str:
    """Such as "0.78 to 0.85"; empty without an interval."""
    if interval.low is None or interval.high is None:
        return ""
    return f"{number(interval.low, decimals, signed=signed)} to {number(interval.high, decimals, signed=signed)}"


def clock(seconds: float) -> str:
    """A time as minutes:seconds, such as "1:04.25"; a dash for NaN."""
    if not math.isfinite(100 * seconds):
        return MISSING
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"
