"""Regions of a face by geometry and the motion of its shapes: where lips meet, and what is seen from the front."""

from __future__ import annotations

import numpy as np

from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.geometry.mesh import Normals, triangulate
from audio2face.types import Float32Array, FloatArray, Int32Array

NUM_PAIRS = 5
_MOVED, _STILL = 0.2, 0.12  # of the jaw's largest motion downwards: lower and upper lip
_APART = 0.06  # of the face's width: more is not the same place of the mouth
_DEPTH_COST = 2.0  # a pair may lie this much further back for each length that it is closer together
_FACING = 0.15  # cosine between a normal and the view of a vertex that is seen
_CELL_CM, _BEHIND_CM = 0.3, 1.5  # of a picture of depths; further behind what is in front is hidden


def find_lips(neutral: Float32Array, jaw_open: Float32Array) -> VertexPairs | None:
    """Finds pairs of vertices that touch at the closed mouth and part when the jaw opens.

    Teeth and the inside of the mouth part as well; the pairs are those in front.

    Args:
        neutral: `[verts, 3]`, centimetres, y upwards, z out of the face.
        jaw_open: offsets of the shape that opens the jaw, `[verts, 3]`.

    Returns:
        Vertices of the upper and the lower lip, from the actor's right to the left: up to five pairs at different
        places of the mouth; None where there is no such line.
    """
    from scipy.spatial import cKDTree  # loads in a fifth of a second

    down = -jaw_open[:, 1]
    reach = float(down.max(initial=0.0))
    moved = np.flatnonzero(down > _MOVED * reach)
    still = np.flatnonzero(np.linalg.norm(jaw_open, axis=1) < _STILL * reach)
    if reach <= 0 or not len(moved) or not len(still):
        return None
    width = float(np.ptp(neutral[moved, 0]))
    apart, nearest = (np.asarray(found) for found in cKDTree(neutral[still]).query(neutral[moved]))
    near = apart < _APART * width
    lower, upper, apart = moved[near], still[nearest[near]], apart[near]
    if not len(lower):
        return None
    cost = _DEPTH_COST * apart - neutral[lower, 2]
    chosen = _one_for_each_place(neutral[lower, 0], cost)
    return VertexPairs(upper[chosen].astype(np.int64), lower[chosen].astype(np.int64))


def _one_for_each_place(across: FloatArray, cost: FloatArray) -> list[int]:
    """Of each fifth of the mouth's width the pair of the least cost."""
    edges = np.linspace(across.min(), across.max(), NUM_PAIRS + 1)
    place = np.clip(np.searchsorted(edges, across, side="right") - 1, 0, NUM_PAIRS - 1)
    chosen = []
    for number in range(NUM_PAIRS):
        found = np.flatnonzero(place == number)
        if len(found):
            chosen.append(int(found[cost[found].argmin()]))
    return chosen


def frontal_vertices(neutral: Float32Array, faces: Int32Array) -> Int32Array:
    """The vertices that face the viewer and that nothing in front of them hides, int32 `[n]`.

    Args:
        neutral: `[verts, 3]`, centimetres, z out of the face.
        faces: `[faces, 3 or 4]`.
    """
    facing = Normals(triangulate(faces), len(neutral)).compute(neutral)[:, 2] > _FACING
    cells = np.floor((neutral[:, :2] - neutral[:, :2].min(axis=0)) / _CELL_CM).astype(np.int64)
    front = np.full(cells.max(axis=0) + 3, -np.inf)
    for across in range(3):
        for down in range(3):
            np.maximum.at(front, (cells[:, 0] + across, cells[:, 1] + down), neutral[:, 2])
    seen = neutral[:, 2] > front[cells[:, 0] + 1, cells[:, 1] + 1] - _BEHIND_CM
    return np.flatnonzero(facing & seen).astype(np.int32)
