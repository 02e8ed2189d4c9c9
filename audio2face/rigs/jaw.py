"""The jaw of a rig: the rigid motion of its lower teeth, or of the chin, from the shapes that open and slide it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from audio2face.animation.rigid import rigid_transforms
from audio2face.types import Float32Array, Int64Array

NUM_POINTS = 5
"""Key points that a raw dataset has of a jaw."""
_RIGID = 0.75  # share of the jaw's largest motion: vertices that move more show its rotation
_MOST = 60  # points of a fit


@dataclass(frozen=True, eq=False)
class RigJaw:
    """The lower jaw; called with weights `[frames, 52]` it gives its transforms `[frames, 4, 4]`, see `Animation.jaw`.

    Attributes:
        points: where its motion is measured, float32 `[points, 3]`, centimetres.
        columns: indices in `ARKIT_NAMES` of the shapes that move it.
        offsets: of the points by each of these shapes, float32 `[columns, points, 3]`, centimetres.
    """

    points: Float32Array
    columns: tuple[int, ...]
    offsets: Float32Array = field(repr=False)

    @classmethod
    def fit(
        cls, vertices: Float32Array, opening: Float32Array, columns: tuple[int, ...], deltas: Float32Array
    ) -> RigJaw:
        """Takes the vertices that the opening jaw moves most: those of the chin, or of the lower teeth.

        Args:
            vertices: `[verts, 3]`, centimetres.
            opening: their offsets in an open jaw, `[verts, 3]`.
            columns: indices in `ARKIT_NAMES` of the shapes that move the jaw.
            deltas: offsets by each of them, `[columns, verts, 3]`.
        """
        chosen = moved_with_jaw(opening)
        return cls(vertices[chosen], columns, np.asarray(deltas[:, chosen], np.float32))

    def __call__(self, weights: Float32Array) -> Float32Array:
        """The rigid motion nearest to that of the points."""
        moved = np.tensordot(np.asarray(weights[:, list(self.columns)], np.float32), self.offsets, axes=1)
        return rigid_transforms(self.points, self.points + moved)

    def key_points(self) -> Float32Array:
        """Some of the points that lie far apart, `[at most NUM_POINTS, 3]`."""
        return self.points[far_apart(self.points, NUM_POINTS)]


def moved_with_jaw(opening: Float32Array) -> Int64Array:
    """The vertices whose motion shows that of the jaw: some of those that its opening moves most, int64 `[n]`.

    Args:
        opening: offsets in an open jaw, `[verts, 3]`.
    """
    reach = np.linalg.norm(opening, axis=1)
    moved = np.flatnonzero(reach > _RIGID * reach.max())
    chosen = np.unique(np.linspace(0, len(moved) - 1, min(len(moved), _MOST)).round().astype(int))
    return np.asarray(moved[chosen], np.int64)


def far_apart(points: Float32Array, count: int) -> Int64Array:
    """Indices of points, each the furthest from those before it; the first is the one furthest from the middle."""
    nearest = np.linalg.norm(points - points.mean(axis=0), axis=1)
    chosen = [int(nearest.argmax())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen, np.int64)
