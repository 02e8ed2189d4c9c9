"""Polygon meshes: canonical polygons, triangulation, vertex normals, subdivision and default colours.

The conversion between sRGB and linear light follows IEC 61966-2-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from audio2face.types import AnyArray, BoolArray, Float32Array, FloatArray, Int32Array, Int64Array, UInt8Array

if TYPE_CHECKING:
    from scipy import sparse

    Matrix = sparse.csr_matrix[np.float32]

NO_CORNER = -1  # the missing fourth corner of a triangle
DEFAULT_COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"skin": (214, 164, 140), "tongue": (188, 98, 98), "part": (225, 225, 225)}
)
"""Default sRGB colours of skin, tongue and rigid parts."""


def triangulate(faces: Int32Array) -> Int32Array:
    """Splits polygons into triangles.

    Args:
        faces: `[faces, 3 or 4]`; a fourth corner that is -1 or repeats another makes a triangle.

    Returns:
        Int32 `[triangles, 3]`, each with three different corners, in the winding order of its polygon.
    """
    faces = np.asarray(faces, np.int32)
    triangles = faces[:, :3]
    if faces.shape[1] == 4:
        triangles = np.stack([triangles, faces[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    corners = np.sort(triangles, axis=1)
    proper = (corners[:, 0] >= 0) & (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2])
    return np.ascontiguousarray(triangles[proper])


class Normals:
    """Smooth vertex normals of one mesh in any pose: the area-weighted mean of the adjacent triangles' normals."""

    def __init__(self, triangles: Int32Array, num_verts: int) -> None:
        self._triangles = triangles
        self._num_verts = num_verts

    @cached_property
    def _sum_around_vertices(self) -> Matrix:
        """Returns `[verts, triangles]`, which sums the values of the triangles around each vertex."""
        from scipy import sparse  # loads in half a second

        count = len(self._triangles)
        ones = np.ones(3 * count, np.float32)
        places = (self._triangles.reshape(-1), np.repeat(np.arange(count), 3))
        return sparse.csr_matrix((ones, places), shape=(self._num_verts, count))

    def compute(self, points: Float32Array) -> Float32Array:
        """Returns unit normals `[verts, 3]` of a pose `[verts, 3]`; +z for vertices without a triangle."""
        first, second, third = (points[self._triangles[:, corner]] for corner in range(3))
        summed = self._sum_around_vertices @ np.cross(second - first, third - first).astype(np.float32, copy=False)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        flat = length[:, 0] < 1e-12
        summed[flat] = (0, 0, 1)
        length[flat] = 1
        return np.asarray(summed / length, np.float32)


def refine(faces: Int32Array, num_verts: int) -> tuple[Matrix, Int32Array]:
    """Subdivides a mesh once (Catmull-Clark).

    Args:
        faces: `[faces, 3 or 4]`; -1 for a missing fourth corner.
        num_verts: number of vertices of the mesh; vertices without a face stay in position.

    Returns:
        The matrix `[new verts, num_verts]` that computes new vertices from the old, and the new quadrilaterals.
    """
    from scipy import sparse

    corners, following, face_of, preceding = _face_corners(faces)
    sides = np.sort(np.stack([corners, following], axis=1), axis=1)
    edges, edge_of, uses = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.reshape(-1)
    num_faces, num_edges = len(faces), len(edges)
    face_points = _averages(face_of, corners, num_faces, num_verts)
    middles = _averages(np.repeat(np.arange(num_edges), 2), edges.reshape(-1), num_edges, num_verts)
    inner = uses == 2
    beside = _averages(edge_of, face_of, num_edges, num_faces) @ face_points
    edge_points = _rows(np.where(inner, 0.5, 1.0)) @ middles + _rows(np.where(inner, 0.5, 0.0)) @ beside
    vertex_points = _vertex_points(num_verts, edges, inner, middles, face_points, corners, face_of)
    matrix = sparse.vstack([vertex_points, edge_points, face_points]).tocsr().astype(np.float32)
    quads = np.stack(
        [corners, num_verts + edge_of, num_verts + num_edges + face_of, num_verts + edge_of[preceding]], axis=1
    )
    return matrix, quads.astype(np.int32)


def _face_corners(faces: Int32Array) -> tuple[Int32Array, Int32Array, Int64Array, Int64Array]:
    """Returns for every corner of every face: vertex, next vertex, face, and index of the previous corner."""
    present = faces >= 0
    sizes = present.sum(axis=1)
    face_of = np.repeat(np.arange(len(faces)), sizes)
    first = (np.cumsum(sizes) - sizes)[face_of]
    place = np.arange(len(face_of)) - first
    corners = faces[present]
    following = corners[first + (place + 1) % sizes[face_of]]
    return corners, following, face_of, first + (place - 1) % sizes[face_of]


