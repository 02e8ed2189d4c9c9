"""The face of a data set: a rig as geometry, with its meshes posed by weights in blocks, or the meshes of takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES
from audio2face.dataset.layout import ActorGeometry, ShapeSet, TongueGeometry
from audio2face.errors import UserError
from audio2face.importers.take import MeshMotion
from audio2face.importers.weights import NEEDED
from audio2face.rigs.closures import LipCloser
from audio2face.rigs.rig import Rig
from audio2face.types import AnyArray, Float32Array

_PART = "extra_"


def actor_of_rig(rig: Rig, blink_keys: Float32Array, saccades: Float32Array) -> ActorGeometry:
    """The geometry of a rig.

    Args:
        rig: the rig.
        blink_keys: one blink at 30 frames per second, `[frames]`.
        saccades: small motion of the eyes at 30 frames per second, degrees, `[frames, 2]`.
    """
    lip_open, eye_close = rig.lip_open_delta(), rig.eye_close_delta()
    return ActorGeometry(
        neutral=rig.neutral,
        faces=rig.faces,
        lip_open=lip_open if lip_open.any() else None,
        eye_close=eye_close if eye_close.any() else None,
        lists=rig.lists,
        tongue=_tongue(rig),
        jaw_keypoints=rig.jaw_points,
        blink_keys=blink_keys if eye_close.any() else None,
        saccades=saccades,
        parts={name.removeprefix(_PART): part for name, part in rig.parts.items() if name.startswith(_PART)},
        shapes=_shapes(rig),
    )


def _check_speaks(rig: Rig) -> None:
    if rig.visemes is not None or not rig.has("jawOpen"):
        have = "visemes" if rig.visemes is not None else f"{len(rig.columns)} of ARKit's 52 shapes"
        raise UserError(
            f"the rig {rig.source} lacks jawOpen, which captured weights drive: it has {have}",
            path=rig.path,
            hint="Give a rig with ARKit's shapes, or --rig example.",
        )


def missing_shapes(rig: Rig) -> list[str]:
    """ARKit's shapes that the rig lacks, those that speech needs most first."""
    absent = [name for name in ARKIT_NAMES if not rig.has(name)]
    return sorted(absent, key=lambda name: name not in NEEDED)


def _shapes(rig: Rig) -> ShapeSet:
    """The rig's shapes under ARKit's names."""
    names = tuple(ARKIT_NAMES[column] for column in rig.columns)
    deltas = np.stack([rig.delta(name) for name in names])
    return ShapeSet(names=names, deltas=deltas, frontal=rig.frontal, version=rig.digest[:12])


def _tongue(rig: Rig) -> TongueGeometry | None:
    if rig.tongue is None:
        return None
    tongue, shapes = rig.tongue, None
    if tongue.deltas.any():
        shapes = ShapeSet(names=TONGUE_NAMES, deltas=tongue.deltas, sparsity=1.0, version=rig.digest[:12])
    return TongueGeometry(neutral=tongue.neutral, faces=tongue.faces, shapes=shapes)


@dataclass(frozen=True)
class _Posed:
    """Frames that are computed when they are read (`geometry.frames.PoseReader`)."""

    num_frames: int
    num_verts: int
    pose: Callable[[slice], Float32Array]

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Frames `start` up to, not including, `stop`: float32 `[stop - start, verts, 3]`."""
        posed = self.pose(slice(start, stop))
        if out is None:
            return posed
        out[: stop - start] = posed
        return out[: stop - start]


def posed_on(
    rig: Rig, weights: Float32Array, tongue: Float32Array, lips_meet: Float32Array | None = None
) -> MeshMotion:
    """The meshes of a rig under weights.

    Args:
        rig: the rig.
        weights: `[frames, 52]`.
        tongue: weights of its tongue, `[frames, 16]`.
        lips_meet: how far its lips meet, see `Take.lips_meet`, `[frames]`.
    """
    if lips_meet is not None:
        closed = LipCloser(rig)(weights.astype(np.float64), lips_meet.astype(np.float64))
        weights = closed.astype(np.float32)
    count, inside = len(weights), rig.tongue
    return MeshMotion(
        skin=_Posed(count, len(rig.neutral), lambda frames: rig.skin(weights[frames])),
        tongue=None
        if inside is None
        else _Posed(count, len(inside.neutral), lambda frames: inside.pose(weights[frames], tongue[frames])),
        jaw=rig.jaw_point_deltas(weights),
    )


@dataclass(frozen=True, eq=False)
class RigFace:
    """The face of takes of weights.

    Attributes:
        rig: what the weights move.
    """

    rig: Rig

    @property
    def digest(self) -> str:
        """Of all that its meshes depend on."""
        return f"rig {self.rig.digest} {self.rig.name}"

    @property
    def num_values(self) -> int:
        """Numbers of a frame of its meshes."""
        return self.rig.neutral.size + (0 if self.rig.tongue is None else self.rig.tongue.neutral.size)

    def check(self) -> None:
        """Refuses a rig that cannot show speech by weights of ARKit's shapes.

        Raises:
            UserError: it has visemes, or lacks `jawOpen`.
        """
        _check_speaks(self.rig)

    def geometry(self, blinks: Float32Array, small_motion: Float32Array) -> ActorGeometry:
        """Its files; see `actor_of_rig`."""
        return actor_of_rig(self.rig, blinks, small_motion)


@dataclass(frozen=True, eq=False)
class MeshFace:
    """The face of takes of meshes.

    Attributes:
        actor: its geometry.
        digest: of its geometry.
    """

    actor: ActorGeometry
    digest: str

    @classmethod
    def of(cls, actor: ActorGeometry) -> MeshFace:
        """The face of a geometry."""
        return cls(actor, f"meshes {hashlib.sha256(actor.neutral.tobytes()).hexdigest()}")

    @property
    def num_values(self) -> int:
        """Numbers of a frame of its meshes."""
        return self.actor.neutral.size + (0 if self.actor.tongue is None else self.actor.tongue.neutral.size)

    def geometry(self, blinks: Float32Array, small_motion: Float32Array) -> ActorGeometry:
        """Its files, with the blink and the small motion of the eyes."""
        shuts = self.actor.eye_close is not None
        return replace(self.actor, blink_keys=blinks if shuts else None, saccades=small_motion)


Face = RigFace | MeshFace
"""The face of all takes of a data set."""
