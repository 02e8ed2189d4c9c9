"""Least squares between bounds as the SDK's solver for GPUs has it: four steps of ADMM, whose answer is approximate."""

from __future__ import annotations

import numpy as np

from audio2face.animation.bounded import Float64Array

_STEPS = 4
_RELAXATION = 1.9


class FourSteps:
    """Approximates the minimum of `|A w - b|² / 2` for `0 <= w <= upper`; keeps no state.

    Args:
        matrix: A, symmetric, positive definite, `[n, n]`.
    """

    def __init__(self, matrix: Float64Array) -> None:
        square = matrix @ matrix
        self._matrix = matrix
        self._penalty = np.diag(square) / 16  # a quarter of the root, squared
        self._inverse = np.linalg.inv(matrix)
        self._resolvent = np.linalg.inv(square + np.diag(self._penalty))

    def reset(self) -> None:
        """There is nothing to forget."""

    def __call__(self, linear: Float64Array, upper: Float64Array) -> Float64Array:
        """Weights `[rows, n]` for b `[rows, n]` and upper bounds, of the same shape or for all rows `[n]`."""
        target = linear @ self._matrix
        inside = np.clip(linear @ self._inverse, 0, upper)
        dual = np.zeros_like(inside)
        for _ in range(_STEPS):
            outside = (self._penalty * (inside - dual) + target) @ self._resolvent
            inside = np.clip(dual + outside, 0, upper)
            dual += _RELAXATION * (outside - inside)
        return inside
