"""The jaw: one rigid transform per frame, fitted to its key points, and the tongue that moves with it. Stateless."""

from __future__ import annotations

import numpy as np

from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.geometry.rigid import fit_rigid
from audio2face.types import Float32Array


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
