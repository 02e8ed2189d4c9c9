"""Arranges decoded audio in time: gaps, overlaps and edits become one continuous recording.

Positions are samples per channel at the rate of the recording, relative to the time at which a player starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audio2face.errors import UserError
from audio2face.types import Float32Array

Samples = Float32Array  # [samples, channels]

# Time stamps are rounded to milliseconds in some containers and jitter in others, which players ignore; above this
# tolerance audio was lost, and a player keeps the rest in sync with the picture.
_TOLERANCE_SECONDS = 0.05
_LONGEST_OVERLAP_SECONDS = 1  # the clock restarts in files that were concatenated byte by byte
_MAX_PASSES = 20  # over one file; every jump back of an edit list needs one more
_SILENCE_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class Decoded:
    """Output of a decoder for one packet.

    Attributes:
        samples: float32 [samples, channels].
        position: of the first sample; None if the container has no time stamps.
    """

    samples: Samples
    position: int | None


@dataclass(frozen=True)
class Edit:
    """A range of the decoded audio and its presentation time, in samples; `count` None means to the end."""

    at: int
    start: int
    count: int | None


WHOLE = Edit(0, 0, None)


def contiguous(
    frames: Iterable[Decoded], samplerate: int, max_jump: int | None = None
) -> Iterator[tuple[int, Samples]]:
    """Fills gaps between decoded frames with silence and drops overlaps.

    Args:
        frames: in order of decoding.
        samplerate: in Hz.
        max_jump: longest gap, in samples; longer ones are resets of the clock, after which the audio continues
            without a break. None means that gaps may have any length. A jump back of over a second is always a reset.

    Yields:
        Position and samples; each run starts where the last one ended.
    """
    tolerance = round(_TOLERANCE_SECONDS * samplerate)
    longest_overlap = _LONGEST_OVERLAP_SECONDS * samplerate
    due: int | None = None
    shift = 0
    for frame in frames:
        samples = frame.samples
        if due is None:
            due = frame.position or 0
        elif frame.position is not None:
            ahead = frame.position + shift - due
            if ahead < -longest_overlap or (max_jump is not None and ahead > max_jump):
                shift -= ahead
            elif ahead > tolerance:
                for silence in _silence(ahead, samples.shape[1]):
                    yield due, silence
                    due += len(silence)
            elif ahead < -tolerance:
                samples = samples[-ahead:]
        if len(samples):
            yield due, samples
            due += len(samples)


def presented(runs: Callable[[], Iterator[tuple[int, Samples]]], edits: Iterable[Edit]) -> Iterator[Samples]:
    """Yields the audio as a player presents it from time 0 on: silence before the first edit, then each edit.

    Args:
        runs: starts a pass over the decoded audio, with the items of `contiguous`.
        edits: in order of presentation. A jump back starts another pass.

    Yields:
        Float32 [samples, channels]; concatenated, the whole recording.

    Raises:
        UserError: the edits jump back too often.
    """
    written, passes = 0, 1
    cursor = _Cursor(runs())
    for edit in edits:
        if edit.start < cursor.position:
            passes += 1
            if passes > _MAX_PASSES:
                raise UserError(
                    f"its edit list jumps back more than {_MAX_PASSES - 1} times",
                    hint="Export the film with its edits applied.",
                )
            cursor.close()
            cursor = _Cursor(runs())
        for samples in cursor.between(edit.start, None if edit.count is None else edit.start + edit.count):
            for silence in _silence(edit.at - written, samples.shape[1]):
                yield silence
                written += len(silence)
            yield samples
            written += len(samples)
    cursor.close()


class _Cursor:
    """Takes ranges, in order, from the runs of one pass.

    Attributes:
        position: position up to which the audio was read; earlier samples are no longer available.
    """

    def __init__(self, runs: Iterator[tuple[int, Samples]]) -> None:
        self.position = -(1 << 62)
        self._runs = runs
        self._held: tuple[int, Samples] | None = None

    def between(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Yields the samples from `start` up to `stop`, with silence before the start of the audio."""
        wanted = start
        while stop is None or wanted < stop:
            run = self._held or next(self._runs, None)
            self._held = None
            if run is None:
                return
            position, samples = run
            end = position + len(samples)
            if end <= wanted:
                self.position = end
                continue
            until = end if stop is None else min(end, stop)
            for silence in _silence(min(position, until) - wanted, samples.shape[1]):
                yield silence
                wanted += len(silence)
            if until < end:
                self._held = (max(until, position), samples[max(until - position, 0) :])
            self.position = wanted = max(until, wanted)
            taken = samples[max(start - position, 0) : max(until - position, 0)]
            if len(taken):
                yield taken

    def close(self) -> None:
        """Ends the pass and closes its file."""
        close = getattr(self._runs, "close", None)
        if close is not None:
            close()


def _silence(count: int, num_channels: int) -> Iterator[Samples]:
    for start in range(0, count, _SILENCE_ROWS):
        yield np.zeros((min(_SILENCE_ROWS, count - start), num_channels), np.float32)
