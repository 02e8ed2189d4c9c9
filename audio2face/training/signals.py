"""Ctrl-C and SIGTERM while training: the first asks it to save and stop, the second stops it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAID = b"\nSaving a checkpoint, then stopping. Once more stops at once, without saving.\n"


class StopSignals:
    """Remembers that a signal asked to stop, while it is entered; in the main thread only, where signals arrive.

    Attributes:
        received: the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
            if os.environ.get("RANK", "0") == "0":  # of processes that train together, the first speaks for all
                os.write(2, _SAID)  # a logger or print may be in the middle of a line of its own
            return
        previous: Callable[[int, FrameType | None], object] | int | None = self._handlers.get(number)
        if callable(previous):
            previous(number, frame)
        raise KeyboardInterrupt

    def pass_on(self) -> None:
        """Hands the signal that was received to whoever handled it before; to be called after leaving."""
        if self.received is not None:
            signal.raise_signal(self.received)
