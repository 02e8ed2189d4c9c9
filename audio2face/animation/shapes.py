"""Motion from coefficients of shapes, for networks that give those: PCA un-projection."""

from __future__ import annotations

import numpy as np

from audio2face.animation.face import Float32Array

# Frames multiplied at once, the last ones with zeros beside them: the order in which a matrix product adds depends on
# its size, and a frame must not depend on those it happens to come with. The shapes are read once for all of them.
ROWS = 8


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
    product = np.empty((len(rows), matrix.shape[1]), np.float32)
    for start in range(0, len(rows), ROWS):
        block = rows[start : start + ROWS]
        if len(block) < ROWS:
            padded = np.zeros((ROWS, rows.shape[1]), np.float32)
            padded[: len(block)] = block
            product[start:] = (padded @ matrix)[: len(block)]
        else:
            np.matmul(block, matrix, out=product[start : start + ROWS])
    return product
