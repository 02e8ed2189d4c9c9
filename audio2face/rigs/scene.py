"""The scene of a character file, whatever its format: meshes at rest with named shapes, units, the axis upwards."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from audio2face.errors import FileFormatError, UserError
from audio2face.geometry.mesh import NO_CORNER, triangulate
from audio2face.types import Float32Array, Int32Array, UInt8Array

Axis = Literal["y", "z"]


@dataclass(frozen=True, eq=False)
class Piece:
    """A mesh, or the part of one that has a material of its own.

    Attributes:
        name: of the node and its mesh.
        vertices: float32 `[verts, 3]`.
        faces: int32 `[faces, 3 or 4]`, counter-clockwise seen from outside.
        targets: offsets of its shapes by name, float32 `[verts, 3]`.
        colours: sRGB, uint8 `[verts, 3]`; None where the file tells none, or has them in a picture.
    """

    name: str
    vertices: Float32Array
    faces: Int32Array
    targets: Mapping[str, Float32Array]
    colours: UInt8Array | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """A character's file.

    Attributes:
        path: the file or folder.
        kind: what its shapes are called in this format, in the plural.
        shapes: names of all shapes.
        load: the meshes with those of their shapes that are asked for.
        unit_cm: centimetres of a unit of length; None where the file does not say.
        up: the axis upwards; None where the file does not say.
        digest: SHA-256 of what was read.
        gltf: the file as glTF, into which an animation can be written; None of another format.
    """

    path: Path
    kind: str
    shapes: tuple[str, ...]
    load: Callable[[Collection[str]], list[Piece]] = field(repr=False)
    unit_cm: float | None
    up: Axis | None
    digest: str
    gltf: Path | None = None


@contextmanager
def damage(path: Path, what: str, hint: str) -> Iterator[None]:
    """Turns what a damaged file causes into one error.

    Args:
        path: the file.
        what: the name of its format, such as "glTF 2.0 file".
        hint: what to do.

    Raises:
        FileFormatError: with what is wrong.
    """
    try:
        yield
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
        raise FileFormatError(f"is not a valid {what}: {reason}", path=path, hint=hint) from error


def joined_faces(pieces: Collection[Piece]) -> Int32Array:
    """The polygons of several meshes whose vertices are joined, `[faces, 3]`, or `[faces, 4]` where one has four."""
    width = max((piece.faces.shape[1] for piece in pieces), default=3)
    found, start = [np.zeros((0, width), np.int32)], 0
    for piece in pieces:
        corners = np.where(piece.faces >= 0, piece.faces + start, NO_CORNER)
        found.append(np.pad(corners, ((0, 0), (0, width - corners.shape[1])), constant_values=NO_CORNER))
        start += len(piece.vertices)
    return np.concatenate(found).astype(np.int32)


def polygons(counts: Int32Array, corners: Int32Array) -> Int32Array:
    """Polygons of any size as triangles and quadrilaterals; larger ones become fans of triangles.

    Args:
        counts: corners of each polygon, `[polygons]`.
        corners: vertices of all corners, one polygon after the other.

    Returns:
        Int32 `[faces, 3]`, or `[faces, 4]` with -1 as the fourth corner of a triangle.

    Raises:
        ValueError: the counts do not add up to the corners.
    """
    if len(corners) != int(counts.sum()) or (len(counts) and int(counts.min()) < 0):
        raise ValueError(f"its polygons need {int(counts.sum())} corners, and there are {len(corners)}")
    firsts = np.cumsum(counts) - counts
    rows: list[Int32Array] = []
    order: list[Int32Array] = []
    for size in np.unique(counts[counts >= 3]).tolist():
        numbers = np.flatnonzero(counts == size)
        own = corners[firsts[numbers][:, None] + np.arange(size)].astype(np.int32)
        if size == 4:
            rows.append(own)
            order.append(numbers.astype(np.int32))
            continue
        for last in range(2, size):
            triangles = np.stack([own[:, 0], own[:, last - 1], own[:, last], np.full(len(own), NO_CORNER)], axis=1)
            rows.append(triangles.astype(np.int32))
            order.append(numbers.astype(np.int32))
    if not rows:
        return np.zeros((0, 3), np.int32)
    faces = np.concatenate(rows)[np.argsort(np.concatenate(order), kind="stable")]
    return faces[:, :3].copy() if (faces[:, 3] == NO_CORNER).all() else faces


def turned_over(faces: Int32Array) -> Int32Array:
    """Polygons with their corners in the other order."""
    turned = faces.copy()
    turned[:, 1:3] = faces[:, [2, 1]]
    if faces.shape[1] == 4:
        whole = faces[:, 3] >= 0
        turned[whole, 1:] = faces[whole, :0:-1]
    return turned


def islands(vertices: Float32Array, faces: Int32Array) -> Int32Array:
    """The number of the connected surface of each vertex, int32 `[verts]`; vertices in one place are one.

    Args:
        vertices: `[verts, 3]`.
        faces: `[faces, 3 or 4]`.
    """
    from scipy import sparse  # loads in half a second

    triangles = triangulate(faces)
    same = np.unique(vertices, axis=0, return_inverse=True)[1].reshape(-1)
    ends = same[np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])]
    count = int(same.max(initial=-1)) + 1
    links = sparse.coo_matrix((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    numbers = sparse.csgraph.connected_components(links, directed=False)[1]
    return np.asarray(numbers[same], np.int32)
