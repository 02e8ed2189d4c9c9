"""Times of captured rows: time codes, the frame rate that they tell, and values on a grid of equal frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.types import BoolArray, Float32Array, Float64Array

_LABEL = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})[:;.]([0-9]{1,3}(?:\.[0-9]+)?)")
_TICKS = 60  # of a second: the last field of a time code of Live Link Face, at every frame rate
_DAY = 86_400.0
_JITTER = 1 / 60  # s, backwards
_LONGEST_STEP = 600.0  # s between rows of one take
_USUAL = (24, 25, 30, 48, 50, 60, 90, 100, 120)
USUAL_RATES: tuple[Fraction, ...] = tuple(
    sorted([*map(Fraction, _USUAL), *(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120))])
)
_NEAR = 4e-4  # relative difference from a usual rate: 29.97 and 30 differ by 1e-3, clocks of phones by 1e-4
_SLOWEST, _FASTEST = 5.0, 240.0
_SNAP = 0.02  # frames: a row this near to a frame of the grid is that frame
_LOST = 0.6  # frames: a frame of the grid without a row this near was not captured


def read_timecodes(labels: Sequence[str], path: Path) -> Float64Array:
    """Seconds of time codes as Live Link Face writes them, `HH:MM:SS:FF.fff` with sixtieths of a second, `[rows]`.

    Midnight is passed without a jump back.

    Raises:
        FileFormatError: a label is no such time code, or it is earlier than the one before or far after it; the message
            names the row.
    """
    seconds = np.empty(len(labels))
    for row, label in enumerate(labels):
        fields = _LABEL.fullmatch(label.strip())
        if fields is None:
            raise FileFormatError(
                f"row {row + 2}: {label!a} is no time code such as 13:04:31:52.500",
                path=path,
                hint="Export the take from the app again, or remove the row.",
            )
        hours, minutes, whole = (int(fields[group]) for group in (1, 2, 3))
        seconds[row] = hours * 3600 + minutes * 60 + whole + float(fields[4]) / _TICKS
    turns = np.cumsum(np.diff(seconds, prepend=seconds[:1]) < -_DAY / 2)
    unwrapped: Float64Array = seconds + _DAY * turns
    _check_order(unwrapped, labels, path)
    return unwrapped


def _check_order(seconds: Float64Array, labels: Sequence[str], path: Path) -> None:
    """Refuses rows that do not follow each other; one that is less than a frame early is a clock's jitter."""
    steps = np.diff(seconds)
    wrong = np.flatnonzero((steps < -_JITTER) | (steps > _LONGEST_STEP))
    if not len(wrong):
        return
    row = int(wrong[0]) + 1
    how = "is earlier than" if steps[row - 1] < 0 else f"is {steps[row - 1]:.0f} s after"
    raise FileFormatError(
        f"row {row + 2}: its time code {labels[row]} {how} {labels[row - 1]} in the row before",
        path=path,
        hint="Rows are in order of time, of one recording: sort them, or split the table there and import two takes.",
    )


def rate_of(times: Float64Array) -> Fraction | None:
    """The frame rate that times of rows `[rows]` in seconds tell, a usual one where it is near.

    Missing rows count as the number of frames that they took. None where the times tell none.
    """
    steps = np.diff(times)
    steps = steps[steps > 0]
    if len(steps) < 2:
        return None
    usual = float(np.median(steps))
    frames = np.rint(steps / usual)
    if usual <= 0 or not frames.sum():
        return None
    measured = float(frames.sum() / steps.sum())
    return named_rate(measured) if _SLOWEST <= measured <= _FASTEST else None


def named_rate(measured: float) -> Fraction:
    """A usual rate where the measured one is near, else the measured one in thousandths."""
    nearest = min(USUAL_RATES, key=lambda rate: abs(measured / float(rate) - 1))
    if abs(measured / float(nearest) - 1) <= _NEAR:
        return nearest
    return Fraction(round(measured * 1000), 1000)


@dataclass(frozen=True, eq=False)
class Gridded:
    """Values at equal distances in time.

    Attributes:
        values: float32 `[frames, columns]`.
        lost: frames without a captured row, whose values are interpolated, bool `[frames]`.
    """

    values: Float32Array
    lost: BoolArray

    @property
    def num_gaps(self) -> int:
        """Number of runs of lost frames."""
        return int(np.count_nonzero(np.diff(self.lost.astype(np.int8), prepend=0) == 1))

    @property
    def longest_gap(self) -> int:
        """Number of frames of the longest run of lost ones."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.lost.astype(np.int8), [0]])))
        return int(max(edges[1::2] - edges[::2], default=0))


def on_grid(times: Float64Array, values: Float64Array, fps: Fraction) -> Gridded:
    """Puts rows on a grid of frames that begins with the first row: frame i is i / fps seconds later.

    Between rows values are interpolated; a row that is at a frame of the grid is kept as it is. Lost frames at either
    end hold the nearest row.

    Args:
        times: of the rows, in seconds, ascending.
        values: `[rows, columns]`; NaN in rows that were lost.
        fps: frames per second of the grid.

    Raises:
        ValueError: no row holds values.
    """
    positions = (times - times[0]) * float(fps)
    count = round(float(positions[-1])) + 1
    valid = np.isfinite(values).all(axis=1) & (np.diff(positions, prepend=-np.inf) > _SNAP)
    if not valid.any():
        raise ValueError("no row holds values")
    at, rows = positions[valid], values[valid].astype(np.float32)
    snapped = np.rint(at)
    at = np.where(np.abs(at - snapped) < _SNAP, snapped, at)
    frames = np.arange(count, dtype=np.float64)
    after = np.clip(np.searchsorted(at, frames), 0, len(at) - 1)
    before = np.maximum(after - (at[after] > frames), 0)
    span = np.maximum(at[after] - at[before], 1e-9)
    share = np.clip((frames - at[before]) / span, 0, 1).astype(np.float32)[:, None]
    mixed = rows[before] * (1 - share) + rows[after] * share
    nearest = np.minimum(np.abs(frames - at[before]), np.abs(at[after] - frames))
    return Gridded(np.asarray(mixed, np.float32), nearest > _LOST)
