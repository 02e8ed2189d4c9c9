"""Principal component analysis of many poses, with bounded memory.

Computes the leading eigenpairs of the second moment of rows about a centre. A callback, called with the eigenvalues
found so far, decides on the number of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from audio2face.errors import UserError
from audio2face.geometry.frames import PoseReader, blocks_of, read_rows
from audio2face.types import FloatArray

# Returns the number of pairs to keep, given falling eigenvalues; None while more are needed.
Enough = Callable[[FloatArray], int | None]

_DENSE_LIMIT = 2500  # a full decomposition of this size takes a few seconds, and its cost is cubic
_KRYLOV_BLOCK = 32  # directions per pass over the rows: enough for compute to hide the reading
_RESIDUAL = 1e-6  # of an eigenvector, relative to its eigenvalue


def leading_eigenpairs(rows: FloatArray, centre: FloatArray, enough: Enough) -> tuple[FloatArray, FloatArray]:
    """Computes eigenpairs of `(rows - centre)^T (rows - centre)`, by falling eigenvalue.

    Uses the full decomposition of the smaller side (rows or columns) up to 2,500, and a block Lanczos iteration with
    full reorthogonalisation (Golub and Underwood, 1977) above.

    Args:
        rows: `[rows, columns]` float32, may be a memory map: it is read in blocks.
        centre: `[columns]` float64.
        enough: returns the number of pairs to keep; all pairs are kept if it always returns None.

    Returns:
        Eigenvalues `[k]` and unit vectors `[columns, k]`, float64.
    """
    if min(rows.shape) > _DENSE_LIMIT:
        return _lanczos(rows, centre, enough)
    if rows.shape[0] <= rows.shape[1]:
        return _from_row_products(rows, centre, enough)
    moment = np.zeros((rows.shape[1], rows.shape[1]))
    for block in _centred_rows(rows, centre):
        moment += block.T @ block
    values, vectors = falling_eigenpairs(moment)
    count = enough(values)
    return values[:count], vectors[:, :count]


def falling_eigenpairs(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns all eigenpairs of a positive float64 matrix `[n, n]` by falling eigenvalue; clips negatives to zero."""
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def numerical_rank(values: FloatArray, size: int) -> int:
    """Counts the eigenvalues of a positive float64 matrix of `size` above rounding noise."""
    if not values.size or values[0] <= 0:
        return 0
    return int(np.count_nonzero(values > values[0] * size * np.finfo(np.float64).eps))


def _from_row_products(rows: FloatArray, centre: FloatArray, enough: Enough) -> tuple[FloatArray, FloatArray]:
    """Uses Y = U S V^T: the inner products Y Y^T yield U and S^2, and V = Y^T U / S."""
    column_blocks = list(blocks_of(rows.shape[1], len(rows) * 8))
    products = np.zeros((len(rows), len(rows)))
    for columns in column_blocks:
        block = rows[:, columns] - centre[columns]
        products += block @ block.T
    values, left = falling_eigenpairs(products)
    count = enough(values)
    count = min(len(values) if count is None else count, numerical_rank(values, len(rows)))
    scaled = left[:, :count] / np.sqrt(values[:count])
    vectors = np.empty((rows.shape[1], count))
    for columns in column_blocks:
        vectors[columns] = (rows[:, columns] - centre[columns]).T @ scaled
    return values[:count], vectors


def _lanczos(rows: FloatArray, centre: FloatArray, enough: Enough) -> tuple[FloatArray, FloatArray]:
    size = rows.shape[1]
    # The fixed seed makes runs bit-identical.
    start = np.random.default_rng(0).standard_normal((size, _KRYLOV_BLOCK))
    space = np.linalg.qr(start)[0]
    image = _times(rows, centre, space)
    while True:
        values, rotation = falling_eigenpairs(space.T @ image)
        count = enough(values)
        whole = space.shape[1] + _KRYLOV_BLOCK > size
        if count is not None or whole:
            values, rotation = values[:count], rotation[:, :count]
            vectors = space @ rotation
            residual = np.linalg.norm(image @ rotation - vectors * values, axis=0)
            if whole or (residual <= _RESIDUAL * values).all():
                return values, vectors
        fresh = image[:, -_KRYLOV_BLOCK:]
        for _ in range(2):  # one pass leaves rounding errors that grow with every block
            fresh = np.linalg.qr(fresh - space @ (space.T @ fresh))[0]
        space = np.hstack([space, fresh])
        image = np.hstack([image, _times(rows, centre, fresh)])


def _times(rows: FloatArray, centre: FloatArray, vectors: FloatArray) -> FloatArray:
    product = np.zeros_like(vectors)
    for block in _centred_rows(rows, centre):
        product += block.T @ (block @ vectors)
    return product


def _centred_rows(rows: FloatArray, centre: FloatArray) -> Iterator[FloatArray]:
    """Yields blocks of `rows - centre` in float64, all in one buffer."""
    cuts = list(blocks_of(len(rows), rows.shape[1] * 8))
    buffer = np.empty((cuts[0].stop, rows.shape[1]))
    for cut in cuts:
        yield np.subtract(rows[cut], centre, out=buffer[: cut.stop - cut.start])


