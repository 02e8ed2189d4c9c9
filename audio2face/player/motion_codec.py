"""Compresses the motion of a mesh: a mean pose, quantised principal components and their weights in each frame.

The quantisation steps are found by measuring: the code is decoded, compared with every frame, and refined until its
error is within the tolerance. `Payload` stores these and all other arrays of a page, which `web/payload.js` reads.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.geometry.pca import leading_eigenpairs
from audio2face.types import MM_PER_CM, AnyArray, Float32Array, Float64Array, FloatArray

Int16Array = npt.NDArray[np.int16]

_BLOCK_FRAMES = 64
_FITTED_FRAMES = 800  # components are computed from this many frames, evenly spread; the error is measured on all
_MAX_COMPONENTS = 512
_MAX_ITERATIONS = 8
_ALLOWANCE_DECAY = 0.6  # factor of the error allowance from one iteration to the next
_TRUNCATION_SHARE = 0.4  # of the allowed mean error, spent on the truncated components
_INT16 = 32767
_BYTES = 4  # of a coordinate
_ALIGNMENT = 8  # bytes: alignment of typed array views
_LEVEL = 6  # 15 times as fast as 9, for 3 % more bytes
_DTYPES = ("uint8", "int16", "int32", "float32")


@dataclass(frozen=True)
class Tolerance:
    """Allowed distance of decoded from exact vertices, millimetres.

    Attributes:
        mean_mm: mean over vertices and frames.
        worst_mm: maximum over vertices and frames.
    """

    mean_mm: float = 0.02
    worst_mm: float = 0.1


@dataclass(frozen=True, eq=False)
class MotionCode:
    """A compressed motion: frame f is `mean + scales * weights[:, f] @ components`.

    Attributes:
        mean: the mean pose, float32 `[verts, 3]`, centimetres.
        components: int16 `[components, 3, verts]`.
        weights: int16 `[components, frames]`.
        scales: centimetres per product of the two, float32 `[components]`.
        mean_mm: distance of decoded from exact vertices, mean over vertices and frames.
        worst_mm: the largest of these distances.
    """

    mean: Float32Array
    components: Int16Array
    weights: Int16Array
    scales: Float32Array
    mean_mm: float
    worst_mm: float

    def decode(self, frames: slice) -> Float32Array:
        """Decodes a range of frames, float32 `[frames, verts, 3]`, centimetres."""
        weights = self.weights[:, frames].T * self.scales
        deltas = weights @ self.components.reshape(len(self.components), self.mean.size).astype(np.float32)
        return np.asarray(deltas.reshape(len(weights), 3, len(self.mean)).transpose(0, 2, 1) + self.mean, np.float32)


def encode_motion(frames: Float32Array, tolerance: Tolerance | None = None) -> MotionCode:
    """Compresses the motion of a mesh.

    Args:
        frames: positions `[frames, verts, 3]`, centimetres; may be memory-mapped.
        tolerance: bounds of the error. Motion that needs more than 512 components exceeds it; the result holds the
            measured error.

    Raises:
        UserError: a position is not finite.
    """
    tolerance = tolerance or Tolerance()
    check_finite(frames)
    rows = _flat(frames[:: math.ceil(len(frames) / _FITTED_FRAMES)])
    centre = rows.mean(axis=0, dtype=np.float64)
    allowance = tolerance.mean_mm / MM_PER_CM
    code = _encode(frames, rows, centre, allowance)
    for _ in range(_MAX_ITERATIONS):
        within = code.mean_mm <= tolerance.mean_mm and code.worst_mm <= tolerance.worst_mm
        if within or len(code.components) >= min(len(rows), _MAX_COMPONENTS):
            break
        allowance *= _ALLOWANCE_DECAY
        code = _encode(frames, rows, centre, allowance)
    return code


def check_finite(values: FloatArray) -> None:
    """Checks all frames `[frames, ...]`, block by block.

    Raises:
        UserError: a value is NaN or infinite.
    """
    for first in range(0, len(values), _BLOCK_FRAMES):
        fine = np.isfinite(values[first : first + _BLOCK_FRAMES])
        if not fine.all():
            frame = first + int(np.argwhere(~fine)[0, 0])
            raise UserError(
                f"the animation holds NaN or infinity in frame {frame}",
                hint="Check the animation; such a frame cannot be drawn.",
            )


def _encode(frames: Float32Array, rows: Float32Array, centre: Float64Array, allowance: float) -> MotionCode:
    """The code with a mean error of about `allowance`, centimetres."""
    shapes_kc = _components(rows, centre, allowance * _TRUNCATION_SHARE)
    weights_fk = np.concatenate([(block - centre.astype(np.float32)) @ shapes_kc.T for block in _flat_blocks(frames)])
    sizes = np.sqrt(np.mean(np.square(weights_fk, dtype=np.float64), axis=0)) + np.finfo(np.float32).tiny
    shapes_kc *= sizes[:, None]
    step = max(allowance / math.sqrt(max(len(sizes), 1)), float(np.abs(shapes_kc).max(initial=0.0)) / _INT16)
    peaks = np.abs(weights_fk).max(axis=0, initial=0.0) / _INT16 + np.finfo(np.float32).tiny
    verts = rows.shape[1] // 3
    code = MotionCode(
        mean=centre.astype(np.float32).reshape(verts, 3),
        components=np.rint(shapes_kc / step).astype(np.int16).reshape(-1, verts, 3).transpose(0, 2, 1).copy(),
        weights=np.rint(weights_fk / peaks).astype(np.int16).T.copy(),
        scales=(peaks / sizes * step).astype(np.float32),
        mean_mm=0.0,
        worst_mm=0.0,
    )
    return _with_errors(code, frames)


def _components(rows: Float32Array, centre: Float64Array, error: float) -> Float32Array:
    """The fewest principal components `[k, coords]` with an RMS error per vertex of at most `error`."""
    residual = error**2 * rows.size / 3

    def enough(values: FloatArray) -> int:
        residuals = np.cumsum(values[::-1])[::-1]  # energy of each component and all after it
        return min(int(np.count_nonzero(residuals > residual)), _MAX_COMPONENTS)

    vectors = leading_eigenpairs(rows, centre, enough)[1]
    return np.ascontiguousarray(vectors.T, np.float32)


def _with_errors(code: MotionCode, frames: Float32Array) -> MotionCode:
    """The code with its measured errors."""
    total, worst = 0.0, 0.0
    for first in range(0, len(frames), _BLOCK_FRAMES):
        cut = slice(first, min(first + _BLOCK_FRAMES, len(frames)))
        apart = np.linalg.norm(code.decode(cut) - frames[cut], axis=-1)
        total += float(apart.sum(dtype=np.float64))
        worst = max(worst, float(apart.max(initial=0.0)))
    mean = total / (len(frames) * len(code.mean))
    return MotionCode(code.mean, code.components, code.weights, code.scales, MM_PER_CM * mean, MM_PER_CM * worst)


def _flat(frames: Float32Array) -> Float32Array:
    return np.ascontiguousarray(frames, np.float32).reshape(len(frames), -1)


def _flat_blocks(frames: Float32Array) -> Iterator[Float32Array]:
    for first in range(0, len(frames), _BLOCK_FRAMES):
        yield _flat(frames[first : first + _BLOCK_FRAMES])


class Payload:
    """Collects arrays; `add` returns the reference by which the page reads one."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._size = 0

    def add(self, array: AnyArray) -> dict[str, Any]:
        """Appends an array; 16-bit integers are stored as zigzag-coded differences.

        Returns:
            Its reference: `dtype`, `shape`, `offset` in bytes.

        Raises:
            ValueError: the page has no reader for the dtype.
        """
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"the page reads {', '.join(_DTYPES)}, not {array.dtype}")
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        block = _zigzag_bytes(little) if array.dtype == np.int16 else little.tobytes()
        reference = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": self._size}
        block += bytes(-len(block) % _ALIGNMENT)
        self._blocks.append(block)
        self._size += len(block)
        return reference

    def packed(self) -> bytes:
        """All arrays, deflated (zlib)."""
        return zlib.compress(b"".join(self._blocks), _LEVEL)

    def text(self) -> str:
        """All arrays, deflated (zlib), in base64."""
        return base64.b64encode(self.packed()).decode("ascii")


def _zigzag_bytes(values: npt.NDArray[np.int16]) -> bytes:
    """16-bit integers in a form that compresses well: all high bytes, then all low bytes, of zigzag-coded differences.

    Differences run along the last axis and wrap around. The zigzag code maps a difference d to 2 d, or to -2 d - 1 if
    it is negative, so that small differences of either sign have a high byte of zero.
    """
    steps = np.diff(values, axis=-1, prepend=np.zeros((*values.shape[:-1], 1), np.int16)).astype(np.int16)
    zigzag = ((steps << 1) ^ (steps >> 15)).astype(np.uint16)
    return (zigzag >> 8).astype(np.uint8).tobytes() + (zigzag & 0xFF).astype(np.uint8).tobytes()
