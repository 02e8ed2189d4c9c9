"""How long the animator and the blend-shape solver take at the size of a large actor, on one core.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.animation [--seconds 2] [--cancel]

A made-up face of 24,002 vertices with a tongue of 5,602 moves at 60 frames a second, in the blocks of 30 frames that a
diffusion network gives, and frame by frame. Printed: milliseconds a frame of the animator, by part (target: 0.7 in
all); of the un-projection that a regression network needs before (272 and 10 shapes); and frames a second of the solver
for 52 skin poses, seen at 10,000 vertices, and 16 tongue poses, in its three forms (target: 800 each). Settings of the
solver are those of a shipped face with all poses active; `--cancel` adds two pairs of skin poses that cancel, and so a
second pass.

Beside the two exact forms stands what a plain program would do: scipy's `lsq_linear`, frame after frame, with the same
matrix and the same products D'(positions - n) already made, for some frames of the skin in one pass; and how far its
weights are from ours. All figures are time of the processor, so that other processes do not count.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.interpolate import CubicSpline
from scipy.optimize import lsq_linear

from audio2face.animation import (
    NATURAL_BLINK,
    AnimatorSettings,
    BlendshapeSolver,
    BlinkTrack,
    FaceAnimator,
    FaceData,
    SolverMethod,
    SolverSettings,
    unproject,
)
from audio2face.animation.solver import normal_matrix

Float32Array = npt.NDArray[np.float32]
VERTS, TONGUE_VERTS, MASKED, FPS, BLOCK, FRAMES = 24_002, 5_602, 10_000, 60, 30, 240
ANIMATOR_TARGET, SOLVER_TARGET = 0.7, 800  # milliseconds a frame, frames a second
SETTINGS = AnimatorSettings(
    lower_face_smoothing=0.006,
    upper_face_smoothing=0.001,
    lower_face_strength=1.0,
    upper_face_strength=1.0,
    face_mask_level=0.6,
    face_mask_softness=0.0085,
    skin_strength=1.0,
    blink_strength=1.0,
    eyelid_open_offset=0.06,
    lip_open_offset=-0.03,
    tongue_strength=1.3,
    tongue_height_offset=0.2,
    tongue_depth_offset=0.13,
    lower_teeth_strength=1.0,
    lower_teeth_height_offset=-0.1,
    lower_teeth_depth_offset=0.25,
    eyeballs_strength=1.0,
    saccade_strength=0.6,
    right_eye_rot_x_offset=0.0,
    right_eye_rot_y_offset=-2.0,
    left_eye_rot_x_offset=0.0,
    left_eye_rot_y_offset=2.0,
    eye_saccade_seed=0.0,
)


def make_face(rng: np.random.Generator) -> FaceData:
    """A cloud of vertices the size of a head."""
    skin = rng.uniform([-8, 150, -10], [8, 180, 10], (VERTS, 3)).astype(np.float32)
    lids = np.zeros_like(skin)
    lids[5000:7000] = rng.normal(0, 0.3, (2000, 3))
    return FaceData(
        skin=skin,
        tongue=rng.uniform([-2, 160, 2], [2, 162, 9], (TONGUE_VERTS, 3)).astype(np.float32),
        jaw=3 * rng.standard_normal((5, 3), np.float32),
        lip_open=np.roll(lids, 9000, axis=0),
        eye_close=lids,
        saccades=rng.standard_normal((5000, 2), np.float32),
    )


def make_poses(count: int, neutral: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Poses that each move a neighbourhood of some vertex, of a third of the face or less, `[count, verts, 3]`."""
    centres = neutral[rng.choice(len(neutral), count)]
    distance = np.linalg.norm(neutral[None] - centres[:, None], axis=2)
    reach = rng.uniform(0.1, 0.3, (count, 1)) * np.linalg.norm(np.ptp(neutral, axis=0))
    poses = np.exp(-((distance / reach) ** 2))[:, :, None] * rng.normal(0, 0.6, (count, 1, 3))
    return np.asarray(poses, np.float32)


