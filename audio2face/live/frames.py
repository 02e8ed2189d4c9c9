"""What an engine gets of a frame: weights under ARKit's names, angles of the eyes, the moment at which it is shown."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from audio2face.animation.animation import AnimationFrame
from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import ARKIT_NAMES, match_arkit
from audio2face.errors import UserError
from audio2face.export.arkit import eye_angles, weights_in_order
from audio2face.types import Float32Array


@dataclass(frozen=True, eq=False)
class EngineFrame:
    """One frame of a face as engines take it.

    Attributes:
        number: of the frame, counted from the start of the session.
        shown: the moment at which it is due to be shown, in seconds since 1970.
        weights: of ARKit's shapes in the order of `ARKIT_NAMES`, float32 `[52]`; 0 for a shape without a pose.
        angles: of head and eyes in the order of `ANGLES`, float32 `[9]`, radians, with the signs of Live Link Face.
    """

    number: int
    shown: float
    weights: Float32Array
    angles: Float32Array


class Output(Protocol):
    """Where frames go.

    Attributes:
        target: what it sends and where, for people.
        sent: frames that were sent.
    """

    target: str
    sent: int

    def send(self, frame: EngineFrame) -> None:
        """Sends a frame without waiting for anybody."""

    def close(self) -> None:
        """Ends the output."""


class FrameConverter:
    """Turns frames of a session into frames for engines.

    Args:
        poses: names of the blend shapes that the session solves.

    Raises:
        UserError: there are none, or most of them are not ARKit's.
    """

    def __init__(self, poses: Sequence[str]) -> None:
        if not poses:
            raise UserError(
                "engines take weights of blend shapes, and the actor has none",
                hint="Deploy the actor with blend shapes under ARKit's names (BLENDSHAPE_SKIN_FPATH of the dataset).",
            )
        self._columns = match_arkit(poses).columns

    def __call__(self, frame: AnimationFrame, number: int, shown: float) -> EngineFrame:
        assert frame.skin_weights is not None
        weights = weights_in_order(frame.skin_weights[None], self._columns, ARKIT_NAMES)[0]
        return EngineFrame(number, shown, weights, eye_angles(frame.eyes[None])[0])


class DatagramSender:
    """Sends datagrams to one address; nobody has to listen there.

    Args:
        host: name or address.
        port: the port.
        option: the option that named them, for messages.

    Raises:
        UserError: the name is that of no machine.
    """

    def __init__(self, host: str, port: int, option: str) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except (OSError, UnicodeError) as error:
            raise UserError(
                f"{option}: there is no machine {host!a}", hint="Give an address, such as 127.0.0.1:9000."
            ) from error
        self._address = found[4]
        self._socket = socket.socket(found[0], socket.SOCK_DGRAM)
        self._option, self._has_warned = option, False

    def send(self, datagram: bytes) -> bool:
        """Sends a datagram; returns whether the system took it. The first one that it refuses is logged."""
        try:
            self._socket.sendto(datagram, self._address)
        except OSError as error:
            if not self._has_warned:
                LOGGER.warning("%s: frames cannot be sent: %s", self._option, error)
            self._has_warned = True
            return False
        return True

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
