"""Blend-shape solver: weights between 0 and 1 whose poses approximate a surface, with the SDK's regularisation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import compress
from typing import Literal, Protocol, Self, get_args

import numpy as np
import numpy.typing as npt

from audio2face.animation.bounded import ROWS, BoundedQuadratic
from audio2face.animation.settings import check_range
from audio2face.errors import UserError
from audio2face.types import Float32Array, Float64Array, FloatArray

UNPAIRED = -1
_LISTS = ("active", "cancel_pairs", "symmetry_pairs", "multipliers", "offsets")


@dataclass(frozen=True, kw_only=True)
class SolverSettings:
    """Settings of a solver, named as in `blendshape_params`; lists have one value per pose, without the neutral.

    Attributes:
        l1: sparsity: penalty on the sum of weights.
        l2: penalty on squared weights.
        temporal: penalty on changes since the previous frame.
        symmetry: penalty on different weights of paired poses.
        template_size: diagonal of the bounding box that the strengths refer to, centimetres.
        active: whether a pose is solved.
        cancel_pairs: poses with the same number, other than -1, exclude each other.
        symmetry_pairs: poses with the same number, other than -1, are a left-right pair.
        multipliers: applied to the solved weights.
        offsets: added to the multiplied weights.
    """

    l1: float
    l2: float
    temporal: float
    symmetry: float
    template_size: float
    active: Sequence[bool]
    cancel_pairs: Sequence[int]
    symmetry_pairs: Sequence[int]
    multipliers: Sequence[float]
    offsets: Sequence[float]

    def check(self) -> None:
        """Checks that the settings are valid.

        Raises:
            UserError: a strength is negative, lists have unequal lengths, no pose is active, or the number of a pair
                does not occur exactly twice.
        """
        for name in ("l1", "l2", "temporal", "symmetry"):
            check_range(f"the strength {name} of the blend-shape solver", getattr(self, name), 0, 1e9)
        check_range("the template size of the blend-shape solver", self.template_size, 1, 1e9)
        for name in _LISTS:
            values = getattr(self, name)
            if len(values) != len(self.active):
                raise UserError(f"blend-shape solver: {name} has {len(values)} values, active has {len(self.active)}")
            if not np.isfinite(values).all():
                raise UserError(f"blend-shape solver: {name} holds NaN or infinity")
        if not any(self.active):
            raise UserError("blend-shape solver: no pose is active", hint="Set one of bsSolveActivePoses to 1.")
        for name in ("cancel_pairs", "symmetry_pairs"):
            for pair, times in Counter(getattr(self, name)).items():
                if pair != UNPAIRED and times != 2:
                    raise UserError(f"blend-shape solver: {name} has the number {pair} {times} times, expected twice")


def active_pairs(numbers: Sequence[int], active: Sequence[bool]) -> list[tuple[int, int]]:
    """The pairs of active poses, as indices among the active poses.

    A pose whose partner is inactive has no pair. As in the SDK, exactly two active poses with -1, which means "no
    pair", also form a pair; one such pose, or more than two, form none.
    """
    members = defaultdict(list)
    for index, number in enumerate(compress(numbers, active)):
        members[number].append(index)
    return [(indices[0], indices[1]) for indices in members.values() if len(indices) == 2]


_STEPS = 4
_RELAXATION = 1.9


class AdmmSteps:
    """Approximates the minimum of `|A w - b|² / 2` for `0 <= w <= upper` with a fixed number of ADMM steps; stateless.

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
        """Does nothing: there is no state."""

    def another(self) -> Self:
        """The same, without a state to share."""
        return self

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


SolverMethod = Literal["cpu", "admm", "qp"]
"""How the bounds `0 <= w <= 1` are enforced, with A and b the matrix and right-hand side of the normal equations:

- `cpu`: the minimum of `|A w - b|²`, as in the SDK on CPUs, the reference of its tests;
- `admm`: four steps towards the same minimum, as in the SDK on GPUs; weights differ by a few hundredths;
- `qp`: the minimum of `w A w / 2 - b w`: that of the distance between the surfaces plus the penalties.
"""
_CANCELLED = 1e-10  # upper bound of the cancelled pose of a pair
_WORST_CONDITION = 1e7  # of the matrix; `cpu` squares it, and float64 has 16 digits


class _BoundedSolver(Protocol):
    def reset(self) -> None: ...

    def another(self) -> Self: ...

    def __call__(self, linear: Float64Array, upper: Float64Array) -> Float64Array: ...


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """The constants of a solver.

    Attributes:
        active: indices of the poses that are solved, `[active]`.
        matrix: A, `[active, active]`.
        temporal: factor on the weights of the previous frame in b.
        cancelled: pairs of active poses that exclude each other.
        multipliers: applied to the solved weights of all poses, `[poses]`.
        offsets: added to them, `[poses]`.
    """

    active: npt.NDArray[np.intp]
    matrix: Float64Array
    temporal: float
    cancelled: tuple[tuple[int, int], ...]
    multipliers: Float64Array
    offsets: Float64Array


