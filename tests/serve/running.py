"""A server in a thread of its own, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from audio2face.serve.faces import Face
from audio2face.serve.server import ServerOptions, SpeechServer


class Running:
    """The server, and a channel to it."""

    def __init__(self) -> None:
        self.server: SpeechServer
        self.started, self._loop = threading.Event(), asyncio.new_event_loop()
        self.error: Exception | None = None

    async def run(self, faces: Mapping[str, Face], options: ServerOptions) -> None:
        self._stop = asyncio.Event()
        try:
            self.server = SpeechServer(faces, options)
            await self.server.start()
        except Exception as error:
            self.error = error
            return
        finally:
            self.started.set()
        await self._stop.wait()
        await self.server.stop()

    def thread(self, faces: Mapping[str, Face], options: ServerOptions) -> threading.Thread:
        return threading.Thread(target=lambda: self._loop.run_until_complete(self.run(faces, options)))

    def stop(self) -> None:
        """Begins the end."""
        self._loop.call_soon_threadsafe(self._stop.set)

    @property
    def address(self) -> str:
        return f"localhost:{self.server.port}"


@contextmanager
def running(faces: Mapping[str, Face], **options: Any) -> Iterator[Running]:
    """A server until the end of the block."""
    result = Running()
    thread = result.thread(faces, ServerOptions(**{"port": 0, "workers": 2, "drain": 5.0} | options))
    thread.start()
    result.started.wait(30)
    if result.error is not None:
        raise result.error
    try:
        yield result
    finally:
        result.stop()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def connected(server: Running, **options: Any) -> Iterator[grpc.Channel]:
    """An insecure channel."""
    with grpc.insecure_channel(server.address, options=list(options.items())) as channel:
        yield channel
