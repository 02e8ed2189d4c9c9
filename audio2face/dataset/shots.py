"""One shot of an actor, and what its name says about emotion."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audio2face.dataset.arrays import Archive, Float32Array
from audio2face.errors import UserError
from audio2face.geometry import ChannelError, FoundCache, PointCache, find_cache, list_shots, open_cache

# 10 steps of a speech encoder, which masks spans of that length and fails on less
LEAST_CLIP_SECONDS = 0.21


@dataclass(frozen=True)
class CacheFolder:
    """The caches of one part of an actor, and how to tell its mesh where a file holds several.

    Attributes:
        root: folder of all shots.
        channel: name of the channel in Maya caches; None where there is one, or the vertices tell.
        num_verts: vertices of the part where its neutral pose tells them.
    """

    root: Path
    channel: str | None = None
    num_verts: int | None = None

    def find(self, shot: str) -> FoundCache:
        """The cache of a shot.

        Raises:
            UserError: there is none.
        """
        return find_cache(self.root, shot)

    def open(self, shot: str) -> PointCache:
        """Opens the cache of a shot.

        Raises:
            UserError: it is missing or cannot be read; ChannelError: neither name nor vertices tell the mesh.
        """
        path = self.find(shot).path
        try:
            return open_cache(path, channel=self.channel, num_verts=self.num_verts)
        except ChannelError:
            if self.channel is not None or self.num_verts is not None or self._usual_verts is None:
                raise
            return open_cache(path, num_verts=self._usual_verts)

    @cached_property
    def _usual_verts(self) -> int | None:
        """Vertices of the first shot whose cache holds one mesh; None where each holds several."""
        for shot in list_shots(self.root):
            with suppress(UserError):
                return open_cache(self.find(shot).path).num_verts
        return None


@dataclass(frozen=True)
class Shot:
    """Where the data of one recorded performance lie; opened when asked for.

    Attributes:
        name: name of the shot: of its folders and files.
        emotion: the emotion it is trained under.
        audio: its recording.
        skin_caches: all skin caches.
        tongue_caches: all tongue caches, None for an actor without a tongue.
        jaw: archive of the jaw's motion, None where the actor has none.
        eyes: archive of the eyes' motion, None where the actor has none.
        phoneme_times: exact phoneme times of the shot, where the dataset has them.
    """

    name: str
    emotion: str
    audio: Path
    skin_caches: CacheFolder
    tongue_caches: CacheFolder | None
    jaw: Archive | None
    eyes: Archive | None
    phoneme_times: Path | None

    def skin(self) -> PointCache:
        """Opens the animation of the skin, lazily read `[frames, verts, 3]` in centimetres."""
        return self.skin_caches.open(self.name)

    def tongue(self) -> PointCache | None:
        """Opens the animation of the tongue; None for an actor without a tongue.

        Raises:
            UserError: the actor has a tongue and this shot has no cache of it.
        """
        return None if self.tongue_caches is None else self.tongue_caches.open(self.name)

    def jaw_deltas(self) -> Float32Array | None:
        """Reads the jaw key points relative to the neutral, float32 `[frames, points, 3]` in centimetres.

        Returns None where the actor has no jaw file or the file lacks this shot.
        """
        return self._channel(self.jaw, (None, None, 3))

    def eye_rotations(self) -> Float32Array | None:
        """Reads the rotations of both eyes, float32 `[frames, 2 eyes, 2 angles]` in degrees (X pitch, Y yaw).

        Returns None where the actor has no eye file or the file lacks this shot.
        """
        return self._channel(self.eyes, (None, 2, 2))

    def _channel(self, archive: Archive | None, shape: tuple[int | None, ...]) -> Float32Array | None:
        if archive is None or self.name not in archive.members:
            return None
        return archive.read_floats(self.name, shape)


def infer_emotion(shot: str, emotions: Iterable[str]) -> str | None:
    """The emotion that a shot's name tells, or None.

    An emotion that stands in the name as a word of its own goes before one inside a longer word, a longer one before
    a shorter one, and of equals the first listed wins; so "enjoyment_1" is not "joy" where "enjoyment" is listed.

    Args:
        shot: name of the shot, such as "cp42_fastneutral".
        emotions: the vocabulary, in order.
    """
    inside = [emotion for emotion in emotions if emotion and emotion.lower() in shot.lower()]
    return max(inside, key=lambda emotion: (_is_word_of(emotion, shot), len(emotion)), default=None)


def _is_word_of(emotion: str, shot: str) -> bool:
    pattern = rf"(?<![A-Za-z]){re.escape(emotion)}(?![A-Za-z])"
    return re.search(pattern, shot, re.IGNORECASE) is not None
