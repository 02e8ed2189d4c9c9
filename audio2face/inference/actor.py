"""An actor of a deployed folder for animation: constant arrays, blink, polygons and parts for drawing, solvers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from audio2face.animation import NATURAL_BLINK, BlendshapeSolver, FaceData, SolverMethod
from audio2face.animation.animation import BlendWeights
from audio2face.animation.shapes import FaceShapes
from audio2face.model_folder import BlendshapeSet, DeployedActor
from audio2face.model_folder.display import read_display
from audio2face.model_folder.validation import Diagnostics
from audio2face.preproc.tongue import FOLLOWS_ARRAY, TO_JAW_ARRAY
from audio2face.types import AnyArray, Float32Array, Int32Array

_NTSC = Fraction(1000, 1001)
_NOT_TO_DRAW = ("skin_faces", "tongue_faces", "blink_keys", "fps", TO_JAW_ARRAY, FOLLOWS_ARRAY)


def load_face(actor: DeployedActor) -> FaceData:
    """The constant arrays of an actor.

    Raises:
        UserError: an array cannot be read, or is not finite.
    """
    lip_open, eye_close = actor.array("lip_open_pose_delta"), actor.array("eye_close_pose_delta")
    shapes = actor.skin_shapes
    return FaceData(
        skin=actor.neutral_skin,
        tongue=actor.neutral_tongue,
        jaw=actor.array("neutral_jaw"),
        lip_open=lip_open,
        eye_close=eye_close,
        saccades=actor.array("saccade_rot_matrix"),
        shapes=None if shapes is None else FaceShapes.of(shapes.deltas, actor.neutral_skin, eye_close, lip_open),
    )


@dataclass(frozen=True, eq=False)
class DisplayData:
    """Contents of `display_<actor>.npz`; defaults for a folder of another program.

    Attributes:
        skin_faces: polygons of the skin, int32 `[faces, 3 or 4]`, in the form of `geometry.canonical_polygons`.
        tongue_faces: polygons of the tongue, in the same form.
        blink: one blink, 30 values per second: the actor's own, or a natural one.
        fps: frames per second of the actor's own animation.
        tongue_to_jaw: rigid transform of the tongue relative to the jaw, float32 `[4, 4]`; the identity if it was not
            measured, None for a tongue that does not move with the jaw.
        parts: all other arrays, by name.
    """

    skin_faces: Int32Array | None = None
    tongue_faces: Int32Array | None = None
    blink: tuple[float, ...] = NATURAL_BLINK
    fps: Fraction | None = None
    tongue_to_jaw: Float32Array | None = field(default_factory=lambda: np.eye(4, dtype=np.float32))
    parts: Mapping[str, AnyArray] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_actor(cls, actor: DeployedActor) -> DisplayData:
        """Reads the file of an actor.

        Raises:
            UserError: it is damaged, or belongs to another face.
        """
        if actor.display is None:
            return cls()
        verts = {"skin": len(actor.neutral_skin), "tongue": len(actor.neutral_tongue)}
        faults = Diagnostics()
        arrays = read_display(actor.display, verts, faults.for_file(actor.display.name))
        faults.raise_first(actor.display.parent)
        blink = arrays.get("blink_keys", np.zeros(1))
        return cls(
            arrays.get("skin_faces"),
            arrays.get("tongue_faces"),
            tuple(blink.tolist()) if blink.any() else NATURAL_BLINK,
            exact_rate(float(arrays["fps"].reshape(-1)[0])) if "fps" in arrays else None,
            _tongue_to_jaw(arrays),
            {name: array for name, array in arrays.items() if name not in _NOT_TO_DRAW},
        )


def exact_rate(fps: float) -> Fraction:
    """The exact frame rate of a decimal number: 29.97 is 30000/1001, 23.976 is 24000/1001, and so on."""
    for whole in (24, 30, 48, 60, 120):
        if abs(fps - float(whole * _NTSC)) < 5e-3:
            return whole * _NTSC
    return Fraction(fps).limit_denominator(10_000)


def _tongue_to_jaw(arrays: Mapping[str, AnyArray]) -> Float32Array | None:
    if FOLLOWS_ARRAY in arrays and not arrays[FOLLOWS_ARRAY].any():
        return None
    return np.asarray(arrays.get(TO_JAW_ARRAY, np.eye(4)), np.float32)


class WeightTrack:
    """Solves blend-shape weights of one surface, skin or tongue, frame by frame.

    Args:
        shapes: the blend shapes.
        method: how bounds are enforced, see `SolverMethod`.

    Raises:
        UserError: they cannot be read, or do not determine weights.
    """

    def __init__(self, shapes: BlendshapeSet, method: SolverMethod) -> None:
        self._shapes = shapes
        self._solve = BlendshapeSolver(shapes.deltas, shapes.neutral, shapes.settings, mask=shapes.mask, method=method)

    @property
    def num_poses(self) -> int:
        """Number of poses, and of weights."""
        return len(self._shapes.names)

    def reset(self) -> None:
        """Clears the state."""
        self._solve.reset()

    def __call__(self, positions: Float32Array) -> Float32Array:
        """The weights `[frames, poses]` of the next frames `[frames, verts, 3]`."""
        return self._solve(positions)

    def solver(self) -> BlendshapeSolver:
        """The solver of other frames, with a state of its own."""
        return self._solve.another()

    def weights(self, values: Float32Array) -> BlendWeights:
        """Solved weights `[frames, poses]` together with their poses."""
        return BlendWeights(self._shapes.names, values, self._shapes.neutral, self._shapes.deltas)
