"""Soak of the gRPC service: clients that speak at real time, and how late their frames come.

    .venv/bin/python -m benchmarks.serve [--model FOLDER] [--streams 64] [--seconds 60] [--workers 2]

A server of its own process is started on the loopback; this process holds all clients, each with a stream of noise in
pieces of a thirtieth of a second, beginning at moments spread over a second. Without --model a streaming network of a
few numbers is served (12 vertices), which measures the service and not a network. Printed are the lateness of frames,
from the sending of the last sample that a frame needed to its arrival (50th, 95th, 99th percentile and the largest),
frames lost, processor time for a second of sound, and the memory of the server early and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import psutil  # type: ignore[import-untyped]

from audio2face.model_folder import DeployedModel
from audio2face.serve import wire

ROOT = Path(__file__).resolve().parents[1]
RATE, FPS = 16_000, 30
PIECE = RATE // FPS  # samples
OPENING_SECONDS = 5  # in which all streams are opened and catch up
START_SECONDS = 60.0  # that a server may take to start


@dataclass
class Received:
    """What one client received.

    Attributes:
        lateness: of each frame, seconds.
        status: of the stream.
    """

    lateness: list[float] = field(default_factory=list)
    status: str = "OK"


async def talk(channel: grpc.aio.Channel, seconds: float, lookahead: float, start: float) -> Received:
    """One client: sends at real time, and notes when frames arrive."""
    received, sent = Received(), list[float]()
    noise = (3000 * np.random.default_rng(0).normal(size=round(seconds * RATE))).astype("<i2").tobytes()
    call = channel.stream_stream(f"/{wire.CONTROLLER}/ProcessAudioStream")()

    async def send() -> None:
        audio = wire.new("audio.AudioHeader", channel_count=1, samples_per_second=RATE, bits_per_sample=16)
        header = wire.new("controller.AudioStreamHeader", audio_header=audio)
        await call.write(wire.new("controller.AudioStream", audio_stream_header=header).SerializeToString())
        began = time.monotonic()
        for place in range(0, len(noise), 2 * PIECE):
            await asyncio.sleep(max(0.0, began + (place // 2 + PIECE) / RATE - time.monotonic()))
            speech = wire.new("a2f.AudioWithEmotion", audio_buffer=noise[place : place + 2 * PIECE])
            sent.append(time.monotonic())
            await call.write(wire.new("controller.AudioStream", audio_with_emotion=speech).SerializeToString())
        await call.done_writing()

    await asyncio.sleep(start)
    sender = asyncio.create_task(send())
    try:
        while (data := await call.read()) is not grpc.aio.EOF:
            now = time.monotonic()
            if data[0] >> 3 == 2:  # a frame
                needed = math.ceil((len(received.lateness) / FPS + lookahead) * RATE / PIECE) - 1
                received.lateness.append(now - sent[min(max(needed, 0), len(sent) - 1)])
    except grpc.aio.AioRpcError as error:
        received.status = f"{error.code().name}: {error.details()}"
    await sender
    return received


@contextmanager
def served(model: Path, workers: int) -> Iterator[tuple[psutil.Process, str]]:
    """A server process, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--workers", str(workers), "--max-streams", "500", "--quiet"]
    command = [sys.executable, "-m", "audio2face", "serve", str(model), *options]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(START_SECONDS)
        yield psutil.Process(process.pid), f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def soak(address: str, process: psutil.Process, streams: int, seconds: float, lookahead: float) -> list[Received]:
    """All clients, on a channel for every eight; prints the memory of the server."""
    channels = [grpc.aio.insecure_channel(address, [("client", place)]) for place in range(math.ceil(streams / 8))]
    talks = [
        asyncio.create_task(talk(channels[place // 8], seconds, lookahead, place / streams)) for place in range(streams)
    ]
    await asyncio.sleep(seconds / 3)
    early = process.memory_info().rss / 1e6
    received = await asyncio.gather(*talks)
    print(f"memory of the server: {early:.0f} MB after a third, {process.memory_info().rss / 1e6:.0f} MB at the end")
    for channel in channels:
        await channel.close()
    return list(received)


def show(received: list[Received], seconds: float, processor: float) -> None:
    """Prints the figures."""
    lateness = 1000 * np.concatenate([client.lateness for client in received])
    steady = 1000 * np.concatenate([client.lateness[OPENING_SECONDS * FPS :] for client in received])
    expected = len(received) * math.ceil(seconds * FPS)
    print(f"streams: {len(received)} for {seconds:g} s; frames: {len(lateness):,} of {expected:,}")
    for name, values in (("lateness", lateness), (f"after {OPENING_SECONDS} s", steady)):
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        print(f"{name}: {p50:.1f} ms median, {p95:.1f} ms 95 %, {p99:.1f} ms 99 %, {values.max():.1f} ms largest")
    print(f"processor time of the server: {processor / (len(received) * seconds):.3f} s for a second of sound")
    for status in {client.status for client in received} - {"OK"}:
        print(f"streams that ended with {status}: {sum(client.status == status for client in received)}")


def small_model(folder: Path) -> Path:
    """The streaming network of the tests."""
    sys.path += [str(ROOT / "tests/model_folder"), str(ROOT / "tests/inference")]
    models, graphs = importlib.import_module("small_models"), importlib.import_module("small_graphs")
    models.write_model(folder, models.STREAMING)
    graphs.write_graph(folder / "network.onnx", models.STREAMING)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = DeployedModel.open(args.model or small_model(Path(folder)))
        schedule = model.info.windows(model.info.native_fps)
        with served(model.folder, args.workers) as (process, address):
            before = process.cpu_times()
            lookahead = schedule.lookahead / schedule.samplerate
            received = asyncio.run(soak(address, process, args.streams, args.seconds, lookahead))
            after = process.cpu_times()
    show(received, args.seconds, after.user + after.system - before.user - before.system)


if __name__ == "__main__":
    main()
