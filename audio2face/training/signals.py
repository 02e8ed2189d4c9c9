"""Ctrl-C and SIGTERM while training: the first asks it to save and stop, the second stops it at once.

Only while a step is made is the first one held back, so that the weights fit together when they are saved. Everything
that takes long besides (data, features, validation, export) is interrupted at once, by KeyboardInterrupt.
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
_entered: list[InterruptHandler] = []  # the one that handles this process's signals just now, if any


class InterruptHandler:
    """Remembers that a signal asked to stop, while it is entered; in the main thread only, where signals arrive.

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
        """Holds the first signal back: whoever works in here looks at `received` between steps, and saves."""
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
            if os.environ.get("RANK", "0") == "0":  # of processes that train together, the first speaks for all
                os.write(2, _SAVING)  # a logger or print may be in the middle of a line of its own
            return
        previous: Callable[[int, FrameType | None], object] | int | None = self._handlers.get(number)
        if callable(previous):
            previous(number, frame)
        raise KeyboardInterrupt

    def reraise(self) -> None:
        """Hands the signal that was received to whoever handled it before; to be called after leaving."""
        if self.received is not None:
            signal.raise_signal(self.received)


@contextmanager
def interruptible() -> Iterator[None]:
    """Work inside a training that is not part of a step, and can be interrupted at any point of it.

    Raises:
        KeyboardInterrupt: a signal asks to stop, or has asked before.
    """
    if not _entered:
        yield
        return
    with _entered[-1]._at_once():
        yield
