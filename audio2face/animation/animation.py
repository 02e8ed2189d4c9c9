"""A finished animation of one face: the result of the animation pipeline and the input of every export and the player.

Long arrays may be memory-mapped; read them with `blocks`, which yields a few frames at a time. `FrameBuffer` and
`buffer_frames` keep frames in unnamed temporary files, so that an animation of any length takes little memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.animation.timecode import Start
from audio2face.errors import UserError
from audio2face.geometry import canonical_polygons
from audio2face.types import AnyArray, Float32Array, Int32Array

BLOCK_FRAMES = 64


@dataclass(frozen=True, eq=False)
class Surface:
    """One deforming mesh.

    Attributes:
        neutral: the neutral mesh, float32 `[verts, 3]`, centimetres, y upwards, z out of the face.
        frames: positions, float32 `[frames, verts, 3]`, centimetres.
        faces: vertex indices of polygons, int32 `[faces, 3 or 4]`, in the form of `geometry.canonical_polygons` (the
            fourth corner of a triangle among quadrilaterals is -1); None if they are unknown: the mesh is drawn as
            points.

    Raises:
        UserError: a vertex index of a polygon is out of range.
    """

    neutral: Float32Array
    frames: Float32Array
    faces: Int32Array | None = None

    def __post_init__(self) -> None:
        """Converts polygons to the canonical form that all exports read."""
        if self.faces is None:
            return
        try:
            object.__setattr__(self, "faces", canonical_polygons(self.faces, len(self.neutral)))
        except ValueError as error:
            raise UserError(f"polygons of a mesh: {error}", hint="Use polygons of the mesh that moves.") from error

    @property
    def num_verts(self) -> int:
        """Number of vertices."""
        return len(self.neutral)

    def blocks(self, num_frames: int = BLOCK_FRAMES) -> Iterator[Float32Array]:
        """Yields the positions in order, in blocks `[up to num_frames, verts, 3]`."""
        for first in range(0, len(self.frames), num_frames):
            yield np.asarray(self.frames[first : first + num_frames])


@dataclass(frozen=True, eq=False)
class BlendWeights:
    """Weights of blend shapes, solved for or predicted.

    Attributes:
        names: of the poses.
        values: float32 `[frames, poses]`.
        neutral: the neutral mesh of the blend shapes, float32 `[verts, 3]`, centimetres.
        deltas: offsets that a weight of 1 adds, float32 `[poses, verts, 3]`, centimetres.
    """

    names: tuple[str, ...]
    values: Float32Array
    neutral: Float32Array
    deltas: Float32Array


@dataclass(frozen=True, eq=False, kw_only=True)
class AnimationFrame:
    """One frame of a face; arrays and units are those of `Animation`, without the axis of frames.

    Attributes:
        time: seconds from the start of the recording at which the frame is shown.
        skin: positions, float32 `[verts, 3]`, centimetres.
        tongue: positions, float32 `[tongue verts, 3]`, centimetres, carried by the jaw; None for an actor without one.
        jaw: float32 `[4, 4]`.
        eyes: float32 `[4]`, degrees.
        emotion: float32 `[emotions]`.
        skin_weights: weights of the skin's blend shapes, float32 `[poses]`; None where there are none.
        tongue_weights: weights of the tongue's blend shapes, float32 `[tongue poses]`; None where none are solved.
    """

    time: float
    skin: Float32Array
    tongue: Float32Array | None
    jaw: Float32Array
    eyes: Float32Array
    emotion: Float32Array
    skin_weights: Float32Array | None = None
    tongue_weights: Float32Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Animation:
    """The finished motion of one face.

    Attributes:
        actor: name of the actor.
        fps: frames per second; frame i shows the time i / fps of the recording.
        skin: the skin.
        tongue: the tongue, moved with the jaw; None for an actor without one.
        jaw: rigid transform of the neutral lower teeth, float32 `[frames, 4, 4]`: `p' = M[:3, :3] p + M[:3, 3]`.
        eyes: float32 `[frames, 4]`, degrees: pitch (about x) and yaw (about y) of the right eye, then of the left.
        emotions: names of the emotions.
        emotion: strength of each, float32 `[frames, emotions]`.
        skin_weights: weights of the skin's blend shapes; None if they were not solved.
        tongue_weights: weights of the tongue's blend shapes, solved in the jaw's space as in the SDK: without the jaw's
            motion.
        parts: further arrays for drawing by name, from `preproc.network_data.display_data`: eyes, teeth, vertices of
            lips and lids.
        audio: a playable file of the recording; None without one.
        character: the file that the face was read from; None of a face that has none.
        start: where the first frame lies on a time line; None: frame 0, without time code.
        facts: metadata for display: model, actor, settings, seed.
    """

    actor: str
    fps: float
    skin: Surface
    tongue: Surface | None
    jaw: Float32Array
    eyes: Float32Array
    emotions: tuple[str, ...] = ()
    emotion: Float32Array
    skin_weights: BlendWeights | None = None
    tongue_weights: BlendWeights | None = None
    parts: Mapping[str, AnyArray] = field(default_factory=dict)
    audio: Path | None = None
    character: Path | None = None
    start: Start | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[AnimationFrame]:
        """The frames in order; a few of them are held in memory at a time."""
        tongue, skin_weights, tongue_weights = self.tongue, self.skin_weights, self.tongue_weights
        for first in range(0, self.num_frames, BLOCK_FRAMES):
            block = slice(first, first + BLOCK_FRAMES)
            yield from make_frames(
                [frame / self.fps for frame in range(self.num_frames)[block]],
                skin=self.skin.frames[block],
                tongue=None if tongue is None else tongue.frames[block],
                jaw=self.jaw[block],
                eyes=self.eyes[block],
                emotion=self.emotion[block],
                skin_weights=None if skin_weights is None else skin_weights.values[block],
                tongue_weights=None if tongue_weights is None else tongue_weights.values[block],
            )

    @property
    def surfaces(self) -> dict[str, Surface]:
        """The deforming meshes by name: `skin`, and `tongue` if the actor has one."""
        found = {"skin": self.skin}
        if self.tongue is not None and self.tongue.num_verts:
            found["tongue"] = self.tongue
        return found

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.skin.frames)

    @property
    def first_frame(self) -> int:
        """Number of the first frame on the time line."""
        return 0 if self.start is None else self.start.frame

    def timecode(self, frame: int) -> str | None:
        """The time code of a frame, counted from 0; None without a start, or at a rate without time code."""
        return None if self.start is None else self.start.label(frame, self.fps)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.fps


def make_frames(times: Sequence[float], **arrays: Float32Array | None) -> Iterator[AnimationFrame]:
    """Takes a block of frames apart.

    Args:
        times: when each is shown, in seconds.
        **arrays: the other attributes of `AnimationFrame`, each `[frames, ...]`; None where the face has no such part.

    Yields:
        The frames, whose arrays are copies: one frame does not keep its block alive.
    """
    for index, time in enumerate(times):
        frame: dict[str, Any] = {
            name: None if array is None else np.array(array[index]) for name, array in arrays.items()
        }
        yield AnimationFrame(time=time, **frame)


class FrameBuffer:
    """Collects blocks of frames on disk and returns them as one mapped array.

    Args:
        shape: shape of a frame.
        folder: an existing folder for the file, which disappears with the array or the process.

    Raises:
        UserError: the file cannot be created.
    """

    def __init__(self, shape: tuple[int, ...], folder: Path) -> None:
        self._shape, self._folder = shape, folder
        self.num_frames = 0
        try:
            self._file = tempfile.TemporaryFile(prefix=".animation.", dir=folder)  # noqa: SIM115  (the array keeps it)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def append(self, frames: Float32Array) -> None:
        """Adds frames `[n, *shape]`.

        Raises:
            UserError: the disk is full.
        """
        block = np.ascontiguousarray(frames, np.float32)
        if block.shape[1:] != self._shape:
            raise ValueError(f"frames of shape {block.shape[1:]} given, expected {self._shape}")
        try:
            self._file.write(block.data)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        self.num_frames += len(block)

    def finish(self, num_frames: int | None = None) -> Float32Array:
        """Returns all frames, or the first `num_frames`, float32 `[frames, *shape]`, mapped read-only."""
        shape = (self.num_frames if num_frames is None else num_frames, *self._shape)
        if 0 in shape:
            return np.zeros(shape, np.float32)
        try:
            self._file.flush()
            return np.memmap(self._file, np.float32, "r", shape=shape)
        except OSError as error:
            raise _unwritable(self._folder, error) from error


def buffer_frames(blocks: Iterable[Float32Array], num_frames: int, num_values: int, folder: Path) -> Float32Array:
    """Buffers the frames of an animation in an unnamed temporary file.

    Args:
        blocks: frames `[n, num_values]`, finite.
        num_frames: number of frames in total.
        num_values: number of values per frame.
        folder: folder of the file, which disappears with the array or the process.

    Returns:
        All frames, float32 `[num_frames, num_values]`, mapped read-only.

    Raises:
        UserError: the file cannot be written, or a value is NaN or infinite.
        ValueError: the blocks hold another number of frames.
    """
    kept = FrameBuffer((num_values,), folder)
    for block in blocks:
        if not np.isfinite(block).all():
            raise UserError(
                f"the network outputs NaN or infinity in frames {kept.num_frames} to "
                f"{kept.num_frames + len(block) - 1}",
                hint="The training diverged; use an earlier run, or another seed.",
            )
        kept.append(block)
    if kept.num_frames != num_frames:
        raise ValueError(f"{kept.num_frames} frames given, {num_frames} expected")
    return kept.finish()


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot be written to: {error.strerror or error}", path=folder, hint="Check free disk space and permissions."
    )
