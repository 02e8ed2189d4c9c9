"""Lips that meet: blended curves undershoot, but on p, b and m the lips touch, however fast and whatever the emotion.

Knows the head's lips through `Head.lip_gap` alone; it changes weights only near bilabial phones, and where lips would
pass through each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.dataset.example.curves import Curves, ease, frame_centres
from audio2face.dataset.example.head import Head
from audio2face.dataset.example.phones import Phone
from audio2face.dataset.example.shapes import ARKIT_INDEX
from audio2face.dataset.example.visemes import BILABIALS

_APPROACH, _RELEASE = 0.06, 0.05  # seconds that the lips take to meet and to part
_BURST_SHARE = 0.3  # of a p or b, at its end: the lips are open already
_TOUCH_MM = 0.15  # opening above the neutral one that still counts as touching
_PRESS_MM = 1.0  # how far soft lips may be pressed into one another
_JAW = ARKIT_INDEX["jawOpen"]
_CLOSED_JAW = ARKIT_INDEX["mouthClose"]
_CLOSER = ARKIT_INDEX["mouthPucker"]  # closes all five pairs of lip points alike
_OPENERS = [
    ARKIT_INDEX[name]
    for name in (
        "mouthFunnel",
        "mouthLowerDownLeft",
        "mouthLowerDownRight",
        "mouthUpperUpLeft",
        "mouthUpperUpRight",
        "mouthShrugUpper",
    )
]


@dataclass(frozen=True)
class Closure:
    """One meeting of the lips: from `start` to `end` in seconds, in `frames` whatever their times."""

    start: float
    end: float
    frames: npt.NDArray[np.intp]


def closures(phones: Sequence[Phone], num_frames: int, fps: float) -> Iterator[Closure]:
    """The closures of all p, b and m, each with at least one frame: the nearest where none falls inside."""
    times = frame_centres(num_frames, fps)
    for phone in phones:
        if phone.symbol not in BILABIALS:
            continue
        burst = 0.0 if phone.symbol == "m" else _BURST_SHARE * (phone.end - phone.start)
        inside = np.flatnonzero((times >= phone.start) & (times < phone.end - burst))
        nearest = np.array([int(np.argmin(np.abs(times - phone.centre)))])
        yield Closure(phone.start, phone.end - burst, inside if len(inside) else nearest)


def close_lips(weights: Curves, phones: Sequence[Phone], fps: float, head: Head) -> Curves:
    """Weights `[frames, 52]` with the lips meeting in every closure, and never far inside one another."""
    times = frame_centres(len(weights), fps)
    gestures = []
    for closure in closures(phones, len(weights), fps):
        shut = ease(1 - (closure.start - times) / _APPROACH)
        shut = shut * ease(1 - (times - closure.end) / _RELEASE)
        shut[closure.frames] = 1.0
        gestures.append((closure, shut))
    shut = np.max([shut for _, shut in gestures], axis=0, initial=0.0)
    closed = weights.copy()
    closed[:, _OPENERS] *= 1 - shut[:, None]
    closed[:, _CLOSED_JAW] += closed[:, _JAW] * shut  # `mouthClose` holds the jaw that `jawOpen` gives up
    closed[:, _JAW] *= 1 - shut
    closed = _press(closed, gestures, head)
    return _part_pressed(closed, shut, head)


def _press(weights: Curves, gestures: Sequence[tuple[Closure, Curves]], head: Head) -> Curves:
    """Closes what other shapes (a smile, a frown) leave open in the closures."""
    excess = _gap_above_neutral(weights, head).max(axis=1) - _TOUCH_MM
    reach = -float(_gap_of(_CLOSER, head).max())
    pressed = weights.copy()
    extra = np.zeros(len(weights))
    for closure, shut in gestures:
        needed = max(float(excess[closure.frames].max()), 0.0) / reach
        extra = np.maximum(extra, needed * shut)
    pressed[:, _CLOSER] += extra
    return pressed


def _part_pressed(weights: Curves, shut: Curves, head: Head) -> Curves:
    """Opens the jaw where lips are pressed deeper than they give way, unless a closure would then leak."""
    gap, opening = _gap_above_neutral(weights, head), _gap_of(_JAW, head)
    wanted = np.maximum((-_PRESS_MM - gap) / opening, 0.0).max(axis=1)
    allowed = np.maximum((_TOUCH_MM - gap) / opening, 0.0).min(axis=1)
    parted = weights.copy()
    parted[:, _JAW] += np.where(shut >= 1.0, np.minimum(wanted, allowed), wanted)
    return parted


def _gap_above_neutral(weights: Curves, head: Head) -> Curves:
    """Millimetres `[frames, 5]`."""
    neutral = np.zeros((1, weights.shape[1]), np.float32)
    return (head.lip_gap(weights.astype(np.float32)) - head.lip_gap(neutral)).astype(np.float64)


def _gap_of(shape: int, head: Head) -> Curves:
    """What one shape at weight 1 adds to the gap, millimetres `[5]`."""
    alone = np.eye(1, len(ARKIT_INDEX), shape)
    return _gap_above_neutral(alone, head).reshape(-1)
