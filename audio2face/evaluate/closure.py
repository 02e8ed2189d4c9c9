"""Do the lips meet where they must? On p, b and m nobody can speak with open lips, and every viewer notices.

Knows the distance of the lips over time and when phones sound; knows no mesh and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.geometry.frame_times import MIDDLE

BILABIALS = frozenset("pbm")
TOUCH_MM = 1.0  # above the distance at rest that still counts as closed
_MM_PER_CM = 10.0


@dataclass(frozen=True)
class ClosureScore:
    """How many of the phones that close the lips do.

    Attributes:
        phones: p, b and m that sound within the animation.
        closed: those on which the lips meet.
    """

    phones: int
    closed: int

    @property
    def share(self) -> float:
        """Share of those that close; nan where there are none."""
        return self.closed / self.phones if self.phones else float("nan")

    def __add__(self, other: ClosureScore) -> ClosureScore:
        """Both together."""
        return ClosureScore(self.phones + other.phones, self.closed + other.closed)


def score_closure(
    distance: npt.NDArray[np.float64], rest: float, phones: Sequence[PhonemeTime], fps: float
) -> ClosureScore:
    """Counts the p, b and m of a shot, and those whose smallest lip distance is at most that at rest and 1 mm.

    The smallest is taken from one frame before the phone to one frame behind it, since a closure that is drawn a frame
    early or late is not seen. When frames are says `geometry.frame_times`.

    Args:
        distance: of the lips, `lips.lip_distance`, `[frames]`, centimetres.
        rest: that of the face at rest.
        phones: of the shot.
        fps: frames per second.
    """
    total = closed = 0
    for phone in phones:
        first = int(np.ceil(phone.start * fps - MIDDLE)) - 1
        last = int(np.floor(phone.end * fps - MIDDLE)) + 1
        near = distance[max(first, 0) : max(last + 1, 0)]
        if phone.symbol in BILABIALS and len(near):
            total += 1
            closed += bool(_MM_PER_CM * (near.min() - rest) <= TOUCH_MM)
    return ClosureScore(total, closed)
