"""One call of `ProcessAudioStream`: reads and writes the connection of a conversation, at the pace of the sound.

Reading, animating and writing are independent: all that a client sends is taken while frames are made, one slice ahead
of what is sent, and a client that does not read holds nothing but its own frames.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audio2face.console import LOGGER, fields
from audio2face.errors import UserError
from audio2face.serve import conversation as talk
from audio2face.serve import wire
from audio2face.serve.conversation import Conversation, Limits, RefusedError
from audio2face.serve.faces import Face
from audio2face.serve.metrics import Metrics
from audio2face.serve.slices import Slices
from audio2face.serve.stream_animation import SentFrame

_ALIVE_SECONDS = 2.0  # after which an INFO tells a client that waits (Maya gives up after 3 s) that all is well
_LATE_SECONDS = 0.1  # receivers drop later frames
_CHECK_SECONDS = 0.25
_FAREWELL_SECONDS = 1.0  # for the last message to a client that is refused
WAITING = "Waiting for audio."


@dataclass(frozen=True)
class Pace:
    """When frames are sent.

    Attributes:
        lead: seconds before their time; None: as soon as they are made (burst).
    """

    lead: float | None = 0.2


class StreamCall:
    """One stream.

    Args:
        face: the face that speaks.
        limits: what the client may ask for.
        pace: when frames are sent.
        slices: where they are animated.
        metrics: counts of the server.

    Attributes:
        frames: frames that were sent.
        is_blocked: whether a message waits for the client to read.
    """

    def __init__(self, face: Face, limits: Limits, pace: Pace, slices: Slices, metrics: Metrics) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits, self._pace, self._slices, self._metrics = limits, pace, slices, metrics
        self._conversation = Conversation(face, limits, self._loop.time)
        self._changed = asyncio.Event()
        self._fault: UserError | None = None
        self._is_open = False  # the header has been answered: slices may be made
        self._work: asyncio.Future[list[SentFrame]] | None = None  # the slice that is being made
        self._touched = self._spoke = self._loop.time()  # when anything passed; when anything was sent
        self._started: float | None = None  # when the first sound arrived: the pace counts from it
        self._playing = 0.0  # the time of the sound's start, as a client plays it that starts with the first frame
        self.frames = 0
        self.is_blocked = False

    @property
    def seconds(self) -> float:
        """Seconds of sound that arrived."""
        return self._conversation.seconds

    async def run(self, context: Any) -> None:
        """Serves the stream to its end.

        Args:
            context: `grpc.aio.ServicerContext` of the call.

        Raises:
            RefusedError: the client is refused; it has been told so if it listens.
        """
        self._context = context
        reader = asyncio.create_task(self._read())
        speaker = asyncio.create_task(self._speak())
        speaker.add_done_callback(lambda done: done.cancelled() or done.exception())  # of a client that is gone
        try:
            await self._watch(speaker)
        except UserError as error:
            await self._say_farewell(error)
            raise talk.refused(error) from error
        finally:
            reader.cancel()
            speaker.cancel()
            # A write to a client that does not read cannot be cancelled; it ends with the call.
            await asyncio.wait({reader, speaker}, timeout=_FAREWELL_SECONDS)

    async def _watch(self, speaker: asyncio.Task[None]) -> None:
        """Waits for the end; raises what is wrong with the stream, and where nothing passes for too long."""
        while not speaker.done():
            await asyncio.wait({speaker}, timeout=_CHECK_SECONDS)
            if not speaker.done() and self._loop.time() - self._touched > self._limits.idle:
                speaker.cancel()
                raise RefusedError("DEADLINE_EXCEEDED", f"nothing was sent or taken for {self._limits.idle:g} s")
        speaker.result()

    async def _say_farewell(self, error: UserError) -> None:
        if self.is_blocked:
            return
        text = talk.status(wire.ERROR, f"{error.problem} {error.hint or ''}".strip())
        with contextlib.suppress(Exception):  # the client may be gone
            await asyncio.wait_for(self._context.write(text), _FAREWELL_SECONDS)

    async def _read(self) -> None:
        """Takes all that the client sends."""
        import grpc

        try:
            while (data := await self._context.read()) is not grpc.aio.EOF:
                self._touched = self._loop.time()
                self._conversation.accept(data)
                if self._is_open:
                    self._start_work()
                else:
                    self._changed.set()
            if not self._conversation.has_ended:
                self._conversation.end()
                self._start_work()
        except UserError as error:
            self._fault = error
        except Exception:  # of grpc, without a common base
            self._fault = RefusedError("CANCELLED", "the connection was lost")
        self._changed.set()

    async def _speak(self) -> None:
        """Sends the header, the frames, and the end."""
        conversation = self._conversation
        while conversation.request is None:
            await self._wait_for_change()
        await self._slices.open(conversation)
        await self._write(conversation.header)
        for note in conversation.request.notes:
            await self._write(talk.status(wire.INFO, f"Note: {note}."))
        self._is_open = True
        self._start_work()
        while self._work is not None or not conversation.is_done:
            if self._work is None or not self._work.done():
                await self._wait_for_change()
                continue
            self._check()
            frames, self._work = self._work.result(), None
            self._start_work()  # the next slice is made while this one is sent
            await self._send(frames)
        await self._end()

    def _start_work(self) -> None:
        """Begins a slice, where there is anything to do."""
        if self._work is None and self._is_open and self._conversation.has_work:
            self._work = self._slices.work(self._conversation)
            self._work.add_done_callback(self._on_work)

    def _on_work(self, done: asyncio.Future[list[SentFrame]]) -> None:
        if not done.cancelled():
            done.exception()  # it is raised where the frames are sent; the stream may end before that
        self._changed.set()

    async def _end(self) -> None:
        for warning in self._conversation.warnings:
            await self._write(talk.status(wire.WARNING, warning))
        await self._write(talk.end_event())
        await self._write(talk.status(wire.SUCCESS, "All data has been sent."))

    async def _send(self, frames: Sequence[SentFrame]) -> None:
        for frame in frames:
            self._check()
            if self._pace.lead is None:
                await self._write(frame.data)
            else:
                await self._send_paced(frame, self._pace.lead)
            if not self.frames:
                self._metrics.first_frame.observe(max(0.0, self._loop.time() - frame.arrived))
            self.frames += 1
            self._metrics.frames += 1

    async def _send_paced(self, frame: SentFrame, lead: float) -> None:
        now = self._loop.time()
        if self._started is None:
            self._started, self._playing = self._conversation.first_arrival, now - frame.time
        due = self._started + frame.time - lead
        if now < due:
            await asyncio.sleep(due - now)
        await self._write(frame.data)
        sent = self._loop.time()
        self._metrics.lateness.observe(max(0.0, sent - max(due, frame.arrived)))
        if sent > self._playing + frame.time + _LATE_SECONDS:
            self._metrics.underruns += 1
            self._playing = sent - frame.time  # what follows is played that much later

    async def _write(self, data: bytes) -> None:
        self.is_blocked = True
        await self._context.write(data)
        self.is_blocked = False
        self._touched = self._spoke = self._loop.time()

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    async def _wait_for_change(self) -> None:
        """Waits until something has come or been made; says meanwhile that the server is there."""
        self._check()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ALIVE_SECONDS / 2):
                await self._changed.wait()
        self._changed.clear()
        if self._work is not None and not self._work.done():
            self._touched = self._loop.time()  # it is the server that is slow
        await self._stay_alive()
        self._check()

    async def _stay_alive(self) -> None:
        touched = self._touched
        if self._conversation.request is not None and self._loop.time() - self._spoke > _ALIVE_SECONDS:
            await self._write(talk.status(wire.INFO, WAITING))
            self._touched = touched  # saying so is no sign of the client's life


def log_stream(number: int, face: str, code: str, call: StreamCall) -> None:
    """Logs the end of a stream, without anything about who spoke or what was said."""
    LOGGER.info(
        "stream %d of %s: %s, %.1f s of sound, %d frames",
        number,
        face,
        code,
        call.seconds,
        call.frames,
        extra=fields(
            event="stream", stream=number, face=face, code=code, seconds=round(call.seconds, 3), frames=call.frames
        ),
    )
