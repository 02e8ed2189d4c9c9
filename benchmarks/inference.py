"""How fast a deployed model animates: a whole recording, a stream block by block, every stage, and every export.

    OPENBLAS_NUM_THREADS=1 .venv/bin/python -m benchmarks.inference [--model FOLDER ...] [--seconds 10] [--method cpu]
        [--precision int8] [--small]

The variable is what the launcher sets for every stage. Without --model, two deployed folders of random weights are
made, of the size of the reference's large actor (see `large_model`): a diffusion and a regression network. The sound is
noise of the given length. Printed for each model:

- the whole recording: seconds and processor seconds for a second of sound, from the file to the finished animation;
- milliseconds a frame by stage; animator and solver together are to take at most a quarter of the network's time;
- the stream: pieces of 100 ms are pushed, and the time is taken from a piece that completes a block of frames until
  the block is animated and its weights are solved: median, 95th and 99th percentile, and the length of a block;
- exports: seconds, frames a second and megabytes of each form, of a clip of up to 4 seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from audio2face.animation.animation import Animation
from audio2face.audio import read_track
from audio2face.errors import UserError
from audio2face.export.formats import FORMATS
from audio2face.inference import Executor, TrackSettings
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.executor import group_frames
from audio2face.model_folder import DeployedModel
from audio2face.outputs import PAGE, VIDEO, write_outputs
from benchmarks.large_model import describe, write_large_model

Item = TypeVar("Item")
RATIO_TARGET = 0.25
PIECE = 0.1  # seconds
EXPORTED_SECONDS = 4.0


@dataclass
class Clock:
    """Seconds spent by stage."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def each(self, items: Iterator[Item], stage: str) -> Iterator[Item]:
        """The items, with the time that each takes to come."""
        while True:
            began = time.perf_counter()
            item = next(items, None)
            self.spent[stage] += time.perf_counter() - began
            if item is None:
                return
            yield item


def write_noise(path: Path, seconds: float) -> Path:
    """Sound that nobody understands, of the level of speech."""
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16_000)), 16_000)
    return path


def open_executor(pipeline: AnimationPipeline) -> Executor:
    track = TrackSettings(emotion=pipeline.emotion.curve, actor=pipeline.actor.name)
    return Executor.open(pipeline.model, [track], graph=pipeline.graph)


def time_stages(pipeline: AnimationPipeline, audio: Path) -> dict[str, float]:
    """Milliseconds a frame of each stage, all of a recording."""
    clock, frames = Clock(), 0
    animate = pipeline.animator()
    for motion in group_frames(clock.each(pipeline.run_network(open_executor(pipeline), audio), "network")):
        began = time.perf_counter()
        block = pipeline.postprocess(motion, animate)
        animated = time.perf_counter()
        for part in pipeline.solved_parts:
            pipeline.solve_weights(part, block)
        clock.spent["animator"] += animated - began
        clock.spent["solver"] += time.perf_counter() - animated
        frames += len(block)
    return {stage: 1000 * seconds / frames for stage, seconds in clock.spent.items()}


def time_stream(pipeline: AnimationPipeline, audio: Path) -> tuple[list[float], int]:
    """Milliseconds until each block of a stream is finished, and frames of a block."""
    executor, animate = open_executor(pipeline), pipeline.animator()
    samples = read_track(audio, executor.samplerate).data
    taken: list[float] = []
    for piece in np.array_split(samples, max(1, round(len(samples) / (PIECE * executor.samplerate)))):
        executor.push(0, piece)
        began = time.perf_counter()
        for motion in executor.run():
            block = pipeline.postprocess(motion, animate)
            for part in pipeline.solved_parts:
                pipeline.solve_weights(part, block)
            taken.append(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
    return taken, executor.schedule.hop


def time_exports(animation: Animation, folder: Path) -> Table:
    """Each form of an animation."""
    table = Table("export", "seconds", "frames/s", "MB", title=f"{animation.num_frames} frames")
    for name in (PAGE, *FORMATS, VIDEO):
        target = folder / name
        target.mkdir()
        began = time.perf_counter()
        try:
            write_outputs(animation, target, "a", [name])
        except UserError as error:
            table.add_row(name, "-", "-", error.problem)
            continue
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / 1e6
        table.add_row(name, f"{seconds:.2f}", f"{animation.num_frames / seconds:.0f}", f"{size:.1f}")
    return table


def measure(model: DeployedModel, options: argparse.Namespace, folder: Path, console: Console) -> None:
    """Prints all figures of a model."""
    settings = AnimationOptions(actor=model.actors[0].name, solver=options.method, precision=options.precision)
    pipeline = AnimationPipeline(model, settings)
    audio = write_noise(folder / "noise.wav", options.seconds)
    pipeline.animate(write_noise(folder / "short.wav", 1.0), folder)  # warm-up
    began, used = time.perf_counter(), time.process_time()
    pipeline.animate(audio, folder)
    whole = (time.perf_counter() - began) / options.seconds
    used = (time.process_time() - used) / options.seconds
    stages = time_stages(pipeline, audio)
    ratio = (stages["animator"] + stages["solver"]) / stages["network"]
    taken, block = time_stream(pipeline, audio)
    table = Table("", "", title=f"{describe(model.info)}, {float(pipeline.fps):g} frames/s, {options.precision}")
    table.add_row("whole recording, seconds a second of sound", f"{whole:.3f}")
    table.add_row("whole recording, processor seconds a second of sound", f"{used:.3f}")
    for stage, milliseconds in stages.items():
        table.add_row(f"{stage}, ms a frame", f"{milliseconds:.2f}")
    table.add_row(f"animator and solver, share of the network (target {RATIO_TARGET})", f"{ratio:.3f}")
    percentiles = " / ".join(f"{value:.1f}" for value in np.percentile(taken, [50, 95, 99]))
    length = 1000 * block / float(pipeline.fps)
    table.add_row(f"stream, ms a block of {length:.0f} ms: p50 / p95 / p99", f"{percentiles}  ({len(taken)} blocks)")
    console.print(table)
    clip = pipeline.animate(write_noise(folder / "clip.wav", min(EXPORTED_SECONDS, options.seconds)), folder)
    with tempfile.TemporaryDirectory(dir=folder) as written:
        console.print(time_exports(clip, Path(written)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Times inference, animation and exports.")
    parser.add_argument("--model", nargs="+", type=Path, help="deployed folders (default: two large ones, made for it)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of sound")
    parser.add_argument("--method", choices=("cpu", "admm", "qp"), default="cpu", help="of the blend-shape solver")
    parser.add_argument("--precision", choices=("float32", "int8"), default="float32", help="of the network")
    parser.add_argument("--small", action="store_true", help="smaller networks, to try the benchmark itself")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in options.model or []:
            measure(DeployedModel.open(path), options, folder, console)
        for kind in ("diffusion", "regression") if options.model is None else ():
            target = folder / kind
            target.mkdir()
            write_large_model(target, "diffusion" if kind == "diffusion" else "regression", options.small)
            measure(DeployedModel.open(target), options, folder, console)


if __name__ == "__main__":
    main()
