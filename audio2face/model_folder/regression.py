"""A regression network in a deployed folder: `network_info.json`, and the table of its implicit emotions.

`implicit_emo_db.npz` holds the trained implicit emotions, one row per frame of each shot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.audio.resample import Resampler
from audio2face.errors import FILE_LABEL_WORDS, LABEL_WORDS, UserError, is_file_label
from audio2face.model_folder.actor import decoded_names, is_finite
from audio2face.model_folder.network_info import (
    MAX_SAMPLES,
    MAX_VERTS,
    MAX_WIDTH,
    SAMPLERATES,
    NetworkInfo,
    TensorShape,
    read_eyes,
    read_identity,
    read_names,
    read_resampler,
    read_triples,
)
from audio2face.model_folder.npz import StoredArchive, open_archive
from audio2face.model_folder.validation import Diagnostics, FileDiagnostics, JsonObject
from audio2face.models.windows import WindowSchedule
from audio2face.types import AnyArray, Float32Array

EMOTION_DATABASE_FILE = "implicit_emo_db.npz"
_SHOTS_LISTED = 8
_TYPES = {"emo_spec_names": "S", "emo_spec_start": "<i4", "emo_spec_size": "<i4", "emo_db": "<f4"}


@dataclass(frozen=True, kw_only=True)
class RegressionInfo(NetworkInfo):
    """Contents of `network_info.json` of a regression network.

    Attributes:
        actor: the actor's name.
        version: version of the model, for display.
        emotions: names of the explicit emotions.
        default_emotion: default emotion, one value per name.
        implicit_emotion_len: values of the implicit emotion.
        num_shapes_skin: components of the skin.
        num_shapes_tongue: components of the tongue.
        num_verts_skin: vertices of the skin.
        num_verts_tongue: vertices of the tongue.
        jaw_size: channels of the jaw, three per key point.
        eyes_size: channels of the eyes.
        buffer_len: samples of a window.
        buffer_ofs: sample of the frame within the window.
        samplerate: Hz.
        resampler: filter for audio of other rates.
        identities: the only actor.
    """

    type = "regression"
    has_emotion_database = True
    applies_input_strength = True
    predicts_coefficients = True
    frame_moment = Fraction(0)

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    implicit_emotion_len: int
    num_shapes_skin: int
    num_shapes_tongue: int
    num_verts_skin: int
    num_verts_tongue: int
    jaw_size: int
    eyes_size: int
    buffer_len: int
    buffer_ofs: int
    samplerate: int
    resampler: Resampler = "hann"
    identities: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identities", (self.actor,))

    @property
    def skin_verts(self) -> int:
        """Number of vertices of the skin."""
        return self.num_verts_skin

    @property
    def tongue_verts(self) -> int:
        """Number of vertices of the tongue."""
        return self.num_verts_tongue

    @property
    def channel_sizes(self) -> tuple[int, int, int, int]:
        """Number of channels of skin, tongue, jaw and eyes, in this order."""
        return self.num_shapes_skin, self.num_shapes_tongue, self.jaw_size, self.eyes_size

    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        """The windows that audio is cut into.

        Args:
            fps: frames per second that are asked for; None: 30.

        Raises:
            UserError: the rate is out of range.
        """
        return WindowSchedule.centred(
            window=self.buffer_len,
            offset=self.buffer_ofs,
            samplerate=self.samplerate,
            fps=Fraction(30) if fps is None else fps,
        )

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""
        emotion = (None, 1, self.implicit_emotion_len + len(self.emotions))
        return TensorShape("input", (None, 1, self.buffer_len)), TensorShape("emotion", emotion)

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        """The graph's only output."""
        return (TensorShape("result", (None, 1, self.values)),)

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            "id": {"type": self.type, "actor": self.actor, "version": self.version, "output": "geometry"},
            "params": {
                "implicit_emotion_len": self.implicit_emotion_len,
                "explicit_emotions": list(self.emotions),
                "default_emotion": list(self.default_emotion),
                "identities": list(self.identities),
                "num_shapes_skin": self.num_shapes_skin,
                "num_shapes_tongue": self.num_shapes_tongue,
                "num_verts_skin": self.num_verts_skin,
                "num_verts_tongue": self.num_verts_tongue,
                "result_jaw_size": self.jaw_size,
                "result_eyes_size": self.eyes_size,
            },
            "audio_params": {
                "buffer_len": self.buffer_len,
                "buffer_ofs": self.buffer_ofs,
                "samplerate": self.samplerate,
                "resampler": self.resampler,
            },
        }

    @classmethod
    def read(cls, file: JsonObject) -> RegressionInfo:
        """Reads the file; reports invalid values."""
        actor, version = read_identity(file, cls.type)
        params, audio = file.child("params"), file.child("audio_params")
        emotions = read_names(params, "explicit_emotions", is_file_label, FILE_LABEL_WORDS)
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            implicit_emotion_len=params.count("implicit_emotion_len", 0, MAX_WIDTH),
            num_shapes_skin=params.count("num_shapes_skin", 1, MAX_WIDTH),
            num_shapes_tongue=params.count("num_shapes_tongue", 1, MAX_WIDTH),
            num_verts_skin=params.count("num_verts_skin", 1, MAX_VERTS),
            num_verts_tongue=params.count("num_verts_tongue", 1, MAX_VERTS),
            jaw_size=read_triples(params, "result_jaw_size"),
            eyes_size=read_eyes(params, "result_eyes_size"),
            buffer_len=audio.count("buffer_len", 1, MAX_SAMPLES),
            buffer_ofs=audio.count("buffer_ofs", 0, MAX_SAMPLES),
            samplerate=audio.count("samplerate", *SAMPLERATES),
            resampler=read_resampler(audio),
        )
        if info.buffer_ofs > info.buffer_len:
            audio.wrong("buffer_ofs", info.buffer_ofs, f"at most buffer_len, {info.buffer_len}")
        return info


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
