"""Soak of the gRPC service: clients that speak at real time, and how late their frames come.

    .venv/bin/python -m benchmarks.serve [--model FOLDER] [--streams 64] [--seconds 20]
    .venv/bin/python -m benchmarks.serve --model FOLDER --soak          (64 streams for five minutes)

A server of its own process is started on the loopback; this process holds all clients, each with a stream of noise, or
of --speech, in pieces of a thirtieth of a second, beginning at moments spread over a second. Messages are prepared
beforehand, so that clients cost little beside the server. Without --model a streaming network of a few numbers is
served (12 vertices), which measures the service and not a network.

Printed are the lateness of frames, from the sending of the last sample that a frame needed to its arrival (50th, 95th,
99th percentile and the largest), frames lost, processor time of server and clients, in cores and for a frame, and the
memory of the server over time. A soak ends with status 1 where a target is missed: no frame lost, the 99th percentile
under 20 ms, memory flat.
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
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import psutil  # type: ignore[import-untyped]

from audio2face.audio import read_track
from audio2face.model_folder import DeployedModel
from audio2face.serve import wire

ROOT = Path(__file__).resolve().parents[1]
RATE, FPS = 16_000, 30
PIECE = RATE // FPS  # samples
OPENING_SECONDS = 5  # in which all streams are opened and catch up
REPEATED_SECONDS = 10  # of sound that clients repeat
START_SECONDS = 60.0  # that a server may take to start
LATENESS_TARGET, GROWTH_TARGET = 20.0, 5.0  # ms at the 99th percentile, MB


@dataclass
class Received:
    """What one client received.

    Attributes:
        lateness: of each frame, seconds.
        status: of the stream.
    """

    lateness: array[float] = field(default_factory=lambda: array("d"))
    status: str = "OK"


def prepared(speech: Path | None) -> list[bytes]:
    """Messages of a thirtieth of a second each, which clients repeat: noise, or the beginning of a recording."""
    if speech is None:
        samples = 0.1 * np.random.default_rng(0).normal(size=REPEATED_SECONDS * RATE).astype(np.float32)
    else:
        samples = read_track(speech, RATE).data[: REPEATED_SECONDS * RATE]
    data = (32767 * np.clip(samples, -1, 1)).astype("<i2").tobytes()
    pieces = [data[place : place + 2 * PIECE] for place in range(0, len(data) - 2 * PIECE, 2 * PIECE)]
    spoken = [wire.new("a2f.AudioWithEmotion", audio_buffer=piece) for piece in pieces]
    return [wire.new("controller.AudioStream", audio_with_emotion=each).SerializeToString() for each in spoken]


def header() -> bytes:
    """The first message of a client."""
    audio = wire.new("audio.AudioHeader", channel_count=1, samples_per_second=RATE, bits_per_sample=16)
    first = wire.new("controller.AudioStreamHeader", audio_header=audio)
    data: bytes = wire.new("controller.AudioStream", audio_stream_header=first).SerializeToString()
    return data


async def talk(
    channel: grpc.aio.Channel, messages: list[bytes], first: int, seconds: float, lookahead: float, start: float
) -> Received:
    """One client: sends at real time from a message on, and notes when frames arrive."""
    received, sent = Received(), array("d")
    call = channel.stream_stream(f"/{wire.CONTROLLER}/ProcessAudioStream")()

    async def send() -> None:
        await call.write(header())
        began = time.monotonic()
        for number in range(round(seconds * RATE / PIECE)):
            await asyncio.sleep(max(0.0, began + (number + 1) * PIECE / RATE - time.monotonic()))
            sent.append(time.monotonic())
            await call.write(messages[(first + number) % len(messages)])
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


async def soak(
    address: str, process: psutil.Process, messages: list[bytes], streams: int, seconds: float, lookahead: float
) -> tuple[list[Received], list[float]]:
    """All clients, on a channel for every eight; what they received, and the server's memory in MB over time."""
    channels = [grpc.aio.insecure_channel(address, [("client", place)]) for place in range(math.ceil(streams / 8))]
    talks = [
        asyncio.create_task(talk(channels[place // 8], messages, 37 * place, seconds, lookahead, place / streams))
        for place in range(streams)
    ]
    memory = []
    while not all(each.done() for each in talks):
        await asyncio.sleep(max(1.0, seconds / 15))
        memory.append(process.memory_info().rss / 1e6)
    for channel in channels:
        await channel.close()
    return [each.result() for each in talks], memory


def show(received: list[Received], seconds: float) -> tuple[int, float]:
    """Prints the lateness; returns the frames that were lost, and the 99th percentile after the opening, in ms."""
    lateness = 1000 * np.concatenate([client.lateness for client in received])
    steady = 1000 * np.concatenate([client.lateness[OPENING_SECONDS * FPS :] for client in received])
    expected = len(received) * math.ceil(round(seconds * RATE / PIECE) * PIECE * FPS / RATE)
    print(f"streams: {len(received)} for {seconds:g} s; frames: {len(lateness):,} of {expected:,}")
    for name, values in (("lateness", lateness), (f"after {OPENING_SECONDS} s", steady)):
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        print(f"{name}: {p50:.1f} ms median, {p95:.1f} ms 95 %, {p99:.1f} ms 99 %, {values.max():.1f} ms largest")
    for status in {client.status for client in received} - {"OK"}:
        print(f"streams that ended with {status}: {sum(client.status == status for client in received)}")
    return expected - len(lateness), float(np.percentile(steady, 99))


def small_model(folder: Path) -> Path:
    """The streaming network of the tests."""
    sys.path += [str(ROOT / "tests/model_folder"), str(ROOT / "tests/inference")]
    models, graphs = importlib.import_module("small_models"), importlib.import_module("small_graphs")
    models.write_model(folder, models.STREAMING)
    graphs.write_graph(folder / "network.onnx", models.STREAMING)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--speech", type=Path, metavar="FILE", help="what clients say (default: noise)")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--soak", action="store_true", help="64 streams for five minutes, with targets")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    streams, seconds = (64, 300.0) if args.soak else (args.streams, args.seconds)
    messages = prepared(args.speech)
    with tempfile.TemporaryDirectory() as folder:
        model = DeployedModel.open(args.model or small_model(Path(folder)))
        schedule = model.info.windows(model.info.native_fps)
        with served(model.folder, args.workers) as (process, address):
            before, own, began = process.cpu_times(), time.process_time(), time.monotonic()
            lookahead = schedule.lookahead / schedule.samplerate
            received, memory = asyncio.run(soak(address, process, messages, streams, seconds, lookahead))
            after, own, took = process.cpu_times(), time.process_time() - own, time.monotonic() - began
    lost, late = show(received, seconds)
    frames = sum(len(client.lateness) for client in received)
    for name, spent in (("server", after.user + after.system - before.user - before.system), ("clients", own)):
        print(f"processor time of the {name}: {spent / took:.2f} cores, {1000 * spent / frames:.3f} ms a frame")
    print("memory of the server, MB: " + ", ".join(f"{size:.0f}" for size in memory))
    grown = max(memory[len(memory) // 2 :]) - memory[len(memory) // 3]
    missed = lost or late >= LATENESS_TARGET or grown > GROWTH_TARGET
    print(f"frames lost: {lost}; memory of the second half above that after a third: {grown:.1f} MB")
    return int(bool(args.soak and missed))


if __name__ == "__main__":
    sys.exit(main())
