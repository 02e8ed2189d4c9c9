"""Least squares between bounds, one small dense problem after the other, each started from the answer before.

Block principal pivoting (J. J. Júdice and F. M. Pires, Computers & Operations Research 21, 1994): guess which variables
are free, solve for those, move all variables that are on the wrong side to where they belong, and repeat. From frame to
frame few variables change sides, so mostly the first or second guess is right. Should guesses stop getting better,
variables are moved one by one instead, down the function (C. L. Lawson and R. J. Hanson, Solving Least Squares
Problems, 1974, chapter 23, with upper bounds as well), which always ends.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from audio2face.types import Float32Array, Float64Array

_FREE, _LOWER, _UPPER = 0, -1, 1
_TOLERANCE = 1e-11  # of a variable: how far on the wrong side is right enough
_PATIENCE = 6  # guesses that may be no better than the best so far
_STEPS_PER_VARIABLE = 20  # downwards; beyond, rounding alone keeps the search going


class BoundedQuadratic:
    """Minimises a quadratic function of w for `0 <= w <= upper`; there is one minimum.

    Args:
        matrix: symmetric, positive definite, `[n, n]`; A below.
        squared: the function is `|A w - b|² / 2` instead of `w A w / 2 - b w`. Without bounds both have the same
            minimum; between them they have not.
    """

    def __init__(self, matrix: Float64Array, squared: bool) -> None:
        self._matrix, self._squared = matrix, squared
        self._hessian = matrix @ matrix if squared else matrix
        self._scale = np.diag(self._hessian).copy()
        self.reset()

    def reset(self) -> None:
        """Forgets the last answer."""
        self._side = np.full(len(self._matrix), _FREE, np.int8)

    def __call__(self, linear: Float64Array, upper: Float64Array) -> Float64Array:
        """The minimum `[n]`.

        Args:
            linear: b, `[n]`.
            upper: the upper bounds, `[n]`, above 0.
        """
        side, fewest, patience = self._side, len(linear) + 1, _PATIENCE
        while True:
            weights, gradient = self._solve(linear, upper)
            free = side == _FREE
            # What is on the wrong side: a free variable beyond a bound, a bound one that wants to come inside.
            inwards = gradient * side / self._scale
            below, above = free & (weights < -_TOLERANCE), free & (weights > upper + _TOLERANCE)
            wrong = below | above | (inwards > _TOLERANCE)
            num_wrong = int(np.count_nonzero(wrong))
            if num_wrong == 0:
                return np.clip(weights, 0, upper)
            if num_wrong < fewest:
                fewest, patience = num_wrong, _PATIENCE
            elif patience == 0:
                return self._descend(linear, upper, np.clip(weights, 0, upper))
            else:
                patience -= 1
            side[wrong] = _FREE
            side[below], side[above] = _LOWER, _UPPER

    def _solve(self, linear: Float64Array, upper: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The minimum over free variables, the others at their bounds, and the gradient there."""
        weights = np.where(self._side == _UPPER, upper, 0.0)
        free = np.flatnonzero(self._side == _FREE)
        gradient = self._gradient(weights, linear)
        if free.size:
            factor, _ = lapack.dpotrf(self._hessian[free[:, None], free], lower=1, overwrite_a=1)
            for _ in range(2):  # the second time for what rounding left
                step, _ = lapack.dpotrs(factor, gradient[free], lower=1)
                weights[free] -= step
                gradient = self._gradient(weights, linear)
        return weights, gradient

    def _gradient(self, weights: Float64Array, linear: Float64Array) -> Float64Array:
        residual = self._matrix @ weights - linear
        return self._matrix @ residual if self._squared else residual

    def _descend(self, linear: Float64Array, upper: Float64Array, weights: Float64Array) -> Float64Array:
        """The minimum, from weights between the bounds that agree with the sides of the variables."""
        freed = -1
        for _ in range(_STEPS_PER_VARIABLE * len(weights)):
            goal, gradient = self._solve(linear, upper)
            step = goal - weights
            edge = np.where(step < 0, 0.0, upper)
            beyond = (goal < 0) | (goal > upper)
            if beyond.any():  # go as far as no variable leaves, and hold the one that would
                share = np.full(len(weights), np.inf)
                np.divide(edge - weights, step, out=share, where=beyond)
                held = int(share.argmin())
                if held == freed and share[held] <= 0:
                    break  # it was freed for a rounding error
                weights = np.clip(weights + min(share[held], 1.0) * step, 0, upper)
                weights[held] = edge[held]
                self._side[held] = _LOWER if step[held] < 0 else _UPPER
                continue
            weights = goal
            inwards = gradient * self._side / self._scale
            freed = int(inwards.argmax())
            if inwards[freed] <= _TOLERANCE:
                break
            self._side[freed] = _FREE
        return weights


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
