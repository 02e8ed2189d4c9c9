"""How far a head moved as a whole, told apart from what its face did.

Pure numerics on arrays of points. The rigid motion is fitted by iteratively re-weighted Kabsch alignments: points that
the current fit leaves far off (a moving jaw, lips, lids) lose their weight, so that the still part of the head decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAX_POINTS = 400  # a sample of the mesh this large tells the motion to a fraction of a millimetre
_ROUNDS = 10
_SMALLEST_SCALE = 0.02  # cm; below it differences are noise, and weights of a perfect fit stay defined
_CERTAIN = 3.0  # standard errors: independent motion of the points explains less than this by chance


@dataclass(frozen=True)
class RigidMotion:
    """Rigid part of the motion of a set of points, per frame.

    Attributes:
        size: root mean square displacement that it gives the points, in their unit, `[frames]`.
        angle: rotation in degrees, `[frames]`.
        by_chance: a size that the points' other motion could feign, `[frames]`.
    """

    size: Floats
    angle: Floats
    by_chance: Floats


def sample_points(num_verts: int) -> npt.NDArray[np.int64]:
    """Vertices spread evenly over the list of vertices, at most `MAX_POINTS`."""
    return np.unique(np.linspace(0, num_verts - 1, min(num_verts, MAX_POINTS)).astype(np.int64))


def rigid_motion(frames: npt.NDArray[np.float32], still: npt.NDArray[np.float32]) -> RigidMotion:
    """Fits the rigid motion from a still pose to each frame.

    Weights are Geman and McClure's, 1 / (1 + (r/s)^2)^2 of the residual r, with s of 1.5 times its median.

    Args:
        frames: posed points `[frames, points, 3]`, finite.
        still: the same points at rest `[points, 3]`, at least 3.
    """
    posed, rest = frames.astype(np.float64), still.astype(np.float64)
    weights = np.ones(posed.shape[:2])
    for _ in range(_ROUNDS):
        fitted, rotation = _align(rest, posed, weights)
        residual = np.linalg.norm(posed - fitted, axis=2)
        scale = np.maximum(1.5 * np.median(residual, axis=1, keepdims=True), _SMALLEST_SCALE)
        weights = 1 / (1 + (residual / scale) ** 2) ** 2
    size = np.sqrt(((fitted - rest) ** 2).sum(axis=2).mean(axis=1))
    cosine = (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
    # Six parameters fitted to 3n coordinates of error e displace the points by about e * sqrt(2 / n).
    error = np.sqrt((residual**2).mean(axis=1))
    by_chance = _CERTAIN * error * np.sqrt(2 / len(rest))
    return RigidMotion(size, np.degrees(np.arccos(np.clip(cosine, -1, 1))), by_chance)


def _align(rest: Floats, posed: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted Kabsch alignment of `rest` [points, 3] with each frame; the aligned points and rotations."""
    share = weights / weights.sum(axis=1, keepdims=True)
    centre_rest = share @ rest
    centre_posed = np.einsum("fp,fpc->fc", share, posed)
    rest_c = rest - centre_rest[:, None]
    covariance = np.einsum("fpc,fpd->fcd", rest_c * share[..., None], posed - centre_posed[:, None])
    u, _, vt = np.linalg.svd(covariance)
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]  # a rotation, never a mirror image
    rotation = u @ vt
    return rest_c @ rotation + centre_posed[:, None], rotation
