"""Principal components of poses: the fit, the choice of how many, and the coefficients of a shot.

Knows rows of coordinates. Does not know actors, shots by name, or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.errors import UserError
from audio2face.geometry.eigenpairs import falling_eigenpairs, leading_eigenpairs, numerical_rank
from audio2face.geometry.pose_reader import FloatArray, PoseReader, blocks_of, read_rows


@dataclass(frozen=True)
class PcaBasis:
    """Orthonormal directions of the largest variance about a mean pose.

    The sign of a component is arbitrary in a PCA; here its entry of largest magnitude is positive.

    Attributes:
        components: `[components, coords]` float32, rows of unit length, by falling eigenvalue.
        eigenvalues: `[components]` float32, second moment about the mean along each component, divided by one less
            than the number of poses.
        mean: `[coords]` float32.
        total_variance: sum of all eigenvalues, those left out included.
    """

    components: FloatArray
    eigenvalues: FloatArray
    mean: FloatArray
    total_variance: float

    @property
    def num_components(self) -> int:
        """Number of components."""
        return len(self.components)


def fit_basis(
    rows: FloatArray,
    mean: FloatArray | None = None,
    variance_threshold: float = 0.9995,
    num_components: int | None = None,
) -> PcaBasis:
    """Fits the fewest components whose share of the variance exceeds a threshold, or exactly so many.

    Works in float64. `rows` may be a memory map: it is read in blocks.

    Args:
        rows: poses `[poses, coords]`, float32.
        mean: `[coords]`, the pose that variance is measured from, a neutral say; the mean of the rows where None.
        variance_threshold: the share that must be exceeded. Where it is out of reach (1.0), all components that
            carry variance are taken.
        num_components: number of components, whatever their share; None for the threshold to decide.

    Raises:
        UserError: a pose is not finite, all poses equal the mean, or they span fewer than `num_components` dimensions.
        ValueError: shapes do not fit.
    """
    count, coords = rows.shape
    if count < 1 or (mean is not None and mean.shape != (coords,)):
        raise ValueError(f"{rows.shape} rows about a mean of shape {None if mean is None else mean.shape}")
    centre = np.asarray(rows.mean(axis=0, dtype=np.float64) if mean is None else mean, np.float64)
    total = _second_moment(rows, centre)
    if not np.isfinite(total):
        raise UserError("a pose holds a coordinate that is not a finite number", hint="Check the caches.")
    # Poses that differ from the mean by less than float32 can tell hold no motion.
    if total <= count * coords * (np.finfo(np.float32).eps * float(np.abs(centre).max())) ** 2:
        raise UserError(
            f"all {count} poses are the same as the mean pose; there is no motion to find components in",
            hint="Check that the caches hold animation and belong to this neutral pose.",
        )
    size = min(count, coords)

    def enough(values: FloatArray) -> int | None:
        rank = numerical_rank(values, size)
        if num_components is not None and num_components <= rank:
            return num_components
        wanted = count_components(values, total, variance_threshold) if num_components is None else None
        if wanted is not None:
            return min(wanted, rank)
        # Values down to rounding noise mean that all those above it are known.
        return rank if rank < len(values) else None

    values, vectors = leading_eigenpairs(rows, centre, enough)
    if num_components is not None and len(values) < num_components:
        raise UserError(
            f"{num_components} components are asked for, but the poses span only {len(values)} dimensions",
            hint="Ask for fewer components, or keep more poses.",
        )
    divisor = max(count - 1, 1)
    return PcaBasis(
        components=_with_positive_peaks(np.ascontiguousarray(vectors.T, dtype=np.float32)),
        eigenvalues=(values / divisor).astype(np.float32),
        mean=centre.astype(np.float32),
        total_variance=total / divisor,
    )


def coefficients(poses: PoseReader, basis: PcaBasis) -> FloatArray:
    """Coordinates of every frame of a shot in the basis, `(pose - mean) . component`.

    Returns:
        `[frames, components]` float32.

    Raises:
        ValueError: poses and basis have different numbers of coordinates.
    """
    coords = len(basis.mean)
    if poses.num_verts * 3 != coords:
        raise ValueError(f"{poses.num_verts} vertices, but a basis of {coords} coordinates")
    found = np.empty((poses.num_frames, basis.num_components), np.float32)
    for frames in blocks_of(poses.num_frames, coords * 4):
        block = read_rows(poses, frames)
        block -= basis.mean
        np.matmul(block, basis.components.T, out=found[frames])
    return found


def count_components(values: FloatArray, total: float, variance_threshold: float) -> int | None:
    """The fewest leading eigenvalues that exceed a share of the total; None where all of them together do not.

    Args:
        values: eigenvalues `[n]`, falling.
        total: sum of all eigenvalues, also of those not in `values`.
        variance_threshold: the share to exceed.
    """
    exceeding = np.flatnonzero(np.cumsum(values) > variance_threshold * total)
    return int(exceeding[0]) + 1 if exceeding.size else None


def principal_pairs(
    products: FloatArray, variance_threshold: float, beyond: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """The fewest leading eigenpairs of a small matrix that exceed a share of the variance, or all that carry any.

    Args:
        products: `[n, n]` float64, inner products of centred poses, or of their coordinates.
        variance_threshold: the share to exceed.
        beyond: variance that the matrix does not show.

    Returns:
        Eigenvalues `[k]`, falling, all above rounding noise, and unit vectors `[n, k]`.
    """
    values, vectors = falling_eigenpairs(products)
    count = count_components(values, float(values.sum()) + beyond, variance_threshold)
    rank = numerical_rank(values, len(values))
    kept = rank if count is None else min(count, rank)
    return values[:kept], vectors[:, :kept]


def _second_moment(rows: FloatArray, centre: FloatArray) -> float:
    total = 0.0
    for part in blocks_of(len(rows), rows.shape[1] * 8):
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
            block = rows[part] - centre
            total += float(np.vdot(block, block))
    return total


def _with_positive_peaks(components: FloatArray) -> FloatArray:
    peaks = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return np.where(peaks < 0, -components, components)
