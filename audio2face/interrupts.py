"""What a stage tells the process that supervises it (`tools/supervisor.py`): how to resume, and when it needs time.

Without a supervisor, as under a debugger or torchrun, nothing is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SUPERVISOR = "A2F_SUPERVISOR"  # "PID:DESCRIPTOR", see tools/stage_process.py
AGAIN = "Run the same command again to go on."


class _Hint:
    text = AGAIN
    is_fixed = False


def is_supervised() -> bool:
    """Whether another process obeys signals on behalf of this one."""
    return _descriptor() is not None


def resume_hint() -> str:
    """The line for whoever stops the stage now."""
    return _Hint.text


def set_resume_hint(text: str, *, fixed: bool = False) -> None:
    """Sets the line for whoever stops the stage from here on.

    Args:
        text: what was stopped and the command that resumes it.
        fixed: later calls without this change nothing: a stage that runs others knows better than they do.
    """
    if _Hint.is_fixed and not fixed:
        return
    _Hint.text, _Hint.is_fixed = " ".join(text.split()), fixed
    _tell(f"hint {_Hint.text}")


@contextmanager
def unhurried() -> Iterator[None]:
    """A signal that arrives in here is obeyed in order, without a limit in time: what must not be lost is saved."""
    _tell("+")
    try:
        yield
    finally:
        _tell("-")


@contextmanager
def hurried() -> Iterator[None]:
    """Undoes `unhurried` for a part of it that has nothing to save."""
    _tell("-")
    try:
        yield
    finally:
        _tell("+")


def _descriptor() -> int | None:
    owner, _, descriptor = os.environ.get(_SUPERVISOR, "").partition(":")
    # Processes that this one starts inherit the variable, and not the descriptor.
    return int(descriptor) if descriptor and owner == str(os.getpid()) else None


def _tell(line: str) -> None:
    descriptor = _descriptor()
    if descriptor is not None:
        with suppress(OSError):  # the supervisor is gone, and this process will be
            os.write(descriptor, f"{line}\n".encode())
