"""Ctrl-C and SIGTERM: which signals stop a stage, and the line that says so.

Standard library only, readable by any Python from 3.8 on, and as little of it as possible.
"""

from __future__ import annotations

import os
import signal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = "Run the same command again to resume."


def say_stopped(text: str) -> None:
    """Prints the one line of a stage that was stopped; safe in a signal handler."""
    os.write(2, f"[STOPPED] {text}\n".encode(errors="backslashreplace"))
