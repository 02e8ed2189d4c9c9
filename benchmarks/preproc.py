"""Time and memory of preprocessing an actor of the size of Claire, and of a selection step done the direct way.

    OPENBLAS_NUM_THREADS=1 .venv/bin/python -m benchmarks.preproc SCRATCH_FOLDER

Makes a synthetic actor in the folder given (54 shots, 21,039 frames, 24,002 skin and 5,602 tongue vertices: 7.5 GB,
made once and used again; another 7.5 GB come and go while it runs). Motion has 150 modes for the skin and 25 for the
tongue, smooth in time, amplitudes falling as a power, and noise of 0.0005 cm. Then it prunes, selects 787 poses, fits,
and computes all coefficients, first with a radius that leaves about a quarter of the frames, then with all frames
left. Last it times one step of the selection the direct way, with a decomposition of all coordinates and the
reprojection of every pose, at several numbers of chosen poses. `--scale 0.1` does the same with fewer vertices.

Work is spread over threads by shots and blocks. Threads of the matrix library below them help little and, on a machine
that has other work, cost a lot (every one of them spins while it waits): hence the setting on the command line.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from audio2face.geometry import open_cache
from audio2face.geometry.frames import PoseReader
from audio2face.geometry.pca import PcaBasis, coefficients, fit_basis
from audio2face.io.atomic import atomic_write
from audio2face.preproc.matmul import fastest_backend
from audio2face.preproc.poses import stack_poses
from audio2face.preproc.prune import prune_similar
from audio2face.preproc.selection import select_distinct
from audio2face.preproc.steps import PeakMemory, each_shot
from audio2face.preproc.tongue import stabilise
from audio2face.types import FloatArray, Int64Array

NUM_SHOTS, NUM_FRAMES, LONGEST_SHOT = 54, 21_039, 898
SKIN_VERTS, TONGUE_VERTS, ROOT_VERTS = 24_002, 5_602, 300
SKIN_MODES, TONGUE_MODES = 150, 25
MOTION = 0.2  # centimetres, root mean square per coordinate
NOISE = 5e-4  # centimetres
SMOOTH = 4.0  # frames
ITERATIONS = 787
# Centimetres per square root of vertices: leaves about a quarter of the frames of this actor.
QUARTER_RADIUS = 0.13
TONGUE_RADIUS = 0.134  # the default of 10 for this tongue
DIRECT_STEPS = (50, 200, 400)
DIRECT_POSES = 1000  # poses reprojected by a step of the direct way; its time is scaled up to all poses

Result = TypeVar("Result")


@dataclass(frozen=True)
class Actor:
    """The synthetic actor, opened."""

    skin: Mapping[str, PoseReader]
    tongue: Mapping[str, PoseReader]
    neutral: FloatArray
    tongue_neutral: FloatArray


class Stage:
    """Runs steps and prints what each took: wall time, processor time of all threads, memory."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.peak_bytes = 0

    def run(self, what: str, work: Callable[[], Result]) -> Result:
        with PeakMemory() as memory:
            began, cpu_began = time.perf_counter(), time.process_time()
            result = work()
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds
        self.peak_bytes = max(self.peak_bytes, memory.peak_bytes or 0)
        show(what, seconds, cpu_seconds, memory.peak_bytes or 0)
        return result


def show(what: str, seconds: float, cpu_seconds: float, peak_bytes: int) -> None:
    memory = f"{peak_bytes / 1e9:.2f} GB anonymous"
    print(f"  {what:<22} {seconds:7.1f} s, processors {cpu_seconds:7.1f} s, {memory}", flush=True)


def shot_lengths(rng: np.random.Generator) -> list[int]:
    """Lengths of the shots, the longest given, that add up to the frames."""
    shares = rng.uniform(0.3, 1.4, NUM_SHOTS - 1)
    lengths = np.floor(shares / shares.sum() * (NUM_FRAMES - LONGEST_SHOT)).astype(int)
    lengths[0] += NUM_FRAMES - LONGEST_SHOT - lengths.sum()
    return [LONGEST_SHOT, *lengths.tolist()]


