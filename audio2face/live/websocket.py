"""Frames over a websocket, in the messages that OpenAvatarChat's renderer in the browser reads.

A message is binary: the bytes `JBIN`, the sizes of what follows as two little-endian uint32, a JSON text, and values.
The JSON describes the record `arkit_face`: float32 `[frames, 52]`, little-endian. The first message of a connection
holds a frame of zeros and the names of the 52 channels; each further one holds one frame, and the last one none.
"""

from __future__ import annotations

import json
import logging
import queue
import struct
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.extras import require
from audio2face.live.frames import EngineFrame
from audio2face.types import Float32Array

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

CHANNELS: tuple[str, ...] = tuple(sorted(ARKIT_NAMES))
"""The order of the channels, that of OpenAvatarChat: by the alphabet."""
_COLUMNS = [ARKIT_INDEX[name] for name in CHANNELS]
_MAGIC, _RECORD = b"JBIN", "arkit_face"
_MOST_WAITING = 120  # frames that wait for a slow client, before the oldest is dropped
_END_SECONDS = 1.0  # that clients have to take what is left


class WebsocketOutput:
    """Serves frames to any number of websocket clients, such as pages in a browser.

    Every client has a thread and a short queue of its own: a slow one loses frames and delays nobody.

    Args:
        host: address to listen at; "127.0.0.1" serves this machine alone.
        port: the port; 0 takes a free one.
        name: what the speech is called in messages.
        fps: frames per second.

    Attributes:
        port: the port.

    Raises:
        UserError: `websockets` is not installed, or the port cannot be used.
    """

    def __init__(self, host: str, port: int, name: str, fps: float) -> None:
        require("--websocket", "live", modules=["websockets"])
        from websockets.sync.server import serve

        # What strangers send to a port is no matter for the log.
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        self._name, self._fps = name, fps
        self._clients: set[queue.Queue[bytes | None]] = set()
        self._lock = threading.Condition()
        self._has_ended = False
        try:
            self._server = serve(self._serve, host, port, compression=None)
        except OSError as error:
            raise UserError(
                f"--websocket: port {port} of {host} cannot be used: {error.strerror or error}",
                hint="Give another port, such as 8766, or end the program that uses it.",
            ) from error
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.target, self.sent = f"websocket ws://{host}:{self.port}", 0

    @property
    def num_clients(self) -> int:
        """Clients that are connected."""
        with self._lock:
            return len(self._clients)

    def send(self, frame: EngineFrame) -> None:
        """Gives a frame to all clients."""
        with self._lock:
            waiting = list(self._clients)
        if waiting:
            message = self._message(frame.weights[None, _COLUMNS], start_of_batch=self.sent == 0)
            for client in waiting:
                _put(client, message)
            self.sent += 1

    def close(self) -> None:
        """Tells all clients the end, and closes their connections."""
        end = self._message(np.zeros((0, len(CHANNELS)), np.float32), end_of_batch=True)
        with self._lock:
            self._has_ended = True
            for client in self._clients:
                _put(client, end)
                _put(client, None)
            self._lock.wait_for(lambda: not self._clients, _END_SECONDS)
        self._server.shutdown()
        self._thread.join()

    def _serve(self, connection: ServerConnection) -> None:
        """Sends to one client until it or the session ends; its own messages are not read."""
        from websockets.exceptions import ConnectionClosed

        waiting: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        with self._lock:
            if self._has_ended:
                return
            self._clients.add(waiting)
        try:
            connection.send(self._definition())
            while (message := waiting.get()) is not None:
                connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            with self._lock:
                self._clients.discard(waiting)
                self._lock.notify_all()

    def _definition(self) -> bytes:
        """The first message of a connection."""
        zeros = np.zeros((1, len(CHANNELS)), np.float32)
        return _packed(zeros, self._fps, list(CHANNELS), {"batch_name": None, "batch_id": None, "start_of_batch": None})

    def _message(self, values: Float32Array, **batch: bool) -> bytes:
        """A message with weights `[frames, 52]` in the order of `CHANNELS`."""
        facts = {"batch_name": self._name, "batch_id": 0, "start_of_batch": False, **batch}
        return _packed(values, self._fps, [], facts)


def _packed(values: Float32Array, fps: float, channels: list[str], batch: dict[str, Any]) -> bytes:
    record = {
        "data_type": "float32",
        "data_offset": 0,
        "shape": list(values.shape),
        "channel_names": channels,
        "sample_rate": fps,
        "metadata": {},
        "data_id": 0,
        "timeline_axis": 0,
        "channel_axis": 1,
    }
    facts = {"data_records": {_RECORD: record}, "metadata": {}, "events": [], "end_of_batch": False, **batch}
    text, data = json.dumps(facts).encode(), values.astype("<f4").tobytes()
    return _MAGIC + struct.pack("<II", len(text), len(data)) + text + data


def _put(client: queue.Queue[bytes | None], message: bytes | None) -> None:
    """Adds a message; where the client is too slow, the oldest one goes."""
    while True:
        try:
            client.put_nowait(message)
            return
        except queue.Full:
            try:
                client.get_nowait()
            except queue.Empty:
                continue
