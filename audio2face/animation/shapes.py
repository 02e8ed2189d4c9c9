"""Motion from coefficients of shapes: PCA un-projection, for networks that give those, and blend-shape weights."""

from __future__ import annotations

import numpy as np

from audio2face.animation.face import Float32Array

# Frames multiplied at once, zeros standing in for those that are missing: the order in which a matrix product adds
# depends on its size, and a frame must not depend on those it happens to come with.
ROWS = 8
_COLUMNS = 1024  # of the matrix, which all rows pass before the next, while the cache of a core holds them


def unproject(coefficients: Float32Array, shapes: Float32Array) -> Float32Array:
    """Offsets from the neutral that coefficients stand for; bit-equal however frames are cut into blocks.

    Args:
        coefficients: float32 `[frames, shapes]`.
        shapes: float32 `[shapes, verts, 3]`, centimetres.

    Returns:
        Float32 `[frames, verts, 3]`.
    """
    matrix = shapes.reshape(len(shapes), shapes[0].size)
    return _product(coefficients, matrix).reshape(len(coefficients), *shapes.shape[1:])


def _product(rows: Float32Array, matrix: Float32Array) -> Float32Array:
    """`rows @ matrix`, in which a row of the result depends on that row alone, to the last bit.

    Args:
        rows: float32 `[rows, inner]`.
        matrix: float32 `[inner, columns]`.
    """
    missing = -len(rows) % ROWS
    padded = np.concatenate([rows, np.zeros((missing, rows.shape[1]), np.float32)]) if missing else rows
    product = np.empty((len(padded), matrix.shape[1]), np.float32)
    for column in range(0, matrix.shape[1], _COLUMNS):
        columns = slice(column, column + _COLUMNS)
        for row in range(0, len(padded), ROWS):
            np.matmul(padded[row : row + ROWS], matrix[:, columns], out=product[row : row + ROWS, columns])
    return product[: len(rows)]
