"""Puts a character into centimetres, y upwards, z out of the face, its left at +x, whatever its file has.

What a file says about units and axes is often wrong, so the motion of the shapes decides: eyes are above the mouth, the
mouth lies in front of the head, shapes of the left are on the left, and a face is about as wide as any other.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.geometry.mesh import triangulate
from audio2face.rigs.scene import Axis, Piece, Scene, turned_over
from audio2face.rigs.shape_names import SIDES, ShapeTable
from audio2face.types import Float32Array, Float64Array

MOVES = 0.02
"""Share of a shape's largest motion: less is not part of the face."""
_FACE_CM = (5.0, 60.0)  # widths of a face that are taken as they are
_LIKELY_CM = (8.0, 30.0)  # of one whose unit of length is guessed
_USUAL_CM = 14.0
_UNITS_CM: Mapping[str, float] = {"millimetres": 0.1, "centimetres": 1.0, "decimetres": 10.0, "metres": 100.0}
_SURE = 0.3  # sum of two cosines by which other axes must fit better than those of the file
_IN_FRONT = 0.05  # sizes of the face: the mouth of a head lies further than this in front of its middle
_APART = 0.1  # sizes of the face between left and right
_OUTWARDS = 0.02  # of area times size: the volume of a surface whose winding is certain
_ABOVE = ("eye", "brow")
_SIDE = {"x": 0, "y": 1, "z": 2}
# Where a face looks by the habit of programs with this axis upwards: glTF, USD and Maya; Blender and 3ds Max.
_USUAL_FRONT: Mapping[Axis, Float64Array] = {"y": np.array([0.0, 0.0, 1.0]), "z": np.array([0.0, -1.0, 0.0])}


@dataclass(frozen=True, eq=False)
class Placed:
    """A character in place.

    Attributes:
        pieces: its meshes, centimetres, y upwards, z out of the face, the actor's left at +x.
        table: its shapes; left and right may have been exchanged.
        notes: what was found and changed, one sentence each.
        matrix: from the file's coordinates into place, acting on column vectors, `[3, 3]`; a mirror where its
            determinant is negative.
    """

    pieces: Sequence[Piece]
    table: ShapeTable
    notes: tuple[str, ...]
    matrix: Float64Array


def place(scene: Scene, pieces: Sequence[Piece], table: ShapeTable) -> Placed:
    """Finds unit, axes and sides of a character, and converts it.

    Raises:
        FileFormatError: its shapes move nothing.
    """
    moving = moving_vertices(pieces, table.pose_names)
    if not len(moving) or not np.ptp(moving, axis=0).max() > 0:
        raise FileFormatError(f"its {scene.kind} move nothing", path=scene.path, hint="Export them with their motion.")
    turn, notes = _turn(scene, pieces, table)
    turned = [_transformed(piece, turn) for piece in pieces]
    turned, table, sides, mirror = _right_handed(turned, table)
    unit, said = _unit(scene, float(np.ptp(moving_vertices(turned, table.pose_names)[:, 0])))
    placed = [_transformed(piece, unit * np.eye(3)) for piece in turned]
    return Placed(placed, table, (*said, *notes, *sides), unit * mirror @ turn)


def moving_vertices(pieces: Sequence[Piece], names: Collection[str]) -> Float32Array:
    """The vertices that some of the shapes move, `[verts, 3]`."""
    found = [np.zeros((0, 3), np.float32)]
    for piece in pieces:
        for name in set(names) & piece.targets.keys():
            length = np.linalg.norm(piece.targets[name], axis=1)
            if length.max(initial=0) > 0:
                found.append(piece.vertices[length > MOVES * length.max()])
    return np.concatenate(found)


# --- axes -------------------------------------------------------------------------------------------------------------


def _turn(scene: Scene, pieces: Sequence[Piece], table: ShapeTable) -> tuple[Float64Array, list[str]]:
    """The rotation from the file's axes, `[3, 3]`, and what to say about it."""
    usual = _axes(np.eye(3)[_SIDE[scene.up or "y"]], _USUAL_FRONT[scene.up or "y"])
    upwards, forwards = _upwards(pieces, table), _forwards(pieces, table)
    best = max(_all_axes(), key=lambda axes: _fit(axes, upwards, forwards))
    if _fit(best, upwards, forwards) - _fit(usual, upwards, forwards) <= _SURE:
        best = usual
    if scene.up is not None and np.array_equal(best, usual):
        return best, [] if scene.up == "y" else ["z is upwards in the file, and the face looks along -y"]
    up, front = (_name_of(best[row]) for row in (1, 2))
    return best, [] if np.array_equal(best, np.eye(3)) else [
        f"{up} is upwards in the file, the face looks along {front}"
    ]


def _axes(up: Float64Array, front: Float64Array) -> Float64Array:
    """The rotation that makes these directions y and z."""
    return np.stack([np.cross(up, front), up, front])


def _all_axes() -> Iterator[Float64Array]:
    for up, front in permutations(range(3), 2):
        for signs in product((1.0, -1.0), repeat=2):
            yield _axes(signs[0] * np.eye(3)[up], signs[1] * np.eye(3)[front])


def _fit(axes: Float64Array, upwards: Float64Array, forwards: Float64Array) -> float:
    return float(axes[1] @ upwards + axes[2] @ forwards)


def _name_of(axis: Float64Array) -> str:
    index = int(np.abs(axis).argmax())
    return ("" if axis[index] > 0 else "-") + "xyz"[index]


