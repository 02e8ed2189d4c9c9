"""Cuts takes into shots of a sentence or two, at pauses, so that some can be held out; drops what was not tracked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from audio2face.types import BoolArray, Float64Array

LONGEST_GAP_SECONDS = 0.25
"""Lost frames up to this long are interpolated; a longer gap ends a shot."""
SHORTEST_SECONDS = 1.5
"""Less between two gaps is left out."""

_WHOLE_SECONDS = 20.0  # takes up to this long are one shot
_LEAST_SECONDS, _MOST_SECONDS = 4.0, 12.0  # of a shot that is cut
_PAUSE_SECONDS = 0.3
_CALM_DB = 3.0  # a pause that is louder by less is as good, nearer to the middle


@dataclass(frozen=True)
class ShotRange:
    """Frames of a take that are a shot: `first` up to, not including, `stop`."""

    first: int
    stop: int

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.stop - self.first

    @property
    def frames(self) -> slice:
        """The frames, as a slice."""
        return slice(self.first, self.stop)


def cut_shots(lost: BoolArray, loudness: Float64Array, fps: float) -> list[ShotRange]:
    """Cuts a take into shots.

    Args:
        lost: frames that were not tracked, `[frames]`.
        loudness: of each frame, decibels, `[frames]`.
        fps: frames per second.

    Returns:
        The shots in order; a take without long gaps and of at most 20 s is one.
    """
    calm = ndimage.uniform_filter1d(loudness, max(1, round(_PAUSE_SECONDS * fps)), mode="nearest")
    shots = []
    for span in _tracked(lost, fps):
        shots += list(_cut(span, calm, fps))
    return shots


def _tracked(lost: BoolArray, fps: float) -> Iterator[ShotRange]:
    """Spans without long gaps, and without lost frames at their ends."""
    long = round(LONGEST_GAP_SECONDS * fps)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(np.int8), [0]])))
    first = 0
    for begin, end in [*zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True), (len(lost), len(lost))]:
        at_an_end = begin == 0 or end == len(lost)
        if end - begin > long or at_an_end:
            if (begin - first) / fps >= SHORTEST_SECONDS:
                yield ShotRange(first, begin)
            first = end


def _cut(span: ShotRange, calm: Float64Array, fps: float) -> Iterator[ShotRange]:
    if span.num_frames <= _WHOLE_SECONDS * fps:
        yield span
        return
    least, most = round(_LEAST_SECONDS * fps), round(_MOST_SECONDS * fps)
    first = span.first
    while span.stop - first > most + least:
        window = calm[first + least : first + most]
        candidates = np.flatnonzero(window <= window.min() + _CALM_DB)
        middle = len(window) / 2
        cut = first + least + int(candidates[np.argmin(np.abs(candidates - middle))])
        yield ShotRange(first, cut)
        first = cut
    rest = span.stop - first
    if rest > most:
        window = calm[first + least : span.stop - least]
        cut = first + least + int(window.argmin())
        yield ShotRange(first, cut)
        first = cut
    yield ShotRange(first, span.stop)
