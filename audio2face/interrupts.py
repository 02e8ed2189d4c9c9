"""Stopping a stage: the signals, and the stage's messages to its supervisor (`cli/supervisor.py`) about them.

A message names the command that resumes the stage, or asks to wait with stopping. Without a supervisor, as under a
debugger or torchrun, no messages are sent. Standard library only, for any Python from 3.8 on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from audio2face.command_names import as_typed

_SUPERVISOR = "A2F_SUPERVISOR"  # "PID:DESCRIPTOR", set by cli/stage_process.py
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = "Run the same command again to resume."


class _Hint:
    text = AGAIN
    is_fixed = False


def is_supervised() -> bool:
    """Returns whether a supervisor handles signals for this process."""
    return _descriptor() is not None


def resume_hint() -> str:
    """Returns the hint to print when the stage is stopped now."""
    return _Hint.text


def set_resume_hint(text: str, *, fixed: bool = False) -> None:
    """Sets the hint to print when the stage is stopped.

    Args:
        text: what was stopped and the command that resumes it.
        fixed: ignore later calls without `fixed`: a stage that runs other stages gives the hint for all of them.
    """
    if _Hint.is_fixed and not fixed:
        return
    _Hint.text, _Hint.is_fixed = as_typed(" ".join(text.split())), fixed
    _send(f"hint {_Hint.text}")


@contextmanager
def unhurried() -> Iterator[None]:
    """Delays the effect of signals in the block until it has saved its state, without a time limit."""
    _send("+")
    try:
        yield
    finally:
        _send("-")


@contextmanager
def hurried() -> Iterator[None]:
    """Cancels `unhurried` for a part of its block that has nothing to save."""
    _send("-")
    try:
        yield
    finally:
        _send("+")


def _descriptor() -> int | None:
    owner, _, descriptor = os.environ.get(_SUPERVISOR, "").partition(":")
    # Child processes inherit the variable but not the descriptor.
    return int(descriptor) if descriptor and owner == str(os.getpid()) else None


def _send(line: str) -> None:
    descriptor = _descriptor()
    if descriptor is not None:
        with suppress(OSError):  # the supervisor has ended, and this process is about to
            os.write(descriptor, f"{line}\n".encode())


def print_stopped(text: str) -> None:
    """Prints the one line of a stage that was stopped; safe in a signal handler."""
    os.write(2, f"[STOPPED] {text}\n".encode(errors="backslashreplace"))


def end_with_parent() -> None:
    """Ends this process when its parent is killed, so that it neither waits for ever nor writes into a later run."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