def motion_of(rng: np.random.Generator, frames: int, modes: int) -> FloatArray:
    """Amplitudes `[frames, modes]`: smooth in time about a posture of the shot, falling with the mode."""
    smooth = gaussian_filter1d(rng.standard_normal((frames + 100, modes)), SMOOTH, axis=0)[50:-50]
    sizes = np.arange(1.0, modes + 1) ** -1.25
    posture = 0.5 * rng.standard_normal(modes)
    return np.asarray((smooth / smooth.std() + posture) * sizes * MOTION / np.sqrt(np.sum(sizes**2)), np.float32)


def make_actor(folder: Path, scale: float) -> None:
    """Writes the caches and neutral poses; shots that are there already stay."""
    rng = np.random.default_rng(11)
    skin_verts, tongue_verts = round(SKIN_VERTS * scale), round(TONGUE_VERTS * scale)
    root_verts = max(round(ROOT_VERTS * scale), 4)
    neutral = (rng.standard_normal((skin_verts, 3)) * 8 + [0, 170, 0]).astype(np.float32)
    tongue_neutral = (rng.standard_normal((tongue_verts, 3)) * 2 + [0, 165, 5]).astype(np.float32)
    skin_modes = rng.standard_normal((SKIN_MODES, skin_verts * 3), np.float32)
    tongue_modes = rng.standard_normal((TONGUE_MODES, tongue_verts * 3), np.float32)
    tongue_modes[:, : 3 * root_verts] = 0
    save(folder / "neutral.npy", neutral)
    save(folder / "tongue_neutral.npy", tongue_neutral)
    for shot, frames in enumerate(shot_lengths(rng)):
        name, shot_rng = f"shot_{shot:02d}", np.random.default_rng([11, shot])
        path = folder / "skin" / name / f"{name}.npy"
        if path.exists() and (folder / "tongue" / name / f"{name}.npy").exists():
            continue
        save(path, pose(shot_rng, frames, neutral, skin_modes))
        turns = gaussian_filter1d(shot_rng.standard_normal((frames, 3)), SMOOTH, axis=0)
        rotations = Rotation.from_rotvec(0.2 * turns).as_matrix()
        tongue = pose(shot_rng, frames, tongue_neutral, tongue_modes) @ rotations.transpose(0, 2, 1).astype(np.float32)
        save(folder / "tongue" / name / f"{name}.npy", tongue + turns[:, None].astype(np.float32))


def pose(rng: np.random.Generator, frames: int, neutral: FloatArray, modes: FloatArray) -> FloatArray:
    """Frames `[frames, verts, 3]` of the modes in motion, with noise."""
    rows = motion_of(rng, frames, len(modes)) @ modes
    rows += NOISE * rng.standard_normal(rows.shape, np.float32)
    return rows.reshape(frames, -1, 3) + neutral


def save(path: Path, array: FloatArray) -> None:
    with atomic_write(path) as handle:
        np.save(handle, array, allow_pickle=False)


def open_actor(folder: Path) -> Actor:
    """The shots of both parts, the tongue held still at its root."""
    names = sorted(path.name for path in (folder / "skin").iterdir())
    neutral, tongue_neutral = np.load(folder / "neutral.npy"), np.load(folder / "tongue_neutral.npy")
    root_verts = max(round(ROOT_VERTS * len(tongue_neutral) / TONGUE_VERTS), 4)
    caches = {name: open_cache(folder / "tongue" / name / f"{name}.npy") for name in names}
    return Actor(
        skin={name: open_cache(folder / "skin" / name / f"{name}.npy") for name in names},
        tongue={name: stabilise(cache, tongue_neutral, np.arange(root_verts)) for name, cache in caches.items()},
        neutral=neutral,
        tongue_neutral=tongue_neutral,
    )


def prune(shots: Mapping[str, PoseReader], radius: float, repeat: bool) -> dict[str, Int64Array]:
    kept = dict(
        each_shot(shots, lambda _, shot: prune_similar(shot, radius, repeat=repeat, products=fastest_backend()), None)
    )
    return {name: kept[name] for name in shots}


def project(shots: Mapping[str, PoseReader], basis: PcaBasis) -> dict[str, FloatArray]:
    return dict(each_shot(shots, lambda _, shot: coefficients(shot, basis), None))