class BlendshapeSolver:
    """Solves for the weights of one surface, skin or tongue, frame by frame.

    With D the offsets of the active poses at the masked vertices, n the neutral there, s the squared ratio of the
    neutral's bounding-box diagonal and the template size, and one row +1, -1 in Q for each symmetry pair:

        A = D'D + l1² s / 4 · 11' + 10 l2 s · I + 100 temporal s · I + 10 symmetry s · Q'Q
        b = D'(positions - n) + temporal s · (weights of the previous frame, initially zeros)

    For pairs that cancel, a second pass suppresses the smaller weight of each pair (the second one if they are equal).
    The result of every pose, active or not, is `weight * multiplier + offset`, which may be outside of 0 to 1. Weights
    reconstruct the surface `neutral + unproject(weights, deltas)`.

    Args:
        deltas: offsets of a weight of 1, `[poses, verts, 3]`, centimetres.
        neutral: the neutral surface, `[verts, 3]`.
        settings: of the solver.
        mask: indices of the vertices that are compared, in any order; None: all.
        method: how the bounds are enforced.

    Raises:
        UserError: arrays do not match each other or the settings, or the weights are not determined by the surface: a
            pose without effect, or with the same effect as others, and no penalty that decides between them.
    """

    def __init__(
        self,
        deltas: FloatArray,
        neutral: FloatArray,
        settings: SolverSettings,
        *,
        mask: npt.NDArray[np.integer] | None = None,
        method: SolverMethod = "cpu",
    ) -> None:
        _check(deltas, neutral, settings, mask, method)
        self._settings, self._verts = settings, len(neutral)
        self._active = np.flatnonzero(settings.active)
        self._indices = None if mask is None else (3 * np.asarray(mask, np.intp)[:, None] + np.arange(3)).ravel()
        self._neutral: Float32Array = self._project(np.asarray(neutral, np.float32).reshape(1, -1))[0]
        poses = self._project(np.asarray(deltas, np.float32)[self._active].reshape(len(self._active), -1))
        self._deltas: Float32Array = np.ascontiguousarray(poses.T)
        diagonal = np.linalg.norm(np.ptp(np.asarray(neutral, np.float64), axis=0))
        scale = float(diagonal / settings.template_size) ** 2
        self._temporal = settings.temporal * scale
        self._cancel = active_pairs(settings.cancel_pairs, settings.active)
        matrix = normal_matrix(poses, settings, scale)
        _check_condition(matrix, self._active)
        self._method = method
        self._matrix = matrix
        self._passes = [_make_pass(matrix, method) for _ in range(2 if self._cancel else 1)]
        self.reset()

    def reset(self) -> None:
        """Clears the state: the next frame has no temporal penalty."""
        self._previous = np.zeros(len(self._active))
        for solve in self._passes:
            solve.reset()

    def __call__(self, positions: FloatArray) -> Float32Array:
        """Solves the next frames; bit-equal for every division of the frames into blocks.

        Args:
            positions: the surface, `[frames, verts, 3]`, centimetres.

        Returns:
            Float32 `[frames, poses]`.
        """
        if positions.ndim != 3 or positions.shape[1:] != (self._verts, 3):
            raise ValueError(f"positions have shape {list(positions.shape)}, expected [frames, {self._verts}, 3]")
        flat = np.asarray(positions, np.float32).reshape(len(positions), 3 * self._verts)
        active = np.empty((len(flat), len(self._active)))
        # The number of rows is constant (`bounded.ROWS`); unused rows do not affect the others.
        motion = np.zeros((ROWS, len(self._neutral)), np.float32)
        for start in range(0, len(flat), ROWS):
            block = flat[start : start + ROWS]
            for row, surface in zip(motion, block, strict=False):
                np.subtract(self._project(surface), self._neutral, out=row)
            right = (motion @ self._deltas).astype(np.float64)
            active[start : start + ROWS] = self._smooth(right, len(block))
        return self._tuned(active)

    @property
    def rest(self) -> Float32Array:
        """The neutral surface where it is compared, `[values]`."""
        return self._neutral

    @property
    def compared(self) -> npt.NDArray[np.intp] | None:
        """Indices of the compared values in a flat surface; None: all, in order."""
        return self._indices

    @property
    def deltas(self) -> Float32Array:
        """D: offsets of the active poses where they are compared, `[values, active]`."""
        return self._deltas

    def solve(self, right: Float64Array) -> Float32Array:
        """Solves the next frames by D' (positions - rest), `[frames, active]`, in place of their positions."""
        return self._tuned(self._smooth(right, len(right)))

    def another(self) -> BlendshapeSolver:
        """A solver for other frames, with the same matrices and a state of its own."""
        other = copy(self)
        other._passes = [each.another() for each in self._passes]
        other.reset()
        return other

    def _tuned(self, active: Float64Array) -> Float32Array:
        """The weights of all poses for those of the active ones."""
        weights = np.zeros((len(active), len(self._settings.active)))
        weights[:, self._active] = active
        weights *= self._settings.multipliers
        weights += self._settings.offsets
        tuned: Float32Array = weights.astype(np.float32)
        return tuned

    def equations(self) -> NormalEquations:
        """What a port of the solver to another language needs."""
        settings, active = self._settings, self._active
        return NormalEquations(
            active=active,
            matrix=self._matrix,
            temporal=self._temporal,
            cancelled=tuple(self._cancel),
            multipliers=np.asarray(settings.multipliers, np.float64),
            offsets=np.asarray(settings.offsets, np.float64),
        )

    def right_side(self, positions: FloatArray) -> Float64Array:
        """D'(positions - n) of surfaces `[frames, verts, 3]`, without the previous frame's part, `[frames, active]`."""
        flat = np.asarray(positions, np.float32).reshape(len(positions), 3 * self._verts)
        right: Float64Array = ((self._project(flat) - self._neutral) @ self._deltas).astype(np.float64)
        return right

    def _project(self, surfaces: Float32Array) -> Float32Array:
        """The compared values of surfaces `[any, verts * 3]`."""
        return surfaces if self._indices is None else surfaces.take(self._indices, axis=-1)

    def _smooth(self, right: Float64Array, frames: int) -> Float64Array:
        """Weights of the active poses in the first frames of a block of right-hand sides."""
        if self._method == "admm" and self._temporal == 0:
            return self._solve(right)[:frames]
        weights = np.empty((frames, right.shape[1]))
        for row, linear in zip(weights, right, strict=False):
            self._previous = row[:] = self._solve(linear + self._temporal * self._previous)
        return weights

    def _solve(self, linear: Float64Array) -> Float64Array:
        """Both passes, for one frame `[active]` or several independent ones."""
        upper = np.ones_like(linear)
        weights = self._passes[0](linear, upper)
        if self._cancel:
            first, second = np.array(self._cancel).T
            loser = np.where(weights[..., first] < weights[..., second], first, second)
            np.put_along_axis(upper, loser, _CANCELLED, axis=-1)
            weights = self._passes[1](linear, upper)
        return weights


