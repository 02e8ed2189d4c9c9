#!/bin/bash
# trimesh reads a character's glTF without its morph targets, and writes it with their names alone.
#
# Versions:   trimesh 5.2.0, numpy 2.4.6
# Behaviour:  `targets` of a primitive and `weights` of a mesh are left out on reading, without a warning. The mesh's
#             `extras` are kept, so that the file it writes still lists `targetNames`.
# Seen:       a triangle with the target jawOpen is read and written: one name, no target.
# Why:        passing a character through a mesh library, to scale or to clean it, is common; its face cannot move then,
#             and a look at the names says that it could.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check trimesh==5.2.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import io
import json
import struct

import numpy as np
import trimesh

positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "f4")
parts = [positions.tobytes(), np.full((3, 3), 0.5, "f4").tobytes(), np.arange(3, dtype="u4").tobytes()]
starts = np.cumsum([0, *(len(part) for part in parts)])
kinds = [(5126, "VEC3"), (5126, "VEC3"), (5125, "SCALAR")]
document = {
    "asset": {"version": "2.0"},
    "scene": 0,
    "scenes": [{"nodes": [0]}],
    "nodes": [{"mesh": 0}],
    "meshes": [
        {
            "primitives": [{"attributes": {"POSITION": 0}, "indices": 2, "targets": [{"POSITION": 1}]}],
            "weights": [0.0],
            "extras": {"targetNames": ["jawOpen"]},
        }
    ],
    "buffers": [{"byteLength": int(starts[-1])}],
    "bufferViews": [
        {"buffer": 0, "byteOffset": int(start), "byteLength": len(part)} for start, part in zip(starts, parts)
    ],
    "accessors": [
        {"bufferView": index, "componentType": component, "count": 3, "type": kind}
        for index, (component, kind) in enumerate(kinds)
    ],
}
document["accessors"][0] |= {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()}
document["accessors"][1] |= {"min": [0.5] * 3, "max": [0.5] * 3}


def glb(document: dict, binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


written = trimesh.load_scene(io.BytesIO(glb(document, b"".join(parts))), file_type="glb").export(file_type="glb")
(length,) = struct.unpack_from("<I", written, 12)
(mesh,) = json.loads(written[20 : 20 + length])["meshes"]
targets = [target for primitive in mesh["primitives"] for target in primitive.get("targets", [])]
print("targets:", len(targets), "names:", mesh["extras"]["targetNames"], "weights:", mesh.get("weights"))
assert not targets and mesh["extras"]["targetNames"] == ["jawOpen"], "trimesh treats morph targets in another way now"
PYTHON
