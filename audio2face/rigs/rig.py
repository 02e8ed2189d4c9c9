"""A rig: a neutral face, its shapes under ARKit's names, and what moves with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio2face.animation.animation import BlendWeights
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.types import MM_PER_CM, AnyArray, Float32Array, Int32Array

Drive = Callable[[Float32Array], Float32Array]
"""Weights `[frames, 52]` of ARKit's shapes to those of a rig's own shapes `[frames, shapes]`."""
Jaw = Callable[[Float32Array], Float32Array]
"""Weights `[frames, 52]` to rigid transforms of the lower teeth `[frames, 4, 4]`, see `Animation.jaw`."""

_CHIN = 0.8  # share of the jaw's largest motion: vertices that move more tell what `mouthClose` does to the jaw


@dataclass(frozen=True, eq=False, kw_only=True)
class RigTongue:
    """A tongue that is a mesh of its own.

    Attributes:
        neutral: float32 `[tongue verts, 3]`, centimetres.
        faces: int32 `[faces, 3 or 4]`.
        deltas: offsets of the shapes `TONGUE_NAMES`, float32 `[16, tongue verts, 3]`, without the jaw's motion.
        pose: weights `[frames, 52]` and `[frames, 16]` to positions `[frames, tongue verts, 3]`, moved by the jaw.
    """

    neutral: Float32Array
    faces: Int32Array
    deltas: Float32Array
    pose: Callable[[Float32Array, Float32Array], Float32Array] = field(repr=False)

    def weights(self, values: Float32Array) -> BlendWeights:
        """Weights `[frames, 16]` with their shapes."""
        return BlendWeights(TONGUE_NAMES, values, self.neutral, self.deltas)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rig:
    """A face and its shapes: `neutral + sum of weight * delta`.

    Attributes:
        name: name of the actor, safe in names of files.
        source: what it was read from, for display.
        path: the file of a character; None of a built-in head.
        digest: SHA-256 of the file that it was read from.
        neutral: float32 `[verts, 3]`, centimetres, y upwards, z out of the face.
        faces: int32 `[faces, 3 or 4]`.
        columns: indices in `ARKIT_NAMES` of the shapes that the rig has, ascending.
        pose_names: the rig's own names of its shapes, first of these, then of its visemes.
        deltas: their offsets, float32 `[shapes, verts, 3]`, centimetres.
        lips: vertices on the line where the lips meet, paired by position: upper, lower, int32 `[2, pairs]`; without
            pairs where they could not be found.
        jaw: the motion of the lower teeth.
        visemes: the weights of its visemes; None of a rig whose mouth has ARKit's shapes.
        tongue: the tongue; None where it is part of the skin, or there is none.
        parts: further arrays for drawing, see `Animation.parts`.
    """

    name: str
    source: str
    path: Path | None
    digest: str
    neutral: Float32Array
    faces: Int32Array
    columns: tuple[int, ...]
    pose_names: tuple[str, ...]
    deltas: Float32Array = field(repr=False)
    lips: Int32Array = field(repr=False)
    jaw: Jaw = field(repr=False)
    visemes: Drive | None = field(default=None, repr=False)
    tongue: RigTongue | None = None
    parts: Mapping[str, AnyArray] = field(default_factory=dict, repr=False)

    def has(self, shape: str) -> bool:
        """Whether the rig has a shape of ARKit."""
        return ARKIT_INDEX[shape] in self.columns

    def delta(self, shape: str) -> Float32Array:
        """Offsets of one shape, `[verts, 3]`; zeros where the rig lacks it."""
        column = ARKIT_INDEX[shape]
        if column not in self.columns:
            return np.zeros_like(self.neutral)
        found: Float32Array = self.deltas[self.columns.index(column)]
        return found

    def skin(self, weights: Float32Array) -> Float32Array:
        """Poses the skin: weights `[frames, 52]` to positions `[frames, verts, 3]`, centimetres."""
        driven = self.drive(weights)
        posed = np.asarray(driven @ self.deltas.reshape(len(self.deltas), -1), np.float32)
        posed += self.neutral.reshape(-1)
        return posed.reshape(len(weights), -1, 3)

    def weights(self, values: Float32Array) -> BlendWeights:
        """Weights `[frames, 52]` of the shapes that the rig has, under its own names."""
        return BlendWeights(self.pose_names, self.drive(values), self.neutral, self.deltas)

    def drive(self, weights: Float32Array) -> Float32Array:
        """Weights `[frames, 52]` of ARKit's shapes as weights of the rig's own, `[frames, shapes]`."""
        own = np.ascontiguousarray(weights[:, list(self.columns)], np.float32)
        return own if self.visemes is None else np.concatenate([own, self.visemes(weights)], axis=1)

    def lip_gaps(self) -> Float32Array:
        """What each shape at weight 1 adds to the opening between the lips, `[52, pairs]`, millimetres."""
        gaps = np.zeros((len(ARKIT_NAMES), self.lips.shape[1]), np.float32)
        upper, lower = (self.deltas[: len(self.columns), side, 1] for side in self.lips)
        gaps[list(self.columns)] = MM_PER_CM * (upper - lower)
        return gaps

    def close_keeps_the_jaw(self) -> bool:
        """Whether `mouthClose` moves the lips only, as ARKit defines it: it is added to a jaw that `jawOpen` opens.

        On some rigs it is an open jaw with closed lips instead, which takes the place of `jawOpen`. The motion of the
        chin tells.
        """
        opened, closed = self.delta("jawOpen"), self.delta("mouthClose")
        reach = np.linalg.norm(opened, axis=1)
        chin = reach > _CHIN * reach.max()
        along = np.einsum("vc,vc->", closed[chin], opened[chin])
        return bool(along < 0.5 * np.einsum("vc,vc->", opened[chin], opened[chin]))
