"""Characters as glTF files, made of the built-in head: as other programs export them, and damaged ones."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, TONGUE_INDEX
from audio2face.example.head import Head
from audio2face.example.visemes import SHAPES_OF, visemes_of
from audio2face.geometry.mesh import triangulate

SHAPES = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthRollLower", "eyeBlinkLeft", "eyeBlinkRight",
    "browInnerUp",
)  # fmt: skip


@dataclass
class Builder:
    """Collects the arrays of a glTF document."""

    document: dict[str, Any] = field(
        default_factory=lambda: {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [],
            "meshes": [],
            "accessors": [],
            "bufferViews": [],
        }
    )
    binary: bytes = b""

    def view(self, array: np.ndarray, stride: int | None = None) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": array.nbytes}
        if stride is not None:
            entry["byteStride"] = stride
        self.document["bufferViews"].append(entry)
        self.binary += array.tobytes()
        return len(self.document["bufferViews"]) - 1

    def accessor(self, array: np.ndarray, **more: Any) -> int:
        kinds = {"float32": 5126, "uint32": 5125, "uint16": 5123, "int16": 5122, "uint8": 5121}
        width = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[1 if array.ndim == 1 else array.shape[1]]
        entry = {"componentType": kinds[array.dtype.name], "count": len(array), "type": width, **more}
        if "sparse" not in entry:
            entry["bufferView"] = self.view(np.ascontiguousarray(array))
        self.document["accessors"].append(entry)
        return len(self.document["accessors"]) - 1

    def sparse(self, array: np.ndarray) -> int:
        """A float32 accessor `[count, 3]` of which only the rows that are not zero are stored."""
        rows = np.flatnonzero(np.abs(array).max(axis=1) > 0)
        stored = {
            "count": len(rows),
            "indices": {"bufferView": self.view(rows.astype(np.uint16)), "componentType": 5123},
            "values": {"bufferView": self.view(np.ascontiguousarray(array[rows]))},
        }
        return self.accessor(array, sparse=stored)

    def read(self, index: int) -> np.ndarray:
        """A dense float32 accessor."""
        entry = self.document["accessors"][index]
        view = self.document["bufferViews"][entry["bufferView"]]
        count = entry["count"]
        return np.frombuffer(self.binary, np.float32, 3 * count, view["byteOffset"]).reshape(count, 3)

    def glb(self, path: Path) -> Path:
        self.document["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.document).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + b"\0" * (-len(self.binary) % 4)
        length = 12 + 8 + len(text) + 8 + len(binary)
        parts = [struct.pack("<III", 0x46546C67, 2, length), struct.pack("<II", len(text), 0x4E4F534A), text]
        path.write_bytes(b"".join([*parts, struct.pack("<II", len(binary), 0x004E4942), binary]))
        return path

    def gltf(self, path: Path, uri: str | None = None) -> Path:
        """A text file with its buffer inside, or beside it."""
        if uri is None:
            uri = "data:application/octet-stream;base64," + base64.b64encode(self.binary).decode()
        else:
            (path.parent / uri).write_bytes(self.binary)
        self.document["buffers"] = [{"byteLength": len(self.binary), "uri": uri}]
        path.write_text(json.dumps(self.document))
        return path


def head_builder(
    shapes: Sequence[str] = SHAPES,
    *,
    rename: Callable[[str], str] = str,
    scale: float = 0.01,
    sparse: bool = True,
    as_arkit: bool = True,
) -> Builder:
    """The head of ben as a character file would hold it, in metres.

    Args:
        shapes: the shapes that it has.
        rename: the file's name of a shape.
        scale: of its lengths from centimetres.
        sparse: whether targets are stored sparse.
        as_arkit: whether `mouthClose` leaves the jaw alone, as ARKit defines it; in the head it opens it.
    """
    head = Head.open("ben")
    deltas = {}
    for name in shapes:
        delta = head.skin_shapes[ARKIT_INDEX[name]]
        if name == "mouthClose" and as_arkit:
            delta = delta - head.skin_shapes[ARKIT_INDEX["jawOpen"]]
        deltas[rename(name)] = delta
    return _with_targets(deltas, scale, sparse)


def viseme_builder(names: Sequence[str], sounds: Sequence[str], **more: str) -> Builder:
    """The head of ben with whole mouths for sounds as the rules shape them.

    Args:
        names: of the shapes.
        sounds: which each of them shows, in IPA.
        more: names of further shapes, and the head's shapes that they are.
    """
    head = Head.open("ben")
    deltas = {}
    for name, sound in zip(names, sounds, strict=True):
        looks = visemes_of(sound)[-1].targets.items()
        parts = [
            value * head.skin_shapes[ARKIT_INDEX[s]] for c, value in looks for s in SHAPES_OF[c] if s in ARKIT_INDEX
        ]
        deltas[name] = np.sum(parts, axis=0, dtype=np.float32)
    return _with_targets(deltas | {name: head.skin_shapes[ARKIT_INDEX[shape]] for name, shape in more.items()})


def _with_targets(deltas: dict[str, np.ndarray], scale: float = 0.01, sparse: bool = True) -> Builder:
    head, made, place = Head.open("ben"), Builder(), np.float32(scale)
    scaled = [np.asarray(delta * place, np.float32) for delta in deltas.values()]
    primitive = {
        "attributes": {"POSITION": made.accessor(head.skin_part.vertices * place)},
        "indices": made.accessor(triangulate(head.skin_part.faces).reshape(-1).astype(np.uint16)),
        "targets": [{"POSITION": made.sparse(delta) if sparse else made.accessor(delta)} for delta in scaled],
    }
    made.document["meshes"].append({"name": "head", "primitives": [primitive], "extras": {"targetNames": list(deltas)}})
    made.document["nodes"].append({"name": "Face", "mesh": 0})
    return made


def add_eyes(made: Builder, scale: float = 0.01) -> None:
    """Adds both eyeballs of ben as meshes of their own, moved by their nodes."""
    head = Head.open("ben")
    half = len(head.eyes_part.vertices) // 2
    for side, name in enumerate(("EyeRight", "EyeLeft")):
        vertices = head.eyes_part.vertices[half * side : half * (side + 1)] - head.eye_centres[side]
        faces = head.eyes_part.faces[np.all(head.eyes_part.faces // half == side, axis=1)] - half * side
        primitive = {
            "attributes": {"POSITION": made.accessor(np.asarray(vertices * scale, np.float32))},
            "indices": made.accessor(triangulate(faces).reshape(-1).astype(np.uint16)),
        }
        made.document["meshes"].append({"name": name, "primitives": [primitive]})
        translation = (head.eye_centres[side] * scale).tolist()
        made.document["nodes"].append({"name": name, "mesh": side + 1, "translation": translation})
        made.document["nodes"][0].setdefault("children", []).append(side + 1)


def add_tongue(made: Builder, name: str, shape: str) -> None:
    """Adds the tongue of ben as a mesh of its own with one shape, under a name of the file's."""
    head, scale = Head.open("ben"), np.float32(0.01)
    primitive = {
        "attributes": {"POSITION": made.accessor(head.tongue_part.vertices * scale)},
        "indices": made.accessor(triangulate(head.tongue_part.faces).reshape(-1).astype(np.uint16)),
        "targets": [{"POSITION": made.accessor(head.tongue_shapes[TONGUE_INDEX[shape]] * scale)}],
    }
    made.document["nodes"].append({"name": "Tongue", "mesh": len(made.document["meshes"])})
    made.document["meshes"].append({"name": "Tongue", "primitives": [primitive], "extras": {"targetNames": [name]}})
    made.document["scenes"][0]["nodes"].append(len(made.document["nodes"]) - 1)
