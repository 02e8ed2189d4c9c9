"""Turns of jaw and eyes as quaternions and matrices. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from audio2face.export.animation import Float32Array


def jaw_quaternions(jaw: Float32Array) -> Float32Array:
    """Rotations of jaw matrices `[frames, 4, 4]` as unit quaternions `[frames, 4]` (x, y, z, w), without jumps."""
    return _steady(Rotation.from_matrix(jaw[:, :3, :3]))


def eye_quaternions(eyes: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Turns of the right and the left eye, each as `jaw_quaternions` gives them.

    Args:
        eyes: `[frames, 4]`, see `Animation`; an eye turns by its pitch about x first, then by its yaw about y.
    """
    right, left = (_steady(_eye_rotations(eyes[:, side : side + 2])) for side in (0, 2))
    return right, left


def eye_matrices(eyes: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Turns of the right and the left eye as matrices `[frames, 3, 3]` for column vectors; see `eye_quaternions`."""
    right, left = (np.asarray(_eye_rotations(eyes[:, side : side + 2]).as_matrix(), np.float32) for side in (0, 2))
    return right, left


def _eye_rotations(pitch_yaw: Float32Array) -> Rotation:
    return Rotation.from_euler("xy", pitch_yaw, degrees=True)


def _steady(rotations: Rotation) -> Float32Array:
    """Of the two quaternions of each rotation the one nearer to the frame before."""
    found = rotations.as_quat()
    found[0] *= np.copysign(1.0, found[0, 3])
    turned = np.sign(np.einsum("fq,fq->f", found[1:], found[:-1]))
    found[1:] *= np.cumprod(np.where(turned == 0, 1.0, turned))[:, None]
    return np.asarray(found, np.float32)
