"""One shot of an actor, and what its name says about emotion."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audio2face.dataset.arrays import Archive, Float32Array
from audio2face.geometry import PointCache, find_cache, open_cache


@dataclass(frozen=True)
class Shot:
    """Where the data of one recorded performance lie; opened when asked for.

    Attributes:
        name: name of the shot: of its folders and files.
        emotion: the emotion it is trained under.
        audio: its recording.
        skin_root: folder of all skin caches.
        tongue_root: folder of all tongue caches, None for an actor without a tongue.
        jaw: archive of the jaw's motion, None where the actor has none.
        eyes: archive of the eyes' motion, None where the actor has none.
        phoneme_times: exact phoneme times of the shot, where the dataset has them.
    """

    name: str
    emotion: str
    audio: Path
    skin_root: Path
    tongue_root: Path | None
    jaw: Archive | None
    eyes: Archive | None
    phoneme_times: Path | None

    def skin(self) -> PointCache:
        """Opens the animation of the skin, lazily read `[frames, verts, 3]` in centimetres."""
        return open_cache(find_cache(self.skin_root, self.name).path)

    def tongue(self) -> PointCache | None:
        """Opens the animation of the tongue; None for an actor without a tongue.

        Raises:
            UserError: the actor has a tongue and this shot has no cache of it.
        """
        return None if self.tongue_root is None else open_cache(find_cache(self.tongue_root, self.name).path)

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
