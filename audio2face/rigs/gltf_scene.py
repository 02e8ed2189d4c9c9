"""The meshes of a glTF scene as they are shown at rest: placed by their nodes or bound to their skeleton.

Positions stay in the file's units (metres by the specification), y upwards, z towards the viewer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.geometry.mesh import encoded
from audio2face.io.atomic import file_sha256
from audio2face.rigs.gltf_reader import GltfFile, checked_index, format_errors
from audio2face.rigs.scene import Piece, Scene
from audio2face.types import AnyArray, Float32Array, Float64Array, Int32Array, Int64Array, UInt8Array

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MOST_DEPTH = 200  # of nodes within nodes


def read_gltf(path: Path) -> Scene:
    """Opens a file as a scene, in the metres of glTF, y upwards.

    Raises:
        UserError: there is no such file.
        FileFormatError: it is damaged, or a mesh has morph targets without names.
    """
    pieces = read_pieces(GltfFile.open(path))
    return Scene(
        path=path,
        kind="morph targets",
        shapes=tuple(dict.fromkeys(name for piece in pieces for name in piece.targets)),
        load=lambda wanted: [_with(piece, wanted) for piece in pieces],
        unit_cm=100.0,
        up="y",
        digest=file_sha256(path),
        gltf=path.absolute(),
    )


def _with(piece: Piece, wanted: Collection[str]) -> Piece:
    return replace(piece, targets={name: delta for name, delta in piece.targets.items() if name in wanted})


def read_pieces(file: GltfFile) -> list[Piece]:
    """All triangles of the scene.

    Raises:
        FileFormatError: the file is damaged, or a mesh has morph targets without names.
    """
    with format_errors(file.path):
        nodes = file.document.get("nodes", [])
        worlds = node_worlds(file.document, {})
        return [
            piece for index, world in worlds.items() if "mesh" in nodes[index] for piece in _pieces(file, index, worlds)
        ]


def node_worlds(document: Mapping[str, Any], locals_of: Mapping[int, Float64Array]) -> dict[int, Float64Array]:
    """The world matrices of the nodes of the scene, each once and after its parent.

    Args:
        document: the glTF document.
        locals_of: matrices of nodes in their parent, `[..., 4, 4]`, where these are not those at rest.
    """
    nodes, scenes = document.get("nodes", []), document.get("scenes", [])
    children = {child for node in nodes for child in node.get("children", [])}
    roots = [index for index in range(len(nodes)) if index not in children]
    if scenes:
        roots = scenes[checked_index(document.get("scene", 0))].get("nodes", roots)
    waiting = [(checked_index(root), np.eye(4), 0) for root in reversed(roots)]
    found: dict[int, Float64Array] = {}
    while waiting:
        index, parent, depth = waiting.pop()
        if index in found or depth > _MOST_DEPTH:
            raise ValueError("its nodes form no tree")
        world = parent @ (locals_of[index] if index in locals_of else node_matrix(nodes[index]))
        found[index] = world
        waiting += [(checked_index(child), world, depth + 1) for child in reversed(nodes[index].get("children", []))]
    return found


def node_matrix(node: Mapping[str, Any]) -> Float64Array:
    """The matrix of a node in its parent, `[4, 4]`."""
    if "matrix" in node:
        return np.asarray(node["matrix"], np.float64).reshape(4, 4).T
    parts = (node.get("translation", (0, 0, 0)), node.get("rotation", (0, 0, 0, 1)), node.get("scale", (1, 1, 1)))
    return placed_by(*(np.asarray(part, np.float64) for part in parts))


def placed_by(shift: Float64Array, rotation: Float64Array, scale: Float64Array) -> Float64Array:
    """Matrices `[..., 4, 4]` of translations `[..., 3]`, quaternions x y z w `[..., 4]`, and scales `[..., 3]`."""
    x, y, z, w = np.moveaxis(rotation, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    turned = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    shape = np.broadcast_shapes(turned.shape[:-2], shift.shape[:-1], scale.shape[:-1])
    matrix = np.zeros((*shape, 4, 4))
    matrix[..., :3, :3] = turned * scale[..., None, :]
    matrix[..., :3, 3] = shift
    matrix[..., 3, 3] = 1
    return matrix


def _pieces(file: GltfFile, index: int, worlds: Mapping[int, Float64Array]) -> Iterator[Piece]:
    """The pieces of one node's mesh."""
    node = file.document["nodes"][index]
    mesh = file.document["meshes"][checked_index(node["mesh"])]
    name = " ".join(str(part) for part in (node.get("name"), mesh.get("name")) if part)
    for primitive in mesh["primitives"]:
        faces = triangles_of(file, primitive)
        if faces is None:
            continue
        vertices = np.asarray(file.accessor(primitive["attributes"]["POSITION"]), np.float64)
        matrices = _placement(file, node, primitive, worlds, index)
        targets = {
            target: _turned(matrices, np.asarray(delta, np.float64))
            for target, delta in named_targets(file, mesh, primitive, name)
        }
        placed = np.asarray(_turned(matrices, vertices) + matrices[..., :3, 3], np.float32)
        if not np.isfinite(placed).all() or not all(np.isfinite(delta).all() for delta in targets.values()):
            raise ValueError(f"mesh {name!r} holds NaN or infinity")
        if faces.size and faces.max() >= len(placed):
            raise ValueError(f"a triangle of mesh {name!r} names vertex {faces.max()} of {len(placed)}")
        yield Piece(name, placed, faces, targets, _colours(file, primitive, len(placed)))


