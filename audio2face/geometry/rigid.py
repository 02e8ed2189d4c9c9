"""Fits rigid motions: the rotation and translation that best map one set of points to another.

Uses the Kabsch algorithm (W. Kabsch, Acta Cryst. A32, 1976), vectorised over frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.types import AnyArray, FloatArray


@dataclass(frozen=True)
class RigidTransform:
    """One rotation and translation per frame, `x -> rotation x + translation`, float64.

    Attributes:
        rotations: `[frames, 3, 3]`, proper (determinant 1), acting on column vectors.
        translations: `[frames, 3]`, in the unit of the points.
    """

    rotations: FloatArray
    translations: FloatArray

    def apply(self, points: AnyArray) -> FloatArray:
        """Transforms the points `[frames, points, 3]` of each frame; float64."""
        turned = np.matmul(points.astype(np.float64, copy=False), self.rotations.transpose(0, 2, 1))
        turned += self.translations[:, None, :]
        return np.asarray(turned)


def fit_rigid(points: AnyArray, target: AnyArray) -> RigidTransform:
    """Fits the motion of each frame that maps its points to the target, in the least-squares sense.

    Args:
        points: `[frames, points, 3]`, any float type; the arithmetic is float64.
        target: `[points, 3]`, the target positions. Three points that are not on a line determine the motion; fewer
            leave it undetermined (`spans_a_plane` checks this).
    """
    moving, fixed = points.astype(np.float64), target.astype(np.float64)
    moving_centre, fixed_centre = moving.mean(axis=1), fixed.mean(axis=0)
    moving -= moving_centre[:, None, :]
    covariance = np.einsum("fpi,pj->fij", moving, fixed - fixed_centre)
    left, _, right = np.linalg.svd(covariance)
    # If the best orthogonal matrix is a reflection, flipping the direction of least extent makes it a rotation.
    right[:, 2] *= np.sign(np.linalg.det(left) * np.linalg.det(right))[:, None]
    rotations = np.matmul(right.transpose(0, 2, 1), left.transpose(0, 2, 1))
    translations = fixed_centre - np.einsum("fij,fj->fi", rotations, moving_centre)
    return RigidTransform(rotations, translations)


def spans_a_plane(points: AnyArray) -> bool:
    """Returns whether points `[points, 3]` determine a rotation: at least three, not all on one line."""
    if len(points) < 3:
        return False
    extents = np.linalg.svd(points.astype(np.float64) - points.mean(axis=0, dtype=np.float64), compute_uv=False)
    return bool(extents[1] > 1e-5 * extents[0])
