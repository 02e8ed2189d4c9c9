"""Measures the rigid motion of a head, separate from the motion of its face.

The rigid motion is fitted by iteratively re-weighted Kabsch alignments of points: points far off the current fit (a
moving jaw, lips, lids) lose weight, so that the rigid part of the head determines the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.types import Float32Array, Int64Array

MAX_POINTS = 200  # a sample of this size determines the motion to a fraction of a millimetre
_ROUNDS = 10
_SMALLEST_SCALE = 0.02  # cm; smaller differences are noise, and weights of a perfect fit stay defined
_CERTAIN = 3.0  # standard errors: the significance level against independent motion of the points


@dataclass(frozen=True)
class HeadMotion:
    """Rigid part of the motion of a set of points, per frame.

    Attributes:
        size: root mean square displacement of the points by it, in their unit, `[frames]`.
        angle: rotation in degrees, `[frames]`.
        by_chance: size that independent motion of the points can imitate, `[frames]`.
    """

    size: Float32Array
    angle: Float32Array
    by_chance: Float32Array


def sample_points(num_verts: int) -> Int64Array:
    """Returns vertices spread evenly over the list of vertices, at most `MAX_POINTS`."""
    return np.unique(np.linspace(0, num_verts - 1, min(num_verts, MAX_POINTS)).astype(np.int64))


def rigid_motion(frames: Float32Array, still: Float32Array) -> HeadMotion:
    """Fits the rigid motion from a still pose to each frame.

    Weights are Geman and McClure's, 1 / (1 + (r/s)^2)^2 of the residual r, with s of 1.5 times its median.

    Args:
        frames: posed points `[frames, points, 3]`, finite.
        still: the same points in the neutral pose `[points, 3]`, at least 3.
    """
    # Coordinates first and near zero: float32 then resolves a micrometre, and the sums are matrix products.
    centre = still.mean(axis=0)
    rest = np.ascontiguousarray((still - centre).T)
    posed = np.ascontiguousarray((frames - centre).transpose(0, 2, 1))
    weights = np.ones((len(frames), rest.shape[1]), np.float32)
    for _ in range(_ROUNDS):
        rotation, fitted = _align(rest, posed, weights)
        squares = np.square(posed - fitted).sum(axis=1)
        scale = np.maximum(1.5**2 * np.median(squares, axis=1, keepdims=True), _SMALLEST_SCALE**2)
        weights = 1 / np.square(1 + squares / scale)
    size = np.sqrt(np.square(fitted - rest).sum(axis=1).mean(axis=1))
    cosine = (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
    # Six parameters fitted to 3n coordinates of error e displace the points by about e * sqrt(2 / n).
    by_chance = _CERTAIN * np.sqrt(squares.mean(axis=1) * 2 / rest.shape[1])
    return HeadMotion(size, np.degrees(np.arccos(np.clip(cosine, -1, 1))), by_chance)


def _align(rest: Float32Array, posed: Float32Array, weights: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Aligns neutral points with each frame by the weighted Kabsch algorithm.

    Args:
        rest: `[3, points]`.
        posed: `[frames, 3, points]`.
        weights: `[frames, points]`.

    Returns:
        Rotations `[frames, 3, 3]`, and the aligned points `[frames, 3, points]`.
    """
    share = weights / weights.sum(axis=1, keepdims=True)
    centre_rest = share @ rest.T
    weighted = posed * share[:, None]
    centre_posed = weighted.sum(axis=2)
    covariance = weighted @ rest.T - centre_posed[:, :, None] * centre_rest[:, None]
    u, _, vt = np.linalg.svd(covariance.astype(np.float64))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]  # excludes reflections
    rotation = (u @ vt).astype(np.float32)
    shift = centre_posed - np.einsum("fij,fj->fi", rotation, centre_rest)
    return rotation, rotation @ rest + shift[:, :, None]