def _make_pass(matrix: Float64Array, method: SolverMethod) -> _BoundedSolver:
    return AdmmSteps(matrix) if method == "admm" else BoundedQuadratic(matrix, squared=method == "cpu")


def normal_matrix(poses: Float32Array, settings: SolverSettings, scale: float) -> Float64Array:
    """A, `[active, active]`, for the offsets `[active, values]`."""
    offsets = poses.astype(np.float64)
    matrix = offsets @ offsets.T
    matrix += 0.25 * settings.l1**2 * scale
    matrix[np.diag_indices_from(matrix)] += (10 * settings.l2 + 100 * settings.temporal) * scale
    for first, second in active_pairs(settings.symmetry_pairs, settings.active):
        row = np.zeros(len(matrix))
        row[first], row[second] = 1, -1
        matrix += 10 * settings.symmetry * scale * np.outer(row, row)
    return matrix


def _check(
    deltas: FloatArray,
    neutral: FloatArray,
    settings: SolverSettings,
    mask: npt.NDArray[np.integer] | None,
    method: str,
) -> None:
    """Checks that arrays match each other and the settings."""
    settings.check()
    if method not in get_args(SolverMethod):
        raise UserError(f"blend-shape solver {method!a} is unknown, expected {', '.join(get_args(SolverMethod))}")
    expected = (len(settings.active), *neutral.shape)
    if neutral.ndim != 2 or neutral.shape[1] != 3 or deltas.shape != expected:
        raise UserError(f"the poses of the blend shapes have shape {list(deltas.shape)}, expected {list(expected)}")
    if not (np.isfinite(deltas).all() and np.isfinite(neutral).all()):
        raise UserError("the blend shapes hold NaN or infinity")
    if mask is not None and not (mask.ndim == 1 and mask.size and mask.min() >= 0 and mask.max() < len(neutral)):
        raise UserError(f"the mask of the blend shapes does not list vertices from 0 to {len(neutral) - 1}")


def _check_condition(matrix: Float64Array, active: npt.NDArray[np.intp]) -> None:
    """Checks that a surface determines the weights of the poses."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] * _WORST_CONDITION <= values[-1]:
        shares = np.abs(vectors[:, 0])
        poses = active[shares >= 0.5 * shares.max()]
        raise UserError(
            f"the weights of blend shapes {', '.join(map(str, poses[:8]))} (counted from 0, without the neutral) "
            "are not determined by a face: they move no vertex of the mask, or are linearly dependent",
            hint="Raise strengthL2regularization, or set these poses to 0 in bsSolveActivePoses.",
        )
