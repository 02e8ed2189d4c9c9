"""A face that is posed by blend shapes alone: a network predicts their weights, which are post-processed and clamped.

Post-processing is that of the skin (`skin.py`) on weights in place of coordinates. A shape belongs to the lower face by
the share of its motion there, and blinks and opened lips are weights too, so that the mesh is exactly what the weights
pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.animation.bounded import BoundedQuadratic, unproject
from audio2face.types import Float32Array, Float64Array, Int64Array

_RIDGE = 1e-8  # of the largest eigenvalue of the inner products of the shapes: alike shapes share their effect


@dataclass(frozen=True, eq=False)
class FaceShapes:
    """The blend shapes of a face.

    Attributes:
        deltas: offsets of a weight of 1 at the vertices that are posed, float32 `[shapes, verts, 3]`, centimetres.
        motion: squared offsets at all vertices of the skin, `[shapes, all verts]`.
        neutral: the whole neutral skin, `[all verts, 3]`, centimetres.
        eye_close: weights that close the eyes, `[shapes]`.
        lip_open: weights that open the lips, `[shapes]`.
    """

    deltas: Float32Array
    motion: Float32Array
    neutral: Float32Array
    eye_close: Float32Array
    lip_open: Float32Array

    @classmethod
    def of(
        cls, deltas: Float32Array, neutral: Float32Array, eye_close: Float32Array, lip_open: Float32Array
    ) -> FaceShapes:
        """The shapes of a whole face.

        Args:
            deltas: offsets of a weight of 1, `[shapes, verts, 3]`.
            neutral: `[verts, 3]`.
            eye_close: offsets that close the eyes, `[verts, 3]`; the nearest weights are found.
            lip_open: offsets that open the lips, `[verts, 3]`; likewise.
        """
        near = nearest_weights(deltas, np.stack([eye_close, lip_open])).astype(np.float32)
        return cls(deltas, np.square(deltas).sum(axis=2), neutral, near[0], near[1])

    def at_vertices(self, vertices: Int64Array) -> FaceShapes:
        """The shapes of some of the vertices; weights mean the same."""
        return FaceShapes(self.deltas[:, vertices], self.motion, self.neutral, self.eye_close, self.lip_open)

    def lower_share(self, mask: Float32Array) -> Float32Array:
        """Membership of each shape in the lower face, `[shapes]`: that of its vertices, weighted by squared motion.

        Args:
            mask: of all vertices (`skin.face_mask`), `[all verts]`.
        """
        total = self.motion.sum(axis=1, dtype=np.float64)
        share = (self.motion @ mask) / np.where(total > 0, total, 1)
        return share.astype(np.float32)

    def pose(self, weights: Float32Array) -> Float32Array:
        """Offsets from the neutral, `[frames, verts, 3]`, of weights `[frames, shapes]`."""
        return unproject(weights, self.deltas)


def nearest_weights(deltas: Float32Array, offsets: Float32Array) -> Float64Array:
    """The weights from 0 to 1 whose pose is nearest.

    Args:
        deltas: offsets of a weight of 1, `[shapes, ...]`.
        offsets: of each pose, `[poses, ...]`.

    Returns:
        `[poses, shapes]`; 0 for shapes that move nothing.
    """
    return ShapeFit(deltas)(offsets)


class ShapeFit:
    """Finds the weights of consecutive poses by bounded least squares in float64.

    Args:
        deltas: offsets of a weight of 1, `[shapes, ...]`.
        active: the shapes to use, bool `[shapes]`; None: all. Weights of the others, and of shapes that move nothing,
            are 0.
    """

    def __init__(self, deltas: Float32Array, active: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None) -> None:
        rows = deltas.reshape(len(deltas), -1)
        moving = rows.any(axis=1)
        self._used = np.flatnonzero(moving if active is None else moving & active)
        self._size, self._rows = len(rows), rows[self._used].astype(np.float64)
        products = self._rows @ self._rows.T
        # The ridge keeps rounding of the poses below 1e-3 of a weight.
        ridge = _RIDGE * float(np.linalg.eigvalsh(products)[-1]) if len(products) else 0.0
        self._most = np.ones(len(products))
        self._solve = BoundedQuadratic(products + ridge * np.eye(len(products)), squared=False)

    def __call__(self, offsets: Float32Array | Float64Array) -> Float64Array:
        """Weights from 0 to 1 `[poses, shapes]` of offsets `[poses, ...]`, the poses next to each other in time."""
        weights = np.zeros((len(offsets), self._size))
        if self._used.size:
            right = offsets.reshape(len(offsets), -1).astype(np.float64) @ self._rows.T
            weights[:, self._used] = [self._solve(row, self._most) for row in right]
        return weights
