"""A folder of OBJ files as a character: a neutral, and one file for each shape, as ICT-FaceKit and scan pipelines have.

Reads positions, polygons, and groups by object, group and material of the Wavefront OBJ format; nothing else of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import listed
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.io.atomic import file_sha256
from audio2face.rigs.rigid_pieces import is_named_part, part_of
from audio2face.rigs.scene import Piece, Scene, damage, islands, polygons
from audio2face.types import Float32Array, Int32Array

SUFFIX = ".obj"
_NEUTRALS = ("neutral", "generic_neutral_mesh", "neutral_pose", "basis", "base", "rest", "default")
_VERTEX = re.compile(rb"^v[ \t]+([^\r\n]*)", re.MULTILINE)
_FACE = re.compile(rb"^[ \t]*f[ \t]+([^\r\n]*)", re.MULTILINE)
_LINE = re.compile(rb"^[ \t]*(f|o|g|usemtl)[ \t]+([^\r\n]*)", re.MULTILINE)
_TEXTURES = re.compile(rb"/\S*")
_LARGEST_FILE = 1 << 30  # bytes
_FORMAT, _AGAIN = "OBJ file", "Export it once more as Wavefront OBJ."


def read_obj_folder(folder: Path) -> Scene:
    """Opens a folder; the shapes are read when they are asked for.

    Raises:
        UserError: there is no such folder, or no neutral in it.
    """
    if not folder.is_dir():
        raise missing_file("there is no such character", folder, "Give the folder of a neutral and its shapes as .obj.")
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() == SUFFIX}
    neutral = _neutral_of(folder, files)
    shapes = {name: path for name, path in files.items() if path != neutral}
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{file_sha256(path)}\n".encode())
    return Scene(
        path=folder,
        kind="OBJ files beside the neutral",
        shapes=tuple(shapes),
        load=lambda wanted: _load(neutral, {name: path for name, path in shapes.items() if name in wanted}),
        unit_cm=None,
        up=None,
        digest=digest.hexdigest(),
    )


def read_obj(path: Path) -> tuple[Float32Array, Int32Array]:
    """Vertices `[verts, 3]` and polygons `[faces, 3 or 4]` of one file.

    Raises:
        UserError: it cannot be read, or (FileFormatError) is damaged.
    """
    mesh = _Mesh.read(path)
    with damage(path, _FORMAT, _AGAIN):
        return mesh.vertices, mesh.faces()[0]


def _neutral_of(folder: Path, files: dict[str, Path]) -> Path:
    by_name = {name.lower(): path for name, path in files.items()}
    for name in _NEUTRALS:
        if name in by_name:
            return by_name[name]
    likely = [path for name, path in by_name.items() if "neutral" in name]
    if len(likely) == 1:
        return likely[0]
    there = f"it has {listed([path.name for path in files.values()])}" if files else "it has no .obj file"
    raise UserError(
        f"has no neutral face: {there}",
        path=folder,
        hint="Name the face at rest neutral.obj, and each shape as ARKit does: jawOpen.obj, eyeBlink_L.obj, ...",
    )


def _load(neutral: Path, shapes: dict[str, Path]) -> list[Piece]:
    """The neutral with its shapes, apart from what is named as teeth, tongue or eyes and hangs together by itself."""
    rest = _Mesh.read(neutral)
    if not len(rest.vertices) or not rest.faces_text:
        raise FileFormatError("holds no polygons", path=neutral, hint="Export the neutral face as a mesh.")
    with damage(neutral, _FORMAT, _AGAIN):
        faces, labels = rest.faces()
    targets = {name: _delta(rest, neutral, path) for name, path in shapes.items()}
    return list(_apart(Piece("", rest.vertices, faces, targets, None), labels))


def _delta(rest: _Mesh, neutral: Path, path: Path) -> Float32Array:
    """Offsets of a shape from the neutral, `[verts, 3]`."""
    posed = _Mesh.read(path)
    if len(posed.vertices) != len(rest.vertices):
        raise FileFormatError(
            f"has {len(posed.vertices):,} vertices, and {neutral.name} has {len(rest.vertices):,}",
            path=path,
            hint="Export all shapes from one mesh, its vertices in their order, without merging or triangulating.",
        )
    if posed.faces_text and posed.faces_text.split() != rest.faces_text.split():
        raise FileFormatError(
            f"has other polygons than {neutral.name}, so its vertices are in another order",
            path=path,
            hint="Export all shapes from one mesh with the same options: in Blender without 'Apply Modifiers' that "
            "change it, in Maya from duplicates of the neutral.",
        )
    return posed.vertices - rest.vertices


@dataclass(frozen=True, eq=False)
class _Mesh:
    """One file.

    Attributes:
        vertices: float32 `[verts, 3]`.
        faces_text: its polygons as they are written, without textures and normals.
        content: the whole file.
    """

    vertices: Float32Array
    faces_text: bytes
    content: bytes

    @classmethod
    def read(cls, path: Path) -> _Mesh:
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise UserError(f"is larger than {_LARGEST_FILE >> 30} GB", path=path)
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=path) from error
        with damage(path, _FORMAT, _AGAIN):
            rows = _VERTEX.findall(content)
            values = np.array(b" ".join(rows).split(), np.float64)
            width = len(values) // max(len(rows), 1)
            if len(values) != width * len(rows) or (rows and width < 3):
                raise ValueError("a vertex has not three coordinates")
            vertices = values.reshape(len(rows), -1)[:, :3].astype(np.float32) if rows else np.zeros((0, 3), np.float32)
            if not np.isfinite(vertices).all():
                raise ValueError("a vertex is NaN or infinity")
        text = _TEXTURES.sub(b"", b"\n".join(line.strip() for line in _FACE.findall(content)))
        return cls(vertices, text, content)

    def faces(self) -> tuple[Int32Array, list[str]]:
        """The polygons, and for each vertex the words that name what it belongs to.

        Raises:
            ValueError: a polygon names a vertex that there is not.
        """
        words = {b"o": "", b"g": "", b"usemtl": ""}
        counts: list[int] = []
        label_of = [""] * len(self.vertices)
        corners = np.array(self.faces_text.split(), np.int64)
        if corners.size and (corners == 0).any():
            raise ValueError("a polygon names vertex 0, and vertices count from 1")
        corners = np.where(corners > 0, corners - 1, corners + len(self.vertices))
        if corners.size and (corners.min() < 0 or corners.max() >= len(self.vertices)):
            raise ValueError(f"a polygon names a vertex that is not among its {len(self.vertices)}")
        numbers = corners.tolist()
        start = 0
        for kind, rest in _LINE.findall(self.content):
            if kind != b"f":
                words[kind] = rest.decode("utf-8", "replace").strip()
                continue
            counts.append(len(rest.split()))
            label = " ".join(word for word in words.values() if word)
            for corner in numbers[start : start + counts[-1]]:
                label_of[corner] = label
            start += counts[-1]
        return polygons(np.array(counts, np.int32), corners.astype(np.int32)), label_of


def _apart(whole: Piece, labels: list[str]) -> Iterator[Piece]:
    """The skin, then parts whose name says that they are none and that hang together by themselves."""
    numbers = islands(whole.vertices, whole.faces)
    first: dict[int, str] = {}
    for island, label in zip(numbers.tolist(), labels, strict=True):
        first.setdefault(island, label)
    named = {island: label for island, label in first.items() if is_named_part(label)}
    for label in dict.fromkeys(named.values()):
        own = [island for island, name in named.items() if name == label]
        yield replace(part_of(whole, np.isin(numbers, own)), name=label)
    rest = ~np.isin(numbers, list(named))
    if rest.any():
        yield whole if rest.all() else part_of(whole, rest)
