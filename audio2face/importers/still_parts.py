"""The motion of the head, found by the parts of a face that move least when it is taken out: skull, forehead, ears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.animation.rigid import RigidTransform, fit_rigid, spans_a_plane
from audio2face.types import AnyArray, BoolArray, Float32Array, Float64Array, FloatArray, Int64Array

_MOST = 1500  # vertices of a fit
_ROUNDS = 12
_SHARE = 0.2  # of the vertices: those that move least
_AS_STILL = 1.5  # times as much motion is as still
_TINY = 1e-6  # of the size of the face: rounding
_FEWEST = 8
_STILL_HEAD = 2e-4  # of the size of the face: a head that moves less does not move


@dataclass(frozen=True, eq=False)
class StillParts:
    """Vertices that move with the head only.

    Attributes:
        vertices: their numbers, int64 `[n]`.
        target: their positions at rest, `[n, 3]`.
        moves: whether the head moves at all.
    """

    vertices: Int64Array
    target: Float32Array
    moves: bool

    def fit(self, points: AnyArray) -> RigidTransform:
        """The motion that takes the head back to rest, from positions of the vertices `[frames, n, 3]`."""
        if self.moves:
            return fit_rigid(points, self.target)
        count = len(points)
        return RigidTransform(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))


def find_still_parts(samples: Float32Array, rest: Float32Array, candidates: BoolArray | None = None) -> StillParts:
    """Finds the vertices that move least when the head's motion is taken out.

    Args:
        samples: frames `[samples, verts, 3]`.
        rest: `[verts, 3]`.
        candidates: vertices that may be chosen, bool `[verts]`; None: all.
    """
    allowed = np.arange(len(rest)) if candidates is None else np.flatnonzero(candidates)
    chosen = allowed[np.unique(np.linspace(0, len(allowed) - 1, min(len(allowed), _MOST)).round().astype(np.int64))]
    moving, target = samples[:, chosen], rest[chosen]
    size = float(np.linalg.norm(np.ptp(target, axis=0)))
    kept = np.ones(len(chosen), np.bool_)
    for _ in range(_ROUNDS):
        spread = _spread(fit_rigid(moving[:, kept], target[kept]).apply(moving))
        limit = _AS_STILL * float(np.quantile(spread, _SHARE)) + _TINY * size
        now = spread <= limit
        if np.array_equal(now, kept) or np.count_nonzero(now) < _FEWEST or not spans_a_plane(target[now]):
            break
        kept = now
    fixed = fit_rigid(moving[:, kept], target[kept]).apply(moving[:, kept])
    apart = np.linalg.norm(moving[:, kept] - fixed, axis=2).max(initial=0)
    return StillParts(chosen[kept].astype(np.int64), target[kept], bool(apart > _STILL_HEAD * size))


def _spread(aligned: FloatArray) -> Float64Array:
    """How far each vertex moves around its mean, `[verts]`."""
    around = aligned - aligned.mean(axis=0)
    return np.asarray(np.sqrt(np.einsum("fvc,fvc->v", around, around) / len(aligned)))


def inverse_poses(transform: RigidTransform) -> Float32Array:
    """The poses of the head whose motion a transform takes out, float32 `[frames, 4, 4]`."""
    turned = transform.rotations.transpose(0, 2, 1)
    poses = np.zeros((len(turned), 4, 4), np.float32)
    poses[:, :3, :3] = turned
    poses[:, :3, 3] = -np.einsum("fij,fj->fi", turned, transform.translations)
    poses[:, 3, 3] = 1
    return poses
