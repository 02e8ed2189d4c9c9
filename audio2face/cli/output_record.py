"""The record of an animation's inputs, beside its files: a later call keeps complete animations of the same inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio2face import __version__
from audio2face.errors import UserError
from audio2face.inventory.entry import INPUTS_FILE
from audio2face.io.arrays import read_json
from audio2face.io.atomic import file_sha256, write_json
from audio2face.outputs import RECORD_FILE

# Of a deployed folder; engines that TensorRT built from them and notes for people are no inputs.


@dataclass(frozen=True)
class RecordingState:
    """The content of a recording.

    Attributes:
        name: of the file.
        size: in bytes.
        modified_ns: time of its last change, in nanoseconds.
        sha256: of its content.
    """

    name: str
    size: int
    modified_ns: int
    sha256: str

    @classmethod
    def read(cls, path: Path) -> RecordingState:
        """The state of a recording.

        Raises:
            UserError: it cannot be read.
        """
        try:
            status = path.stat()
            return cls(path.name, status.st_size, status.st_mtime_ns, file_sha256(path))
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=path) from error

    def is_state_of(self, path: Path) -> bool:
        """Whether a file has this content; it is read only where it was changed or copied since."""
        try:
            status = path.stat()
        except OSError:
            return False
        if (path.name, status.st_size) != (self.name, self.size):
            return False
        return status.st_mtime_ns == self.modified_ns or file_sha256(path) == self.sha256


@dataclass(frozen=True)
class OutputInputs:
    """What all animations of a call are made from, beside their recordings.

    Attributes:
        model: digest of the model.
        settings: everything else that they depend on, as JSON values.
    """

    model: str
    settings: Mapping[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """As the record states it, in the types that JSON returns."""
        values = {"framework": __version__, "model_sha256": self.model, "settings": dict(self.settings)}
        found: dict[str, Any] = json.loads(json.dumps(values, default=str, sort_keys=True))
        return found

    def is_current(self, folder: Path, recording: Path) -> bool:
        """Whether a folder contains the complete animation of a recording, made from these inputs."""
        try:
            record = read_json(folder / INPUTS_FILE)
            state = RecordingState(**record.pop("recording"))
            files = record.pop("files")
            is_complete = all((folder / name).stat().st_size == size for name, size in files.items())
            return bool(files) and is_complete and record == self.values and state.is_state_of(recording)
        except (UserError, OSError, KeyError, TypeError, AttributeError, ValueError):
            return False  # a record of another version, or a recording that cannot be read: animating it says why

    def write(self, folder: Path, state: RecordingState) -> None:
        """Records that the animation in a folder is complete.

        Args:
            folder: folder of the animation, with the list of its files.
            state: the recording, read before it was animated.

        Raises:
            UserError: the record cannot be written.
        """
        files = [*read_json(folder / RECORD_FILE)["files"], RECORD_FILE]
        sizes = {name: (folder / name).stat().st_size for name in files}
        write_json(folder / INPUTS_FILE, {**self.values, "recording": vars(state), "files": sizes})


def discard(folder: Path) -> None:
    """Removes the record of a folder before its animation is replaced, so that a mixture never counts as complete."""
    (folder / INPUTS_FILE).unlink(missing_ok=True)
