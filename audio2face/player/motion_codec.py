"""The motion of one mesh in few bytes: a mean pose, integer shapes, and what each shape weighs in each frame.

Principal components of the frames, rounded to steps that are found by measuring: the code is decoded again, compared
with every frame, and made finer until its error is small enough. Knows positions; knows no page and no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.geometry.pca import leading_eigenpairs
from audio2face.types import Float32Array

Int16Array = npt.NDArray[np.int16]

_MM_PER_CM = 10.0
_BLOCK_FRAMES = 64
_FITTED_FRAMES = 800  # components come from this many frames, evenly spread; the error is measured on all
_MOST_SHAPES = 512
_TRIES = 8
_FINER = 0.6  # how much of its allowance each source of error keeps in the next try
_TRUNCATION_SHARE = 0.4  # of the allowed mean error, spent on components that are left out
_INT16 = 32767
_BYTES = 4  # of a coordinate


@dataclass(frozen=True)
class Tolerance:
    """How far a decoded vertex may lie from where it belongs, in millimetres.

    Attributes:
        mean_mm: over all vertices and frames.
        worst_mm: of any vertex in any frame.
    """

    mean_mm: float = 0.02
    worst_mm: float = 0.1


@dataclass(frozen=True, eq=False)
class MotionCode:
    """A coded motion: frame f is `rest + scales * weights[:, f] @ shapes`.

    Attributes:
        rest: the mean pose, float32 `[verts, 3]`, centimetres.
        shapes: `[shapes, 3, verts]`, in steps that `scales` makes centimetres.
        weights: `[shapes, frames]`.
        scales: float32 `[shapes]`.
        mean_mm: distance of a decoded vertex from the true one, mean over vertices and frames.
        worst_mm: the largest of these distances.
    """

    rest: Float32Array
    shapes: Int16Array
    weights: Int16Array
    scales: Float32Array
    mean_mm: float
    worst_mm: float

    def decode(self, frames: slice) -> Float32Array:
        """Positions of some frames, float32 `[frames, verts, 3]`, centimetres."""
        weights = self.weights[:, frames].T * self.scales
        moved = weights @ self.shapes.reshape(len(self.shapes), self.rest.size).astype(np.float32)
        return np.asarray(moved.reshape(len(weights), 3, len(self.rest)).transpose(0, 2, 1) + self.rest, np.float32)


def encode_motion(frames: Float32Array, tolerance: Tolerance | None = None) -> MotionCode:
    """Codes the motion of a mesh.

    Args:
        frames: positions `[frames, verts, 3]`, centimetres; may be mapped from a file.
        tolerance: what to stay within. Noise that no 512 shapes can follow exceeds it; the code tells its real error.

    Raises:
        UserError: a position is not finite.
    """
    tolerance = tolerance or Tolerance()
    check_finite(frames)
    rows = _flat(frames[:: math.ceil(len(frames) / _FITTED_FRAMES)])
    centre = rows.mean(axis=0, dtype=np.float64)
    allowance = tolerance.mean_mm / _MM_PER_CM
    code = _encode(frames, rows, centre, allowance)
    for _ in range(_TRIES):
        within = code.mean_mm <= tolerance.mean_mm and code.worst_mm <= tolerance.worst_mm
        if within or len(code.shapes) >= min(len(rows), _MOST_SHAPES):
            break
        allowance *= _FINER
        code = _encode(frames, rows, centre, allowance)
    return code


def check_finite(values: npt.NDArray[np.floating]) -> None:
    """Looks at all frames `[frames, ...]`, a few at a time.

    Raises:
        UserError: a value is NaN or infinite.
    """
    for first in range(0, len(values), _BLOCK_FRAMES):
        fine = np.isfinite(values[first : first + _BLOCK_FRAMES])
        if not fine.all():
            frame = first + int(np.argwhere(~fine)[0, 0])
            raise UserError(
                f"the animation holds NaN or infinity in frame {frame}",
                hint="Look at how it was made; such a frame cannot be drawn.",
            )


def _encode(frames: Float32Array, rows: Float32Array, centre: npt.NDArray[np.float64], allowance: float) -> MotionCode:
    """The code whose mean error is about `allowance`, centimetres."""
    shapes_kc = _components(rows, centre, allowance * _TRUNCATION_SHARE)
    weights_fk = np.concatenate([(block - centre.astype(np.float32)) @ shapes_kc.T for block in _flat_blocks(frames)])
    sizes = np.sqrt(np.mean(np.square(weights_fk, dtype=np.float64), axis=0)) + np.finfo(np.float32).tiny
    shapes_kc *= sizes[:, None]
    step = max(allowance / math.sqrt(max(len(sizes), 1)), float(np.abs(shapes_kc).max(initial=0.0)) / _INT16)
    peaks = np.abs(weights_fk).max(axis=0, initial=0.0) / _INT16 + np.finfo(np.float32).tiny
    verts = rows.shape[1] // 3
    code = MotionCode(
        rest=centre.astype(np.float32).reshape(verts, 3),
        shapes=np.rint(shapes_kc / step).astype(np.int16).reshape(-1, verts, 3).transpose(0, 2, 1).copy(),
        weights=np.rint(weights_fk / peaks).astype(np.int16).T.copy(),
        scales=(peaks / sizes * step).astype(np.float32),
        mean_mm=0.0,
        worst_mm=0.0,
    )
    return _measured(code, frames)


def _components(rows: Float32Array, centre: npt.NDArray[np.float64], error: float) -> Float32Array:
    """The fewest principal components `[k, coords]` that leave an error per vertex (root mean square) of `error`."""
    left_over = error**2 * rows.size / 3

    def enough(values: npt.NDArray[np.floating]) -> int:
        beyond = np.cumsum(values[::-1])[::-1]  # what the component and all after it hold
        return min(int(np.count_nonzero(beyond > left_over)), _MOST_SHAPES)

    vectors = leading_eigenpairs(rows, centre, enough)[1]
    return np.ascontiguousarray(vectors.T, np.float32)


def _measured(code: MotionCode, frames: Float32Array) -> MotionCode:
    """The code with its errors found out."""
    total, worst = 0.0, 0.0
    for first in range(0, len(frames), _BLOCK_FRAMES):
        cut = slice(first, min(first + _BLOCK_FRAMES, len(frames)))
        apart = np.linalg.norm(code.decode(cut) - frames[cut], axis=-1)
        total += float(apart.sum(dtype=np.float64))
        worst = max(worst, float(apart.max(initial=0.0)))
    mean = total / (len(frames) * len(code.rest))
    return MotionCode(code.rest, code.shapes, code.weights, code.scales, _MM_PER_CM * mean, _MM_PER_CM * worst)


def _flat(frames: Float32Array) -> Float32Array:
    return np.ascontiguousarray(frames, np.float32).reshape(len(frames), -1)


def _flat_blocks(frames: Float32Array) -> Iterator[Float32Array]:
    for first in range(0, len(frames), _BLOCK_FRAMES):
        yield _flat(frames[first : first + _BLOCK_FRAMES])