def wander(frames: int, values: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Random curves that turn about ten times a second, `[frames, values]`."""
    knots = np.arange(frames // (FPS // 10) + 4)
    curve: npt.NDArray[np.float64] = CubicSpline(knots, rng.standard_normal((len(knots), values)))(
        np.arange(frames) / (FPS // 10)
    )
    return curve


@dataclass(frozen=True, eq=False)
class Rig:
    """Blend shapes, and a surface that moves mostly as they can.

    Attributes:
        deltas: `[poses, verts, 3]`.
        neutral: `[verts, 3]`.
        mask: the vertices the solver looks at.
        settings: of the solver.
        positions: `[FRAMES, verts, 3]`.
    """

    deltas: Float32Array
    neutral: Float32Array
    mask: npt.NDArray[np.int32] | None
    settings: SolverSettings
    positions: Float32Array

    @classmethod
    def make(
        cls,
        neutral: Float32Array,
        settings: SolverSettings,
        mask: npt.NDArray[np.int32] | None,
        rng: np.random.Generator,
    ) -> Rig:
        """Random poses and motion on a neutral."""
        deltas = make_poses(len(settings.active), neutral, rng)
        weights = np.clip(0.5 * wander(FRAMES, len(deltas), rng), 0, 1).astype(np.float32)
        positions = neutral + unproject(weights, deltas)
        positions += rng.normal(0, 0.02, positions.shape).astype(np.float32)
        return cls(deltas, neutral, mask, settings, positions)


def solver_settings(poses: int, l1: float, l2: float, temporal: float, template_size: float) -> SolverSettings:
    """Settings without pairs, all poses active."""
    return SolverSettings(
        l1=l1,
        l2=l2,
        temporal=temporal,
        symmetry=100.0,
        template_size=template_size,
        active=(True,) * poses,
        cancel_pairs=(-1,) * poses,
        symmetry_pairs=(-1,) * poses,
        multipliers=(1.0,) * poses,
        offsets=(0.0,) * poses,
    )


def make_rigs(face: FaceData, cancel: bool, rng: np.random.Generator) -> tuple[Rig, Rig]:
    """Skin and tongue, with the strengths and pairs of a shipped face."""
    paired = tuple(pose // 2 if pose < 26 else -1 for pose in range(52))
    given_up = tuple((pose - 30) // 2 if cancel and 30 <= pose < 34 else -1 for pose in range(52))
    skin = replace(solver_settings(52, 0.5, 0.5, 0.3, 53.45), symmetry_pairs=paired, cancel_pairs=given_up)
    mask = np.sort(rng.choice(VERTS, MASKED, replace=False)).astype(np.int32)
    tongue = solver_settings(16, 1.0, 3.5, 5.0, 7.94)
    return Rig.make(face.skin, skin, mask, rng), Rig.make(face.tongue, tongue, None, rng)


def milliseconds(call: Callable[[], object], frames: int, seconds: float) -> float:
    """Median over calls, by frame."""
    call()
    taken: list[float] = []
    until = time.process_time() + seconds
    while not taken or time.process_time() < until:
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return 1000 * float(np.median(taken)) / frames


def time_animator(face: FaceData, rng: np.random.Generator, seconds: float) -> Table:
    """The parts of the animator, and what a regression network needs before."""
    sizes = (face.skin.size, face.tongue.size, face.jaw.size, 4)
    rows = rng.normal(0, 0.2, (BLOCK, sum(sizes))).astype(np.float32)
    shapes = [rng.standard_normal((272, VERTS, 3), np.float32), rng.standard_normal((10, TONGUE_VERTS, 3), np.float32)]
    coefficients = [rng.standard_normal((BLOCK, len(part)), np.float32) for part in shapes]
    times: dict[str, list[float]] = {}
    for frames in (BLOCK, 1):
        animate = FaceAnimator(face, SETTINGS, FPS, BlinkTrack(NATURAL_BLINK, FPS))
        parts = np.split(rows[:frames], np.cumsum(sizes)[:-1], axis=1)
        methods: dict[str, Callable[[Any], object]] = {
            "skin": animate.skin,
            "tongue": animate.tongue,
            "jaw": animate.jaw,
            "eyes": animate.eyes,
        }
        calls: dict[str, Callable[[], object]] = {
            f"{name} alone": partial(method, part) for (name, method), part in zip(methods.items(), parts, strict=True)
        }
        calls[f"all, with blinks (target {ANIMATOR_TARGET})"] = partial(animate, *parts)
        for name, weights, part in zip(("skin", "tongue"), coefficients, shapes, strict=True):
            calls[f"un-projection before: {name}, {len(part)} shapes"] = partial(unproject, weights[:frames], part)
        for name, call in calls.items():
            times.setdefault(name, []).append(milliseconds(call, frames, seconds))
    table = Table("animator, ms a frame", f"blocks of {BLOCK}", "frame by frame")
    for name, taken in times.items():
        table.add_row(name, *(f"{value:.3f}" for value in taken))
    return table


def solve_in_blocks(solver: BlendshapeSolver, positions: Float32Array, length: int) -> Float32Array:
    """Weights of all frames, from the first."""
    solver.reset()
    return np.concatenate([solver(positions[start : start + length]) for start in range(0, len(positions), length)])


def time_solvers(rigs: tuple[Rig, Rig], seconds: float) -> Table:
    """Frames a second of the three forms."""
    title = f"52 + 16 poses, target {SOLVER_TARGET} frames a second"
    table = Table("solver, frames a second", "skin", "tongue", "both", "both, frame by frame", title=title)
    for method in get_args(SolverMethod):
        solvers = [
            BlendshapeSolver(rig.deltas, rig.neutral, rig.settings, mask=rig.mask, method=method) for rig in rigs
        ]
        taken = {
            (part, length): milliseconds(partial(solve_in_blocks, solver, rig.positions, length), FRAMES, seconds)
            for length in (BLOCK, 1)
            for part, (solver, rig) in enumerate(zip(solvers, rigs, strict=True))
        }
        skin, tongue, single = taken[0, BLOCK], taken[1, BLOCK], taken[0, 1] + taken[1, 1]
        table.add_row(method, *(f"{1000 / value:,.0f}" for value in (skin, tongue, skin + tongue, single)))
    return table


def compare_with_scipy(rig: Rig, frames: int) -> Table:
    """One pass over the skin by scipy, beside ours."""
    rig = replace(rig, settings=replace(rig.settings, cancel_pairs=(-1,) * 52))
    settings, mask = rig.settings, slice(None) if rig.mask is None else rig.mask
    offsets = rig.deltas[:, mask].reshape(len(rig.deltas), -1)
    scale = float(np.linalg.norm(np.ptp(rig.neutral, axis=0)) / settings.template_size) ** 2
    matrix = normal_matrix(offsets, settings, scale)
    products = ((rig.positions - rig.neutral)[:frames, mask].reshape(frames, -1) @ offsets.T).astype(np.float64)
    root = np.linalg.cholesky(matrix)
    table = Table("skin, one pass", "lsq_linear, frames a second", "ours, products included", "weights differ by up to")
    forms: tuple[SolverMethod, ...] = ("cpu", "qp")
    for method in forms:
        began, weights = time.process_time(), [np.zeros(len(matrix))]
        for product in products:
            side = product + settings.temporal * scale * weights[-1]
            factor, goal = (matrix, side) if method == "cpu" else (root.T, np.linalg.solve(root, side))
            weights.append(lsq_linear(factor, goal, (0, 1), method="bvls", tol=1e-12).x)
        scipy_took = time.process_time() - began
        solver = BlendshapeSolver(rig.deltas, rig.neutral, settings, mask=rig.mask, method=method)
        ours = solver(rig.positions[:frames])
        took = milliseconds(partial(solve_in_blocks, solver, rig.positions[:frames], BLOCK), frames, 0.5)
        apart = np.abs(ours - np.stack(weights[1:])).max()
        table.add_row(method, f"{frames / scipy_took:,.0f}", f"{1000 / took:,.0f}", f"{apart:.1e}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the animator and the blend-shape solver on one core.")
    parser.add_argument("--seconds", type=float, default=2.0, help="spent on each figure (default: 2)")
    parser.add_argument("--cancel", action="store_true", help="skin poses that cancel, hence a second pass")
    chosen = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: figures are for one core")
    console, rng = Console(), np.random.default_rng(0)
    face = make_face(rng)
    console.print(time_animator(face, rng, chosen.seconds))
    rigs = make_rigs(face, chosen.cancel, rng)
    console.print(time_solvers(rigs, chosen.seconds))
    console.print(compare_with_scipy(rigs[0], 60))


if __name__ == "__main__":
    main()
