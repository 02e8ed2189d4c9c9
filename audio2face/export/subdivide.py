"""Smooth surfaces from coarse polygons: one step of Catmull and Clark's scheme (1978) as a matrix.

The matrix depends on the polygons alone, so that a moving mesh is refined by one product per frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Int32Array = npt.NDArray[np.int32]
Matrix = sparse.csr_matrix[np.float32]


def refine(faces: Int32Array, num_verts: int) -> tuple[Matrix, Int32Array]:
    """One step of refinement.

    Args:
        faces: `[faces, 3 or 4]`; -1 for a fourth corner that is not there.
        num_verts: vertices of the mesh; those in no face stay where they are.

    Returns:
        The matrix `[new verts, num_verts]` that makes the new vertices of the old, and the new quadrilaterals.
    """
    corners, following, face_of, preceding = _sides(faces)
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


def _sides(faces: Int32Array) -> tuple[Int32Array, Int32Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every corner of every face: its vertex, the next vertex, the face, and which entry is the corner before it."""
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
    inner: npt.NDArray[np.bool_],
    middles: Matrix,
    face_points: Matrix,
    corners: Int32Array,
    face_of: npt.NDArray[np.int64],
) -> Matrix:
    """Where the old vertices go: between the faces and edges around them, or along the rim of an open mesh."""
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
    """A matrix whose row r is the mean of the items in `columns` where `rows` is r."""
    shares = 1 / np.maximum(np.bincount(rows, minlength=height), 1)
    return sparse.csr_matrix((shares[rows], (rows, columns)), shape=(height, width))


def _rows(factors: npt.NDArray[np.floating]) -> Matrix:
    """The matrix that multiplies each row by a factor."""
    return sparse.diags(factors, format="csr")
