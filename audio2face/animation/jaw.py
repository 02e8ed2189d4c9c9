"""The lower teeth: one rigid motion per frame, fitted to the key points of the jaw; the tongue that rides on them.

Keeps no state.
"""

from __future__ import annotations

import numpy as np

from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.geometry.rigid import fit_rigid
from audio2face.types import Float32Array


def jaw_transforms(face: FaceData, settings: AnimatorSettings, delta: Float32Array) -> Float32Array:
    """The motion of the lower teeth, `M[:3, :3] p + M[:3, 3]` for a point p at rest.

    Matrices stand in rows, as numpy writes them, and act on columns. The SDK's sixteen numbers are the columns of the
    same matrix one after the other: `M.T.reshape(16)`.

    Args:
        face: the actor; key points that all coincide never turn.
        settings: strength and offsets.
        delta: motion of the key points, `[frames, points, 3]`, centimetres.

    Returns:
        Float32 `[frames, 4, 4]`, the last row 0 0 0 1.
    """
    moved = face.jaw + delta * np.float32(settings.lower_teeth_strength)
    moved += np.array([0, settings.lower_teeth_height_offset, settings.lower_teeth_depth_offset], np.float32)
    return rigid_transforms(face.jaw, moved)


def rigid_transforms(rest: Float32Array, moved: Float32Array) -> Float32Array:
    """The rigid motions that best carry points at rest, `[points, 3]`, to where they are in each frame.

    Args:
        rest: `[points, 3]`.
        moved: `[frames, points, 3]`.

    Returns:
        Float32 `[frames, 4, 4]`, the last row 0 0 0 1.
    """
    # The best motion from one set of points to another is the inverse of the best one back.
    back = fit_rigid(moved, rest)
    rotations = back.rotations.transpose(0, 2, 1)
    matrices = np.zeros((len(moved), 4, 4), np.float32)
    matrices[:, :3, :3] = rotations
    matrices[:, :3, 3] = -np.matmul(rotations, back.translations[:, :, None])[:, :, 0]
    matrices[:, 3, 3] = 1
    return matrices


def attach_to_jaw(points: Float32Array, jaw: Float32Array, seat: Float32Array) -> Float32Array:
    """Carries a surface with the jaw: `p' = jaw (seat p)`.

    Preprocessing takes the motion of its root out of the tongue, so networks and the SDK's animator give the tongue in
    the jaw's space; a consumer parents it to the lower teeth. This is that parenting.

    Args:
        points: positions in the jaw's space, `[frames, verts, 3]`, centimetres.
        jaw: motion of the lower teeth, `[frames, 4, 4]`, see `jaw_transforms`.
        seat: where the surface sits on the jaw, `[4, 4]`; the identity where both neutrals belong to one pose.

    Returns:
        Positions in the head's space, float32 `[frames, verts, 3]`.
    """
    matrices = np.asarray(jaw, np.float64) @ np.asarray(seat, np.float64)
    turned = np.matmul(points, matrices[:, :3, :3].transpose(0, 2, 1).astype(np.float32))
    turned += matrices[:, None, :3, 3].astype(np.float32)
    return np.asarray(turned, np.float32)
