"""Estimates unit and axes of a face from its motion in speech, without vertex lists.

The mouth moves most in speech, and has a similar size in all adults. It is in the middle between left and right, in
front of the rest, below the middle of the head, and opens downwards and back. Each of the 24 assignments of two axes to
"up" and "front" is scored by how well the mesh matches this. Left and right are ambiguous, since a face is nearly
symmetric.

The weights were tuned on two full heads, a head captured from video, a face without the back of the head, half masks, a
bust with shoulders and an egg: the right axes came first in each, by 1.5 points or more with a neutral pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from audio2face.dataset.checks.pose_match import Reference
from audio2face.dataset.checks.report import FACTORS
from audio2face.types import Float64Array, Int64Array

MOUTH_SIZE = 3.05  # cm: root mean square distance of the moving points from their centre; measured 2.7 to 3.6
_HEAD_SIZES = (12.0, 120.0)  # cm, diagonal: half a mask, a bust
_LEAST_COHERENCE = 0.25
_LARGEST_MOUTH = 0.3  # of the mesh's longest side: a cloud of randomly moving points has no mouth
_FEWEST_VERTS = 40
_MOVES = 0.4  # of the strongest motion: the threshold for the mouth
_REACH = 4.5  # sizes of the mouth around it: the face, without shoulders
_DECISIVE, _LIKELY = 1.5, 0.75  # points by which other axes fit better
_RIGHT_SIZE = 6.0  # cost above which a unit is excluded


@dataclass(frozen=True)
class FaceMotion:
    """Motion of a face, over all its shots.

    Attributes:
        rest: the mean pose `[verts, 3]`.
        motion: mean absolute deviation from the mean of each shot, `[verts, 3]`.
        shift: mean displacement from the neutral pose `[verts, 3]`; None without one.
        coherence: correlation of the motion of neighbouring vertices, 1 for skin, 0 for noise.
    """

    rest: Reference
    motion: Float64Array
    shift: Float64Array | None
    coherence: float


@dataclass(frozen=True)
class Orientation:
    """Assignment of the file's axes to the face's: index and sign."""

    lateral: int
    up: int
    up_sign: int
    front: int
    front_sign: int

    def matrix(self) -> Int64Array:
        """Rotation from the file's coordinates to x left, y up, z front, int `[3, 3]`."""
        matrix = np.zeros((3, 3), np.int64)
        matrix[1, self.up], matrix[2, self.front], matrix[0, self.lateral] = self.up_sign, self.front_sign, 1
        matrix[0] *= round(float(np.linalg.det(matrix)))
        return matrix


UPRIGHT = Orientation(0, 1, 1, 2, 1)


@dataclass(frozen=True)
class FaceFrame:
    """The mouth, the axes and the unit of a face.

    Attributes:
        mouth: its centre, in the file's coordinates `[3]`.
        mouth_size: root mean square distance of its points from the centre.
        size: diagonal of the box around the mesh.
        orientation: the axes that fit best.
        advantage: points by which they fit better than +y up and +z to the front.
        decisive: whether this is certain.
    """

    mouth: Float64Array
    mouth_size: float
    size: float
    orientation: Orientation
    advantage: float

    @property
    def wrong_axes(self) -> bool:
        """Whether other axes than +y up and +z to the front are certain."""
        return self.advantage > _DECISIVE

    @property
    def doubtful_axes(self) -> bool:
        """Whether other axes fit better, with remaining doubt."""
        return _LIKELY < self.advantage <= _DECISIVE


def find_frame(face: FaceMotion) -> FaceFrame | None:
    """Estimates mouth and axes; None if nothing moves like a face."""
    points = face.rest.points
    energy = np.linalg.norm(face.motion, axis=1)
    if len(points) < _FEWEST_VERTS or not energy.max() > 0 or face.coherence < _LEAST_COHERENCE:
        return None
    weights, centre, size = _mouth(face.rest, energy)
    if not 0 < size < _LARGEST_MOUTH * float(np.ptp(points, axis=0).max()):
        return None
    evidence = _Evidence.from_motion(face, weights, centre, size)
    scores = {orientation: evidence.score(orientation) for orientation in _orientations()}
    best = max(scores, key=lambda orientation: scores[orientation])
    return FaceFrame(centre, size, face.rest.size, best, scores[best] - scores[UPRIGHT])


def find_factor(size: float, mouth_size: float | None) -> tuple[float, bool]:
    """Returns the factor from lengths to centimetres, and whether it is certain.

    Args:
        size: diagonal of the box around the face.
        mouth_size: as in `FaceFrame`; None if no mouth was found.
    """
    costs = {factor: _unit_cost(size * factor, mouth_size, factor) for factor in (1.0, *FACTORS)}
    best = min(costs, key=lambda factor: costs[factor])
    if best == 1 or costs[1.0] < _RIGHT_SIZE / 2:
        return 1.0, True
    return best, costs[1.0] - costs[best] > _RIGHT_SIZE


def _unit_cost(size: float, mouth_size: float | None, factor: float) -> float:
    """Returns the cost of a scale: how unusual head and mouth of this size in centimetres are."""
    low, high = _HEAD_SIZES
    cost = (max(0.0, math.log(low / size), math.log(size / high)) / 0.3) ** 2
    if mouth_size is not None:
        cost += (math.log(mouth_size * factor / MOUTH_SIZE) / 0.3) ** 2
    return cost


def _orientations() -> list[Orientation]:
    return [
        Orientation(lateral, up, up_sign, front, front_sign)
        for lateral, up, front in permutations(range(3))
        for up_sign, front_sign in product((1, -1), repeat=2)
    ]


