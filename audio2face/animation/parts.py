"""Rigid parts of a face (eyeballs, teeth) for drawing and export, and rotations of jaw and eyes as quaternions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from audio2face.animation.animation import Animation
from audio2face.errors import UserError
from audio2face.geometry import canonical_polygons
from audio2face.geometry.mesh import DEFAULT_COLOURS
from audio2face.types import AnyArray, Float32Array, Int32Array, UInt8Array

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation


def jaw_quaternions(jaw: Float32Array) -> Float32Array:
    """Rotations of jaw matrices `[frames, 4, 4]` as unit quaternions `[frames, 4]` (x, y, z, w), without sign flips."""
    from scipy.spatial.transform import Rotation  # loads in a fifth of a second

    return _continuous(Rotation.from_matrix(jaw[:, :3, :3]))


def eye_quaternions(eyes: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Rotations of the right and the left eye, each as continuous unit quaternions `[frames, 4]` (x, y, z, w).

    Args:
        eyes: `[frames, 4]`, see `Animation`; an eye rotates by its pitch about x first, then by its yaw about y.
    """
    right, left = (_continuous(_eye_rotations(eyes[:, side : side + 2])) for side in (0, 2))
    return right, left


def eye_matrices(eyes: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Rotations of the right and the left eye as matrices `[frames, 3, 3]` for column vectors, from `[frames, 4]`."""
    right, left = (np.asarray(_eye_rotations(eyes[:, side : side + 2]).as_matrix(), np.float32) for side in (0, 2))
    return right, left


def _eye_rotations(pitch_yaw: Float32Array) -> Rotation:
    from scipy.spatial.transform import Rotation  # loads in a fifth of a second

    return Rotation.from_euler("xy", pitch_yaw, degrees=True)


def _continuous(rotations: Rotation) -> Float32Array:
    """Of the two quaternions of each rotation the one closer to the previous frame."""
    found = rotations.as_quat()
    found[0] *= np.copysign(1.0, found[0, 3])
    turned = np.sign(np.einsum("fq,fq->f", found[1:], found[:-1]))
    found[1:] *= np.cumprod(np.where(turned == 0, 1.0, turned))[:, None]
    return np.asarray(found, np.float32)


Parts = Mapping[str, AnyArray]
Follows = Literal["head", "jaw", "right_eye", "left_eye"]
Kind = Literal["eye", "teeth", "marker"]

_PREFIX, _SUFFIX = "extra_", "_vertices"
_EYEBALL_CM = 1.2  # radius
_ARCH_CM = (2.2, 2.4)  # half the width and the depth of a lower dental arch
_ARCH_TUBE_CM = 0.18
_ARCH_DROP_CM = 0.9  # of the lower teeth's edge below the parting of the lips
_ARCH_BEHIND_CM = 1.1  # behind the lips
_RINGS, _SEGMENTS = 16, 24


@dataclass(frozen=True, eq=False)
class RigidPart:
    """A rigid part.

    Attributes:
        name: display name.
        kind: selects the material.
        follows: the part that moves it.
        pivot: centre of rotation of an eye, `[3]`, centimetres.
        vertices: neutral positions, float32 `[verts, 3]`, centimetres.
        faces: int32 `[faces, 3 or 4]`, as `geometry.canonical_polygons` makes them.
        colours: sRGB, uint8 `[verts, 3]`.
    """

    name: str
    kind: Kind
    follows: Follows
    pivot: Float32Array
    vertices: Float32Array
    faces: Int32Array
    colours: UInt8Array


def rigid_parts(animation: Animation) -> list[RigidPart]:
    """Rigid parts of an animated face: those of the actor, else stand-ins at marked lids and lips.

    Raises:
        UserError: a vertex index of a part's polygons is out of range.
    """
    found = _own_parts(animation.parts)
    kinds = {part.follows for part in found}
    if not kinds & {"right_eye", "left_eye"}:
        found += _eyeballs(animation)
    if "jaw" not in kinds:
        found += _jaw_arch(animation)
    return found


def _own_parts(parts: Parts) -> list[RigidPart]:
    names = [key.removeprefix(_PREFIX).removesuffix(_SUFFIX) for key in parts if key.startswith(_PREFIX)]
    names = [name for name in names if {f"{_PREFIX}{name}{_SUFFIX}", f"{_PREFIX}{name}_faces"} <= parts.keys()]
    return [_own_part(parts, name) for name in names]


def _own_part(parts: Parts, name: str) -> RigidPart:
    vertices = np.asarray(parts[f"{_PREFIX}{name}{_SUFFIX}"], np.float32)
    kind: Kind = "eye" if "eye" in name else "teeth"
    colours = parts.get(f"{_PREFIX}{name}_colours")
    if colours is None:
        colours = np.tile(np.array(DEFAULT_COLOURS["part"], np.uint8), (len(vertices), 1))
    follows = _follows(name)
    return RigidPart(
        name=name,
        kind=kind,
        follows=follows,
        pivot=_pivot(parts, follows, vertices),
        vertices=vertices,
        faces=_polygons(parts[f"{_PREFIX}{name}_faces"], name, len(vertices)),
        colours=np.asarray(colours, np.uint8),
    )


def _polygons(faces: AnyArray, name: str, num_verts: int) -> Int32Array:
    try:
        return canonical_polygons(faces, num_verts)
    except ValueError as error:
        raise UserError(
            f"array '{name}_faces' of the extra parts: {error}",
            hint="Correct EXTRA_PARTS_FPATH and run preprocessing and deployment again.",
        ) from error


def _follows(name: str) -> Follows:
    if "eye" in name:
        return "left_eye" if "left" in name else "right_eye"
    return "jaw" if "lower" in name or "jaw" in name else "head"


def _pivot(parts: Parts, follows: Follows, vertices: Float32Array) -> Float32Array:
    centres = parts.get(f"{_PREFIX}eye_centres")
    if centres is not None and follows in ("right_eye", "left_eye"):
        return np.asarray(centres[int(follows == "left_eye")], np.float32)
    return np.asarray((vertices.min(axis=0) + vertices.max(axis=0)) / 2, np.float32)


def _eyeballs(animation: Animation) -> list[RigidPart]:
    """Eyeballs behind the centres of marked lids; none without marked lids."""
    parts, skin = animation.parts, animation.skin.neutral
    if not {"eye_upper", "eye_lower"} <= parts.keys():
        return []
    lids = (skin[parts["eye_upper"]] + skin[parts["eye_lower"]]) / 2
    eyeballs = []
    names: tuple[tuple[Follows, bool], ...] = (("right_eye", False), ("left_eye", True))
    for follows, is_left in names:
        own = lids[(lids[:, 0] > 0) == is_left]
        if len(own):
            centre = own.mean(axis=0) - np.array([0, 0, _EYEBALL_CM], np.float32)
            vertices, faces, colours = _ball()
            eyeballs.append(RigidPart(follows, "eye", follows, centre, centre + vertices * _EYEBALL_CM, faces, colours))
    return eyeballs


def _ball() -> tuple[Float32Array, Int32Array, UInt8Array]:
    """A unit sphere with iris and pupil at its pole on +z."""
    # Rings are dense at the edge of the iris, to keep it sharp.
    from_pole = np.radians(np.concatenate([[0, 9, 10], np.linspace(14, 27, 4), [28], np.linspace(40, 180, _RINGS)]))
    around = np.linspace(0, 2 * np.pi, _SEGMENTS, endpoint=False)
    sines, heights = np.sin(from_pole)[:, None], np.cos(from_pole)[:, None]
    vertices = np.stack([sines * np.cos(around), sines * np.sin(around), heights + 0 * around], axis=-1)
    colours = np.select(
        [from_pole < np.radians(9.5), from_pole < np.radians(27.5)], [0, 1], 2
    )  # pupil, iris, white of the eye
    palette = np.array([[12, 10, 10], [92, 112, 122], [238, 234, 230]], np.uint8)
    return (
        vertices.reshape(-1, 3).astype(np.float32),
        _grid_faces(len(from_pole), _SEGMENTS),
        np.repeat(palette[colours], _SEGMENTS, axis=0),
    )


def _jaw_arch(animation: Animation) -> list[RigidPart]:
    """A tube along a dental arch, below and behind the lips; none without marked lips."""
    parts, skin = animation.parts, animation.skin.neutral
    if not {"lip_upper", "lip_lower"} <= parts.keys():
        return []
    lips = (skin[parts["lip_upper"]] + skin[parts["lip_lower"]]).mean(axis=0) / 2
    front = lips - np.array([0, _ARCH_DROP_CM, _ARCH_BEHIND_CM], np.float32)
    along = np.linspace(-1.0, 1.0, _SEGMENTS)
    centres = front + np.stack([_ARCH_CM[0] * along, 0 * along, -_ARCH_CM[1] * along**2], axis=1)
    around = np.linspace(0, 2 * np.pi, _RINGS, endpoint=False)
    inwards = np.stack([along, 0 * along, -2 * along**2 + 1e-3], axis=1)
    inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
    upwards = np.array([0.0, 1.0, 0.0])
    ring = inwards[:, None] * np.cos(around)[:, None] + upwards * np.sin(around)[:, None]
    vertices = (centres[:, None] + _ARCH_TUBE_CM * ring).reshape(-1, 3).astype(np.float32)
    colours = np.tile(np.array(DEFAULT_COLOURS["part"], np.uint8), (len(vertices), 1))
    pivot = np.asarray(front, np.float32)
    return [RigidPart("jaw", "marker", "jaw", pivot, vertices, _grid_faces(_SEGMENTS, _RINGS), colours)]


def _grid_faces(rows: int, columns: int) -> Int32Array:
    """Quadrilaterals between rows of vertices that are closed around."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    beside = (column + 1) % columns
    corners = [
        row * columns + column,
        (row + 1) * columns + column,
        (row + 1) * columns + beside,
        row * columns + beside,
    ]
    return np.stack(corners, axis=-1).reshape(-1, 4).astype(np.int32)
