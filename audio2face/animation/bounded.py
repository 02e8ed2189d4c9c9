"""Bounded least squares: a sequence of small dense problems, each warm-started from the previous solution.

Block principal pivoting (J. J. Júdice and F. M. Pires, Computers & Operations Research 21, 1994): guess the set of free
variables, solve for them, exchange all variables that violate their bounds or optimality, and repeat. Between frames
few variables change sets, so the first or second guess is usually right. If the guesses stop improving, an active-set
method moves variables one at a time (C. L. Lawson and R. J. Hanson, Solving Least Squares Problems, 1974, chapter 23,
extended to upper bounds), which always terminates.
"""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np
import numpy.typing as npt

from audio2face.types import Float32Array, Float64Array

_FREE, _LOWER, _UPPER = 0, -1, 1
_TOLERANCE = 1e-11  # of a variable: accepted violation of a bound
_PATIENCE = 6  # guesses without improvement before the fallback
_KEPT_FACTORS = 64
_STEPS_PER_VARIABLE = 20  # of the active-set method; more steps are caused by rounding alone


class BoundedQuadratic:
    """Minimises a quadratic function of w for `0 <= w <= upper`; the minimum is unique.

    Args:
        matrix: symmetric, positive definite, `[n, n]`; A below.
        squared: the function is `|A w - b|² / 2` instead of `w A w / 2 - b w`. Both have the same unconstrained
            minimum, but different bounded ones.
    """

    def __init__(self, matrix: Float64Array, squared: bool) -> None:
        from scipy.linalg import lapack  # loads in a sixth of a second

        self._factorise, self._substitute = lapack.dpotrf, lapack.dpotrs
        self._matrix, self._squared = matrix, squared
        self._hessian = matrix @ matrix if squared else matrix
        self._scale = np.diag(self._hessian).copy()
        self._factors: dict[bytes, tuple[npt.NDArray[np.intp], Float64Array | None]] = {}
        self.reset()

    def reset(self) -> None:
        """Clears the warm start."""
        self._side = np.full(len(self._matrix), _FREE, np.int8)

    def another(self) -> Self:
        """The same problem with a warm start of its own, and factors that both use."""
        other = copy(self)
        other.reset()
        return other

    def __call__(self, linear: Float64Array, upper: Float64Array) -> Float64Array:
        """Returns the minimum, `[n]`.

        Args:
            linear: b, `[n]`.
            upper: the upper bounds, `[n]`, above 0.
        """
        side, fewest, patience = self._side, len(linear) + 1, _PATIENCE
        while True:
            weights, gradient = self._solve(linear, upper)
            free = side == _FREE
            # Violations: a free variable beyond a bound, or a bound one whose gradient points inwards.
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
        """The minimum over the free variables, with the others at their bounds, and the gradient there."""
        weights = np.where(self._side == _UPPER, upper, 0.0)
        free, factor = self._factor()
        gradient = self._gradient(weights, linear)
        if factor is not None:
            for _ in range(2):  # the second iteration refines rounding errors
                step, _ = self._substitute(factor, gradient[free], lower=1)
                weights[free] -= step
                gradient = self._gradient(weights, linear)
        return weights, gradient

    def _factor(self) -> tuple[npt.NDArray[np.intp], Float64Array | None]:
        """The free variables, and the factor of their part of the matrix; the sets of the last frames are kept."""
        key = self._side.tobytes()
        found = self._factors.get(key)
        if found is None:
            free = np.flatnonzero(self._side == _FREE)
            factor = None
            if free.size:
                factor, _ = self._factorise(self._hessian[free[:, None], free], lower=1, overwrite_a=1)
            if len(self._factors) >= _KEPT_FACTORS:
                self._factors.clear()
            found = self._factors[key] = free, factor
        return found

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
            if beyond.any():  # step up to the first bound, and fix the variable that reaches it
                share = np.full(len(weights), np.inf)
                np.divide(edge - weights, step, out=share, where=beyond)
                fixed = int(share.argmin())
                if fixed == freed and share[fixed] <= 0:
                    break  # it was freed because of a rounding error
                weights = np.clip(weights + min(share[fixed], 1.0) * step, 0, upper)
                weights[fixed] = edge[fixed]
                self._side[fixed] = _LOWER if step[fixed] < 0 else _UPPER
                continue
            weights = goal
            inwards = gradient * self._side / self._scale
            freed = int(inwards.argmax())
            if inwards[freed] <= _TOLERANCE:
                break
            self._side[freed] = _FREE
        return weights


# Frames per matrix product, padded with zeros: the summation order of a product depends on its size, and the result of
# a frame must be independent of the other frames in its block.
ROWS = 8
_COLUMNS = 1024  # of the matrix per product: they stay in a core's cache for all rows


def unproject(coefficients: Float32Array, components: Float32Array) -> Float32Array:
    """Reconstructs offsets from coefficients; bit-equal for every division of the frames into blocks.

    Args:
        coefficients: float32 `[frames, components]`.
        components: principal components or blend shapes, float32 `[components, verts, 3]`, centimetres.

    Returns:
        Float32 `[frames, verts, 3]`.
    """
    matrix = components.reshape(len(components), components[0].size)
    return row_products(coefficients, matrix).reshape(len(coefficients), *components.shape[1:])


def row_products(rows: Float32Array, matrix: Float32Array) -> Float32Array:
    """`rows @ matrix`, where each row of the result depends bit for bit only on its own row.

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
