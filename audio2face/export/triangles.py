"""Polygons as triangles, and the normals of moving meshes. Arrays in, arrays out."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]


def triangulate(faces: Int32Array) -> Int32Array:
    """Triangles of polygons.

    Args:
        faces: `[faces, 3 or 4]`; a fourth corner that is -1 or repeats another makes a triangle.

    Returns:
        Int32 `[triangles, 3]`, each with three different corners, turning the way their polygon does.
    """
    faces = np.asarray(faces, np.int32)
    triangles = faces[:, :3]
    if faces.shape[1] == 4:
        triangles = np.stack([triangles, faces[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    corners = np.sort(triangles, axis=1)
    proper = (corners[:, 0] >= 0) & (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2])
    return np.ascontiguousarray(triangles[proper])


class Normals:
    """Smooth normals of one mesh in any pose: at each vertex, those of its triangles weighted by area."""

    def __init__(self, triangles: Int32Array, num_verts: int) -> None:
        self._triangles = triangles
        self._num_verts = num_verts

    @cached_property
    def _gather(self) -> sparse.csr_matrix[np.float32]:
        """`[verts, triangles]`: adds up what the triangles around each vertex hold."""
        count = len(self._triangles)
        ones = np.ones(3 * count, np.float32)
        places = (self._triangles.reshape(-1), np.repeat(np.arange(count), 3))
        return sparse.csr_matrix((ones, places), shape=(self._num_verts, count))

    def of(self, points: Float32Array) -> Float32Array:
        """Unit normals `[verts, 3]` of a pose `[verts, 3]`; those of vertices without a triangle point along +z."""
        first, second, third = (points[self._triangles[:, corner]] for corner in range(3))
        summed = self._gather @ np.cross(second - first, third - first).astype(np.float32, copy=False)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        flat = length[:, 0] < 1e-12
        summed[flat] = (0, 0, 1)
        length[flat] = 1
        return np.asarray(summed / length, np.float32)
