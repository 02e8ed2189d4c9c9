"""A shot: its recording, animation caches and transcript, and the vector of its emotion that networks take.

`phoneme_times` reads the phones of a shot. One rule converts emotions to vectors in training, export and inference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.config_base.types import RECORDING_SUFFIXES
from audio2face.errors import FileFormatError, UserError
from audio2face.geometry import ChannelError, FoundCache, PointCache, find_cache, list_shots, open_cache
from audio2face.io.arrays import Archive
from audio2face.types import Float32Array

DEFAULT_SUFFIX = ".wav"
# 10 steps of a speech encoder, which masks spans of that length and fails on shorter input
LEAST_CLIP_SECONDS = 0.21
TRANSCRIPT_SUFFIX = ".txt"  # beside a recording
INERT_EMOTION = "inert"  # consumers of a model need at least one emotion; this one is untrained
NO_INDEX = -1


def list_recordings(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Lists the recordings in a folder by name without suffix, each sorted; empty if the folder is missing."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in RECORDING_SUFFIXES and not path.is_dir():
            found.setdefault(path.stem, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def only_recording(paths: Sequence[Path], shot: str) -> Path:
    """Returns the only recording of a shot.

    Raises:
        UserError: there are several of different suffixes.
    """
    if len(paths) > 1:
        raise UserError(
            f"shot {shot!r} has {len(paths)} recordings: {', '.join(path.name for path in paths)}",
            path=paths[0].parent,
            hint="Keep the one that belongs to the animation, and move the others to another folder.",
        )
    return paths[0]


def unusual_names(root: Path, recordings: Mapping[str, Path]) -> dict[str, str]:
    """Returns paths below the folder of recordings with a suffix other than `.wav`, by the path without suffix.

    Args:
        root: AUDIO_ROOT.
        recordings: files by any key.
    """
    inside = [path.relative_to(root) for path in recordings.values() if path.suffix != DEFAULT_SUFFIX]
    return {path.with_suffix("").as_posix(): path.as_posix() for path in inside}


@dataclass(frozen=True)
class CacheFolder:
    """The caches of one part of an actor, and how to find its mesh in files of several.

    Attributes:
        root: folder of all shots.
        channel: name of the channel in Maya caches; None if there is only one, or `num_verts` determines it.
        num_verts: number of vertices of the part, from its neutral pose; None if unknown.
    """

    root: Path
    channel: str | None = None
    num_verts: int | None = None

    def find(self, shot: str) -> FoundCache:
        """Finds the cache of a shot.

        Raises:
            UserError: there is none.
        """
        return find_cache(self.root, shot)

    def open(self, shot: str) -> PointCache:
        """Opens the cache of a shot.

        Raises:
            UserError: it is missing or cannot be read; ChannelError: neither name nor vertices determine the mesh.
        """
        path = self.find(shot).path
        try:
            return open_cache(path, channel=self.channel, num_verts=self.num_verts)
        except ChannelError:
            if self.channel is not None or self.num_verts is not None or self._num_verts_of_first is None:
                raise
            return open_cache(path, num_verts=self._num_verts_of_first)

    @cached_property
    def _num_verts_of_first(self) -> int | None:
        """Returns the vertices of the first shot whose cache holds one mesh; None if each holds several."""
        for shot in list_shots(self.root):
            with suppress(UserError):
                return open_cache(self.find(shot).path).num_verts
        return None


@dataclass(frozen=True)
class Shot:
    """The files of one recorded performance; opened on request.

    Attributes:
        name: name of the shot, also of its folders and files.
        emotion: the emotion that it is trained with.
        audio: its recording.
        skin_caches: all skin caches.
        tongue_caches: all tongue caches; None for an actor without a tongue.
        jaw: archive of the jaw's motion; None if the actor has none.
        eyes: archive of the eyes' motion; None if the actor has none.
    """

    name: str
    emotion: str
    audio: Path
    skin_caches: CacheFolder
    tongue_caches: CacheFolder | None
    jaw: Archive | None
    eyes: Archive | None

    def skin(self) -> PointCache:
        """Opens the animation of the skin, lazily read `[frames, verts, 3]` in centimetres."""
        return self.skin_caches.open(self.name)

    def tongue(self) -> PointCache | None:
        """Opens the animation of the tongue; None for an actor without a tongue.

        Raises:
            UserError: the actor has a tongue, but this shot has no cache of it.
        """
        return None if self.tongue_caches is None else self.tongue_caches.open(self.name)

    def jaw_deltas(self) -> Float32Array | None:
        """Reads the deltas of the jaw's key points from the neutral pose, float32 `[frames, points, 3]` in centimetres.

        Returns None if the actor has no jaw file or the file lacks this shot.
        """
        return self._channel(self.jaw, (None, None, 3))

    def eye_rotations(self) -> Float32Array | None:
        """Reads the rotations of both eyes, float32 `[frames, 2 eyes, 2 angles]` in degrees (X pitch, Y yaw).

        Returns None if the actor has no eye file or the file lacks this shot.
        """
        return self._channel(self.eyes, (None, 2, 2))

    def _channel(self, archive: Archive | None, shape: tuple[int | None, ...]) -> Float32Array | None:
        if archive is None or self.name not in archive.members:
            return None
        return archive.read_floats(self.name, shape)


def infer_emotion(shot: str, emotions: Iterable[str]) -> str | None:
    """Infers the emotion from a shot's name; None if there is none.

    A separate word takes precedence over a part of a longer word, a longer emotion over a shorter one, and an earlier
    entry over a later one; so "enjoyment_1" is not "joy" if "enjoyment" is listed.

    Args:
        shot: name of the shot, such as "cp42_fastneutral".
        emotions: the vocabulary, in order.
    """
    inside = [emotion for emotion in emotions if emotion and emotion.lower() in shot.lower()]
    return max(inside, key=lambda emotion: (_is_word_of(emotion, shot), len(emotion)), default=None)


def _is_word_of(emotion: str, shot: str) -> bool:
    pattern = rf"(?<![A-Za-z]){re.escape(emotion)}(?![A-Za-z])"
    return re.search(pattern, shot, re.IGNORECASE) is not None


def read_transcript(path: Path) -> str | None:
    """Reads the transcript of a recording from the text file beside it; None if there is none.

    Raises:
        FileFormatError: the file is not UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8").strip() or None if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"cannot be read as UTF-8 text: {error}", path=path, hint="It should hold the transcript of the recording."
        ) from error


