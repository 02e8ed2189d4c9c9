"""A take: what was captured of one performance, whatever it was captured with."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.geometry.frames import PoseReader
from audio2face.types import BoolArray, Float32Array


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadMotion:
    """Motion of the head, which is taken out of the animation and kept beside it.

    Attributes:
        angles: yaw (to the actor's left), pitch (down) and roll (towards the actor's left shoulder) in degrees, float32
            `[frames, 3]`.
        positions: centimetres relative to the first frame, float32 `[frames, 3]`; None where they were not captured.
    """

    angles: Float32Array
    positions: Float32Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class MeshMotion:
    """Motion of meshes, with the head stabilised, in centimetres, +y upwards, +z out of the face.

    Attributes:
        skin: frames of the skin, read in blocks.
        tongue: frames of the tongue; None without one.
        jaw: offsets of the key points of the jaw from rest, float32 `[frames, points, 3]`; None without them.
    """

    skin: PoseReader
    tongue: PoseReader | None = None
    jaw: Float32Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Take:
    """One take: weights of ARKit's shapes, or the motion of meshes, and a recording.

    Frame i is the face at i / fps seconds after frame 0. Frames that were lost hold interpolated values and are marked.

    Attributes:
        name: a name that is safe in names of files, unique in an import.
        source: the file or folder that it was read from.
        fps: frames per second.
        lost: the frames whose face was not tracked, bool `[frames]`.
        weights: of ARKit's shapes, float32 `[frames, 52]` from 0 to 1; None of a take of meshes.
        captured: the shapes that the source has; the others are 0.
        tongue: weights of `TONGUE_NAMES`, float32 `[frames, 16]`; None where they were not captured.
        meshes: motion of meshes; None of a take of weights.
        eyes: rotations of right and left eye, pitch (down) and yaw (to the actor's left) in degrees, float32
            `[frames, 2, 2]`; None where they were not captured.
        head: motion of the head; None where it was not captured.
        lips_meet: how far the lips were seen to meet, whatever the weights tell: float32 `[frames]` from 0 to 1; None
            where only the weights tell.
        audio: the recording; None where there is none.
        audio_start: position of frame 0 in the recording, in seconds; negative where the recording begins later.
        emotion: the emotion that the source names; None where it names none.
        notes: what was chosen, repaired or left out, one sentence each.
    """

    name: str
    source: Path
    fps: Fraction
    lost: BoolArray
    weights: Float32Array | None = None
    captured: frozenset[str] = frozenset(ARKIT_NAMES)
    tongue: Float32Array | None = None
    meshes: MeshMotion | None = None
    eyes: Float32Array | None = None
    head: HeadMotion | None = None
    lips_meet: Float32Array | None = None
    audio: Path | None = None
    audio_start: float = 0.0
    emotion: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.lost)

    @property
    def seconds(self) -> float:
        """Length of the animation."""
        return self.num_frames / float(self.fps)


@dataclass(frozen=True, kw_only=True)
class TakeSummary:
    """A take that was found, before it is read: a row of the table that `--dry-run` shows.

    Attributes:
        name: of the take.
        source: what is read of it.
        seconds: length of the animation.
        fps: frames per second.
        lost: number of frames that were not tracked; None where only reading tells.
        captured: what there is, such as "52 shapes, eyes".
        audio: the recording; None where there is none.
        emotion: the emotion that its name tells; None where it tells none.
        notes: what was chosen, and why.
    """

    name: str
    source: Path
    seconds: float
    fps: Fraction
    lost: int | None
    captured: str
    audio: Path | None
    emotion: str | None
    notes: tuple[str, ...] = ()


def summary_of(take: Take) -> TakeSummary:
    """The row of a take that was read."""
    has = []
    if take.weights is not None:
        has.append(f"{len(take.captured)} shapes")
    if take.meshes is not None:
        has.append(f"{take.meshes.skin.num_verts} vertices")
    parts = {"tongue": take.tongue, "eyes": take.eyes, "head": take.head}
    has += [name for name, part in parts.items() if part is not None]
    return TakeSummary(
        name=take.name,
        source=take.source,
        seconds=take.seconds,
        fps=take.fps,
        lost=int(np.count_nonzero(take.lost)),
        captured=", ".join(has),
        audio=take.audio,
        emotion=take.emotion,
        notes=take.notes,
    )
