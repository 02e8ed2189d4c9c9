"""Which channel of a recording a network is given, where the mix of all would spoil it."""

from __future__ import annotations

from pathlib import Path

from audio2face.audio import inspect_channels
from audio2face.console import LOGGER


def choose_voice(path: Path) -> int | None:
    """The channel to read alone, counted from 0; None for the mean of all, as training reads them.

    One channel is taken, with a warning, where channels cancel each other or where some carry no speech.

    Raises:
        UserError: the recording cannot be read.
    """
    found = inspect_channels(path)
    if found.voice is not None:
        silent = ", ".join(str(number + 1) for number, speaks in enumerate(found.speaks) if not speaks)
        why = "its channels cancel each other when mixed" if found.cancel else f"channel {silent} carries no speech"
        LOGGER.warning("%s: %s; channel %d of %d is used alone", path.name, why, found.voice + 1, found.count)
    elif found.differ:
        LOGGER.warning("%s: its channels differ, and their mix is used; keep one if it is the voice", path.name)
    return found.voice