@dataclass(frozen=True)
class PcaBasis:
    """Orthonormal components of largest variance about a mean pose.

    The sign of a component, arbitrary in a PCA, is fixed: its entry of largest magnitude is positive.

    Attributes:
        components: `[components, coords]` float32, rows of unit length, by falling eigenvalue.
        eigenvalues: `[components]` float32, second moment about the mean along each component, divided by one less
            than the number of poses.
        mean: `[coords]` float32.
        total_variance: sum of all eigenvalues, including those of dropped components.
    """

    components: FloatArray
    eigenvalues: FloatArray
    mean: FloatArray
    total_variance: float

    @property
    def num_components(self) -> int:
        """Number of components."""
        return len(self.components)

    def project(self, rows: FloatArray) -> FloatArray:
        """Returns the coefficients `[poses, components]` of poses `[poses, coords]`: `(pose - mean) . component`."""
        return np.asarray(np.matmul(rows - self.mean, self.components.T))


def fit_basis(
    rows: FloatArray,
    mean: FloatArray | None = None,
    variance_threshold: float = 0.9995,
    num_components: int | None = None,
) -> PcaBasis:
    """Fits the fewest components whose share of the variance exceeds a threshold, or a fixed number of them.

    Works in float64. `rows` may be a memory map: it is read in blocks.

    Args:
        rows: poses `[poses, coords]`, float32.
        mean: `[coords]`, the pose from which variance is measured, such as a neutral pose; None for the rows' mean.
        variance_threshold: the share to exceed. If it is unreachable (1.0), all components with variance are kept.
        num_components: number of components, regardless of their share; None to use the threshold.

    Raises:
        UserError: a pose is not finite, all poses equal the mean, or they span fewer than `num_components` dimensions.
        ValueError: shapes do not match.
    """
    count, coords = rows.shape
    if count < 1 or (mean is not None and mean.shape != (coords,)):
        raise ValueError(f"{rows.shape} rows about a mean of shape {None if mean is None else mean.shape}")
    centre = np.asarray(rows.mean(axis=0, dtype=np.float64) if mean is None else mean, np.float64)
    total = _second_moment(rows, centre)
    if not np.isfinite(total):
        raise UserError("a pose holds a coordinate that is not a finite number", hint="Check the caches.")
    # Poses that differ from the mean by less than the precision of float32 hold no motion.
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
        # An eigenvalue at rounding noise means that all larger ones are known.
        return rank if rank < len(values) else None

    values, vectors = leading_eigenpairs(rows, centre, enough)
    if num_components is not None and len(values) < num_components:
        raise UserError(
            f"{num_components} components are requested, but the poses span only {len(values)} dimensions",
            hint="Request fewer components, or keep more poses.",
        )
    divisor = max(count - 1, 1)
    return PcaBasis(
        components=_with_positive_peaks(np.ascontiguousarray(vectors.T, dtype=np.float32)),
        eigenvalues=(values / divisor).astype(np.float32),
        mean=centre.astype(np.float32),
        total_variance=total / divisor,
    )


def coefficients(poses: PoseReader, basis: PcaBasis) -> FloatArray:
    """Projects every frame of a shot onto the basis: `(pose - mean) . component`.

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
        found[frames] = basis.project(read_rows(poses, frames))
    return found


_APART = 1e-2  # largest entry of the inner products of orthonormal components, less the identity
_FLOOR = 0.01  # of the mean squared length of a component


def coefficient_metric(components: FloatArray) -> FloatArray | None:
    """The matrix that turns differences of coefficients into distances of poses; None for orthonormal components.

    It is the symmetric root S of the inner products C C', so that `|d S| = |d C|`. A hundredth of the components' mean
    squared length is added, so that coefficients without effect on the pose count too.

    Args:
        components: C, `[components, ...]`.

    Returns:
        Float32 `[components, components]`, in the unit of the components.
    """
    rows = components.reshape(len(components), -1)
    products = np.asarray(rows @ rows.T, np.float64)
    if np.abs(products - np.eye(len(rows))).max() < _APART:
        return None
    values, vectors = np.linalg.eigh(products + _FLOOR * np.trace(products) / len(rows) * np.eye(len(rows)))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T, np.float32)


_NEGLIGIBLE = 1e-3  # singular values below this share of the largest count as zero


def dual_components(components: FloatArray) -> FloatArray:
    """The matrix that takes offsets to the coefficients of the nearest pose; of orthonormal components, themselves.

    Args:
        components: `[components, coords]`.

    Returns:
        Float32 `[components, coords]`; its rows times the offsets are the coefficients.
    """
    if coefficient_metric(components) is None:
        return components
    inverse = np.linalg.pinv(np.asarray(components, np.float64), rcond=_NEGLIGIBLE)
    return np.ascontiguousarray(inverse.T, np.float32)


def count_components(values: FloatArray, total: float, variance_threshold: float) -> int | None:
    """Returns the fewest leading eigenvalues that exceed a share of the total; None if all together do not.

    Args:
        values: eigenvalues `[n]`, falling.
        total: sum of all eigenvalues, including those missing in `values`.
        variance_threshold: the share to exceed.
    """
    exceeding = np.flatnonzero(np.cumsum(values) > variance_threshold * total)
    return int(exceeding[0]) + 1 if exceeding.size else None


def principal_pairs(
    products: FloatArray, variance_threshold: float, beyond: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Returns the fewest leading eigenpairs of a small matrix that exceed a share of the variance, or all nonzero ones.

    Args:
        products: `[n, n]` float64, inner products of centred poses, or of their coordinates.
        variance_threshold: the share to exceed.
        beyond: variance outside the matrix.

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
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses non-finite values
            block = rows[part] - centre
            total += float(np.vdot(block, block))
    return total


def _with_positive_peaks(components: FloatArray) -> FloatArray:
    peaks = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return np.where(peaks < 0, -components, components)
