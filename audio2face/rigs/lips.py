"""Finds the line where a face's lips meet, from its neutral mesh and the shape that opens its jaw."""

from __future__ import annotations

import numpy as np

from audio2face.types import Float32Array, FloatArray, Int32Array

NUM_PAIRS = 5
_MOVED, _STILL = 0.2, 0.12  # of the jaw's largest motion downwards: lower and upper lip
_APART = 0.06  # of the face's width: more is not the same place of the mouth
_DEPTH_COST = 2.0  # a pair may lie this much further back for each length that it is closer together


def find_lips(neutral: Float32Array, jaw_open: Float32Array) -> Int32Array:
    """Finds pairs of vertices that touch at the closed mouth and part when the jaw opens.

    Teeth and the inside of the mouth part as well; the pairs are those in front.

    Args:
        neutral: `[verts, 3]`, centimetres, y upwards, z out of the face.
        jaw_open: offsets of the shape that opens the jaw, `[verts, 3]`.

    Returns:
        Vertices of the upper and the lower lip, int32 `[2, pairs]`, from the actor's right to the left: up to five
        pairs at different places of the mouth, none where there is no such line.
    """
    from scipy.spatial import cKDTree  # loads in a fifth of a second

    down = -jaw_open[:, 1]
    reach = float(down.max(initial=0.0))
    moved = np.flatnonzero(down > _MOVED * reach)
    still = np.flatnonzero(np.linalg.norm(jaw_open, axis=1) < _STILL * reach)
    if reach <= 0 or not len(moved) or not len(still):
        return np.zeros((2, 0), np.int32)
    width = float(np.ptp(neutral[moved, 0]))
    apart, nearest = (np.asarray(found) for found in cKDTree(neutral[still]).query(neutral[moved]))
    near = apart < _APART * width
    lower, upper, apart = moved[near], still[nearest[near]], apart[near]
    if not len(lower):
        return np.zeros((2, 0), np.int32)
    cost = _DEPTH_COST * apart - neutral[lower, 2]
    return np.stack([upper, lower]).astype(np.int32)[:, _one_for_each_place(neutral[lower, 0], cost)]


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
