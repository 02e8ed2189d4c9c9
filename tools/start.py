"""The first thing a host script does: Ctrl-C and SIGTERM end it in order from here on; then the rest is imported.

Standard library only, readable by any Python from 3.8 on, and as little of it as possible.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = "Run the same command again to resume."


def run_stage(stage: str, argv: Sequence[str]) -> NoReturn:
    """Runs one stage with the arguments of its host script; does not return."""
    received: list[int] = []
    importing = True

    def stop(number: int, _frame: FrameType | None) -> None:
        if importing:  # nothing has been made yet, and an exception would surface wherever Python imports just now
            say_stopped(AGAIN)
            os._exit(128 + number)
        received.append(number)
        raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    from tools import launch

    importing = False
    try:
        status = launch.run_stage(stage, argv)
    except KeyboardInterrupt:
        say_stopped(AGAIN)
        status = 128 + received[0]
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # it ends anyway
    sys.exit(status)


def say_stopped(text: str) -> None:
    """Prints the one line of a stage that was stopped; safe in a signal handler."""
    os.write(2, f"[STOPPED] {text}\n".encode(errors="backslashreplace"))