def _upwards(pieces: Sequence[Piece], table: ShapeTable) -> Float64Array:
    """The unit vector from the mouth to the eyes; without shapes of the eyes against the motion of the opening jaw."""
    mouth = _middle(pieces, [table.pose_names[table.opening]])
    eyes = _middle(pieces, [name for shape in table.found if shape.startswith(_ABOVE) for name in table.own(shape)])
    if eyes is not None and mouth is not None:
        return _unit_vector(eyes - mouth)
    name = table.pose_names[table.opening]
    return -_unit_vector(np.sum([piece.targets[name].sum(axis=0) for piece in pieces if name in piece.targets], axis=0))


def _forwards(pieces: Sequence[Piece], table: ShapeTable) -> Float64Array:
    """The unit vector from the middle of the head to the mouth, level; zero where that is not certain."""
    moving = moving_vertices(pieces, table.pose_names).astype(np.float64)
    middle, size = moving.mean(axis=0), float(np.linalg.norm(np.ptp(moving, axis=0)))
    every = np.concatenate([piece.vertices for piece in pieces]).astype(np.float64)
    near = every[np.linalg.norm(every - middle, axis=1) < size]
    upwards = _upwards(pieces, table)
    ahead = middle - (near.min(axis=0) + near.max(axis=0)) / 2
    ahead -= (ahead @ upwards) * upwards
    return _unit_vector(ahead) if np.linalg.norm(ahead) > _IN_FRONT * size else np.zeros(3)


def _middle(pieces: Sequence[Piece], names: Collection[str]) -> Float64Array | None:
    """The middle of what some shapes move, by how far they do, `[3]`; None where they move nothing."""
    weight, total = 0.0, np.zeros(3)
    for piece in pieces:
        for name in set(names) & piece.targets.keys():
            share = np.einsum("vc,vc->v", piece.targets[name], piece.targets[name], dtype=np.float64)
            weight += float(share.sum())
            total += share @ piece.vertices
    return total / weight if weight > 0 else None


def _unit_vector(vector: Float64Array) -> Float64Array:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float64)


def _transformed(piece: Piece, matrix: Float64Array) -> Piece:
    turn = matrix.T.astype(np.float32)
    return replace(
        piece,
        vertices=piece.vertices @ turn,
        targets={name: delta @ turn for name, delta in piece.targets.items()},
    )


# --- left and right ---------------------------------------------------------------------------------------------------


def _right_handed(
    pieces: Sequence[Piece], table: ShapeTable
) -> tuple[list[Piece], ShapeTable, list[str], Float64Array]:
    """The pieces and names with the actor's left at +x and polygons that look outwards, what to say, and the mirror.

    Shapes of the left that move the right are a file of a left-handed program where the polygons look inwards too;
    otherwise the names mean the viewer's sides.
    """
    left, right = (_middle(pieces, table.sided()[side]) for side in SIDES)
    size = float(np.linalg.norm(np.ptp(moving_vertices(pieces, table.pose_names), axis=0)))
    exchanged = left is not None and right is not None and (left - right)[0] < -_APART * size
    inwards = _looks_inwards(pieces, table, size)
    same = np.eye(3)
    if exchanged and inwards:
        mirror = np.diag([-1.0, 1.0, 1.0])
        said = "its coordinates are left-handed: x is turned round"
        return [_transformed(piece, mirror) for piece in pieces], table, [said], mirror
    if exchanged:
        said = "its shapes of the left move the viewer's left, which is the actor's right: they change places"
        return list(pieces), table.mirrored(), [said], same
    if inwards:
        turned = [replace(piece, faces=turned_over(piece.faces)) for piece in pieces]
        return turned, table, ["its polygons look inwards: their corners are reversed"], same
    return list(pieces), table, [], same


def _looks_inwards(pieces: Sequence[Piece], table: ShapeTable, size: float) -> bool:
    """Whether the winding of the face's polygons is certain to be the wrong one."""
    volume, area = 0.0, 0.0
    driven = set(table.pose_names)
    for piece in pieces:
        if driven & piece.targets.keys() and len(piece.faces):
            first, second, third = piece.vertices.astype(np.float64)[triangulate(piece.faces).T]
            normals = np.cross(second - first, third - first)
            middle = (piece.vertices.min(axis=0) + piece.vertices.max(axis=0)) / 2
            volume += float(np.einsum("tc,tc->", (first + second + third) / 3 - middle, normals))
            area += float(np.linalg.norm(normals, axis=1).sum())
    return volume < -_OUTWARDS * area * size


# --- units ------------------------------------------------------------------------------------------------------------


def _unit(scene: Scene, width: float) -> tuple[float, list[str]]:
    """Centimetres of a unit of length, for a face of this width in the file's units, and what to say about it."""
    stated = scene.unit_cm
    if stated is not None and _FACE_CM[0] <= width * stated <= _FACE_CM[1]:
        return stated, []
    name, unit = min(_UNITS_CM.items(), key=lambda item: abs(math.log(width * item[1] / _USUAL_CM)))
    limits = _LIKELY_CM if stated is not None else _FACE_CM
    wrong = "" if stated is None else f"by the file's unit its face is {width * stated:.3g} cm wide: "
    if limits[0] <= width * unit <= limits[1]:
        return unit, [f"{wrong}its lengths are taken as {name}"]
    size = f"its face is {width:.3g} wide in no unit that suits a face" if stated is None else wrong.rstrip(": ")
    return _USUAL_CM / width, [f"{size}; it is taken as {_USUAL_CM:g} cm"]
