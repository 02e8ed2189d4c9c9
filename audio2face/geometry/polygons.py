"""Converts polygons of a mesh to one canonical form.

Production meshes mix quadrilaterals and triangles. Files mark a triangle in two ways: its fourth corner is -1, or
it repeats another corner. All readers convert to the first form.
"""

from __future__ import annotations

import numpy as np

from audio2face.types import AnyArray, BoolArray, Int32Array

NO_CORNER = -1  # the missing fourth corner of a triangle


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
