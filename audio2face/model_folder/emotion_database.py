"""`implicit_emo_db.npz`: the trained implicit emotions of a regression network, one row per frame of each shot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.errors import LABEL_WORDS, UserError
from audio2face.model_folder.actor import decoded_names, is_finite
from audio2face.model_folder.npz import StoredArchive, open_archive
from audio2face.model_folder.validation import Diagnostics, FileDiagnostics
from audio2face.types import AnyArray, Float32Array

EMOTION_DATABASE_FILE = "implicit_emo_db.npz"
_SHOTS_LISTED = 8
_TYPES = {"emo_spec_names": "S", "emo_spec_start": "<i4", "emo_spec_size": "<i4", "emo_db": "<f4"}


@dataclass(frozen=True)
class EmotionDatabase:
    """Implicit emotions by shot and frame.

    Attributes:
        names: the shots, in the order of their first rows.
        starts: first row of each shot.
        sizes: rows of each shot.
        rows: `[rows, implicit_emotion_len]` float32.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    rows: Float32Array

    def find(self, shot: str, frame: int) -> Float32Array | None:
        """The row of a frame; None if it is missing. For equal names the last one counts."""
        for name, start, size in reversed(list(zip(self.names, self.starts, self.sizes, strict=True))):
            if name == shot:
                return self.rows[start + frame] if 0 <= frame < size else None
        return None

    def source(self, shot: str | None, frame: int | None) -> tuple[str, int]:
        """The shot and frame whose row a network uses: those given, or the most typical row if one is None.

        That is the one nearest to the mean of all rows, of the shot where it is given.
        """
        if shot is not None and frame is not None:
            return shot, frame
        distances = np.square(self.rows - self.rows.mean(axis=0, dtype=np.float64)).sum(axis=1)
        shots = zip(self.names, self.starts, self.sizes, strict=True)
        own = {name: distances[start : start + size] for name, start, size in shots if shot in (None, name)}
        usual = min(own, key=lambda name: float(own[name].min()))
        return usual, int(own[usual].argmin())

    def choose(self, shot: str | None, frame: int | None) -> tuple[str, int]:
        """Validates the shot and frame of a user's CONFIG.

        Args:
            shot: source_shot.
            frame: source_frame.

        Raises:
            UserError: there is no such shot or frame.
        """
        if shot is not None and shot not in self.names:
            more = ", ..." if len(self.names) > _SHOTS_LISTED else ""
            raise UserError(
                f"CONFIG['source_shot'] is {shot!r}, a shot that the network does not know",
                hint=f"It contains: {', '.join(self.names[:_SHOTS_LISTED])}{more}.",
            )
        chosen, number = self.source(shot, frame)
        if self.find(chosen, number) is None:
            size = dict(zip(self.names, self.sizes, strict=True))[chosen]
            raise UserError(
                f"CONFIG['source_frame'] is {number}, and shot {chosen!r} has {size} frames",
                hint=f"Give 0 to {size - 1}. With COMPACTIFY_IMPLICIT_EMO_DB the frames of its clips are counted.",
            )
        return chosen, number

    def as_arrays(self) -> dict[str, AnyArray]:
        """The arrays of the file, shots as bytes."""
        return {
            "emo_spec_names": np.array([name.encode() for name in self.names]),
            "emo_spec_start": np.array(self.starts, np.int32),
            "emo_spec_size": np.array(self.sizes, np.int32),
            "emo_db": np.asarray(self.rows, np.float32, order="C"),
        }

    @classmethod
    def read(cls, archive: StoredArchive, length: int, faults: FileDiagnostics) -> EmotionDatabase | None:
        """Reads the archive; reports invalid values, and then returns None.

        Args:
            archive: the file.
            length: `implicit_emotion_len` of the network.
            faults: collects problems.
        """
        _check_types(archive, length, faults)
        if not faults.is_sound:
            return None
        names, starts, sizes, rows = (archive.read(name) for name in _TYPES)
        if starts.min(initial=0) < 0 or sizes.min(initial=1) < 1 or (starts.astype(int) + sizes > len(rows)).any():
            faults.error("names rows that emo_db does not have", "Deploy the training run again.")
            return None
        if not is_finite(rows):
            faults.error("array 'emo_db' contains NaN or infinity", "Train again; the training diverged.")
            return None
        texts = decoded_names(names)
        if texts is None:
            faults.error(
                f"emo_spec_names contains an invalid name of a shot, expected {LABEL_WORDS}", "Rename the shot."
            )
            return None
        return cls(texts, tuple(starts.tolist()), tuple(sizes.tolist()), rows)


def open_database(folder: Path, length: int) -> EmotionDatabase:
    """Reads the table of a folder.

    Args:
        folder: a deployed folder, or the `deploy` folder of a training run.
        length: `implicit_emotion_len` of the network.

    Raises:
        FileFormatError: there is none, or it does not fit the network.
    """
    faults = Diagnostics()
    own = faults.for_file(EMOTION_DATABASE_FILE)
    archive = open_archive(folder / EMOTION_DATABASE_FILE, own)
    database = None if faults.errors else EmotionDatabase.read(archive, length, own)
    faults.raise_first(folder)
    assert database is not None  # None only with errors
    return database


def _check_types(archive: StoredArchive, length: int, faults: FileDiagnostics) -> None:
    shots = archive.entries["emo_spec_names"].shape if "emo_spec_names" in archive.entries else (0,)
    for name, kind in _TYPES.items():
        entry = archive.entries.get(name)
        if entry is None:
            faults.error(f"has no array {name!a}, or no readable one", "Deploy the training run again.")
            continue
        if entry.dtype.str != kind and entry.dtype.kind != kind:
            faults.error(f"array {name!a} is {entry.dtype.str}, expected {kind}", "Cast it before it is written.")
        fits = len(entry.shape) == 2 and entry.shape[1] == length if name == "emo_db" else entry.shape == shots
        if not fits or len(shots) != 1 or shots[0] == 0:
            expected = f"[rows, {length}]" if name == "emo_db" else "[shots], at least one"
            faults.error(
                f"array {name!a} has the shape {list(entry.shape)}, expected {expected}",
                "Deploy the training run again.",
            )
