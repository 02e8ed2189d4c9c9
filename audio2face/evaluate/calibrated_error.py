"""The lip error after calibration: each clip gets its own mean face, and all clips one common gain.

On other people's faces a lip error compares two persons' neutral mouths and how far each opens, so that a timid face
wins. Here the mean lips of a clip are those of the recording, and deviations from them are scaled by the gain that fits
all clips of a set best. What remains is shape and timing.

The gain is known only when all clips are done. Of a clip therefore its lip error is kept for many gains, whatever its
length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audio2face.types import Float64Array, FloatArray

MOST_GAIN = 4.0
GAINS: Float64Array = np.linspace(0, MOST_GAIN, 401)
"""The gains of which errors are kept, `[gains]`."""
_ROUNDING = 1e-12  # of squares, relative to the recorded ones: a still face is constant up to rounding
_BLOCK_FRAMES = 256


@dataclass(frozen=True, eq=False)
class GainCurve:
    """What calibration needs of one clip. Deviations are from the clip's mean positions of each lip vertex.

    Attributes:
        product: sum over frames, vertices and axes of animated times recorded deviations, mm².
        square: sum of squared animated deviations, mm²; 0 for a still face.
        error_mm: lip error at each of `GAINS`: distance of the lip vertex that is furthest from its recorded position,
            mean over frames, float64 `[gains]`, mm. It is convex in the gain.
    """

    product: float
    square: float
    error_mm: Float64Array

    @classmethod
    def measure(cls, predicted: FloatArray, true: FloatArray) -> GainCurve:
        """Measures a clip.

        Args:
            predicted: animated lip vertices, `[frames, verts, 3]`, mm.
            true: recorded ones.
        """
        product = square = recorded = 0.0
        total = np.zeros(len(GAINS))
        for ours, theirs in _deviations(predicted, true):
            along = np.einsum("fvc,fvc->fv", ours, theirs)
            moved, wanted = (np.einsum("fvc,fvc->fv", each, each) for each in (ours, theirs))
            product, square, recorded = product + along.sum(), square + moved.sum(), recorded + wanted.sum()
            for index, gain in enumerate(GAINS):
                furthest = (wanted - 2 * gain * along + gain**2 * moved).max(axis=1)
                total[index] += np.sqrt(np.maximum(furthest, 0)).sum()
        if square <= _ROUNDING * recorded:
            product = square = 0.0
        return cls(float(product), float(square), total / len(true))

    def error_at(self, gain: float) -> float:
        """The lip error at a gain, mm; linear between `GAINS`."""
        return float(np.interp(gain, GAINS, self.error_mm))


def _deviations(predicted: FloatArray, true: FloatArray) -> Iterator[tuple[Float64Array, Float64Array]]:
    """Deviations of both from their means, float64 `[frames, verts, 3]`, in blocks."""
    centres = [each.mean(axis=0, dtype=np.float64) for each in (predicted, true)]
    for start in range(0, len(true), _BLOCK_FRAMES):
        rows = slice(start, start + _BLOCK_FRAMES)
        yield predicted[rows] - centres[0], true[rows] - centres[1]


def common_gain(curves: Iterable[GainCurve]) -> float:
    """The gain on all clips' animated deviations that fits the recorded ones best, by least squares.

    It lies between 0 and `MOST_GAIN`; 0 where nothing moves.
    """
    pairs = np.array([(curve.product, curve.square) for curve in curves]).reshape(-1, 2)
    product, square = pairs.sum(axis=0)
    return float(np.clip(product / square, 0, MOST_GAIN)) if square > 0 else 0.0
