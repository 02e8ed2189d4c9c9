"""What an import has written, take by take, so that a repeated call does only what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from audio2face.errors import FileFormatError
from audio2face.importers.take import Take
from audio2face.io.atomic import write_json

FOLDER = ".import"  # in the data set; folders with a dot are no data
_RECORD = "record.json"
_FORMAT = 1  # of what is written: a change imports all takes again


@dataclass(frozen=True, kw_only=True)
class TakeRecord:
    """One take that was written whole.

    Attributes:
        digest: of everything that its files depend on.
        source: file name of its source.
        shots: number of frames of each shot, by name.
        frames: number of frames of the take.
        lost: those that were not tracked.
        left_out: frames that are in no shot: in long gaps, or without sound.
        emotion: of the take.
        made: what was made, not captured.
        notes: what was chosen or repaired.
        sounds: how often each sound of English occurs.
        files: size of each file, by path within the data set.
        rest: shot and frame in which the mouth is most at rest, and how much it still shows; None of meshes.
    """

    digest: str
    source: str
    shots: Mapping[str, int]
    frames: int
    lost: int
    left_out: int
    emotion: str
    made: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sounds: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    rest: tuple[str, int, float] | None = None

    def is_whole(self, folder: Path) -> bool:
        """Whether all of its files are there, with their sizes."""
        with suppress(OSError):
            return all((folder / name).stat().st_size == size for name, size in self.files.items())
        return False


@dataclass(kw_only=True)
class ImportRecord:
    """The takes of a data set.

    Attributes:
        kind: of the import.
        face: digest of the rig, or of the meshes' face.
        fps: frames per second of all takes.
        takes: those that are whole, by name.
        configuration: digest of each configuration file as it was written, by name.
    """

    kind: str
    face: str
    fps: Fraction
    takes: dict[str, TakeRecord] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes the record of a data set."""
        takes = {name: asdict(take) for name, take in sorted(self.takes.items())}
        write_json(folder / FOLDER / _RECORD, {**vars(self), "format": _FORMAT, "fps": str(self.fps), "takes": takes})

    @classmethod
    def load(cls, folder: Path) -> ImportRecord | None:
        """The record of a data set; None where there is none.

        Raises:
            FileFormatError: it is damaged, or of another version.
        """
        path = folder / FOLDER / _RECORD
        if not path.is_file():
            return None
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") == _FORMAT:
                takes = {name: _take(each) for name, each in values.pop("takes").items()}
                return cls(**{**values, "fps": Fraction(values["fps"]), "takes": takes})
        raise FileFormatError(
            "the record of this import is damaged or of another version",
            path=path,
            hint=f"Remove the folder {folder} and import its takes again, or choose another --name.",
        )


def _take(values: Mapping[str, Any]) -> TakeRecord:
    rest = values.get("rest")
    tuples = {"made": tuple(values["made"]), "notes": tuple(values["notes"]), "rest": rest and tuple(rest)}
    return TakeRecord(**{**values, **tuples})


def digest_of(take: Take, face: str) -> str:
    """SHA-256 of all that the files of a take depend on."""
    digest = hashlib.sha256(f"{_FORMAT} {face} {take.name} {take.fps} {take.audio_start:.6f} {take.emotion}".encode())
    head = (None, None) if take.head is None else (take.head.angles, take.head.positions)
    for array in (take.weights, take.lips_meet, take.tongue, take.eyes, take.lost, *head):
        digest.update(b"-" if array is None else array.tobytes())
    for path in (take.audio, take.source if take.meshes is not None else None):
        if path is not None:
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
