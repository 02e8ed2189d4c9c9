"""Animates slices of streams: in threads, or those of a network that animates many at once together in one call.

Slices of a joint network are animated in the event loop: a call for all that wait is short, and a thread beside it
would take the interpreter from it at every message. A call begins when a stream has anything to do, but not within
`GATHER_SECONDS` after the one before: streams that come meanwhile share it, and one that is alone waits for nothing.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from audio2face.inference.sessions import NetworkSession
from audio2face.serve.conversation import Conversation, Job, work_together
from audio2face.serve.stream_animation import SentFrame

GATHER_SECONDS = 0.005
_MOST_STREAMS = 64  # of one call
_CALLS = 4  # of a network for the slices that are animated together: a recording that was sent at once delays nobody

Waiting = tuple[Conversation, "asyncio.Future[list[SentFrame]]"]


class Slices:
    """The slices of a server's streams. All methods belong to the event loop.

    Args:
        threads: where streams are opened, and those of other networks animated.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._groups: dict[NetworkSession, _Group] = {}

    async def open(self, conversation: Conversation) -> None:
        """Opens the animation of a conversation whose header has arrived.

        Raises:
            UserError: the sample rate is too uncommon.
        """
        await asyncio.get_running_loop().run_in_executor(self._threads, conversation.open)

    def work(self, conversation: Conversation) -> asyncio.Future[list[SentFrame]]:
        """Animates the next slice of a conversation that has work, which has one slice at a time.

        Returns:
            The frames, or what is wrong with the stream.
        """
        face = conversation.face
        if face.is_joint:
            return self._groups.setdefault(face.graph, _Group()).work(conversation)
        return asyncio.get_running_loop().run_in_executor(self._threads, _work_alone, conversation.take())


def _work_alone(job: Job) -> list[SentFrame]:
    (made,) = work_together([job])
    if isinstance(made, Exception):
        raise made
    return made


class _Group:
    """The slices of one joint network."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def work(self, conversation: Conversation) -> asyncio.Future[list[SentFrame]]:
        """As `Slices`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[SentFrame]] = loop.create_future()
        self._waiting.append((conversation, done))
        if self._timer is None:
            self._timer = loop.call_at(max(loop.time(), self._began + GATHER_SECONDS), self._animate)
        return done

    def _animate(self) -> None:
        loop = asyncio.get_running_loop()
        self._began, self._timer = loop.time(), None
        chosen, self._waiting = self._waiting[:_MOST_STREAMS], self._waiting[_MOST_STREAMS:]
        made = work_together([conversation.take() for conversation, _ in chosen], _CALLS)
        for (_, done), result in zip(chosen, made, strict=True):
            if done.done():  # the stream ended before its slice
                continue
            if isinstance(result, Exception):
                done.set_exception(result)
            else:
                done.set_result(result)
        if self._waiting:
            self._timer = loop.call_at(self._began + GATHER_SECONDS, self._animate)
