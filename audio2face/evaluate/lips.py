"""Measures on the lips: how far they are off, and whether they part and close when the recorded ones do.

Knows positions in centimetres. Knows no network and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.dataset.shots import PhonemeTime
from audio2face.geometry.frame_times import MIDDLE

FloatArray = npt.NDArray[np.floating]
_MM_PER_CM = 10.0


@dataclass(frozen=True)
class LipScore:
    """How good the lips of some shots are.

    Attributes:
        error_mm: distance of the worst of the marked vertices from its true place, mean over frames and then shots.
        correlation: of the lip distance over time with the true one, mean over shots; nan where it never changes.
    """

    error_mm: float
    correlation: float


def lip_distance(lips: FloatArray) -> npt.NDArray[np.float64]:
    """How far the lips are apart.

    Args:
        lips: positions of paired vertices of the upper and the lower lip, `[frames, 2, pairs, 3]`, y up.

    Returns:
        Height of the upper above the lower, mean over the pairs, float64 `[frames]`, in the unit of the positions.
    """
    return np.asarray((lips[:, 0, :, 1] - lips[:, 1, :, 1]).mean(axis=1), np.float64)


def vertex_error(predicted: FloatArray, true: FloatArray) -> float:
    """Distance of the worst vertex from its true place, mean over frames, in the unit of the positions.

    Args:
        predicted: `[frames, ..., 3]`.
        true: likewise.
    """
    distances = np.linalg.norm(np.asarray(predicted, np.float64) - true, axis=-1)
    return float(distances.reshape(len(distances), -1).max(axis=1).mean())


def correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Pearson's correlation of two curves `[frames]`; nan where one of them does not change."""
    first, second = one - one.mean(), other - other.mean()
    spread = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / spread) if spread > 0 else float("nan")


def resample_frames(
    values: FloatArray, fps: float, num_frames: int, wanted_fps: float, moment: float = MIDDLE
) -> FloatArray:
    """Reads an animation at another frame rate, linearly; a frame read stands for the middle of its time.

    Args:
        values: `[frames, ...]` at `fps`.
        fps: frames per second.
        num_frames: frames wanted; beyond its ends the animation stands still.
        wanted_fps: their rate.
        moment: frame i of `values` stands for the time (i + moment) / fps: the middle of its time in recordings and
            what diffusion networks give; its beginning (0) where a regression network was asked for it.

    Returns:
        `[num_frames, ...]`.
    """
    places = np.clip((np.arange(num_frames) + MIDDLE) * (fps / wanted_fps) - moment, 0, len(values) - 1)
    before = np.floor(places).astype(np.intp)
    share = (places - before).reshape(-1, *(1,) * (values.ndim - 1))
    resampled: FloatArray = (1 - share) * values[before] + share * values[np.minimum(before + 1, len(values) - 1)]
    return resampled


def score_lips(predicted: Sequence[FloatArray], true: Sequence[FloatArray]) -> LipScore:
    """Scores the lips of shots.

    Args:
        predicted: positions of each shot, `[frames, 2, pairs, 3]`, centimetres.
        true: likewise.

    Raises:
        ValueError: there is no shot.
    """
    pairs = list(zip(predicted, true, strict=True))
    if not pairs:
        raise ValueError("no shot to score")
    errors = [vertex_error(*pair) for pair in pairs]
    correlations = [correlation(lip_distance(one), lip_distance(other)) for one, other in pairs]
    known = [value for value in correlations if not np.isnan(value)]
    return LipScore(
        error_mm=_MM_PER_CM * float(np.mean(errors)),
        correlation=float(np.mean(known)) if known else float("nan"),
    )


BILABIALS = frozenset("pbm")
TOUCH_MM = 1.0  # above the distance at rest that still counts as closed


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
