"""What a streaming network costs live, beside an offline network on the same machine, in the same run.

    .venv/bin/python -m benchmarks.streaming STREAMING_MODEL OFFLINE_MODEL [--seconds 20]

Both are deployed folders, such as those of the quickstarts with `--network streaming` and without. One thread each.
Printed:

- the size of the graph (target: 5 MB);
- the network alone, milliseconds a frame: median, 95th and 99th percentile (target: 2 ms);
- a stream: from the arrival of the last sample that a frame needs to the finished frame, with its blend-shape weights;
- a live session: what each stage of a frame takes;
- streams per core: seconds of sound that a second of processor time animates, network alone, for batches of streams;
  and the same of the offline network (target: 20 times as many).

Times are processor time, which other work on the machine hardly disturbs; those of the live session, which tells them
itself, are by the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from audio2face.inference import NetworkSession, TrackSettings, open_graph, set_num_threads
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.live import LiveSession
from audio2face.inference.streaming import AnimationStream
from audio2face.model_folder import DeployedModel
from audio2face.types import Float32Array

SIZE_TARGET, FRAME_TARGET, STREAMS_TARGET = 5.0, 2.0, 20.0  # MB, ms, times
BATCHES = (1, 4, 16, 64)
PIECE = 0.02  # seconds


def noise(seconds: float, rate: int) -> Float32Array:
    """Sound of the level of speech."""
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate)).astype(np.float32)


def open_pipeline(model: DeployedModel, graph: NetworkSession) -> AnimationPipeline:
    return AnimationPipeline(model, AnimationOptions(actor=model.actors[0].name), graph)


def network_frames(model: DeployedModel, graph: NetworkSession, seconds: float) -> list[float]:
    """Milliseconds of each call of the network, one stream."""
    pipeline = open_pipeline(model, graph)
    executor = pipeline.open_executor()
    executor.push(0, noise(seconds, executor.samplerate))
    outputs = executor.run()
    taken: list[float] = []
    while True:
        began = time.thread_time()
        if next(outputs, None) is None:
            return taken[5:]
        taken.append(1000 * (time.thread_time() - began))


def stream_latency(model: DeployedModel, graph: NetworkSession, seconds: float) -> list[float]:
    """Milliseconds from the arrival of the last needed sample to each finished frame, sample by sample around it."""
    stream = AnimationStream(open_pipeline(model, graph))
    samples, taken = noise(seconds, stream.samplerate), []
    for start in range(0, len(samples), 40):  # 2.5 ms
        stream.push(samples[start : start + 40])
        began = time.thread_time()
        made = sum(1 for _ in stream.frames())
        if made:
            taken.append(1000 * (time.thread_time() - began) / made)
    return taken[5:]


def live_stages(model: DeployedModel, graph: NetworkSession, seconds: float) -> dict[str, tuple[float, float, float]]:
    """Milliseconds of each stage of a frame in a live session of pieces of 20 ms."""
    session = LiveSession(open_pipeline(model, graph))
    samples, size = noise(seconds, session.samplerate), round(PIECE * session.samplerate)
    for start in range(0, len(samples), size):
        now = start / session.samplerate
        session.push(samples[start : start + size], now)
        for _ in session.frames(now):
            pass
    return {stage: (taken.p50, taken.p95, taken.p99) for stage, taken in session.latency.items()}


def streams_per_core(model: DeployedModel, graph: NetworkSession, batch: int, seconds: float) -> float:
    """Seconds of sound of all streams that a second of processor time animates, the network alone."""
    pipeline, schedule = open_pipeline(model, graph), model.info.windows()
    settings = [TrackSettings(emotion=pipeline.emotion.curve, actor=pipeline.actor.name) for _ in range(batch)]
    tracks = graph.tracks(model, settings)
    audio = np.stack([noise(1.0, schedule.samplerate)[: schedule.window]] * batch)
    emotion = np.zeros((batch, schedule.hop, len(model.info.emotions)), np.float32)
    every = np.ones(batch, np.bool_)
    calls = round(seconds * schedule.fps / schedule.hop)
    tracks.run(audio, emotion, every)  # warm-up
    began = time.thread_time()
    for _ in range(calls):
        tracks.run(audio, emotion, every)
    return batch * calls * schedule.hop / float(schedule.fps) / (time.thread_time() - began)


def percentiles(taken: Sequence[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in np.percentile(taken, [50, 95, 99]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Times a streaming network beside an offline one.")
    parser.add_argument("model", type=Path, help="deployed folder of a streaming network")
    parser.add_argument("offline", type=Path, help="deployed folder of an offline network")
    parser.add_argument("--seconds", type=float, default=20.0, help="of sound")
    options = parser.parse_args()
    set_num_threads(1)
    live, offline = DeployedModel.open(options.model), DeployedModel.open(options.offline)
    graph, other = open_graph(live), open_graph(offline)
    table = Table("", "", title=f"{live.info.skin_verts:,} vertices, one thread")
    table.add_row(f"graph, MB (target {SIZE_TARGET:g})", f"{live.onnx.stat().st_size / 1e6:.2f}")
    taken = percentiles(network_frames(live, graph, options.seconds))
    table.add_row(f"network, ms a frame: p50 / p95 / p99 (target {FRAME_TARGET:g})", taken)
    table.add_row(
        "stream, ms from the last sample to the frame", percentiles(stream_latency(live, graph, options.seconds))
    )
    for stage, row in live_stages(live, graph, options.seconds).items():
        table.add_row(f"live session, {stage}, ms a frame", " / ".join(f"{value:.2f}" for value in row))
    best = 0.0
    for batch in BATCHES:
        found = streams_per_core(live, graph, batch, options.seconds)
        best = max(best, found)
        table.add_row(f"streams per core, {batch} at once", f"{found:.0f}")
    beside = streams_per_core(offline, other, 1, options.seconds)
    table.add_row(f"streams per core, {offline.info.type}", f"{beside:.1f}")
    table.add_row(f"times as many (target {STREAMS_TARGET:g})", f"{best / beside:.0f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