def _vertex_points(
    num_verts: int,
    edges: Int32Array,
    inner: BoolArray,
    middles: Matrix,
    face_points: Matrix,
    corners: Int32Array,
    face_of: Int64Array,
) -> Matrix:
    """Weights for the moved old vertices: of adjacent faces and edges, or of the border edges of an open mesh."""
    from scipy import sparse

    ends, numbers = edges.reshape(-1), np.repeat(np.arange(len(edges)), 2)
    valence = np.bincount(ends, minlength=num_verts).astype(np.float64)
    used = np.maximum(valence, 1)
    around_faces = _averages(corners, face_of, num_verts, len(face_points.indptr) - 1) @ face_points
    around_edges = _averages(ends, numbers, num_verts, len(edges)) @ middles
    itself = sparse.identity(num_verts, np.float64, format="csr")
    rim_ends = ~np.repeat(inner, 2)
    on_rim = np.bincount(ends[rim_ends], minlength=num_verts) == 2
    loose = (valence < 3) & ~on_rim
    free = ~on_rim & ~loose
    rim = _averages(ends[rim_ends], numbers[rim_ends], num_verts, len(edges)) @ middles
    return sparse.csr_matrix(
        _rows(np.where(free, 1 / used, 0)) @ around_faces
        + _rows(np.where(free, 2 / used, 0)) @ around_edges
        + _rows(np.where(free, (valence - 3) / used, np.where(on_rim, 0.5, 1.0))) @ itself
        + _rows(np.where(on_rim, 0.5, 0.0)) @ rim
    )


def _averages(rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer], height: int, width: int) -> Matrix:
    """Returns a matrix whose row r is the mean of the items in `columns` where `rows` is r."""
    from scipy import sparse

    shares = 1 / np.maximum(np.bincount(rows, minlength=height), 1)
    return sparse.csr_matrix((shares[rows], (rows, columns)), shape=(height, width))


def _rows(factors: FloatArray) -> Matrix:
    """Returns the diagonal matrix that multiplies each row by a factor."""
    from scipy import sparse

    return sparse.diags(factors, format="csr")


def canonical_polygons(faces: AnyArray, num_verts: int | None = None) -> Int32Array:
    """Converts polygons to canonical form: a triangle among quadrilaterals has the fourth corner -1, no corner repeats.

    Degenerate polygons, with fewer than three different corners, are dropped.

    Args:
        faces: integers `[faces, 3 or 4]`, vertex numbers; a fourth corner of -1, or a corner equal to the previous one
            (cyclically), makes a triangle.
        num_verts: number of vertices of the mesh; None if unknown.

    Returns:
        Int32 `[faces, 4]`, or `[faces, 3]` where all polygons are triangles; corners keep their order.

    Raises:
        ValueError: another shape or type, or a corner outside the mesh; the message names the polygon.
    """
    faces = np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] not in (3, 4) or faces.dtype.kind not in "iu":
        raise ValueError(f"holds {faces.dtype} of shape {list(faces.shape)}, expected integers [faces, 3 or 4]")
    _check_range(faces, np.iinfo(np.int32).max if num_verts is None else num_verts)
    corners = np.array(faces, np.int32)
    if corners.shape[1] == 3:
        triangles = corners[(corners != np.roll(corners, 1, axis=1)).all(axis=1)]
        return np.ascontiguousarray(triangles)
    missing = corners[:, 3] == NO_CORNER
    corners[missing, 3] = corners[missing, 2]
    repeats = corners == np.roll(corners, 1, axis=1)
    repeats[:, 3] |= repeats[:, 0]  # drop a fourth corner that equals the first, so that the first stays first
    repeats[:, 0] = False
    crossed = (corners[:, 0] == corners[:, 2]) | (corners[:, 1] == corners[:, 3])
    single = repeats.sum(axis=1) == 1
    is_triangle = single & ~_folded(corners, repeats)
    corners[is_triangle, :3] = corners[is_triangle][~repeats[is_triangle]].reshape(-1, 3)
    corners[is_triangle, 3] = NO_CORNER
    proper = is_triangle | ~(repeats.any(axis=1) | crossed)
    corners = corners[proper]
    if (corners[:, 3] == NO_CORNER).all():
        corners = corners[:, :3]
    return np.ascontiguousarray(corners)


def _folded(corners: Int32Array, repeats: BoolArray) -> BoolArray:
    """Returns which polygons have fewer than three different corners, besides the marked repetition."""
    distinct = np.sort(np.where(repeats, NO_CORNER, corners), axis=1)
    folded: BoolArray = ((distinct[:, 1:] == distinct[:, :-1]) & (distinct[:, 1:] >= 0)).any(axis=1)
    return folded


def _check_range(faces: AnyArray, num_verts: int) -> None:
    """Refuses corners outside the mesh; -1 is allowed only in the fourth column."""
    wrong = (faces < 0) | (faces >= num_verts)
    if faces.shape[1] == 4:
        wrong[:, 3] &= faces[:, 3] != NO_CORNER
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"corner {column} of polygon {row} is vertex {faces[row, column]}; vertices go from 0 to {num_verts - 1}, "
            "and -1 marks the missing fourth corner of a triangle"
        )


def linear(colours: AnyArray) -> Float32Array:
    """Converts sRGB colours from 0 to 255 to linear red, green and blue `[..., 3]` from 0 to 1; drops opacity."""
    shares = np.asarray(colours, np.float32)[..., :3] / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(colours: AnyArray) -> UInt8Array:
    """Converts linear red, green and blue `[..., 3]` from 0 to 1 to sRGB from 0 to 255, the inverse of `linear`."""
    light = np.clip(np.asarray(colours, np.float32), 0, 1)
    shares = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * shares), np.uint8)
