"""Lips that meet on p, b and m, and the lower lip that meets the teeth on f and v, on any rig.

The opening between the lips is linear in the weights, so the weights that close it are computed: `mouthClose` where the
rig has it, else the jaw, then what else opens the lips is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.example.visemes import ease
from audio2face.rigs.rig import Rig
from audio2face.types import Float64Array, FloatArray

APPROACH, RELEASE = 0.05, 0.04  # seconds that the lips take to meet and to part
_SURE, _CERTAIN = 0.45, 0.75  # of a clear p: peaks of closures that only begin to close the lips, and that do
_HELD = 0.95  # a closure lasts while this share of its peak does
_LINGERS = 0.03  # seconds by which that is longer than the sound, in the recordings of tests/data/espeak
_SHORTEST = 0.03  # seconds
TOUCH_MM, _PRESS_MM = 0.1, 0.8  # openings above the neutral one of lips that touch, and that press into one another
_SHARE = 0.2  # pairs that a closer moves less than this share of the most are not closed by it
_MOST_PUCKER = 0.3

_JAW, _CLOSE, _PUCKER = (ARKIT_INDEX[name] for name in ("jawOpen", "mouthClose", "mouthPucker"))
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
_ROLL, _SHUT_ROLL = ARKIT_INDEX["mouthRollLower"], 0.1  # more would draw the lower lip behind the upper one
_MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith("mouth")]
_BITE_AGAINST = [ARKIT_INDEX[name] for name in ("mouthFunnel", "mouthPucker", "mouthLowerDownLeft")]
_BITE_AGAINST.append(ARKIT_INDEX["mouthLowerDownRight"])
_BITE_JAW = 0.04  # opening of the jaw at which the lower lip still reaches the upper teeth
_BITE_AT_LEAST = {_ROLL: 0.8, ARKIT_INDEX["mouthShrugLower"]: 0.2}


@dataclass(frozen=True)
class Closure:
    """An interval of closed lips.

    Attributes:
        start, end: in seconds.
        depth: how far they are brought together, from 0 to 1: an uncertain closure only narrows the mouth.
    """

    start: float
    end: float
    depth: float = 1.0


def find_closures(evidence: FloatArray, rate: float) -> list[Closure]:
    """Finds the closures in a curve of how much a sound is like p, b or m.

    Args:
        evidence: `[steps]`, about 1 in a clear p, 0 elsewhere; step k is at the time (k + 0.5) / rate.
        rate: steps per second.

    Returns:
        The closures in order, each at least 30 ms long.
    """
    found: list[Closure] = []
    before, after = np.concatenate([[0.0], evidence[:-1]]), np.concatenate([evidence[1:], [0.0]])
    end = 0  # of the last closure, in steps
    for top in np.flatnonzero((evidence > _SURE) & (evidence >= before) & (evidence > after)).tolist():
        if top < end:
            continue
        low = np.flatnonzero(evidence < _HELD * evidence[top])
        place = int(np.searchsorted(low, top))
        begin = int(low[place - 1]) + 1 if place else 0
        end = int(low[place]) if place < len(low) else len(evidence)
        middle, half = (begin + end) / 2 / rate, max((end - begin) / rate - _LINGERS, _SHORTEST) / 2
        depth = float(ease(np.array((evidence[top] - _SURE) / (_CERTAIN - _SURE))))
        found.append(Closure(middle - half, middle + half, depth))
    return found


def closeness(closures: Sequence[Closure], times: Float64Array) -> Float64Array:
    """How far the lips are brought together, `[frames]`: 1 within closures and in one frame of each at least.

    Args:
        closures: the intervals.
        times: of the frames, ascending, in seconds.
    """
    near = np.zeros(len(times))
    edges = [-np.inf, *(edge for closure in closures for edge in (closure.start, closure.end)), np.inf]
    for number, closure in enumerate(closures):
        # Between two closures the lips part at their middle, however short the sound is.
        approach = min(APPROACH, max((closure.start - edges[2 * number]) / 2, _SHORTEST / 2))
        release = min(RELEASE, max((edges[2 * number + 3] - closure.end) / 2, _SHORTEST / 2))
        first, last = np.searchsorted(times, [closure.start - approach, closure.end + release])
        cut = slice(max(int(first) - 1, 0), int(last) + 1)
        at = times[cut]
        if not len(at):
            continue
        bump = ease(1 - (closure.start - at) / approach) * ease(1 - (at - closure.end) / release)
        bump[np.argmin(np.abs(at - (closure.start + closure.end) / 2))] = 1.0
        near[cut] = np.maximum(near[cut], closure.depth * bump)
    return near


def bite(weights: Float64Array, amount: Float64Array) -> Float64Array:
    """Moves the lower lip to the upper teeth where `amount` `[frames]` is 1: weights `[frames, 52]` to weights."""
    biting = weights.copy()
    biting[:, _BITE_AGAINST] *= 1 - amount[:, None]
    biting[:, _JAW] += (np.minimum(biting[:, _JAW], _BITE_JAW) - biting[:, _JAW]) * amount
    for shape, least in _BITE_AT_LEAST.items():
        biting[:, shape] = np.maximum(biting[:, shape], least * amount)
    return biting


class LipCloser:
    """Closes the lips of a rig.

    Args:
        rig: the rig; where its lips were not found, `mouthClose` equals `jawOpen`, as ARKit defines closed lips.
    """

    def __init__(self, rig: Rig) -> None:
        self._gaps = rig.lip_gaps().astype(np.float64)
        self._has_pucker = rig.has("mouthPucker")
        self._closer = np.zeros(len(ARKIT_NAMES))
        self._keeps_jaw = rig.has("mouthClose") and rig.close_keeps_the_jaw()
        if rig.has("mouthClose"):
            self._closer[_CLOSE] = 1
        if not self._keeps_jaw:
            self._closer[_JAW] = -1

    def __call__(self, weights: Float64Array, near: Float64Array) -> Float64Array:
        """Brings the lips together.

        Args:
            weights: `[frames, 52]`.
            near: how far, `[frames]`, from 0 to 1.

        Returns:
            `[frames, 52]`: where `near` is 1 no pair of lip vertices is more than 0.1 mm further apart than at rest.
        """
        moved = weights.copy()
        rows = np.flatnonzero(near > 0)
        if len(rows):
            moved[rows] += near[rows, None] * (self._closed(weights[rows]) - weights[rows])
        return self._without_overlap(moved)

    def opening(self, weights: FloatArray) -> Float64Array:
        """Opening between the lips above the neutral one, `[frames, pairs]`, millimetres."""
        return np.asarray(weights @ self._gaps, np.float64)

    def _closed(self, weights: Float64Array) -> Float64Array:
        """The weights with the lips closed."""
        closed = weights.copy()
        closed[:, _OPENERS] = 0
        closed[:, _ROLL] = np.minimum(closed[:, _ROLL], _SHUT_ROLL)
        most = np.minimum(1.5 * closed[:, _JAW], 1 - closed[:, _CLOSE]) if self._keeps_jaw else closed[:, _JAW]
        closed += self._amount(closed, self._closer, closed[:, _JAW], most)[:, None] * self._closer
        if self._has_pucker:
            pucker = np.eye(len(ARKIT_NAMES))[_PUCKER]
            closed += self._amount(closed, pucker, np.zeros(len(closed)), _MOST_PUCKER)[:, None] * pucker
        return self._taken_back(closed)

    def _amount(
        self, weights: Float64Array, closer: Float64Array, otherwise: Float64Array, most: Float64Array | float
    ) -> Float64Array:
        """How much of a closer is needed, `[frames]`; `otherwise` where the lips of the rig are not known."""
        reach = -(closer @ self._gaps)
        if not len(reach) or reach.max() <= 0:
            return np.minimum(otherwise, most)
        pairs = reach > _SHARE * reach.max()
        needed = (self.opening(weights)[:, pairs] - TOUCH_MM) / reach[pairs]
        return np.asarray(np.clip(needed.max(axis=1), 0, most))

    def _taken_back(self, weights: Float64Array) -> Float64Array:
        """Reduces what opens the lips of a closed mouth still, such as a wide smile."""
        if not self._gaps.shape[1]:
            return weights
        opening = self.opening(weights)
        opened = np.maximum(weights[:, :, None] * self._gaps, 0).sum(axis=1)
        excess = np.maximum(opening - TOUCH_MM, 0)
        share = np.clip(1 - excess / np.maximum(opened, 1e-9), 0, 1)
        share = np.where(excess > 0, share, 1.0).min(axis=1)
        opens = [shape for shape in (*_MOUTH, _JAW) if self._gaps[shape].max() > 0]
        reduced = weights.copy()
        reduced[:, opens] *= share[:, None]
        # What a reduced shape closed elsewhere opens again: then all of the mouth goes back to rest, which is closed.
        left = self.opening(reduced).max(axis=1) > 2 * TOUCH_MM
        reduced[np.ix_(left, [*_MOUTH, _JAW])] = 0
        return reduced

    def _without_overlap(self, weights: Float64Array) -> Float64Array:
        """Opens the jaw a little where lips press too deep into one another, unless that parts them."""
        jaw = self._gaps[_JAW]
        if not len(jaw) or jaw.min() <= 0:
            return weights
        opening = self.opening(weights)
        wanted = np.maximum((-_PRESS_MM - opening) / jaw, 0).max(axis=1)
        allowed = np.maximum((TOUCH_MM - opening) / jaw, 0).min(axis=1)
        parted = weights.copy()
        parted[:, _JAW] += np.minimum(wanted, allowed)
        return parted
