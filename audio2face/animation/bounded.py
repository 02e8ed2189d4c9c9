"""Least squares between bounds, one small dense problem after the other, each started from the answer before.

Block principal pivoting (J. J. Júdice and F. M. Pires, Computers & Operations Research 21, 1994): guess which variables
are free, solve for those, move all variables whose sign is wrong to where they belong, and repeat. From frame to
frame few variables change place, so mostly the first or second guess is right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

Float64Array = npt.NDArray[np.float64]
_FREE, _LOWER, _UPPER = 0, -1, 1
_TOLERANCE = 1e-11  # of a variable: how far beyond a bound is none
_GUESSES_IN_BLOCK = 10  # that may fail to lower the number of wrong variables before they are moved singly
_GUESSES = 500  # from here on only rounding can be the cause


class BoundedQuadratic:
    """Minimises a quadratic function of w for `0 <= w <= upper`; the answer is unique.

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
        self._place = np.full(len(self._matrix), _FREE, np.int8)

    def __call__(self, linear: Float64Array, upper: Float64Array) -> Float64Array:
        """The minimum `[n]`.

        Args:
            linear: b, `[n]`.
            upper: the upper bounds, `[n]`, above 0.
        """
        place, fewest, patience, tolerance = self._place, len(linear) + 1, _GUESSES_IN_BLOCK, _TOLERANCE
        guesses = 0
        while True:
            weights, gradient = self._solve(linear, upper)
            # How far each variable is on the wrong side: a free one beyond a bound, a bound one pulled inside.
            pull = gradient / self._scale
            below = np.where(place == _FREE, weights, pull * (place == _LOWER)) < -tolerance
            above = np.where(place == _FREE, weights - upper, pull * (place == _UPPER)) > tolerance
            wrong = np.flatnonzero(below | above)
            if not wrong.size:
                return np.clip(weights, 0, upper)
            guesses += 1
            if wrong.size < fewest:
                fewest, patience = wrong.size, _GUESSES_IN_BLOCK
            elif patience > 0:
                patience -= 1
            else:
                wrong = wrong[-1:]  # always the last one: this order cannot come back to an earlier guess
                tolerance *= 2 if guesses > _GUESSES else 1
            was_free = place[wrong] == _FREE
            place[wrong] = np.where(was_free, np.where(below[wrong], _LOWER, _UPPER), _FREE)

    def _solve(self, linear: Float64Array, upper: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The minimum over free variables, the others at their bounds, and the gradient there."""
        weights = np.where(self._place == _UPPER, upper, 0.0)
        free = np.flatnonzero(self._place == _FREE)
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
