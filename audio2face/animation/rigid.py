"""Rigid motion: fitted to moving points, of the jaw, and of the tongue that moves with the jaw. Stateless.

Uses the Kabsch algorithm (W. Kabsch, Acta Cryst. A32, 1976), vectorised over frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.types import AnyArray, Float32Array, FloatArray


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


def jaw_transforms(face: FaceData, settings: AnimatorSettings, delta: Float32Array) -> Float32Array:
    """The motion of the lower teeth, `M[:3, :3] p + M[:3, 3]` for a neutral point p.

    Matrices are row-major and act on column vectors. The SDK stores the same matrix column-major: `M.T.reshape(16)`.

    Args:
        face: constant arrays of the actor; key points that all coincide give no rotation.
        settings: strength and offsets.
        delta: offsets of the key points, `[frames, points, 3]`, centimetres.

    Returns:
        Float32 `[frames, 4, 4]`, the last row 0 0 0 1.
    """
    posed = face.jaw + delta * np.float32(settings.lower_teeth_strength)
    posed += np.array([0, settings.lower_teeth_height_offset, settings.lower_teeth_depth_offset], np.float32)
    return rigid_transforms(face.jaw, posed)


def rigid_transforms(neutral: Float32Array, posed: Float32Array) -> Float32Array:
    """The least-squares rigid transforms from neutral points to their positions in each frame.

    Args:
        neutral: `[points, 3]`.
        posed: `[frames, points, 3]`.

    Returns:
        Float32 `[frames, 4, 4]`, the last row 0 0 0 1.
    """
    # The best transform from one set of points to another is the inverse of the best one back.
    back = fit_rigid(posed, neutral)
    rotations = back.rotations.transpose(0, 2, 1)
    matrices = np.zeros((len(posed), 4, 4), np.float32)
    matrices[:, :3, :3] = rotations
    matrices[:, :3, 3] = -np.matmul(rotations, back.translations[:, :, None])[:, :, 0]
    matrices[:, 3, 3] = 1
    return matrices


def attach_to_jaw(points: Float32Array, jaw: Float32Array, to_jaw: Float32Array) -> Float32Array:
    """Moves a surface with the jaw: `p' = jaw (to_jaw p)`.

    Preprocessing removes the rigid motion of its root from the tongue, so networks and the SDK output the tongue in the
    jaw's space, and other programs parent it to the lower teeth. This function applies the same parenting.

    Args:
        points: positions in the jaw's space, `[frames, verts, 3]`, centimetres.
        jaw: rigid transforms of `jaw_transforms`, `[frames, 4, 4]`.
        to_jaw: transform from the surface's neutral to the jaw's neutral, `[4, 4]`; the identity if both belong to one
            pose.

    Returns:
        Positions in the head's space, float32 `[frames, verts, 3]`.
    """
    matrices = np.asarray(jaw, np.float64) @ np.asarray(to_jaw, np.float64)
    turned = np.matmul(points, matrices[:, :3, :3].transpose(0, 2, 1).astype(np.float32))
    turned += matrices[:, None, :3, 3].astype(np.float32)
    return np.asarray(turned, np.float32)
