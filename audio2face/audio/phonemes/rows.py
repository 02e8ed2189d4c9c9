"""Tables of phones over time: rows 50 times per second, and which rows the window around a frame sees.

Arrays in, arrays out. A recording's table has one row less than 50 per second: the row of a time is found by
stretching the table, 0.02 s longer than its rows last, over the recording. So the reference treats the table of its
recogniser, whose convolutions lose that much at the ends; tables made otherwise are made to the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audio2face.audio.phonemes.phone_set import PhoneSet

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

RATE = 50  # rows per second
WINDOW_ROWS = 25  # of the window around a frame
_LOST_SECONDS = 0.02
_OUTSIDE = -1


class Span(NamedTuple):
    """When one phone sounds: its symbol, start and end in seconds from the start of the recording."""

    symbol: str
    start: float
    end: float


def row_count(seconds: float) -> int:
    """Rows of the table of a recording, at least one."""
    return max(1, round((seconds - _LOST_SECONDS) * RATE))


def window_rows(times: npt.ArrayLike, num_rows: int | IntArray) -> IntArray:
    """The rows of the windows around frames, half a window before row floor(t n / (n / 50 + 0.02)) and onwards.

    Args:
        times: of the frames, `[...]`, seconds from the start of the recording.
        num_rows: rows of the recording's table; one number, or one for each time, `[...]`.

    Returns:
        `[..., WINDOW_ROWS]`; -1 stands for silence outside the recording.
    """
    sizes = np.asarray(num_rows, np.int64)
    centres = np.floor(np.asarray(times, float) * (sizes / (sizes / RATE + _LOST_SECONDS))).astype(np.int64)
    rows: IntArray = centres[..., None] + np.arange(WINDOW_ROWS) - WINDOW_ROWS // 2
    return np.where((rows >= 0) & (rows < sizes[..., None]), rows, _OUTSIDE)


def rows_of_spans(spans: Sequence[Span], seconds: float, phones: PhoneSet) -> Float32Array:
    """The table of a recording whose phones have known times: in each row, 1 for the phone at its middle.

    Args:
        spans: the phones that sound, each one of `phones`; where none does, there is silence.
        seconds: length of the recording.
        phones: the columns.

    Returns:
        `[row_count(seconds), phones]`.

    Raises:
        KeyError: a span's symbol is not in `phones`.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    count = row_count(seconds)
    middles = (np.arange(count) + 0.5) * (count / RATE + _LOST_SECONDS) / count
    columns = np.full(count, phones.silence)
    if ordered:
        latest = np.searchsorted([span.start for span in ordered], middles, side="right") - 1
        sounding = (latest >= 0) & (middles < np.array([span.end for span in ordered])[latest])
        known = np.array([phones.column[span.symbol] for span in ordered])
        columns = np.where(sounding, known[latest], columns)
    table = np.zeros((count, len(phones)), np.float32)
    table[np.arange(count), columns] = 1
    return table


def to_rate(table: Float32Array, rate: int) -> Float32Array:
    """Brings a table of `rate` rows per second, a multiple of `RATE`, to `RATE` by leaving rows out."""
    factor, rest = divmod(rate, RATE)
    if rest or not factor:
        raise ValueError(f"{rate} rows per second are no multiple of {RATE}")
    return np.ascontiguousarray(table[::factor])
