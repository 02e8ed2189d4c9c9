"""The blend-shape solver in its three forms: numbers of the SDK, scipy as a judge, blocks, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from audio2face.animation import BlendshapeSolver, SolverMethod, SolverSettings, unproject
from audio2face.animation.bounded import BoundedQuadratic
from audio2face.animation.solver import active_pairs
from audio2face.errors import UserError

METHODS: tuple[SolverMethod, ...] = ("cpu", "admm", "qp")
NEUTRAL = (10 * np.cos(0.5 * np.arange(18))).reshape(6, 3)
DELTAS = np.sin(0.3 * np.outer(np.arange(1, 6), np.arange(1, 19))).reshape(5, 6, 3)
TARGET = NEUTRAL + np.tensordot([0.8, 0, 0.3, -0.4, 1.3], DELTAS, 1) + 0.05 * np.cos(1.7 * np.arange(18)).reshape(6, 3)
NONE = (-1,) * 5
GOLDEN = SolverSettings(
    l1=0.5,
    l2=0.02,
    temporal=0.01,
    symmetry=0.05,
    template_size=40,
    active=(True,) * 5,
    cancel_pairs=(-1, -1, 0, -1, 0),
    symmetry_pairs=(0, -1, 0, -1, -1),
    multipliers=(1.0,) * 5,
    offsets=(0.0,) * 5,
)


def solve(method: SolverMethod, options: SolverSettings = GOLDEN, frames: int = 2) -> np.ndarray:
    solver = BlendshapeSolver(DELTAS, NEUTRAL, options, method=method)
    return solver(np.stack([TARGET] * frames))


@pytest.mark.parametrize(
    ("method", "first_pass", "both_passes", "next_frame"),
    [
        ("cpu", (0.764103, 0.055261, 0.354739, 0, 1), (0.704081, 0, 0, 0, 1), (0.704452, 0, 0, 0, 1)),
        ("admm", (0.738186, 0, 0.305285, 0, 1), (0.714929, 0, 0, 0, 1), (0.715327, 0, 0, 0, 1)),
        ("qp", (0.741546, 0.017301, 0.311881, 0, 1), None, None),
    ],
)
def test_golden(
    method: SolverMethod,
    first_pass: Sequence[float],
    both_passes: Sequence[float] | None,
    next_frame: Sequence[float] | None,
) -> None:
    # Its second frame is pulled by the first one's second pass, so only the first frame of this is known.
    np.testing.assert_allclose(solve(method, replace(GOLDEN, cancel_pairs=NONE), 1)[0], first_pass, atol=1e-5)
    if both_passes is not None and next_frame is not None:
        np.testing.assert_allclose(solve(method), [both_passes, next_frame], atol=1e-5)


def stacked_solution(options: SolverSettings, places: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """What `qp` must find, from the distance and the preferences written as one least-squares problem per frame."""
    active = np.flatnonzero(options.active)
    offsets = DELTAS[active].reshape(len(active), -1)[:, places].T
    scale = (np.linalg.norm(np.ptp(NEUTRAL, axis=0)) / options.template_size) ** 2
    eye = np.eye(len(active))
    rows = [
        offsets,
        np.full((1, len(active)), 0.5 * options.l1 * np.sqrt(scale)),
        np.sqrt(10 * options.l2 * scale) * eye,
        np.sqrt(100 * options.temporal * scale) * eye,
    ]
    for first, second in active_pairs(options.symmetry_pairs, options.active):
        rows.append(np.sqrt(10 * options.symmetry * scale) * (eye[first : first + 1] - eye[second : second + 1]))
    before, found = np.zeros(len(active)), []
    for frame in frames:
        sides = [np.zeros(len(row)) for row in rows]
        sides[0] = (frame - NEUTRAL).reshape(-1)[places]
        sides[3] = np.sqrt(options.temporal * scale / 100) * before
        before = lsq_linear(np.concatenate(rows), np.concatenate(sides), (0, 1), "bvls", tol=1e-14).x
        found.append(before)
    return np.array(found)


def moving_target(frames: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    weights = np.clip(np.cumsum(rng.normal(0, 0.15, (frames, 5)), axis=0) + 0.3, -0.3, 1.3)
    return NEUTRAL + np.tensordot(weights, DELTAS, 1) + rng.normal(0, 0.02, (frames, 6, 3))


@pytest.mark.parametrize("temporal", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("mask", [None, [4, 0, 3, 1]])
def test_qp_is_the_bounded_least_squares_of_distance_and_preferences(temporal: float, mask: list[int] | None) -> None:
    options = replace(GOLDEN, temporal=temporal, cancel_pairs=NONE, active=(True, True, True, False, True))
    places = (3 * np.array(range(6) if mask is None else mask)[:, None] + np.arange(3)).ravel()
    frames = moving_target(40)
    solver = BlendshapeSolver(
        DELTAS, NEUTRAL, options, mask=None if mask is None else np.array(mask, np.int32), method="qp"
    )
    weights = solver(frames)
    np.testing.assert_allclose(weights[:, [0, 1, 2, 4]], stacked_solution(options, places, frames), atol=2e-5)
    assert not weights[:, 3].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0, 4), st.booleans())
def test_bounded_least_squares_agree_with_scipy(seed: int, size: int, digits: float, squared: bool) -> None:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((size, size)))[0]
    roots = (axes * 10 ** (np.linspace(0, digits, size) / 2)) @ axes.T
    matrix = roots @ roots.T
    problem = BoundedQuadratic(matrix, squared)
    for _ in range(4):  # each starts from the answer before
        linear = matrix @ rng.uniform(-0.5, 1.5, size)
        upper = np.where(rng.random(size) < 0.1, 1e-10, 1.0)
        found = problem(linear, upper)
        assert ((found >= 0) & (found <= upper)).all()
        factor, side = (matrix, linear) if squared else (roots, np.linalg.solve(roots, linear))
        judged = lsq_linear(factor, side, (0, upper), "bvls", tol=1e-15).x
        excess = np.sum((factor @ found - side) ** 2) - np.sum((factor @ judged - side) ** 2)
        assert excess <= 1e-12 * np.sum(side**2)
        if digits < 2:
            np.testing.assert_allclose(found, judged, atol=1e-8)


def test_guesses_that_stop_improving_end_in_a_descent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio2face.animation.bounded._PATIENCE", 0)
    rng = np.random.default_rng(3)
    for size in (1, 5, 40):
        matrix = np.cov(rng.standard_normal((size, 3 * size + 3))).reshape(size, size) + 0.01 * np.eye(size)
        linear, upper = matrix @ rng.uniform(-1, 2, size), np.ones(size)
        problem = BoundedQuadratic(matrix, squared=False)
        found = problem._descend(linear, upper, upper / 2)
        factor = np.linalg.cholesky(matrix)
        judged = lsq_linear(factor.T, np.linalg.solve(factor, linear), (0, 1), "bvls", tol=1e-15).x
        np.testing.assert_allclose(found, judged, atol=1e-8)
        problem.reset()
        np.testing.assert_allclose(problem(linear, upper), judged, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("temporal", [0.0, 0.01])
def test_frames_do_not_depend_on_blocks(method: SolverMethod, temporal: float) -> None:
    rng = np.random.default_rng(5)
    deltas, neutral = rng.standard_normal((5, 500, 3)), rng.standard_normal((500, 3)) * 5
    weights = np.clip(np.cumsum(rng.normal(0, 0.2, (45, 5)), axis=0), -0.2, 1.2).astype(np.float32)
    frames = neutral + unproject(weights, deltas.astype(np.float32)) + rng.normal(0, 0.1, (45, 500, 3))
    solver = BlendshapeSolver(
        deltas, neutral, replace(GOLDEN, temporal=temporal), mask=np.arange(400)[::-1], method=method
    )
    whole = solver(frames)
    assert whole.dtype == np.float32
    for cut in (1, 3, 8, 30):
        solver.reset()
        joined = np.concatenate([solver(frames[start : start + cut]) for start in range(0, 45, cut)])
        np.testing.assert_array_equal(joined, whole)
    assert solver(frames[:0]).shape == (0, 5)


def test_poses_that_are_not_active_stay_out_and_the_solved_weights_are_scaled_and_shifted() -> None:
    plain = solve("cpu", replace(GOLDEN, active=(True, False, True, True, True)))
    changed = solve(
        "cpu",
        replace(
            GOLDEN,
            active=(True, False, True, True, True),
            multipliers=(2.0, 9.0, 0.0, 1.0, 1.0),
            offsets=(0.0, 0.25, 0.5, 0.0, -3.0),
        ),
    )
    assert not plain[:, 1].any()
    np.testing.assert_allclose(changed[:, 0], 2 * plain[:, 0], rtol=1e-6)  # the next frame is pulled by plain weights
    np.testing.assert_array_equal(changed[:, 1], 0.25)
    np.testing.assert_array_equal(changed[:, 2], 0.5)
    np.testing.assert_allclose(changed[:, 4], plain[:, 4] - 3, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_poses_come_back_from_their_face(method: SolverMethod) -> None:
    rng = np.random.default_rng(11)
    deltas, neutral = rng.standard_normal((5, 300, 3)), rng.standard_normal((300, 3)) * 10
    true = np.array([[0.1, 0.7, 0.0, 0.4, 0.0], [0.0, 1.0, 0.2, 0.0, 0.9]], np.float32)
    options = replace(GOLDEN, l1=0, l2=0, temporal=0, symmetry=0, cancel_pairs=NONE)
    faces = neutral + unproject(true, deltas.astype(np.float32))
    np.testing.assert_allclose(BlendshapeSolver(deltas, neutral, options, method=method)(faces), true, atol=2e-3)


def test_pairs() -> None:
    everything = (True,) * 6
    assert active_pairs((7, -1, 3, 7, -1, 3), everything) == [(0, 3), (1, 4), (2, 5)]  # exactly two -1: a pair too
    assert active_pairs((7, -1, 3, 7, -1, 3), (True, True, True, True, False, True)) == [(0, 3), (2, 4)]
    assert active_pairs((-1, -1, -1, 0, 0, -1), everything) == [(3, 4)]
    assert active_pairs((0, 0, -1, -1, -1, -1), (False, True, True, True, True, False)) == []
    assert active_pairs((0, 0, -1, -1, -1, -1), (False, True, True, True, False, False)) == [(1, 2)]


def test_two_active_poses_without_a_pair_cancel_each_other_as_in_the_sdk() -> None:
    """Poses 0 and 1 are of one strength in the face; with -1 only on those two, one of them has to go."""
    options = replace(GOLDEN, active=(True, True, False, False, False), cancel_pairs=(-1, -1, -1, -1, -1))
    face = NEUTRAL + 0.6 * DELTAS[0] + 0.5 * DELTAS[1]
    weights = BlendshapeSolver(DELTAS, NEUTRAL, options)(face[None])[0]
    assert weights[0] > 0.3
    assert weights[1] <= 1e-10


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"l2": -1.0}, "strength l2 of the blend-shape solver is -1"),
        ({"temporal": np.nan}, "strength temporal"),
        ({"template_size": 0.5}, "template size"),
        ({"active": (False,) * 5}, "no pose is active"),
        ({"cancel_pairs": (0, 0, 0, -1, -1)}, "cancel_pairs has the number 0 3 times, expected twice"),
        ({"symmetry_pairs": (4, -1, -1, -1, -1)}, "symmetry_pairs has the number 4 1 times"),
        ({"multipliers": (1.0,) * 4}, "multipliers has 4 values, active has 5"),
        ({"offsets": (np.inf,) * 5}, "offsets holds NaN or infinity"),
    ],
)
def test_settings_that_no_solver_can_work_with(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        BlendshapeSolver(DELTAS, NEUTRAL, replace(GOLDEN, **changed))


def test_arrays_that_no_solver_can_work_with() -> None:
    with pytest.raises(UserError, match=r"shape \[4, 6, 3\], expected \[5, 6, 3\]"):
        BlendshapeSolver(DELTAS[:4], NEUTRAL, GOLDEN)
    with pytest.raises(UserError, match="vertices from 0 to 5"):
        BlendshapeSolver(DELTAS, NEUTRAL, GOLDEN, mask=np.array([0, 6]))
    with pytest.raises(UserError, match="NaN"):
        BlendshapeSolver(DELTAS, np.full((6, 3), np.nan), GOLDEN)
    with pytest.raises(UserError, match="'gpu' is unknown, expected cpu, admm, qp"):
        BlendshapeSolver(DELTAS, NEUTRAL, GOLDEN, method="gpu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positions have shape"):
        BlendshapeSolver(DELTAS, NEUTRAL, GOLDEN)(TARGET)
    free = replace(GOLDEN, l1=0, l2=0, temporal=0, symmetry=0)
    twins = np.concatenate([DELTAS[:4], DELTAS[1:2]])
    with pytest.raises(UserError, match=r"blend shapes 1, 4 \(counted from 0"):
        BlendshapeSolver(twins, NEUTRAL, free)
    still = np.concatenate([DELTAS[:4], np.zeros((1, 6, 3))])
    with pytest.raises(UserError, match=r"blend shapes 4 \(counted from 0"):
        BlendshapeSolver(still, NEUTRAL, free)