@dataclass(frozen=True)
class EmotionVectors:
    """The emotions with an input of their own, in order, and the emotion of the zero vector.

    Attributes:
        names: emotions with an input; never empty.
        zero: the emotion of the zero vector; None if every emotion has an input.
        is_inert: whether the vocabulary has only the zero emotion, so that `names` holds `INERT_EMOTION`.
    """

    names: tuple[str, ...]
    zero: str | None
    is_inert: bool = False

    @classmethod
    def from_vocabulary(cls, vocabulary: Sequence[str], zero: str | None) -> EmotionVectors:
        """Splits a vocabulary (SHOT_EMOTION_NAMES) into inputs and zero emotion (SHOT_EMOTION_NAME_FOR_ALL_ZEROS)."""
        names = tuple(name for name in vocabulary if name != zero)
        return cls(names or (INERT_EMOTION,), zero, is_inert=not names)

    def index(self, emotion: str) -> int:
        """Returns the index of an emotion's input, or `NO_INDEX` for the zero emotion.

        Raises:
            UserError: the emotion is not in the vocabulary.
        """
        if emotion == self.zero:
            return NO_INDEX
        if emotion not in self.names:
            known = [*([self.zero] if self.zero is not None else []), *self.names]
            raise UserError(
                f"the emotion {emotion!r} is unknown", hint=f"There are: {', '.join(known)} (SHOT_EMOTION_NAMES)."
            )
        return self.names.index(emotion)

    def vector(self, emotion: str) -> Float32Array:
        """Returns the vector of an emotion, float32 `[emotions]`: one-hot, or all zeros."""
        values = np.zeros(len(self.names), np.float32)
        index = self.index(emotion)
        if index != NO_INDEX:
            values[index] = 1.0
        return values
