"""Describes scales and axes for messages: units by their factor, and exchanged coordinates."""

from __future__ import annotations

import math

import numpy as np

from audio2face.types import FloatArray, Int64Array

AXES = "xyz"
# Factor from lengths to centimetres, and the unit of the lengths.
FACTORS = {
    100.0: "metres",
    0.1: "millimetres",
    2.54: "inches",
    30.48: "feet",
    10.0: "decimetres",
    0.01: "hundredths of centimetres (centimetres that were scaled by 100 once too often)",
    1000.0: "tens of metres",
    0.0001: "micrometres",
}
_NEAR = 0.12  # natural logarithm: tolerance of a measured factor


def nearest_factor(factor: float, *, loosely: bool = False) -> float:
    """Returns the factor of the table that matches a measured one, else the measured one to two digits.

    Args:
        factor: the measured factor, above 0.
        loosely: whether it was measured on motion, which varies between faces, so that the nearest factor is used.
    """
    near = min(FACTORS, key=lambda known: abs(math.log(known / factor)))
    return near if loosely or abs(math.log(near / factor)) <= _NEAR else float(f"{factor:.2g}")


def unit_words(factor: float) -> str:
    """Names the unit of lengths that must be multiplied by `factor`, such as "in metres"."""
    name = FACTORS.get(factor)
    return f"in {name}" if name else f"{1 / factor:.3g} times as large as they should be"


def scale_remedy(factor: float) -> str:
    """Describes the fix for lengths that must be multiplied by `factor`."""
    return f"Multiply all its lengths by {factor:g}: lengths are centimetres."


def nearest_axes(matrix: FloatArray) -> Int64Array:
    """Returns the signed permutation matrix `[3, 3]` nearest to an orthogonal one."""
    found = np.zeros((3, 3), np.int64)
    free = np.abs(np.asarray(matrix, np.float64))
    for _ in range(3):
        row, column = np.unravel_index(int(np.argmax(free)), free.shape)
        found[row, column] = 1 if matrix[row, column] > 0 else -1
        free[row], free[:, column] = -1, -1
    return found


def axes_formula(matrix: Int64Array) -> str:
    """Returns the new coordinates in terms of the old, such as "(x, z, -y)", for `new = matrix @ old`."""
    terms = []
    for row in matrix:
        column = int(np.argmax(np.abs(row)))
        terms.append(f"{'-' if row[column] < 0 else ''}{AXES[column]}")
    return f"({', '.join(terms)})"


def is_mirror(matrix: FloatArray | Int64Array) -> bool:
    """Returns whether an orthogonal matrix contains a reflection."""
    return bool(np.linalg.det(np.asarray(matrix, np.float64)) < 0)
