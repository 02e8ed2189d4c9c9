"""Meshes that move, as a file holds them: pieces at rest, and the positions of each piece in any frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from audio2face.geometry.frames import blocks_of
from audio2face.rigs.scene import Axis, Piece
from audio2face.types import AnyArray, BoolArray, Float32Array

_BLOCK_BYTES = 16 << 20
_SAMPLED_BYTES, _FEWEST_SAMPLES, _MOST_SAMPLES = 64 << 20, 24, 400

Pose = Callable[[int, slice], AnyArray]
"""Positions of a piece in some frames: `pose(piece, frames) -> [frames, verts, 3]`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MovingMeshes:
    """One performance of a face, in the units and axes of its file.

    Frame i is the face at `start + i / fps` seconds of the recording.

    Attributes:
        name: of the take.
        source: the file or folder.
        kind: what the named shapes of its pieces are called in this format, in the plural.
        pieces: its meshes at rest, with those of their shapes that have names.
        has_rest: whether the pieces show the face at rest, with closed lips; else they show any frame.
        pose: the positions of a piece.
        num_frames: number of frames.
        fps: frames per second.
        start: position of frame 0 in the recording, in seconds.
        lost: frames that the file lacks and that are interpolated, bool `[frames]`; None for none.
        unit_cm: centimetres of a unit of length; None where that is not known.
        up: the axis upwards; None where that is not known.
        audio: the recording that the source names; None without one.
        notes: what was chosen, one sentence each.
    """

    name: str
    source: Path
    kind: str
    pieces: Sequence[Piece]
    has_rest: bool
    pose: Pose = field(repr=False)
    num_frames: int
    fps: Fraction
    start: float = 0.0
    lost: BoolArray | None = None
    unit_cm: float | None
    up: Axis | None
    audio: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_verts(self) -> int:
        """Number of vertices of all pieces."""
        return sum(len(piece.vertices) for piece in self.pieces)

    def blocks(self, pieces: Sequence[int]) -> list[slice]:
        """Blocks of frames in which some pieces fit into a bounded memory."""
        each = 12 * sum(len(self.pieces[piece].vertices) for piece in pieces)
        return list(blocks_of(self.num_frames, each, _BLOCK_BYTES))

    def joined(self, pieces: Sequence[int], frames: slice) -> AnyArray:
        """Positions of some pieces, one after the other, `[frames, verts, 3]`."""
        found = [self.pose(piece, frames) for piece in pieces]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def sample_frames(takes: Sequence[MovingMeshes]) -> Float32Array:
    """Frames of all takes at equal distances, with all pieces one after the other, float32 `[samples, verts, 3]`.

    As many as fit into a bounded memory.
    """
    total = sum(take.num_frames for take in takes)
    fitting = max(_FEWEST_SAMPLES, min(_MOST_SAMPLES, _SAMPLED_BYTES // max(12 * takes[0].num_verts, 1)))
    places = np.unique(np.linspace(0, total - 1, min(total, fitting)).round().astype(np.int64))
    found, first = [], 0
    for take in takes:
        own = places[(places >= first) & (places < first + take.num_frames)] - first
        every = range(len(take.pieces))
        found += [take.joined(every, slice(frame, frame + 1)) for frame in own.tolist()]
        first += take.num_frames
    return np.asarray(np.concatenate(found), np.float32)
