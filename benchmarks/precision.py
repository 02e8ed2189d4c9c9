"""How fast deployed networks are in float32 and in int8, by turns, and how far apart.

    .venv/bin/python -m benchmarks.precision [--model FOLDER ...] [--seconds 3] [--rounds 10] [--threads 0] [--small]

Without --model, two folders of random weights are made, of the size of the reference's large actor (`large_model`).
Each round sends the same noise through the network in both precisions, without post-processing. Printed are
milliseconds and processor milliseconds a window (the fewest, the median and the most of all rounds), and the difference
on the fixed sound of `audio2face.inference.precision`; that of random weights says nothing about a face.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from audio2face.config_base.tables import NetworkType
from audio2face.inference import EmotionCurve, Executor, NetworkSession, TrackSettings, set_num_threads
from audio2face.inference.precision import int8_network, open_network
from audio2face.model_folder import DeployedModel
from benchmarks.large_model import describe, write_large_model

PRECISIONS: tuple[Literal["float32", "int8"], ...] = ("float32", "int8")
KINDS: tuple[NetworkType, ...] = ("diffusion", "regression")


def run(model: DeployedModel, graph: NetworkSession, seconds: float) -> tuple[float, float]:
    """Milliseconds and processor milliseconds a window."""
    track = TrackSettings(emotion=EmotionCurve.constant(model.info.default_emotion), actor=model.actors[0].name)
    executor = Executor.open(model, [track], graph=graph)
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * executor.samplerate))
    executor.push(0, noise)
    wall, processor = time.perf_counter(), time.process_time()
    windows = sum(1 for _ in executor.run())
    return 1000 * (time.perf_counter() - wall) / windows, 1000 * (time.process_time() - processor) / windows


def measure(model: DeployedModel, options: argparse.Namespace, console: Console) -> None:
    """Prints the figures of a model."""
    graphs = {precision: open_network(model, precision=precision) for precision in PRECISIONS}
    for graph in graphs.values():
        run(model, graph, options.seconds)  # the first run makes buffers
    taken = {precision: np.empty((options.rounds, 2)) for precision in PRECISIONS}
    for number in range(options.rounds):
        for precision, graph in graphs.items():
            taken[precision][number] = run(model, graph, options.seconds)
    title = f"{describe(model.info)}: {int8_network(model).difference_mm:.3f} mm apart"
    table = Table("precision", "ms a window", "processor ms a window", title=title)
    for precision, rows in taken.items():
        table.add_row(precision, *(" / ".join(f"{v:.1f}" for v in np.percentile(c, [0, 50, 100])) for c in rows.T))
    wall, processor = np.median(taken["float32"], axis=0) / np.median(taken["int8"], axis=0)
    table.add_row("times as fast", f"{wall:.2f}", f"{processor:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Times deployed networks in float32 and in int8.")
    parser.add_argument("--model", nargs="+", type=Path, help="deployed folders (default: two large ones, made for it)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of sound in a round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="of the network; 0 for all cores")
    parser.add_argument("--small", action="store_true", help="smaller networks, to try the benchmark itself")
    options = parser.parse_args()
    set_num_threads(options.threads)
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        for path in options.model or []:
            measure(DeployedModel.open(path), options, console)
        for kind in KINDS if options.model is None else ():
            folder = Path(name) / kind
            folder.mkdir()
            write_large_model(folder, kind, options.small)
            measure(DeployedModel.open(folder), options, console)


if __name__ == "__main__":
    main()
