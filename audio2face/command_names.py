"""The two ways to type a command: a host script (`python run_train.py`), or `audio2face train`.

Messages are written for host scripts; `as_typed` turns them into what this process's user types. Standard library
only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import os
import re

# Set for a process, and those that it starts, when it was started as `audio2face` or `a2f`.
PROGRAM_VARIABLE = "A2F_PROGRAM"
# Commands that are called otherwise than the host script of the same stage.
COMMAND_OF_STAGE = {"inference": "animate"}
_HOST_SCRIPT = re.compile(r"(?:python3? )?\brun_([a-z]+)\.py\b")


def as_typed(text: str) -> str:
    """A text with its commands in the form that the user of this process types."""
    program = os.environ.get(PROGRAM_VARIABLE)
    if not program:
        return text
    return _HOST_SCRIPT.sub(lambda match: f"{program} {COMMAND_OF_STAGE.get(match[1], match[1])}", text)