def run_stage(actor: Actor, folder: Path, radius: float, tongue_radius: float) -> tuple[FloatArray, list[int], float]:
    """The whole stage; returns the stacked kept poses, the rows selected, and the seconds of the selection."""
    stage = Stage()
    kept = stage.run("skin: prune", lambda: prune(actor.skin, radius, repeat=True))
    num_kept = sum(map(len, kept.values()))
    print(f"    {num_kept} frames kept")
    poses = stage.run("skin: stack", lambda: stack_poses(actor.skin, kept, folder / "kept.npy"))
    before = stage.seconds
    picks = stage.run("skin: select", lambda: list(select_distinct(poses, ITERATIONS, products=fastest_backend())))
    selecting = stage.seconds - before
    rows = [pick.row for pick in picks]
    print(
        f"    {len(rows)} selected, error {picks[4].error:.3g} to {picks[-1].error:.3g}, "
        f"{picks[-1].num_components} components"
    )
    basis = stage.run("skin: basis", lambda: fit_basis(poses[np.sort(rows)], actor.neutral.reshape(-1)))
    print(f"    {basis.num_components} components")
    stage.run(
        "skin: coefficients", lambda: dict(each_shot(actor.skin, lambda _, shot: coefficients(shot, basis), None))
    )

    kept = stage.run("tongue: prune", lambda: prune(actor.tongue, tongue_radius, repeat=False))
    print(f"    {sum(map(len, kept.values()))} frames kept")
    stacked = stage.run("tongue: stack", lambda: stack_poses(actor.tongue, kept, folder / "kept_tongue.npy"))
    tongue = stage.run("tongue: basis", lambda: fit_basis(stacked, actor.tongue_neutral.reshape(-1)))
    print(f"    {tongue.num_components} components")
    stage.run("tongue: coefficients", lambda: project(actor.tongue, tongue))
    show("whole", stage.seconds, stage.cpu_seconds, stage.peak_bytes)
    return poses, rows, selecting


def time_direct_way(poses: FloatArray, rows: list[int], selecting: float) -> None:
    """Times steps of the direct way in float32 and extrapolates them to the whole selection."""
    sample = np.array(poses[: min(DIRECT_POSES, len(poses))])
    factor = len(poses) / len(sample)
    totals = []
    for count in DIRECT_STEPS:
        chosen = np.array(poses[rows[:count]])
        began = time.perf_counter()
        mean = chosen.mean(axis=0)
        _, singular, basis = np.linalg.svd(chosen - mean, full_matrices=False)
        share = np.cumsum(singular**2) / np.sum(singular**2)
        basis = basis[: int(np.flatnonzero(share > 0.9999)[0]) + 1]
        decomposed = time.perf_counter()
        centred = sample - mean
        np.linalg.norm(centred - (centred @ basis.T) @ basis, axis=1).argmax()
        reprojected = (time.perf_counter() - decomposed) * factor
        totals.append(decomposed - began + reprojected)
        print(
            f"  {count} chosen: decomposition {decomposed - began:.2f} s, {len(basis)} components, "
            f"reprojection of {len(poses)} poses {reprojected:.2f} s (timed on {len(sample)})",
            flush=True,
        )
    # The work of a decomposition grows with the square of the poses.
    steps = np.arange(4, 4 + ITERATIONS)
    whole = float(np.polyval(np.polyfit(DIRECT_STEPS, totals, 2), steps).sum())
    ratio = whole / selecting
    print(f"  all {ITERATIONS} steps: {whole:.0f} s the direct way, {selecting:.0f} s ours, {ratio:.0f} times less")


@contextmanager
def removed_after(*paths: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where the synthetic actor is made")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the vertices to keep (1.0)")
    arguments = parser.parse_args()
    folder = arguments.folder / f"actor_{arguments.scale:g}"
    began = time.perf_counter()
    make_actor(folder, arguments.scale)
    print(f"synthetic actor in {folder}: {time.perf_counter() - began:.0f} s")
    print(f"products of poses are made by: {fastest_backend().name}")
    actor = open_actor(folder)
    size, tongue_size = np.sqrt(len(actor.neutral)), np.sqrt(len(actor.tongue_neutral))
    with removed_after(folder / "kept.npy", folder / "kept_tongue.npy"):
        for what, radius, tongue_radius in (
            ("about a quarter of the frames survive", QUARTER_RADIUS * size, TONGUE_RADIUS * tongue_size),
            ("all frames survive", 0.0, 0.0),
        ):
            print(f"{what}:")
            poses, rows, selecting = run_stage(actor, folder, radius, tongue_radius)
            print("the direct way:")
            time_direct_way(poses, rows, selecting)
    return 0


if __name__ == "__main__":
    sys.exit(main())
