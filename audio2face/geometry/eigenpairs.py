"""Leading eigenpairs of the second moment of many rows, without ever forming what is too large to decompose.

Knows rows of numbers about a centre. Does not know what they mean, nor how many pairs are wanted: a callback, asked
with the eigenvalues so far, decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from audio2face.geometry.pose_reader import FloatArray, blocks_of

# Answers with the number of pairs wanted, given falling eigenvalues; None while these are too few to tell.
Enough = Callable[[FloatArray], int | None]

_DENSE_LIMIT = 2500  # a full decomposition of this size takes a few seconds, and grows with the cube
_KRYLOV_BLOCK = 32  # directions per pass over the rows: enough for the matrix product to hide the reading
_RESIDUAL = 1e-6  # of an eigenvector, relative to its eigenvalue


def leading_eigenpairs(rows: FloatArray, centre: FloatArray, enough: Enough) -> tuple[FloatArray, FloatArray]:
    """Eigenpairs of `(rows - centre)^T (rows - centre)`, by falling eigenvalue.

    Takes the full decomposition on the smaller side (rows or columns) up to 2,500, and a block Lanczos iteration with
    full reorthogonalisation (Golub and Underwood, 1977) beyond.

    Args:
        rows: `[rows, columns]` float32, may be a memory map: it is read in blocks.
        centre: `[columns]` float64.
        enough: how many pairs to return; all there are where it answers None to the end.

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
    """All eigenpairs of a positive float64 matrix `[n, n]` by falling eigenvalue, negative rounding set to zero."""
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def numerical_rank(values: FloatArray, size: int) -> int:
    """Number of falling eigenvalues of a positive float64 matrix of `size` that are more than rounding noise."""
    if not values.size or values[0] <= 0:
        return 0
    return int(np.count_nonzero(values > values[0] * size * np.finfo(np.float64).eps))


def _from_row_products(rows: FloatArray, centre: FloatArray, enough: Enough) -> tuple[FloatArray, FloatArray]:
    """With Y = U S V^T: the matrix of inner products Y Y^T gives U and S^2, and V = Y^T U / S."""
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
    # The fixed seed makes two runs agree to the bit.
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
        for _ in range(2):  # a second time, as one pass leaves rounding that grows with every block
            fresh = np.linalg.qr(fresh - space @ (space.T @ fresh))[0]
        space = np.hstack([space, fresh])
        image = np.hstack([image, _times(rows, centre, fresh)])


def _times(rows: FloatArray, centre: FloatArray, vectors: FloatArray) -> FloatArray:
    product = np.zeros_like(vectors)
    for block in _centred_rows(rows, centre):
        product += block.T @ (block @ vectors)
    return product


def _centred_rows(rows: FloatArray, centre: FloatArray) -> Iterator[FloatArray]:
    """Blocks of `rows - centre` in float64, all in one buffer."""
    cuts = list(blocks_of(len(rows), rows.shape[1] * 8))
    buffer = np.empty((cuts[0].stop, rows.shape[1]))
    for cut in cuts:
        yield np.subtract(rows[cut], centre, out=buffer[: cut.stop - cut.start])
