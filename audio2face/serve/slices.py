"""Animates slices of streams in threads: of a network that animates many at once, all that wait, in one call.

A slice begins when its stream has anything to do. Slices of a joint network that come while others are animated, or
within `GATHER_SECONDS` after those began, wait for each other: a stream that is alone waits for nothing.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from audio2face.inference.sessions import NetworkSession
from audio2face.serve.conversation import Conversation, SentFrame, work_together

GATHER_SECONDS = 0.005  # from the beginning of one call to the next one
_MOST_STREAMS = 64  # of one call
_CALLS = 4  # of a network for slices that are animated together: a recording that was sent at once delays nobody

Waiting = tuple[Conversation, "asyncio.Future[list[SentFrame]]"]


class Slices:
    """The slices of a server's streams. All methods belong to the event loop.

    Args:
        threads: where they are animated.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._groups: dict[NetworkSession, _Group] = {}

    def work(self, conversation: Conversation) -> asyncio.Future[list[SentFrame]]:
        """Animates the next slice of a conversation that has work, which has one slice at a time.

        Returns:
            The frames, or what is wrong with the stream.
        """
        done: asyncio.Future[list[SentFrame]] = asyncio.get_running_loop().create_future()
        face, alone = conversation.face, _Group(self._threads)
        group = self._groups.setdefault(face.graph, alone) if face.is_joint else alone
        group.add((conversation, done))
        return done


class _Group:
    """The slices of one network."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._waiting: list[Waiting] = []
        self._is_busy = False
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._begin()

    def _begin(self) -> None:
        """Begins the next call, where it is time."""
        if self._is_busy or self._timer is not None or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        early = self._began + GATHER_SECONDS - loop.time()
        if early > 0:
            self._timer = loop.call_later(early, self._on_time)
            return
        self._began, self._is_busy = loop.time(), True
        chosen, self._waiting = self._waiting[:_MOST_STREAMS], self._waiting[_MOST_STREAMS:]
        jobs = [conversation.take() for conversation, _ in chosen]
        calls = {} if len(jobs) == 1 else {"most_calls": _CALLS}
        made = loop.run_in_executor(self._threads, lambda: work_together(jobs, **calls))
        made.add_done_callback(lambda made: self._finish(chosen, made))

    def _on_time(self) -> None:
        self._timer = None
        self._begin()

    def _finish(self, chosen: list[Waiting], made: asyncio.Future[list[list[SentFrame] | Exception]]) -> None:
        self._is_busy = False
        fault = asyncio.CancelledError() if made.cancelled() else made.exception()
        results = [fault] * len(chosen) if fault is not None else made.result()
        for (_, done), result in zip(chosen, results, strict=True):
            if done.done():  # the stream ended before its slice
                continue
            if isinstance(result, asyncio.CancelledError):
                done.cancel()
            elif isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)
        self._begin()