def _mouth(rest: Reference, energy: Float64Array) -> tuple[Float64Array, Float64Array, float]:
    """Returns the weights of the mouth's vertices `[verts]`, its centre `[3]` and its size."""
    area = np.square(np.linalg.norm(rest.points[rest.neighbours] - rest.points[:, None], axis=2).mean(axis=1))
    weights = np.where(energy >= _MOVES * np.quantile(energy, 0.99), area * energy, 0.0)
    for last in (False, False, True):
        weights /= weights.sum()
        centre = weights @ rest.points
        away = np.linalg.norm(rest.points - centre, axis=1)
        size = float(np.sqrt(weights @ np.square(away)))
        if not last:
            kept = np.where(away < 2.2 * size, weights, 0.0)
            weights = kept if kept.any() else weights
    return weights, centre, size


@dataclass(frozen=True)
class _Evidence:
    """Features of a face along each axis of the file, in half extents around the mouth unless stated otherwise.

    Attributes:
        place: position of the mouth relative to the middle, `[3]`.
        edges: position of the mouth relative to the outermost points along the first axis, `[3, 3]`.
        asymmetry: distance to the mirror image along each axis, in sizes of the mouth, `[3]`.
        share: share of the mouth's motion, `[3]`.
        opening: mean displacement of the mouth from neutral over its motion, `[3]`; zero without a neutral pose.
        extent: of the face around the mouth, `[3]`.
        widening: width at the low and the high end over the width at the mouth, by lateral and other axis `[3, 3, 2]`.
    """

    place: Float64Array
    edges: Float64Array
    asymmetry: Float64Array
    share: Float64Array
    opening: Float64Array
    extent: Float64Array
    widening: Float64Array

    @classmethod
    def from_motion(cls, face: FaceMotion, weights: Float64Array, centre: Float64Array, size: float) -> _Evidence:
        """Measures a face around the mouth at `centre`."""
        points = face.rest.points
        near = points[np.linalg.norm(points - centre, axis=1) < _REACH * size]
        low, high = near.min(axis=0), near.max(axis=0)
        half = np.maximum((high - low) / 2, 1e-9 * face.rest.size)
        edges, asymmetry = np.zeros((3, 3)), np.zeros(3)
        some = near[:: max(1, len(near) // 1000)]
        for axis in range(3):
            away = np.abs(near[:, axis] - centre[axis])
            edges[axis] = (centre - near[away >= np.quantile(away, 0.9)].mean(axis=0)) / half
            mirrored = some.copy()
            mirrored[:, axis] = 2 * centre[axis] - mirrored[:, axis]
            asymmetry[axis] = np.minimum(face.rest.tree.query(mirrored)[0] / size, 1).mean()
        asymmetry = np.maximum(asymmetry - float(np.median(face.rest.spacing)) / size / 2, 0)
        share = weights @ face.motion
        strength = float(weights @ np.linalg.norm(face.motion, axis=1))
        opening = np.zeros(3) if face.shift is None else weights @ face.shift / strength
        place = (centre - (low + high) / 2) / half
        return cls(place, edges, asymmetry, share / share.sum(), opening, 2 * half, _widening(points, centre, size))

    def score(self, axes: Orientation) -> float:
        """Scores how well the mesh matches a face with these axes."""
        lateral, up, front = axes.lateral, axes.up, axes.front
        sideways = (
            -3 * min(1.0, abs(self.place[lateral]) / 0.25)
            - 2 * min(1.0, self.share[lateral] / 0.35)
            - 2 * min(1.0, self.asymmetry[lateral] / 0.15)
        )
        forwards = (
            2 * _unit(axes.front_sign * self.edges[lateral, front] / 0.6)
            + _unit(axes.front_sign * self.place[front] / 0.4)
            + 0.75 * _unit(-axes.front_sign * self.opening[front] / 0.5)
        )
        upwards = (
            1.5 * _unit(-axes.up_sign * self.edges[lateral, up] / 0.6)
            + _unit(-axes.up_sign * self.place[up] / 0.3)
            + 1.5 * _unit(-axes.up_sign * self.opening[up] / 0.5)
            + _unit(math.log(self.extent[up] / self.extent[front]) / 0.3)
            + 0.5 * _unit((self.share[up] - self.share[front]) / 0.3)
        )
        low, high = self.widening[lateral, up]
        shoulders = 2.5 * _unit(axes.up_sign * (max(low - 1.25, 0) - max(high - 1.25, 0)) / 0.25)
        return float(sideways + forwards + upwards + shoulders)


def _widening(points: Float64Array, centre: Float64Array, size: float) -> Float64Array:
    """Returns the width at both ends of an axis over the width at the mouth, by lateral and other axis `[3, 3, 2]`."""
    low, high = points.min(axis=0), points.max(axis=0)
    widths = np.ones((3, 3, 2))
    for lateral, along in permutations(range(3), 2):
        here = points[np.abs(points[:, along] - centre[along]) < 1.5 * size, lateral]
        for end, edge in enumerate((low, high)):
            reach = 0.15 * (high[along] - low[along])
            there = points[np.abs(points[:, along] - edge[along]) < reach, lateral]
            if len(here) and len(there) and np.ptp(here) > 0:
                widths[lateral, along, end] = np.ptp(there) / np.ptp(here)
    return widths


def _unit(value: float) -> float:
    """Clips a feature to -1 to 1."""
    return max(-1.0, min(1.0, float(value)))
