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

from audio2face.interrupts import AGAIN, STOP_SIGNALS, print_stopped


def run_stage(stage: str, argv: Sequence[str]) -> NoReturn:
    """Runs one stage with the arguments of its host script; does not return."""
    received: list[int] = []
    importing = True

    def stop(number: int, _frame: FrameType | None) -> None:
        if importing:  # nothing has been made yet, and an exception would surface wherever Python imports just now
            print_stopped(AGAIN)
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
        print_stopped(AGAIN)
        status = 128 + received[0]
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # it ends anyway
    sys.exit(status)
