"""Principal components of poses: the fit, the choice of how many, and the coefficients of a shot.

Knows rows of coordinates. Does not know actors, shots by name, or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.errors import UserError
from audio2face.geometry.krylov import leading_eigenpairs
from audio2face.geometry.pose_reader import FloatArray, PoseReader, blocks_of, read_rows

# A full decomposition of so many coordinates or poses takes a few seconds; beyond, only leading pairs are sought.
_DENSE_LIMIT = 2500


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

    Works in float64 through inner products on the smaller side (poses or coordinates); where both are many, only
    the leading eigenpairs are computed. `rows` may be a memory map: it is read in blocks.

    Args:
        rows: poses `[poses, coords]`, float32.
        mean: `[coords]`, the pose that variance is measured from, a neutral say; the mean of the rows where None.
        variance_threshold: the share that must be exceeded. Where rounding keeps it out of reach (1.0), all
            components that carry variance are taken.
        num_components: number of components, whatever their share; None for the threshold to decide.

    Raises:
        UserError: all poses equal the mean, or they span fewer than `num_components` dimensions.
        ValueError: shapes do not fit.
    """
    count, coords = rows.shape
    if count < 1 or (mean is not None and mean.shape != (coords,)):
        raise ValueError(f"{rows.shape} rows about a mean of shape {None if mean is None else mean.shape}")
    centre = _mean_row(rows) if mean is None else mean.astype(np.float64)
    total = _second_moment(rows, centre)
    if total <= count * coords * (np.finfo(np.float32).eps * float(np.abs(centre).max())) ** 2:
        raise UserError(
            f"all {count} poses are the same as the mean pose; there is no motion to find components in",
            hint="Check that the caches hold animation and belong to this neutral pose.",
        )

    def enough(values: FloatArray) -> int | None:
        return _count(values, total, min(count, coords), variance_threshold, num_components)

    if min(count, coords) > _DENSE_LIMIT:
        values, vectors = leading_eigenpairs(lambda block: _covariance_times(rows, centre, block), coords, enough)
    else:
        values, vectors = _dense_eigenpairs(rows, centre, enough)
    components = np.ascontiguousarray(vectors.T, dtype=np.float32)
    peaks = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    components *= np.where(peaks < 0, np.float32(-1), np.float32(1))
    divisor = max(count - 1, 1)
    return PcaBasis(
        components, (values / divisor).astype(np.float32), centre.astype(np.float32), float(total / divisor)
    )


def coefficients(poses: PoseReader, basis: PcaBasis) -> FloatArray:
    """Coordinates of every frame of a shot in the basis, `(pose - mean) . component`.

    Returns:
        `[frames, components]` float32.

    Raises:
        ValueError: poses and basis have different numbers of coordinates.
    """
    coords = basis.components.shape[1]
    if poses.num_verts * 3 != coords:
        raise ValueError(f"{poses.num_verts} vertices, but a basis of {coords} coordinates")
    found = np.empty((poses.num_frames, basis.num_components), np.float32)
    for frames in blocks_of(poses.num_frames, coords * 4):
        block = read_rows(poses, frames)
        block -= basis.mean
        np.matmul(block, basis.components.T, out=found[frames])
    return found


def count_components(values: FloatArray, total: float, variance_threshold: float) -> int | None:
    """The fewest leading values whose sum exceeds a share of the total; None where even all of them do not.

    Args:
        values: eigenvalues `[n]`, falling.
        total: sum of all eigenvalues, also of those not in `values`.
        variance_threshold: the share that must be exceeded.
    """
    exceeding = np.flatnonzero(np.cumsum(values) > variance_threshold * total)
    return int(exceeding[0]) + 1 if exceeding.size else None


def numerical_rank(values: FloatArray, size: int) -> int:
    """Number of eigenvalues (falling, float64, of a positive matrix of `size`) that are more than rounding noise."""
    if not values.size or values[0] <= 0:
        return 0
    return int(np.count_nonzero(values > values[0] * size * np.finfo(np.float64).eps))


def _count(values: FloatArray, total: float, size: int, threshold: float, forced: int | None) -> int | None:
    """How many of the falling eigenvalues to keep; None while these are too few to tell."""
    rank = numerical_rank(values, size)
    all_known = rank < len(values) or len(values) == size
    if forced is None:
        wanted = count_components(values, total, threshold)
        return min(wanted, rank) if wanted is not None else (rank if all_known else None)
    if forced <= rank:
        return forced
    if all_known:
        raise UserError(
            f"{forced} components are asked for, but the poses span only {rank} dimensions",
            hint="Ask for fewer components, or keep more poses.",
        )
    return None


def _mean_row(rows: FloatArray) -> FloatArray:
    return np.asarray(rows.mean(axis=0, dtype=np.float64))


def _second_moment(rows: FloatArray, centre: FloatArray) -> float:
    total = 0.0
    for part in blocks_of(len(rows), rows.shape[1] * 8):
        block = rows[part] - centre
        total += float(np.vdot(block, block))
    return total


def _dense_eigenpairs(
    rows: FloatArray, centre: FloatArray, enough: Callable[[FloatArray], int | None]
) -> tuple[FloatArray, FloatArray]: ...
