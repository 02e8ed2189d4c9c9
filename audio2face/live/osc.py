"""Frames as Open Sound Control: a message for each shape, in bundles with the moment at which the frame is shown.

The layout is that of OSC 1.0 (https://opensoundcontrol.stanford.edu/spec-1_0.html), written by `python-osc`.
"""

from __future__ import annotations

from collections.abc import Iterator

from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.export.arkit import ANGLES
from audio2face.extras import require
from audio2face.live.frames import DatagramSender, EngineFrame

OSC_PREFIX = "/face/"
_MOST_BYTES = 1400  # of a bundle: a larger datagram is cut by networks, and lost with any of its parts
_HEADER_BYTES, _SIZE_BYTES = 16, 4  # of a bundle, and of each of its messages
_EYES = tuple(name for name in ANGLES if "Eye" in name and not name.endswith("Roll"))


def osc_names() -> tuple[str, ...]:
    """The last parts of the addresses: ARKit's shapes, then yaw and pitch of both eyes."""
    return (*ARKIT_NAMES, *(name[0].lower() + name[1:] for name in _EYES))


class OscOutput:
    """Sends frames to an OSC receiver: `<prefix><shape>` with one float32 each.

    Args:
        host: name or address.
        port: the port.
        prefix: what stands before the names of the shapes.

    Raises:
        UserError: `python-osc` is not installed, or the name is that of no machine.
    """

    def __init__(self, host: str, port: int, prefix: str = OSC_PREFIX) -> None:
        require("--osc", "live", modules=["pythonosc"])
        self._sender = DatagramSender(host, port, "--osc")
        self._addresses = tuple(prefix + name for name in osc_names())
        self._angles = [ANGLES.index(name) for name in _EYES]
        self.target, self.sent = f"OSC {prefix}... to {host}:{port}", 0

    def send(self, frame: EngineFrame) -> None:
        """Sends a frame, in as many bundles as its size needs."""
        taken = [self._sender.send(bundle) for bundle in self._bundles(frame)]
        self.sent += all(taken)

    def _bundles(self, frame: EngineFrame) -> Iterator[bytes]:
        from pythonosc.osc_bundle_builder import OscBundleBuilder
        from pythonosc.osc_message_builder import OscMessageBuilder

        values = [*frame.weights.tolist(), *frame.angles[self._angles].tolist()]
        bundle, size = OscBundleBuilder(frame.shown), _HEADER_BYTES  # type: ignore[arg-type]  # seconds, not whole ones
        for address, value in zip(self._addresses, values, strict=True):
            message = OscMessageBuilder(address)
            message.add_arg(value, OscMessageBuilder.ARG_TYPE_FLOAT)
            built = message.build()
            if size + _SIZE_BYTES + built.size > _MOST_BYTES:
                yield bundle.build().dgram
                bundle, size = OscBundleBuilder(frame.shown), _HEADER_BYTES  # type: ignore[arg-type]
            bundle.add_content(built)
            size += _SIZE_BYTES + built.size
        yield bundle.build().dgram

    def close(self) -> None:
        """Closes the socket."""
        self._sender.close()
