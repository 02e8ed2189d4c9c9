"""A rig: a neutral face, its shapes under ARKit's names, what moves with them, and the vertices that mark its regions.

All that a raw dataset of a face needs beside the motion is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.animation.animation import BlendWeights
from audio2face.dataset.arkit_names import ARKIT_INDEX, TONGUE_NAMES
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.rigs.shape_names import ShapeTable
from audio2face.types import MM_PER_CM, AnyArray, Float32Array, Int32Array

Drive = Callable[[Float32Array], Float32Array]
"""Weights `[frames, 52]` of ARKit's shapes to those of a rig's own shapes `[frames, shapes]`."""
Jaw = Callable[[Float32Array], Float32Array]
"""Weights `[frames, 52]` to rigid transforms of the lower teeth `[frames, 4, 4]`, see `Animation.jaw`."""

_CHIN = 0.8  # share of the jaw's largest motion: vertices that move more tell what `mouthClose` does to the jaw
_PARTED: Mapping[str, float] = {
    "mouthLowerDownLeft": 0.6,
    "mouthLowerDownRight": 0.6,
    "mouthUpperUpLeft": 0.3,
    "mouthUpperUpRight": 0.3,
}  # weights that part the lips by some 6 mm over a closed jaw


@dataclass(frozen=True, eq=False, kw_only=True)
class RigTongue:
    """A tongue that is a mesh of its own.

    Attributes:
        neutral: float32 `[tongue verts, 3]`, centimetres.
        faces: int32 `[faces, 3 or 4]`.
        deltas: offsets of the shapes `TONGUE_NAMES`, float32 `[16, tongue verts, 3]`, without the jaw's motion.
        pose: weights `[frames, 52]` and `[frames, 16]` to positions `[frames, tongue verts, 3]`, moved by the jaw.
        pose_names: the rig's own names of the shapes.
        bends: whether a shape moves it; otherwise only the jaw does.
    """

    neutral: Float32Array
    faces: Int32Array
    deltas: Float32Array
    pose: Callable[[Float32Array, Float32Array], Float32Array] = field(repr=False)
    pose_names: tuple[str, ...] = TONGUE_NAMES
    bends: bool = True

    def weights(self, values: Float32Array) -> BlendWeights:
        """Weights `[frames, 16]` with their shapes."""
        return BlendWeights(self.pose_names, values, self.neutral, self.deltas)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rig:
    """A face and its shapes: `neutral + sum of weight * delta`.

    Attributes:
        name: name of the actor, safe in names of files.
        source: what it was read from, for display.
        path: the glTF file of a character, into which an animation can be written; None of all others.
        digest: SHA-256 of what it was read from.
        neutral: float32 `[verts, 3]`, centimetres, y upwards, z out of the face, the actor's left at +x.
        faces: int32 `[faces, 3 or 4]`.
        pose_names: the rig's own names of its shapes, first of those that ARKit's drive, then of its visemes.
        deltas: their offsets, float32 `[shapes, verts, 3]`, centimetres.
        driving: weights of the rig's own shapes for a weight of 1 of each of ARKit's, float32 `[driven shapes, 52]`;
            the first rows of `deltas`. Of a shape for both sides each side has one half; both halves of a shape that
            ARKit has in the middle have the whole.
        lists: vertices that mark lips, lids and the root of the tongue.
        frontal: vertices of the skin that are seen from the front, int32 `[n]`.
        jaw: the motion of the lower teeth.
        jaw_points: points that move with the lower jaw, float32 `[points, 3]`, centimetres.
        table: the file's names of ARKit's shapes; None of a built-in head, which has them under their own names.
        notes: what was found and changed to put it in place, a sentence each.
        visemes: the weights of its visemes; None of a rig whose mouth has ARKit's shapes.
        tongue: the tongue; None where it is part of the skin, or there is none.
        parts: further arrays for drawing, see `Animation.parts`: teeth and eyes as `extra_<part>_vertices` and so on.
    """

    name: str
    source: str
    path: Path | None
    digest: str
    neutral: Float32Array
    faces: Int32Array
    pose_names: tuple[str, ...]
    deltas: Float32Array = field(repr=False)
    driving: Float32Array = field(repr=False)
    lists: VertexLists = field(repr=False)
    frontal: Int32Array = field(repr=False)
    jaw: Jaw = field(repr=False)
    jaw_points: Float32Array = field(repr=False)
    table: ShapeTable | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    visemes: Drive | None = field(default=None, repr=False)
    tongue: RigTongue | None = None
    parts: Mapping[str, AnyArray] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """Indices in `ARKIT_NAMES` of the shapes that the rig has, ascending."""
        return tuple(np.flatnonzero(self.driving.any(axis=0)).tolist())

    @property
    def lips(self) -> Int32Array:
        """The line where the lips meet: upper, lower, int32 `[2, pairs]`; without pairs where it is not known."""
        pairs = self.lists.lip_dist
        return np.zeros((2, 0), np.int32) if pairs is None else np.stack([pairs.upper, pairs.lower]).astype(np.int32)

    def with_stiff_tongue_as_part(self) -> Rig:
        """The rig with a tongue that only the jaw moves as a rigid part of it, for it has no motion to learn."""
        tongue = self.tongue
        if tongue is None or tongue.bends:
            return self
        part: dict[str, AnyArray] = {
            "extra_lower_tongue_vertices": tongue.neutral,
            "extra_lower_tongue_faces": tongue.faces,
        }
        if (colours := self.parts.get("extra_tongue_colours")) is not None:
            part["extra_lower_tongue_colours"] = colours
        others = {name: array for name, array in self.parts.items() if name != "extra_tongue_colours"}
        return replace(self, tongue=None, parts=others | part, lists=replace(self.lists, tongue_rigid=None))

    def has(self, shape: str) -> bool:
        """Whether the rig has a shape of ARKit."""
        return ARKIT_INDEX[shape] in self.columns

    def delta(self, shape: str) -> Float32Array:
        """Offsets of one shape of ARKit, `[verts, 3]`; zeros where the rig lacks it."""
        found = np.zeros_like(self.neutral)
        shares = self.driving[:, ARKIT_INDEX[shape]]
        for row in np.flatnonzero(shares):
            found += shares[row] * self.deltas[row]
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
        own = np.asarray(weights, np.float32) @ self.driving.T
        return own if self.visemes is None else np.concatenate([own, self.visemes(weights)], axis=1)

    def jaw_point_deltas(self, weights: Float32Array) -> Float32Array:
        """Offsets of the jaw's points from rest, `[frames, points, 3]` centimetres, for weights `[frames, 52]`."""
        moved = self.jaw(weights)
        posed = self.jaw_points @ moved[:, :3, :3].transpose(0, 2, 1) + moved[:, None, :3, 3]
        return np.asarray(posed - self.jaw_points, np.float32)

    def lip_gaps(self) -> Float32Array:
        """What each shape at weight 1 adds to the opening between the lips, `[52, pairs]`, millimetres."""
        upper, lower = (self.deltas[: len(self.driving), side, 1] for side in self.lips)
        return np.asarray(MM_PER_CM * (self.driving.T @ (upper - lower)), np.float32)

    def lip_open_delta(self) -> Float32Array:
        """Offsets that part the lips by some millimetres over a closed jaw, `[verts, 3]`; zeros without such shapes."""
        parted = [share * self.delta(name) for name, share in _PARTED.items()]
        return np.asarray(np.sum(parted, axis=0, dtype=np.float32), np.float32)

    def eye_close_delta(self) -> Float32Array:
        """Offsets that close both eyes, `[verts, 3]`; zeros without such shapes."""
        return self.delta("eyeBlinkRight") + self.delta("eyeBlinkLeft")

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
