"""Single meshes in the files of research data sets: PLY, OBJ, NumPy arrays, and the raw floats of two of them.

PLY is read in its three encodings: text, and binary of either byte order; only positions and polygons are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.io.arrays import read_points
from audio2face.rigs.obj_scene import read_obj
from audio2face.rigs.scene import damage, polygons
from audio2face.types import AnyArray, Float32Array, Int32Array

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_LARGEST_FILE = 1 << 30  # bytes
_PLY = "PLY file"
_AGAIN = "Export the mesh once more."
_NO_FACES = np.zeros((0, 3), np.int32)


@dataclass(frozen=True, eq=False)
class MeshFile:
    """A mesh.

    Attributes:
        vertices: float32 `[verts, 3]`.
        faces: int32 `[faces, 3 or 4]`; none where the file has no polygons.
    """

    vertices: Float32Array
    faces: Int32Array


def read_mesh(path: Path) -> MeshFile:
    """Reads one mesh, by the suffix of its file: .ply, .obj, .npy `[verts, 3]`, .bin (float32), .vl.

    Raises:
        UserError: the file is missing or of no format that is read, or (FileFormatError) it is damaged.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"is no mesh that is read here ({' '.join(_READERS)})", path=path, hint=_AGAIN)
    if not path.is_file():
        raise missing_file("there is no such mesh", path, "Check the path, and the layout that names it.")
    if path.stat().st_size > _LARGEST_FILE:
        raise UserError(f"is larger than {_LARGEST_FILE >> 30} GB", path=path)
    mesh = reader(path)
    if not len(mesh.vertices) or not np.isfinite(mesh.vertices).all():
        raise FileFormatError("holds no vertices, or NaN or infinity", path=path, hint=_AGAIN)
    return mesh


def _read_obj(path: Path) -> MeshFile:
    return MeshFile(*read_obj(path))


def _read_npy(path: Path) -> MeshFile:
    return MeshFile(read_points(path, (None, 3)), _NO_FACES)


def _read_floats(path: Path) -> MeshFile:
    """Positions as float32 without a header, as Multiface has them."""
    content = path.read_bytes()
    if len(content) % 12:
        raise FileFormatError(f"has {len(content):,} bytes, which are no triples of float32", path=path, hint=_AGAIN)
    return MeshFile(np.frombuffer(content, "<f4").reshape(-1, 3).astype(np.float32), _NO_FACES)


def _read_counted(path: Path) -> MeshFile:
    """The number of vertices as uint32, and their positions as float32, as BIWI's files .vl have them."""
    content = path.read_bytes()
    count = int.from_bytes(content[:4], "little")
    if len(content) != 4 + 12 * count:
        raise FileFormatError(
            f"has {len(content):,} bytes, and {count:,} vertices need {4 + 12 * count:,}", path=path, hint=_AGAIN
        )
    return MeshFile(np.frombuffer(content, "<f4", offset=4).reshape(-1, 3).astype(np.float32), _NO_FACES)


@dataclass(frozen=True)
class _Element:
    """One element of a PLY file: its name, number of rows, and columns (name, type of a list's length, type)."""

    name: str
    count: int
    columns: list[tuple[str, str | None, str]]


def _read_ply(path: Path) -> MeshFile:
    content = path.read_bytes()
    with damage(path, _PLY, _AGAIN):
        head, end, body = content.partition(b"end_header")
        if not content.startswith(b"ply") or not end:
            raise ValueError("its header is missing or cut off")
        encoding, elements = _header(head.decode("ascii").splitlines())
        body = body.removeprefix(b"\r").removeprefix(b"\n")
        values = _text_values(body) if encoding == "ascii" else _binary_values(body, _ORDERS[encoding])
        vertices, faces = np.zeros((0, 3), np.float32), _NO_FACES
        for element in elements:
            if element.name == "vertex":
                vertices = _vertices(element, values)
            elif element.name == "face":
                faces = _faces(element, values, len(vertices))
            else:
                for _ in range(element.count):
                    _row(element, values)
    return MeshFile(vertices, faces)


def _header(lines: list[str]) -> tuple[str, list[_Element]]:
    encoding, elements = "", list[_Element]()
    for line in lines:
        words = line.split()
        if words[:1] == ["format"]:
            encoding = words[1]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            elements[-1].columns.append((words[4], _TYPES[words[2]], _TYPES[words[3]]))
        elif words[:1] == ["property"]:
            elements[-1].columns.append((words[2], None, _TYPES[words[1]]))
    if encoding not in ("ascii", *_ORDERS):
        raise ValueError(f"its encoding is {encoding!r}")
    return encoding, elements


Take = Callable[[str, int], AnyArray]
"""Takes the next `count` values of a type."""


def _text_values(body: bytes) -> Take:
    words: Iterator[bytes] = iter(body.split())

    def take(kind: str, count: int) -> AnyArray:
        found = [next(words, None) for _ in range(count)]
        if None in found:
            raise ValueError("it is cut off")
        return np.array(found, np.float64).astype(kind)

    return take


def _binary_values(body: bytes, order: str) -> Take:
    at = 0

    def take(kind: str, count: int) -> AnyArray:
        nonlocal at
        dtype = np.dtype(order + kind)
        if at + count * dtype.itemsize > len(body):
            raise ValueError("it is cut off")
        found = np.frombuffer(body, dtype, count, at)
        at += count * dtype.itemsize
        return found

    return take


def _row(element: _Element, take: Take) -> dict[str, AnyArray]:
    found = {}
    for name, length, kind in element.columns:
        count = 1 if length is None else int(take(length, 1)[0])
        found[name] = take(kind, count)
    return found


def _vertices(element: _Element, take: Take) -> Float32Array:
    names = [name for name, _, _ in element.columns]
    places = [names.index(axis) for axis in "xyz"]
    kinds = {kind for _, _, kind in element.columns}
    if len(kinds) == 1:  # all columns at once
        rows = take(kinds.pop(), element.count * len(names)).reshape(element.count, len(names))
        return np.asarray(rows[:, places], np.float32)
    found = [_row(element, take) for _ in range(element.count)]
    return np.array([[float(row[axis][0]) for axis in "xyz"] for row in found], np.float32).reshape(-1, 3)


def _faces(element: _Element, take: Take, num_verts: int) -> Int32Array:
    found = []
    for _ in range(element.count):
        row = _row(element, take)
        corners = row.get("vertex_indices", row.get("vertex_index"))
        if corners is None:
            raise ValueError("its polygons have no vertex_indices")
        found.append(corners.astype(np.int32))
    corners = np.concatenate([np.zeros(0, np.int32), *found])
    if corners.size and not 0 <= corners.min() <= corners.max() < num_verts:
        raise ValueError(f"a polygon names vertex {corners.max()} of {num_verts}")
    return polygons(np.array([len(each) for each in found], np.int32), corners)


_READERS: Mapping[str, Callable[[Path], MeshFile]] = {
    ".ply": _read_ply,
    ".obj": _read_obj,
    ".npy": _read_npy,
    ".bin": _read_floats,
    ".vl": _read_counted,
}
SUFFIXES = tuple(_READERS)
"""Suffixes of the files that are read."""
