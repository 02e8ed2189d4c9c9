"""Runs a live session by the clock: speech from a source, each frame to all outputs at the moment when it is due."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audio2face.inference.live import HOLD, RELAX, LiveSession, Percentiles
from audio2face.live.frames import FrameConverter, Output
from audio2face.live.sources import Source


class Clock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds that never go back."""
        return time.perf_counter()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@dataclass
class LiveSummary:
    """What a run came to.

    Attributes:
        frames: frames that were sent.
        late: those that left more than a frame after they were due.
        held: frames for which audio was missing.
        gaps: how often it began to be missing while somebody spoke.
        latency: milliseconds that the stages of the session took for a frame.
    """

    frames: int
    late: int
    held: int
    gaps: int
    latency: Mapping[str, Percentiles]


def run_live(
    session: LiveSession,
    source: Source,
    outputs: Sequence[Output],
    is_stopped: Callable[[], bool] = lambda: False,
    clock: Clock | None = None,
) -> LiveSummary:
    """Runs until the source has ended and the face is at rest.

    Args:
        session: the face, at the source's sample rate.
        source: the speech.
        outputs: where frames go.
        is_stopped: asked at every frame; where it is true, the source ends, and the mouth closes.
        clock: in place of the machine's.

    Raises:
        UserError: the source cannot be read, or the network outputs NaN or infinity.
    """
    clock = Clock() if clock is None else clock
    convert = FrameConverter(session.weight_names.get("skin", ()))
    fps, number, late, end = float(session.fps), 0, 0, float("inf")
    began, wall = clock.now(), clock.wall()
    next(session.frames(0.0), None)  # begins its time; nothing is due before the wait
    source.start(lambda: clock.now() - began)
    while (due := number / fps + session.wait) <= end:
        clock.sleep(max(0.0, began + due - clock.now()))
        if is_stopped() and not source.finished:
            source.stop()
        now = clock.now() - began
        for samples, captured in source.captured(now):
            session.push(samples, captured)
        if source.finished and end == float("inf"):
            session.finish()
            end = now + session.wait + HOLD + RELAX
        for frame in session.frames(now):
            shown = number / fps + session.wait
            made = convert(frame, number, wall + shown)
            for output in outputs:
                output.send(made)
            late += clock.now() - began > shown + 1 / fps
            number += 1
    return LiveSummary(number, late, session.held, session.gaps, session.latency)
