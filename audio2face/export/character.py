"""glTF export of a character that was read from a file: the file itself, with the animation of its shapes.

Textures, skeleton and everything else stay as they are; the animation is the file's first.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.animation.animation import Animation
from audio2face.animation.timecode import start_facts
from audio2face.errors import UserError
from audio2face.geometry.frames import written_times
from audio2face.io.atomic import atomic_write
from audio2face.rigs.gltf_reader import GltfFile, format_errors
from audio2face.types import Float32Array

_MAGIC, _VERSION = 0x46546C67, 2
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_FLOAT = 5126
_MIME_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def write_character(animation: Animation, character: Path, path: Path) -> Path:
    """Writes a character with its animation as one binary file.

    Args:
        animation: of the character; its weights have the names of the file's morph targets.
        character: the file that it was read from.
        path: the `.glb` file.

    Raises:
        UserError: the character's file is gone or was changed since, or the new file cannot be written.
    """
    source = GltfFile.open(character)
    with format_errors(character):
        merged = _Merged(source)
        merged.add_animation(animation)
        with atomic_write(path) as handle:
            for piece in merged.container():
                handle.write(piece)
    return path


class _Merged:
    """The document of a file whose buffers, and pictures beside it, are all in one buffer."""

    def __init__(self, source: GltfFile) -> None:
        self._source = source
        self._document: dict[str, Any] = json.loads(json.dumps(source.document))
        self._pieces: list[bytes] = []
        self._size = 0
        starts = [self._append(content) for content in source.buffers]
        for view in self._document.get("bufferViews", []):
            view["byteOffset"] = view.get("byteOffset", 0) + starts[view.pop("buffer")]
            view["buffer"] = 0
        for image in self._document.get("images", []):
            self._embed(image)

    def add_animation(self, animation: Animation) -> None:
        """Adds the weights over time of every node whose mesh has morph targets.

        Raises:
            UserError: no mesh has them.
        """
        assert animation.skin_weights is not None
        times = np.asarray(written_times(np.arange(animation.num_frames), animation.fps), np.float32)
        clock = self._accessor(times, bounds=True)
        samplers: list[dict[str, Any]] = []
        channels: list[dict[str, Any]] = []
        for index, node in enumerate(self._document.get("nodes", [])):
            values = None if "mesh" not in node else self._weights(animation, self._document["meshes"][node["mesh"]])
            if values is None:
                continue
            channels.append({"sampler": len(samplers), "target": {"node": index, "path": "weights"}})
            samplers.append({"input": clock, "output": self._accessor(values.reshape(-1)), "interpolation": "LINEAR"})
        if not channels:
            raise UserError("has no shapes any more that the animation moves", path=self._source.path)
        added = {
            "name": "speech",
            "samplers": samplers,
            "channels": channels,
            "extras": {"fps": animation.fps, **start_facts(animation.start, animation.fps)},
        }
        self._document["animations"] = [added, *self._document.get("animations", [])]

    def container(self) -> Iterator[bytes]:
        """The bytes of the file, in chunks."""
        self._document["buffers"] = [{"byteLength": self._size}]
        text = json.dumps(self._document, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        yield struct.pack("<III", _MAGIC, _VERSION, 12 + 8 + len(text) + 8 + self._size)
        yield struct.pack("<II", len(text), _JSON_CHUNK) + text
        yield struct.pack("<II", self._size, _BINARY_CHUNK)
        yield from self._pieces

    def _weights(self, animation: Animation, mesh: dict[str, Any]) -> Float32Array | None:
        """Weights `[frames, targets]` of a mesh; None of one without shapes that move."""
        solved = animation.skin_weights
        count = len(mesh["primitives"][0].get("targets", []))
        extras = [holder.get("extras") or {} for holder in (mesh, *mesh["primitives"])]
        names: list[str] = next((found["targetNames"] for found in extras if "targetNames" in found), [])[:count]
        assert solved is not None
        curves = dict(zip(solved.names, solved.values.T, strict=True))
        if animation.tongue_weights is not None:
            curves |= dict(zip(animation.tongue_weights.names, animation.tongue_weights.values.T, strict=True))
        if not curves.keys() & set(names):
            return None
        rest = np.zeros(count, np.float32)
        rest[: len(mesh.get("weights", []))] = mesh.get("weights", [])
        mesh["weights"] = rest.tolist()  # the default of the format, without which VTK moves nothing
        values = np.tile(rest, (animation.num_frames, 1))
        for place, name in enumerate(names):
            if name in curves:
                values[:, place] = curves[name]
        return values

    def _embed(self, image: dict[str, Any]) -> None:
        """Takes a picture beside the file into the buffer; one that is not there stays a reference."""
        uri = image.get("uri", "")
        file = self._source.path.parent / uri
        kind = _MIME_TYPES.get(file.suffix.lower())
        inside = file.resolve().is_relative_to(self._source.path.parent.resolve())
        if uri and not uri.startswith("data:") and kind is not None and inside and file.is_file():
            del image["uri"]
            image |= {"mimeType": kind, "bufferView": self._view(file.read_bytes())}

    def _accessor(self, values: Float32Array, bounds: bool = False) -> int:
        entry: dict[str, Any] = {"componentType": _FLOAT, "count": len(values), "type": "SCALAR"}
        entry["bufferView"] = self._view(np.ascontiguousarray(values, "<f4").tobytes())
        if bounds:
            entry |= {"min": [float(values.min())], "max": [float(values.max())]}
        self._document.setdefault("accessors", []).append(entry)
        return len(self._document["accessors"]) - 1

    def _view(self, content: bytes) -> int:
        entry = {"buffer": 0, "byteOffset": self._append(content), "byteLength": len(content)}
        self._document.setdefault("bufferViews", []).append(entry)
        return len(self._document["bufferViews"]) - 1

    def _append(self, content: bytes) -> int:
        start = self._size
        padded = content + b"\0" * (-len(content) % 4)
        self._pieces.append(padded)
        self._size += len(padded)
        return start
