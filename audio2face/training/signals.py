"""Ctrl-C and SIGTERM during training: the first signal saves a checkpoint and stops, the second stops immediately.

During a training step the first signal is deferred, so that the saved weights are consistent. Longer work outside of
steps (data, features, validation, export) is interrupted immediately, by KeyboardInterrupt.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from audio2face.interrupts import hurried, unhurried

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAVING = b"\nSaving a checkpoint, then stopping. Once more stops at once, without saving.\n"
_entered: list[InterruptHandler] = []  # the active handlers of this process, the innermost last


class InterruptHandler:
    """Context manager that records the first signal; active in the main thread only, which receives signals.

    Attributes:
        received: the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._is_deferring = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> InterruptHandler:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        _entered.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _entered.remove(self)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defers the first signal: the training loop checks `received` between steps, and saves a checkpoint."""
        self._is_deferring = True
        try:
            with unhurried():
                yield
        finally:
            self._is_deferring = False

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        if not self._is_deferring:
            yield
            return
        self._is_deferring = False
        try:
            if self.received is not None:
                raise KeyboardInterrupt
            with hurried():
                yield
        finally:
            self._is_deferring = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        is_first = self.received is None
        if is_first:
            self.received = number
        if is_first and self._is_deferring:
            if os.environ.get("RANK", "0") == "0":  # only rank 0 prints
                os.write(2, _SAVING)  # a logger or print may be in the middle of a line of its own
            return
        previous: Callable[[int, FrameType | None], object] | int | None = self._handlers.get(number)
        if callable(previous):
            previous(number, frame)
        raise KeyboardInterrupt

    def reraise(self) -> None:
        """Raises the received signal again for the previous handler; call it after leaving the context."""
        if self.received is not None:
            signal.raise_signal(self.received)


@contextmanager
def interruptible() -> Iterator[None]:
    """Marks work between training steps, such as validation, that a signal may interrupt at any point.

    Raises:
        KeyboardInterrupt: a signal was received, now or before.
    """
    if not _entered:
        yield
        return
    with _entered[-1]._at_once():
        yield
