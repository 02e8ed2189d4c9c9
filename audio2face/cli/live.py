"""Animates live speech and sends frames to engines; started as `audio2face live`.

Exit status: 0 the speech or Ctrl-C ended it, 2 a user error.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import audio2face
from audio2face.cli import parsers
from audio2face.cli.recordings import find_file
from audio2face.config import Roots
from audio2face.console import LOGGER, fields, start_logging
from audio2face.inference.live import LiveSession
from audio2face.interrupts import STOP_SIGNALS
from audio2face.live.frames import Output
from audio2face.live.livelink import LiveLinkOutput
from audio2face.live.osc import OscOutput
from audio2face.live.run import LiveSummary, run_live
from audio2face.live.sources import MicrophoneSource, RecordingSource, Source
from audio2face.live.websocket import WebsocketOutput


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("live", argv)
    start_logging()
    model = audio2face.load(args.model, args.device, args.precision)
    source = _open_source(args, model.samplerate)
    session = model.live(
        source.samplerate,
        slack=args.slack,
        actor=args.actor,
        emotion=args.emotion,
        parameters=dict(args.parameters),
        seed=args.seed,
        blinks=not args.no_blinks,
    )
    with ExitStack() as stack:
        outputs = _open_outputs(args, session, args.actor or model.actors[0], stack)
        LOGGER.info("%s: %s", Path(args.model).name, source.description)
        for output in outputs:
            LOGGER.info("  %s", output.target)
        LOGGER.info(
            "%g frames per second, %.0f ms after their sound; Ctrl-C ends", float(session.fps), 1000 * session.wait
        )
        with _stop_signals() as is_stopped:
            summary = run_live(session, source, outputs, is_stopped)
    _show(summary, outputs, float(session.fps))
    return 0


def _open_source(args: argparse.Namespace, samplerate: int) -> Source:
    if args.audio is None:
        return MicrophoneSource(args.microphone or None)
    return RecordingSource(find_file(args.audio, Roots.from_environment().datasets), samplerate, args.loop)


def _open_outputs(args: argparse.Namespace, session: LiveSession, actor: str, stack: ExitStack) -> list[Output]:
    outputs: list[Output] = []
    if args.osc is not None:
        host, port = args.osc
        outputs.append(OscOutput(host, port, args.osc_prefix))
        stack.callback(outputs[-1].close)
    if args.livelink is not None:
        host, port = args.livelink
        outputs.append(LiveLinkOutput(host, port, args.subject or actor, session.fps))
        stack.callback(outputs[-1].close)
    if args.websocket is not None:
        host, port = args.websocket
        outputs.append(WebsocketOutput(host, port, actor, float(session.fps)))
        stack.callback(outputs[-1].close)
    return outputs


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end the speech; the second one ends the process as everywhere."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(summary: LiveSummary, outputs: list[Output], fps: float) -> None:
    LOGGER.info(
        "%d frames (%.1f s), %d late, %d held for missing sound in %d gaps",
        summary.frames,
        summary.frames / fps,
        summary.late,
        summary.held,
        summary.gaps,
        extra=fields(event="summary", frames=summary.frames, late=summary.late, held=summary.held, gaps=summary.gaps),
    )
    for output in outputs:
        LOGGER.info("  %d to %s", output.sent, output.target, extra=fields(target=output.target, sent=output.sent))
    for stage, taken in summary.latency.items():
        LOGGER.info("  %-9s  %.1f ms, 95th percentile %.1f, 99th %.1f", stage, taken.p50, taken.p95, taken.p99)
