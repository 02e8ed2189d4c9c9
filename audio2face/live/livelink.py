"""Frames as datagrams of the Live Link Face app, which Unreal Engine's plug-in "Apple ARKit Face Support" reads.

One datagram a frame, all numbers big-endian, as Unreal's `FNboSerializeToBuffer` writes them (packet version 6):

    uint8                       version, 6
    int32, bytes                length and text of the device's identifier, without a terminating zero
    int32, bytes                length and text of the subject's name
    int32, float32              number of the frame since midnight, and part of a frame
    int32, int32                numerator and denominator of the frame rate
    uint8                       number of values, 61
    float32 [61]                ARKit's 52 weights in the engine's order, then yaw, pitch and roll of head, left eye and
                                right eye

The plug-in refuses another number of values. The engine's order is that of `ARKIT_NAMES`, not that of the app's tables.
"""

from __future__ import annotations

import struct
import time
import uuid
from fractions import Fraction

import numpy as np

from audio2face.live.frames import DatagramSender, EngineFrame

LIVE_LINK_PORT = 11111  # where the plug-in listens
_VERSION = 6
_DAY = 86_400  # seconds


class LiveLinkOutput:
    """Sends frames as the Live Link Face app does.

    Args:
        host: name or address of Unreal's machine.
        port: the port.
        subject: name of the subject in Unreal, ASCII.
        fps: frames per second.

    Raises:
        UserError: the name is that of no machine.
    """

    def __init__(self, host: str, port: int, subject: str, fps: Fraction) -> None:
        self._sender = DatagramSender(host, port, "--livelink")
        # The same for a subject at every call: Unreal keeps devices apart by it.
        device = str(uuid.uuid5(uuid.NAMESPACE_OID, f"audio2face {subject}")).upper()
        self._head = struct.pack("!B", _VERSION) + _text(device) + _text(subject)
        self._fps = fps
        self._first: int | None = None  # number of the session's first frame since midnight
        self.target, self.sent = f"Live Link subject {subject} to {host}:{port}", 0

    def send(self, frame: EngineFrame) -> None:
        """Sends a frame."""
        if self._first is None:
            self._first = round(_seconds_of_day(frame.shown) * self._fps) - frame.number
        number = (self._first + frame.number) % round(_DAY * self._fps)
        values = np.concatenate([frame.weights, frame.angles]).astype(">f4")
        timing = struct.pack("!ifii", number, 0.0, self._fps.numerator, self._fps.denominator)
        datagram = self._head + timing + struct.pack("!B", len(values)) + values.tobytes()
        self.sent += self._sender.send(datagram)

    def close(self) -> None:
        """Closes the socket."""
        self._sender.close()


def _text(text: str) -> bytes:
    encoded = text.encode("ascii")
    return struct.pack("!i", len(encoded)) + encoded


def _seconds_of_day(moment: float) -> float:
    """Seconds since midnight, local time."""
    local = time.localtime(moment)
    return local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec + moment % 1