def _turned(matrices: Float64Array, vectors: Float64Array) -> Float32Array:
    """Vectors `[verts, 3]` in the world, by one matrix or one for each vertex."""
    if matrices.ndim == 2:
        return np.asarray(vectors @ matrices[:3, :3].T, np.float32)
    return np.asarray(np.einsum("vij,vj->vi", matrices[:, :3, :3], vectors), np.float32)


def _placement(
    file: GltfFile,
    node: Mapping[str, Any],
    primitive: Mapping[str, Any],
    worlds: Mapping[int, Float64Array],
    index: int,
) -> Float64Array:
    """What places a mesh: the matrix of its node, or those of its skeleton for each vertex `[verts, 4, 4]`."""
    attributes = primitive["attributes"]
    if not is_skinned(node, attributes):
        return worlds[index]
    places, shares = skin_weights(file, attributes)
    bound = bound_joints(file, node, worlds)
    return np.asarray(np.einsum("vk,vkij->vij", shares, bound[places]))


def is_skinned(node: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Whether joints move a primitive."""
    return "skin" in node and {"JOINTS_0", "WEIGHTS_0"} <= attributes.keys()


def bound_joints(file: GltfFile, node: Mapping[str, Any], worlds: Mapping[int, Float64Array]) -> Float64Array:
    """What each joint of a node's skin does to vertices of the mesh, `[..., joints, 4, 4]`."""
    skin = file.document["skins"][checked_index(node["skin"])]
    joints = [checked_index(joint) for joint in skin["joints"]]
    bound = np.stack(np.broadcast_arrays(*(worlds.get(joint, np.eye(4)) for joint in joints)), axis=-3)
    if "inverseBindMatrices" in skin:
        bound = bound @ file.accessor(skin["inverseBindMatrices"]).astype(np.float64).reshape(-1, 4, 4).mT
    return bound


def skin_weights(file: GltfFile, attributes: Mapping[str, Any]) -> tuple[Int64Array, Float64Array]:
    """The joints of each vertex and their shares, which sum to 1, `[verts, 4]` each."""
    places = file.accessor(attributes["JOINTS_0"]).astype(np.int64)
    shares = file.accessor(attributes["WEIGHTS_0"]).astype(np.float64)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, shares / np.where(total > 0, total, 1), 0)
    shares[:, 0] += total[:, 0] <= 0
    return places, shares


def triangles_of(file: GltfFile, primitive: Mapping[str, Any]) -> Int32Array | None:
    """Triangles `[n, 3]`; None for points and lines."""
    mode = primitive.get("mode", _TRIANGLES)
    if "indices" in primitive:
        corners = file.accessor(primitive["indices"]).astype(np.int64)
    else:
        corners = np.arange(len(file.accessor(primitive["attributes"]["POSITION"])))
    if mode == _TRIANGLES:
        rows = corners[: len(corners) // 3 * 3].reshape(-1, 3)
    elif mode == _STRIP:
        rows = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
        rows[1::2] = rows[1::2, [1, 0, 2]]
    elif mode == _FAN:
        rows = np.stack([np.full(max(len(corners) - 2, 0), corners[0]), corners[1:-1], corners[2:]], axis=1)
    else:
        return None
    return np.asarray(rows, np.int32)


def named_targets(
    file: GltfFile, mesh: Mapping[str, Any], primitive: Mapping[str, Any], name: str
) -> Iterator[tuple[str, AnyArray]]:
    """The morph targets that move positions, by name."""
    targets = primitive.get("targets", [])
    extras = [source.get("extras") for source in (mesh, primitive)]
    names = next((found["targetNames"] for found in extras if isinstance(found, dict) and "targetNames" in found), None)
    if targets and (not isinstance(names, list) or len(names) < len(targets)):
        raise FileFormatError(
            f"mesh {name!r} has {len(targets)} morph targets without names",
            path=file.path,
            hint="Export the names of the shapes too: Blender, Maya and VRM write them as extras.targetNames.",
        )
    for target, number in zip(targets, range(len(targets)), strict=True):
        if "POSITION" in target:
            assert isinstance(names, list)
            yield str(names[number]), file.accessor(target["POSITION"])


def _colours(file: GltfFile, primitive: Mapping[str, Any], count: int) -> UInt8Array | None:
    """Colours of the vertices, else the colour of the material where no picture replaces it."""
    attributes = primitive["attributes"]
    if "COLOR_0" in attributes:
        shades = np.asarray(file.accessor(attributes["COLOR_0"]), np.float32)[:, :3]
        return encoded(shades)
    if "material" not in primitive:
        return None
    material = file.document["materials"][checked_index(primitive["material"])]
    surface = material.get("pbrMetallicRoughness", {})
    if "baseColorTexture" in surface or "baseColorFactor" not in surface:
        return None
    shade = np.asarray(surface["baseColorFactor"], np.float32).reshape(1, -1)[:, :3]
    return np.repeat(encoded(shade), count, axis=0)
