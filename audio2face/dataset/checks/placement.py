"""Checks position, unit, axes and motion of a part relative to the skin.

A part is scored as it is, and in every other unit and axes. If it fits badly as it is and well in others, those are
reported; if it fits in none, it is outside the face.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from pathlib import Path

import numpy as np

from audio2face.dataset.checks.face_frame import FaceFrame
from audio2face.dataset.checks.report import FACTORS, Findings, axes_formula, is_mirror, scale_remedy, unit_words
from audio2face.types import Float64Array, FloatArray, Int64Array

_SPREAD = 0.5  # natural logarithm: variation of part sizes between faces
_DIRECTION = 1.0  # cost of a motion perpendicular to that of the mouth
_MISPLACED, _DOUBTFUL = 7.0, 4.0
_CERTAIN = 5.0  # required advantage of another unit or other axes
_UNUSUAL, _MIRROR = 0.1, 0.05  # costs that decide between equivalent axes


@dataclass(frozen=True)
class Motion:
    """Motion of a part relative to the mouth.

    Attributes:
        direction: direction of the part's motion as the mouth opens, a unit vector `[3]`.
        skin_direction: direction of the skin's correlated motion `[3]`.
        ratio: magnitude of the part's motion over the skin's.
    """

    direction: Float64Array
    skin_direction: Float64Array
    ratio: float


@dataclass(frozen=True)
class PartPlace:
    """Geometry and motion of a part.

    Attributes:
        name: name of the part for messages, such as "jaw".
        points: neutral points `[points, 3]`.
        usual_size: diagonal of its box in sizes of the mouth.
        reach: usual distance of its centre from the mouth's, in sizes of the mouth.
        motion: its motion; None if it is static or is not animated.
    """

    name: str
    points: FloatArray
    usual_size: float
    reach: float
    motion: Motion | None = None


@dataclass(frozen=True)
class _Change:
    """A candidate unit and axes of a part; factor and matrix convert to those of the skin."""

    factor: float
    matrix: Int64Array
    penalty: float

    @property
    def none(self) -> bool:
        return self.factor == 1 and bool((self.matrix == np.eye(3)).all())


def check_place(part: PartPlace, face: FaceFrame, path: Path, findings: Findings) -> bool:
    """Reports a part in another unit, in other axes or outside the face; returns whether its position is right.

    Args:
        part: the part.
        face: mouth and size of the skin, in the skin's own unit and axes.
        path: file of the part.
        findings: receives the findings.
    """
    centre, size = part.points.mean(axis=0, dtype=np.float64), _size(part)
    costs = [(_cost(part, centre, size, face, change), change) for change in _changes()]
    as_it_is = next(cost for cost, change in costs if change.none)
    if as_it_is < _DOUBTFUL:
        return True
    best, change = min(costs, key=lambda item: item[0])
    distance = float(np.linalg.norm(centre - face.mouth))
    place = (
        f"the centre lies {distance:.3g} from the mouth, and the size is {size:.3g} where that of the skin is "
        f"{face.size:.3g}"
    )
    if as_it_is - best > _CERTAIN and best < _DOUBTFUL:
        messages, remedies, code = _words(change)
        findings.error(code, f"{part.name}: {' and '.join(messages)}: {place}", " ".join(remedies), file=path)
        return False
    if as_it_is > _MISPLACED:
        findings.error(
            "placement",
            f"{part.name}: not where a face has it: {place}",
            "Export it from the scene, unit and axes of the skin.",
            file=path,
        )
        return False
    findings.warning(
        "placement",
        f"{part.name}: lies or moves unlike that of most faces: {place}",
        "Look at skin and part together in one scene.",
        file=path,
    )
    return True


def _words(change: _Change) -> tuple[list[str], list[str], str]:
    messages, remedies, code = [], [], "units"
    if not (change.matrix == np.eye(3)).all():
        code = "axes"
        formula = axes_formula(change.matrix)
        what = "mirrored against the skin" if is_mirror(change.matrix) else "other axes than the skin"
        messages.append(what)
        remedies.append(f"Replace its (x, y, z) by {formula}.")
    if change.factor != 1:
        code = "units"
        messages.append(f"{unit_words(change.factor)}, unlike the skin")
        remedies.append(scale_remedy(change.factor))
    return messages, remedies, code


def _size(part: PartPlace) -> float:
    return float(np.linalg.norm(np.ptp(part.points, axis=0)))


def _cost(part: PartPlace, centre: Float64Array, size: float, face: FaceFrame, change: _Change) -> float:
    """Returns the cost of a part of this centre and size after a change of unit and axes."""
    moved = change.factor * change.matrix @ centre
    unit = face.mouth_size
    cost = (float(np.linalg.norm(moved - face.mouth)) / (part.reach * unit)) ** 2
    cost += (math.log(max(size * change.factor, 1e-12) / (part.usual_size * unit)) / _SPREAD) ** 2
    if part.motion is not None:
        aligned = float((change.matrix @ part.motion.direction) @ part.motion.skin_direction)
        cost += _DIRECTION * (1 - aligned)
    return cost + change.penalty


@cache
def _changes() -> tuple[_Change, ...]:
    return tuple(_all_changes())


def _all_changes() -> Iterator[_Change]:
    usual = (np.eye(3, dtype=np.int64), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]))
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), np.int64)
            matrix[range(3), order] = signs
            penalty = 0.0 if any((matrix == one).all() for one in usual) else _UNUSUAL
            penalty += _MIRROR * is_mirror(matrix) + _UNUSUAL * (matrix[0, 0] != 1)
            for factor in (1.0, *FACTORS):
                yield _Change(factor, matrix, penalty)
