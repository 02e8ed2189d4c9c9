"""Animates the recordings of a folder as they appear."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from audio2face.cli.batch import RecordingBatch
from audio2face.cli.recordings import Recording, search
from audio2face.console import LOGGER

POLL_SECONDS = 1.0
_State = tuple[int, int]  # size in bytes and time of the last change in nanoseconds


def watch(batch: RecordingBatch, folder: Path, output: Path) -> None:
    """Animates complete recordings in a folder, at any depth, those that appear later too, until Ctrl-C.

    Args:
        batch: animates them.
        folder: the folder, which is searched every second.
        output: the output folder.
    """
    LOGGER.info("watching %s; Ctrl-C ends it", folder)
    folder_state = WatchedFolder(folder, output)
    try:
        while True:
            found = folder_state.poll()
            if found:
                batch.run(found)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        LOGGER.info("stopped watching %s", folder)


@dataclass
class WatchedFolder:
    """Finds recordings that are complete: their size and time did not change from one look to the next.

    Attributes:
        folder: the folder.
        output: the output folder, which is not searched.
    """

    folder: Path
    output: Path
    _states: dict[Path, _State] = field(default_factory=dict)
    _done: dict[Path, _State] = field(default_factory=dict)

    def poll(self) -> list[Recording]:
        """The recordings that are complete since the last call, each once as long as it does not change."""
        before, self._states, complete = self._states, {}, []
        for recording in search(self.folder, self.output):
            state = _state(recording.path)
            if state is None:
                continue
            self._states[recording.path] = state
            if state == before.get(recording.path) and state != self._done.get(recording.path):
                complete.append(recording)
                self._done[recording.path] = state
        return complete


def _state(path: Path) -> _State | None:
    """The state of a file; None for one that is empty, or that has gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status.st_size else None
