"""Processor time of the whole stage of preprocessing, as a user starts it, for several versions of the code.

    .venv/bin/python -m benchmarks.preproc_stage SCRATCH_FOLDER --against ../before --rounds 5
    .venv/bin/python -m benchmarks.preproc_stage SCRATCH_FOLDER --against ../before --example datasets

The first command makes an actor of skin and sound in the folder given, once (2,000 frames of 24,002 vertices in 8
shots, its motion that of `benchmarks.preproc`), and preprocesses it with 30 selections beyond the seeds; the second
preprocesses `ada` of the folder `example` in the data root given, as the quickstart does. `--against` names another
checkout. Checkouts take turns, each run in a process of its own, with checks, report and start of Python; the last
lines compare what they wrote: lists of frames, and every array.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

from audio2face.io.arrays import Archive, read_npy
from benchmarks.preproc import SKIN_MODES, SKIN_VERTS, pose, save

ROOT = Path(__file__).resolve().parent.parent
SAMPLERATE, FPS = 16_000, 30.0
NUM_SHOTS = 8
NAME = "synthetic"


@dataclass(frozen=True)
class Task:
    """What is preprocessed: home folder with the configuration, root of the data, arguments of the stage."""

    home: Path
    datasets: Path
    arguments: Sequence[str]


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds by the clock, processor seconds of all its threads, most resident memory in bytes."""

    seconds: float
    processor: float
    resident: int


def make_task(folder: Path, frames: int, verts: int, selections: int) -> Task:
    """Writes the synthetic actor and its configuration, unless they are there."""
    data = folder / f"{frames}x{verts}"
    rng = np.random.default_rng(11)
    neutral = (rng.standard_normal((verts, 3)) * 8 + [0, 170, 0]).astype(np.float32)
    modes = rng.standard_normal((SKIN_MODES, verts * 3), np.float32)
    for shot in range(NUM_SHOTS):
        name, own = f"shot_{shot}_neutral", np.random.default_rng([11, shot])
        path, count = data / "skin" / name / f"{name}.npy", frames // NUM_SHOTS
        if not path.exists():
            save(path, pose(own, count, neutral, modes))
            (data / "audio").mkdir(exist_ok=True)
            sound = own.standard_normal(round(count / FPS * SAMPLERATE)) * 0.05
            soundfile.write(data / "audio" / f"{name}.wav", sound, SAMPLERATE)
    save(data / "neutral.npy", neutral)
    configs = data / "configs" / NAME
    configs.mkdir(parents=True, exist_ok=True)
    places = {"AUDIO_ROOT": "audio", "SKIN_CACHE_ROOT": "skin", "SKIN_NEUTRAL_FPATH": "neutral.npy"}
    lines = [f"{name} = {{{NAME!r}: {str(data / place)!r}}}" for name, place in places.items()]
    lines += [f"ACTOR_NAMES = [{NAME!r}]", f"CACHE_FPS = {{{NAME!r}: {FPS}}}"]
    (configs / "config_dataset.py").write_text("\n".join(lines))
    (configs / "config_preproc.py").write_text(f"RUN_NAME = {NAME!r}\nSKIN_SELECT_DISTINCT_MAX_ITER = {selections}\n")
    return Task(data, data, (NAME, NAME))


def run_once(tree: Path, task: Task, workspace: Path) -> Cost:
    """Preprocesses into an empty workspace with the code of a checkout."""
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir(parents=True)
    environment = os.environ | {
        "A2F_HOME": str(task.home),
        "A2F_DATASETS_ROOT": str(task.datasets),
        "A2F_WORKSPACE_ROOT": str(workspace),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(tree),
    }
    command = [sys.executable, "-m", "audio2face.cli.stages", "preproc", *task.arguments]
    began = time.perf_counter()
    with (workspace / "log.txt").open("w") as log:
        child = subprocess.Popen(command, cwd=tree, env=environment, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{tree}: the stage failed, see {workspace / 'log.txt'}")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def compare(ours: Path, theirs: Path) -> Iterator[str]:
    """Yields a line for each artifact that two workspaces do not have alike."""
    runs = [next((workspace / "output_preproc").glob("*_*")) for workspace in (ours, theirs)]
    for path in sorted(runs[0].rglob("*")):
        name, other = path.relative_to(runs[0]), runs[1] / path.relative_to(runs[0])
        if "skin_pruned_poses" in path.name:
            yield f"{name}: lists of frames {'equal' if path.read_bytes() == other.read_bytes() else 'DIFFER'}"
        elif path.suffix == ".npy":
            yield f"{name}: {apart(read_npy(path), read_npy(other))}"
        elif path.suffix == ".npz":
            one, two = Archive.open(path), Archive.open(other)
            worst = max((apart(one.read(array), two.read(array)), array) for array in one.members)
            yield f"{name}: {worst[0]:.1e} apart at most, in {worst[1]}"


def apart(one: np.ndarray, two: np.ndarray) -> float:
    """Largest difference, relative to the largest magnitude; infinite for arrays of other shapes."""
    if one.shape != two.shape:
        return float("inf")
    if one.dtype.kind not in "fiu" or not one.size:
        return 0.0 if np.array_equal(one, two) else float("inf")
    return float(np.abs(one.astype(np.float64) - two).max() / max(np.abs(two).max(), 1e-30))


def main() -> int:
    """Runs the checkouts in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the synthetic actor and for what is written")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--example", type=Path, metavar="DATASETS", help="data root with example/ada")
    parser.add_argument("--frames", type=int, default=2_000)
    parser.add_argument("--verts", type=int, default=SKIN_VERTS)
    parser.add_argument("--selections", type=int, default=30)
    args = parser.parse_args()
    folder = args.folder.resolve()
    if args.example is not None:
        task = Task(ROOT, args.example.resolve(), ("quickstart-diffusion", "ada"))
    else:
        task = make_task(folder, args.frames, args.verts, args.selections)
    trees = {"this": ROOT} | ({} if args.against is None else {"the other": args.against.resolve()})
    costs: dict[str, list[Cost]] = {name: [] for name in trees}
    for _ in range(args.rounds):
        for name, tree in trees.items():
            costs[name].append(run_once(tree, task, folder / f"workspace {name}"))
            print(f"{name}: {costs[name][-1]}", file=sys.stderr, flush=True)
    print("| checkout | processor s: median (least to most) | wall s | peak resident memory |\n|---|---|---|---|")
    for name, found in costs.items():
        processor, wall = ([getattr(cost, field) for cost in found] for field in ("processor", "seconds"))
        print(
            f"| {name} | {median(processor):.2f} ({min(processor):.2f} to {max(processor):.2f}) "
            f"| {median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f}) | {found[-1].resident / 1e9:.2f} GB |"
        )
    if args.against is not None:
        pairs = zip(costs["the other"], costs["this"], strict=True)
        ratios = [theirs.processor / own.processor for theirs, own in pairs]
        print(f"processor time, the other's of this: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(*compare(folder / "workspace this", folder / "workspace the other"), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
