"""Compares two poses of a mesh: same vertices, vertex order, unit, axes and position?

A difference that one scale, exchange of axes, mirror or shift explains is reported as such; other differences mean
another vertex order, in the whole mesh or in a region, or another mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from audio2face.dataset.checks.report import (
    axes_formula,
    is_mirror,
    nearest_axes,
    nearest_factor,
    scale_remedy,
    unit_words,
)
from audio2face.types import BoolArray, Float64Array, FloatArray, Int64Array

_NEIGHBOURS = 8
_FEWEST_VERTS = 12
_MOST_FITTED = 1000  # points: enough for a fit and for statistics
_EXPLAINED = 0.02  # of the mesh's radius: the median residual of a fit that explains the difference
_SCALED = 0.08  # natural logarithm
_TURNED = 12.0  # degrees away from exchanged axes
_MOVED = 0.03  # of the mesh's size
_NOISE = 0.004  # of the mesh's size: smaller differences are ignored
_STANDARD_ERRORS = 6.0
_DISORDERED = 0.3  # share of incoherent vertices above which no region, but the whole mesh is in another order
_FEWEST_DISORDERED = 2
_NEAR_A_PLACE = 3  # vertices nearest to a vertex in the pose, one of which it may have been exchanged with
_SAME_PLACE = 0.15  # of the spacing: distance of vertices at the same position
_SAME_SURFACE = 2.0  # spacings
_SAME_ORDER = "Export it from the same mesh, with the option that keeps the order of the vertices."


class Kind(StrEnum):
    """Kind of difference between a pose and the reference."""

    UNIT = "unit"
    AXES = "axes"
    MIRRORED = "mirrored"
    MOVED = "moved"
    TURNED = "turned"
    ORDER = "order"
    MESH = "mesh"
    SHAPE = "shape"


@dataclass(frozen=True)
class Mismatch:
    """Difference of a pose from the reference.

    Attributes:
        kind: the difference to fix first.
        message: description; its subject is the file of the pose.
        remedy: the fix.
        vertex: first vertex concerned; None if the whole mesh is concerned.
        distance: median distance of the vertices from their positions in the reference, in the reference's unit.
    """

    kind: Kind
    message: str
    remedy: str
    vertex: int | None
    distance: float


@dataclass(frozen=True)
class Reference:
    """A pose as the reference of comparisons.

    Attributes:
        points: float64 `[verts, 3]`.
        tree: index of the points.
        neighbours: the nearest vertices of each, without itself, `[verts, 8]`.
        spacing: distance to the nearest, `[verts]`.
        size: diagonal of the box around the points.
        name: name of the pose for messages.
    """

    points: Float64Array
    tree: Any
    neighbours: Int64Array
    spacing: Float64Array
    size: float
    name: str

    @classmethod
    def from_points(cls, points: FloatArray, name: str) -> Reference | None:
        """Indexes a pose `[verts, 3]`; None if it has too few vertices or no extent."""
        exact = np.asarray(points, np.float64)
        size = float(np.linalg.norm(np.ptp(exact, axis=0)))
        if len(exact) < _FEWEST_VERTS or not np.isfinite(size) or size <= 0:
            return None
        tree = cKDTree(exact)
        distances, neighbours = (np.asarray(found) for found in tree.query(exact, _NEIGHBOURS + 1))
        return cls(exact, tree, neighbours[:, 1:], distances[:, 1], size, name)


def compare(reference: Reference, pose: FloatArray, uncertainty: FloatArray | None = None) -> Mismatch | None:
    """Compares a pose with the reference; returns None if mesh and position are the same.

    Args:
        reference: the correct pose.
        pose: a pose with the same number of points, `[verts, 3]`.
        uncertainty: standard error of each point's position if it is a mean over frames, `[verts]`.
    """
    found = np.asarray(pose, np.float64)
    slack = np.zeros(len(found)) if uncertainty is None else np.asarray(uncertainty, np.float64)
    distance = float(np.median(np.linalg.norm(found - reference.points, axis=1)))
    if distance < _NOISE * reference.size / 2:  # most vertices are in their places: nothing happened to the whole
        return _region(reference, found, slack)
    fit = _Fit.from_poses(reference.points, found)
    if fit is not None and fit.residual <= max(_EXPLAINED * fit.radius, float(np.median(slack))):
        return _explained(reference, found, fit) or _region(reference, found, slack)
    return _unexplained(reference, found, slack)


@dataclass(frozen=True)
class _Fit:
    """The similarity `pose = scale * rotation @ point + shift` that maps one pose to another."""

    scale: float
    rotation: Float64Array
    shift: Float64Array
    centre_shift: Float64Array
    residual: float
    radius: float

    @classmethod
    def from_poses(cls, points: Float64Array, pose: Float64Array) -> _Fit | None:
        """Fits by trimmed least squares (the best 70 %), reflections allowed; None if the pose has no extent."""
        chosen = np.unique(np.linspace(0, len(points) - 1, _MOST_FITTED).astype(np.int64))
        points, pose = points[chosen], pose[chosen]
        keep = np.ones(len(points), np.bool_)
        for _ in range(3):
            centre, centre_posed = points[keep].mean(axis=0), pose[keep].mean(axis=0)
            still, posed = points[keep] - centre, pose[keep] - centre_posed
            left, values, right = np.linalg.svd(posed.T @ still)
            if not values[0] > 0:
                return None
            rotation = left @ right
            if values[2] < 1e-6 * values[0]:  # a flat mesh equals its mirror image
                left[:, 2] *= np.linalg.det(rotation)
                rotation = left @ right
            scale = float(values.sum() / np.square(still).sum())
            away = np.linalg.norm(pose - centre_posed - scale * (points - centre) @ rotation.T, axis=1)
            keep = away <= np.quantile(away, 0.7)
        radius = scale * float(np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=1).mean()))
        shift = centre_posed - scale * rotation @ centre
        return cls(scale, rotation, shift, centre_posed - centre, float(np.median(away)), radius)


def _explained(reference: Reference, pose: Float64Array, fit: _Fit) -> Mismatch | None:
    """Describes the scale, axes or shift of a fit; None if it changes nothing."""
    axes = nearest_axes(fit.rotation)
    exchanged = bool((axes != np.eye(3)).any())
    messages, remedies, kinds = [], [], []
    if abs(np.log(fit.scale)) > _SCALED:
        factor = nearest_factor(1 / fit.scale)
        kinds.append(Kind.UNIT)
        messages.append(f"is {fit.scale:.3g} times the size of {reference.name}: its lengths are {unit_words(factor)}")
        remedies.append(scale_remedy(factor))
    if exchanged:
        mirrored = is_mirror(axes)
        formula = axes_formula(axes.T)
        kinds.append(Kind.MIRRORED if mirrored else Kind.AXES)
        messages.append(
            f"{'is mirrored' if mirrored else 'has other axes'} against {reference.name}: "
            f"{formula} of it lies where {reference.name} has (x, y, z)"
        )
        remedies.append(f"Replace (x, y, z) of every vertex by {formula}.")
    angle = _angle(fit.rotation @ axes.T)
    if not exchanged and angle > _TURNED:
        kinds.append(Kind.TURNED)
        messages.append(f"is turned by {angle:.0f} degrees against {reference.name}")
        remedies.append("Export it with the head in the place of the neutral pose.")
    moved = fit.shift if messages else fit.centre_shift
    if np.linalg.norm(moved) > _MOVED * reference.size * fit.scale and Kind.TURNED not in kinds:
        kinds.append(Kind.MOVED)
        place = ", ".join(f"{value:.2f}" for value in np.round(moved, 2) + 0.0)  # no minus zero
        messages.append(f"is moved as a whole by ({place}) against {reference.name}")
        remedies.append("Export it from the place of the neutral pose, or subtract the shift.")
    if not kinds:
        return None
    distance = float(np.median(np.linalg.norm(pose - reference.points, axis=1)))
    return Mismatch(kinds[0], "; ".join(messages), " ".join(remedies), None, distance)


def _region(reference: Reference, pose: Float64Array, slack: Float64Array) -> Mismatch | None:
    """Finds vertices at other positions although all their neighbours are displaced differently."""
    wrong = _incoherent(reference, pose, slack)
    wrong &= _in_places_of(reference, pose, wrong)
    count = int(np.count_nonzero(wrong))
    if count < _FEWEST_DISORDERED:
        return None
    away = np.linalg.norm(pose - reference.points, axis=1)
    vertex = int(np.argmax(wrong))
    return Mismatch(
        Kind.ORDER,
        f"has another vertex order than {reference.name} in a region: {count} of {len(pose)} vertices lie elsewhere, "
        f"by {float(np.median(away[wrong])):.2g} on average; {_exchanged(reference, pose, vertex)}",
        _SAME_ORDER,
        vertex,
        float(np.median(away[wrong])),
    )


def _unexplained(reference: Reference, pose: Float64Array, slack: Float64Array) -> Mismatch | None:
    """No scale, turn or shift leads to the reference: another order of its vertices, another mesh or another face."""
    away = np.linalg.norm(pose - reference.points, axis=1)
    distance = float(np.median(away))
    if distance <= _STANDARD_ERRORS * float(np.median(slack)):
        return None
    chosen = np.unique(np.linspace(0, len(pose) - 1, _MOST_FITTED).astype(np.int64))
    nearest = float(np.median(reference.tree.query(pose[chosen])[0]))
    spacing = float(np.median(reference.spacing))
    wrong = _incoherent(reference, pose, slack)
    vertex = int(np.argmax(away))
    same_vertices = distance > spacing and nearest < _SAME_PLACE * spacing
    if same_vertices or (wrong.mean() > _DISORDERED and nearest < _SAME_SURFACE * spacing):
        return Mismatch(
            Kind.ORDER,
            f"has another vertex order than {reference.name}: its vertices lie {distance:.2g} from their places "
            f"(median), and {nearest:.2g} from the nearest vertex; {_exchanged(reference, pose, vertex)}",
            _SAME_ORDER,
            vertex,
            distance,
        )
    if wrong.mean() > _DISORDERED:
        return Mismatch(
            Kind.MESH,
            f"is another mesh than {reference.name}, with as many vertices: they lie {distance:.2g} from their places "
            f"(median), and {nearest:.2g} from the nearest vertex of any number: its vertex order is another one",
            _SAME_ORDER,
            vertex,
            distance,
        )
    return Mismatch(
        Kind.SHAPE,
        f"has another shape than {reference.name}: its vertices lie {distance:.2g} from their places (median)",
        "Export it from the same face.",
        vertex,
        distance,
    )


def _exchanged(reference: Reference, pose: Float64Array, vertex: int) -> str:
    """Describes the position of a vertex."""
    other = int(reference.tree.query(pose[vertex])[1])
    return f"vertex {vertex} lies where vertex {other} belongs"


def _incoherent(reference: Reference, pose: Float64Array, slack: Float64Array) -> BoolArray:
    """Returns the vertices `[verts]` that move unlike all their neighbours.

    Skin is smooth: a vertex at a slit such as the lips has neighbours on its own side with similar displacement.
    """
    moved = pose - reference.points
    least = np.maximum(0.6 * reference.spacing, np.maximum(_NOISE * reference.size, _STANDARD_ERRORS * slack))
    wrong = np.zeros(len(pose), np.bool_)
    far = np.flatnonzero(np.linalg.norm(moved, axis=1) > least)
    apart = np.linalg.norm(moved[reference.neighbours[far]] - moved[far, None], axis=2).min(axis=1)
    wrong[far] = apart > least[far]
    return wrong


def _in_places_of(reference: Reference, pose: Float64Array, wrong: BoolArray) -> BoolArray:
    """Returns the vertices `[verts]` of some that lie near the place of another of them: these are exchanged.

    At lids that shut, or in a wrinkle, a vertex may move unlike its neighbours into a place that is no exchanged one's.
    """
    found = np.zeros(len(pose), np.bool_)
    chosen = np.flatnonzero(wrong)
    if len(chosen):
        near = np.reshape(reference.tree.query(pose[chosen], k=_NEAR_A_PLACE)[1], (len(chosen), -1))
        found[chosen] = (wrong[near] & (near != chosen[:, None])).any(axis=1)
    return found


def changes_within(reference: Reference, before: FloatArray, after: FloatArray, uncertainty: FloatArray) -> bool:
    """Returns whether mesh or position differ between two poses `[verts, 3]` of the same shot.

    A quick test; `compare` identifies the difference.
    """
    moved = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    if float(np.median(np.linalg.norm(moved, axis=1))) > _MOVED * reference.size:
        return True
    wrong = _incoherent(reference, reference.points + moved, np.asarray(uncertainty, np.float64))
    return int(np.count_nonzero(wrong)) >= _FEWEST_DISORDERED


def _angle(rotation: Float64Array) -> float:
    """Returns the angle of a rotation matrix in degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))
