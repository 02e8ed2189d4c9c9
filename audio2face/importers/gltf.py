"""The kind `gltf`: animated characters as glTF, by morph targets, joints and nodes.

Implements sections 3.7.2 (morph targets), 3.7.3 (skins), 3.11 (animations) and appendix C (interpolation) of the
Khronos glTF 2.0 specification. An animation is a take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError, UserError
from audio2face.importers.clips import clip_frames, find_sources
from audio2face.importers.mesh_takes import MeshImporter
from audio2face.importers.moving import MovingMeshes
from audio2face.importers.naming import take_names
from audio2face.importers.timing import named_rate
from audio2face.rigs.gltf_reader import GltfFile, checked_index, format_errors
from audio2face.rigs.gltf_scene import (
    bound_joints,
    is_skinned,
    named_targets,
    node_matrix,
    node_worlds,
    placed_by,
    skin_weights,
    triangles_of,
)
from audio2face.rigs.scene import Piece
from audio2face.types import Float32Array, Float64Array, Int32Array, Int64Array

SUFFIXES = (".glb", ".gltf", ".vrm")
_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}
_REST = {"translation": (0, 0, 0), "rotation": (0, 0, 0, 1), "scale": (1, 1, 1)}
_CUBIC, _STEP = "CUBICSPLINE", "STEP"
_AT_KEY = 1e-4  # s: times of keys are float32


class GltfCharacters(MeshImporter):
    """Animated characters as .glb and .gltf."""

    def open(self, sources: Sequence[Path]) -> list[MovingMeshes]:
        """Each animation of each file is a take."""
        clips = []
        for path in find_sources(sources, SUFFIXES, "glTF files"):
            file = GltfFile.open(path)
            with format_errors(path):
                clips += _clips_of(file)
        names = take_names([(clip.name, clip.file.path.parent) for clip in clips])
        return [clip.moving(name, self.options.fps) for name, clip in zip(names, clips, strict=True)]


def _clips_of(file: GltfFile) -> list[_Clip]:
    animations = file.document.get("animations", [])
    if not animations:
        raise UserError(
            "holds no animation",
            path=file.path,
            hint="Export it with its animation (in Blender: Animation, Shape Keys, and Skinning).",
        )
    stem = file.path.stem
    names = [str(entry.get("name") or number) for number, entry in enumerate(animations, 1)]
    return [
        _Clip(file, entry, stem if len(animations) == 1 else f"{stem}_{name}")
        for name, entry in zip(names, animations, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Track:
    """One animated property: times of its keys `[keys]`, and values `[keys, width]`, of splines `[keys, 3, width]`."""

    keys: Float64Array
    values: Float64Array
    mode: str
    is_rotation: bool

    @classmethod
    def read(cls, file: GltfFile, sampler: Mapping[str, Any], width: int, *, is_rotation: bool) -> _Track:
        keys = np.asarray(file.accessor(sampler["input"]), np.float64).reshape(-1)
        mode = sampler.get("interpolation", "LINEAR")
        rows = (3, width) if mode == _CUBIC else (width,)
        values = np.asarray(file.accessor(sampler["output"]), np.float64).reshape(len(keys), *rows)
        if not len(keys) or (np.diff(keys) <= 0).any() or not np.isfinite(values).all():
            raise ValueError("times of its keys do not ascend, or a key is NaN or infinity")
        return cls(keys, values, mode, is_rotation)

    def at(self, times: Float64Array) -> Float64Array:
        """Values at times, `[times, width]`; before the first and after the last key those of these."""
        after = np.searchsorted(self.keys, times + _AT_KEY, side="right")
        left = np.clip(after - 1, 0, len(self.keys) - 1)
        right = np.clip(after, 0, len(self.keys) - 1)
        span = np.maximum(self.keys[right] - self.keys[left], 1e-9)
        share = np.clip((times - self.keys[left]) / span, 0, 1)[:, None]
        if self.mode == _CUBIC:
            found = self._spline(left, right, span[:, None], share)
        elif self.mode == _STEP:
            found = self.values[left]
        elif self.is_rotation:
            found = _slerp(self.values[left], self.values[right], share)
        else:
            found = self.values[left] * (1 - share) + self.values[right] * share
        return found / np.linalg.norm(found, axis=1, keepdims=True) if self.is_rotation else found

    def _spline(self, left: Int64Array, right: Int64Array, span: Float64Array, share: Float64Array) -> Float64Array:
        start, leaving = self.values[left, 1], self.values[left, 2] * span
        end, arriving = self.values[right, 1], self.values[right, 0] * span
        square, cube = share**2, share**3
        weights = (2 * cube - 3 * square + 1, cube - 2 * square + share, 3 * square - 2 * cube, cube - square)
        return np.asarray(weights[0] * start + weights[1] * leaving + weights[2] * end + weights[3] * arriving)


def _slerp(start: Float64Array, end: Float64Array, share: Float64Array) -> Float64Array:
    """Spherical interpolation of unit quaternions `[n, 4]`, the shorter way."""
    cosine = np.einsum("nc,nc->n", start, end)[:, None]
    near = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), -1, 1))
    sine = np.sin(angle)
    small = sine < 1e-6
    safe = np.where(small, 1, sine)
    first = np.where(small, 1 - share, np.sin((1 - share) * angle) / safe)
    second = np.where(small, share, np.sin(share * angle) / safe)
    return np.asarray(first * start + second * near)


@dataclass(frozen=True, eq=False)
class _Mesh:
    """One primitive.

    Attributes:
        node: its node.
        vertices: float32 `[verts, 3]`, of the mesh itself.
        deltas: offsets of all morph targets, float32 `[targets, verts, 3]`.
        piece: the same in place at rest, with targets that have names.
        joints: joints of each vertex and their shares, `[verts, 4]` each; None without a skin.
        default: weights of the targets at rest, `[targets]`.
    """

    node: int
    vertices: Float32Array
    deltas: Float32Array
    piece: Piece
    joints: tuple[Int64Array, Float64Array] | None
    default: Float64Array


@dataclass(frozen=True, eq=False)
class _Clip:
    """One animation of a file."""

    file: GltfFile
    entry: Mapping[str, Any]
    name: str

    def moving(self, name: str, fps: float | None) -> MovingMeshes:
        """The take of this animation.

        Raises:
            UserError: nothing tells its rate.
            FileFormatError: it is damaged.
        """
        with format_errors(self.file.path):
            meshes, tracks = self._meshes, self._tracks
            if not tracks or not meshes:
                raise FileFormatError(
                    f"its animation {self.entry.get('name', '')!r} moves no mesh",
                    path=self.file.path,
                    hint="Export the face with its shape keys and joints animated.",
                )
            clip = clip_frames([track.keys for track in tracks.values()], self._stated(fps), self.file.path)
        return MovingMeshes(
            name=name,
            source=self.file.path,
            kind="morph targets",
            pieces=[mesh.piece for mesh in meshes],
            has_rest=True,
            pose=lambda piece, frames: self._posed(meshes[piece], clip.times(frames)),
            num_frames=clip.num_frames,
            fps=clip.fps,
            start=clip.start,
            unit_cm=100.0,
            up="y",
        )

    def _stated(self, given: float | None) -> Fraction | None:
        """The rate that is given or that the file states."""
        extras = self.file.document.get("asset", {}).get("extras")
        stated = extras.get("fps") if isinstance(extras, dict) else None
        rate = given if given is not None else stated
        return named_rate(float(rate)) if isinstance(rate, int | float) and rate > 0 else None

    @cached_property
    def _tracks(self) -> dict[tuple[int, str], _Track]:
        """The animated properties by node and name; those of other extensions are left out."""
        found = {}
        for channel in self.entry.get("channels", []):
            target = channel["target"]
            path = target.get("path")
            if "node" not in target or path not in (*_WIDTHS, "weights"):
                continue
            node = checked_index(target["node"])
            width = _WIDTHS[path] if path in _WIDTHS else self._num_targets(node)
            sampler = self.entry["samplers"][checked_index(channel["sampler"])]
            if width:
                track = _Track.read(self.file, sampler, width, is_rotation=path == "rotation")
                found[node, path] = track
        return found

    def _num_targets(self, node: int) -> int:
        entry = self.file.document["nodes"][node]
        if "mesh" not in entry:
            return 0
        mesh = self.file.document["meshes"][checked_index(entry["mesh"])]
        return max((len(primitive.get("targets", [])) for primitive in mesh["primitives"]), default=0)

    @cached_property
    def _meshes(self) -> list[_Mesh]:
        worlds = node_worlds(self.file.document, {})
        return [mesh for node in worlds for mesh in self._meshes_of(node, worlds)]

    def _meshes_of(self, node: int, worlds: Mapping[int, Float64Array]) -> list[_Mesh]:
        entry = self.file.document["nodes"][node]
        if "mesh" not in entry:
            return []
        mesh = self.file.document["meshes"][checked_index(entry["mesh"])]
        default = np.asarray(entry.get("weights") or mesh.get("weights") or [], np.float64)
        name = " ".join(str(part) for part in (entry.get("name"), mesh.get("name")) if part)
        found = []
        for primitive in mesh["primitives"]:
            faces = triangles_of(self.file, primitive)
            if faces is not None:
                found.append(self._mesh(node, worlds, primitive, faces, (name, default)))
        return found

    def _mesh(
        self,
        node: int,
        worlds: Mapping[int, Float64Array],
        primitive: Mapping[str, Any],
        faces: Int32Array,
        named: tuple[str, Float64Array],
    ) -> _Mesh:
        name, default = named
        attributes, entry = primitive["attributes"], self.file.document["nodes"][node]
        vertices = np.asarray(self.file.accessor(attributes["POSITION"]), np.float32)
        still = np.zeros_like(vertices)
        deltas = [
            np.asarray(self.file.accessor(target["POSITION"]), np.float32) if "POSITION" in target else still
            for target in primitive.get("targets", [])
        ]
        stacked = np.stack(deltas) if deltas else np.zeros((0, *vertices.shape), np.float32)
        if not np.isfinite(vertices).all() or not np.isfinite(stacked).all():
            raise ValueError(f"mesh {name!r} holds NaN or infinity")
        if faces.size and faces.max() >= len(vertices):
            raise ValueError(f"a triangle of mesh {name!r} names vertex {faces.max()} of {len(vertices)}")
        joints = skin_weights(self.file, attributes) if is_skinned(entry, attributes) else None
        weights = np.zeros(len(stacked))
        weights[: len(default)] = default[: len(stacked)]
        mesh = _Mesh(node, vertices, stacked, Piece(name, vertices, faces, {}, None), joints, weights)
        rest = self._placed(mesh, vertices[None], worlds)[0]
        targets = {
            target: self._placed(mesh, (vertices + delta)[None], worlds)[0] - rest
            for target, delta in self._named(entry, primitive, name)
        }
        piece = Piece(name, rest, faces, targets, None)
        return _Mesh(node, vertices, stacked, piece, joints, weights)

    def _named(
        self, entry: Mapping[str, Any], primitive: Mapping[str, Any], name: str
    ) -> list[tuple[str, Float32Array]]:
        """The morph targets by name; none where the file has no names."""
        mesh = self.file.document["meshes"][checked_index(entry["mesh"])]
        try:
            return list(named_targets(self.file, mesh, primitive, name))
        except FileFormatError:
            return []

    def _posed(self, mesh: _Mesh, times: Float64Array) -> Float32Array:
        """A mesh at times, `[times, verts, 3]`."""
        with format_errors(self.file.path):
            track = self._tracks.get((mesh.node, "weights"))
            weights = (
                np.tile(mesh.default, (len(times), 1)) if track is None else track.at(times)[:, : len(mesh.deltas)]
            )
            flat = weights.astype(np.float32) @ mesh.deltas.reshape(len(mesh.deltas), mesh.vertices.size)
            flat += mesh.vertices.reshape(-1)
            return self._placed(mesh, flat.reshape(len(times), -1, 3), self._worlds(times))

    def _worlds(self, times: Float64Array) -> dict[int, Float64Array]:
        """The matrices of all nodes at times, `[times, 4, 4]`, or `[4, 4]` of those that stand still."""
        nodes = self.file.document["nodes"]
        moved = {}
        for node in {node for node, path in self._tracks if path in _WIDTHS}:
            entry = nodes[node]
            if "matrix" in entry:
                moved[node] = node_matrix(entry)
                continue
            parts = [
                self._tracks[node, path].at(times)
                if (node, path) in self._tracks
                else np.asarray(entry.get(path, rest), np.float64)
                for path, rest in _REST.items()
            ]
            moved[node] = placed_by(*parts)
        return node_worlds(self.file.document, moved)

    def _placed(self, mesh: _Mesh, posed: Float32Array, worlds: Mapping[int, Float64Array]) -> Float32Array:
        """Vertices `[frames, verts, 3]` of a mesh in the scene, by its node or by its joints."""
        if mesh.joints is None:
            return _transformed(posed, worlds[mesh.node])
        bound = bound_joints(self.file, self.file.document["nodes"][mesh.node], worlds)
        places, shares = mesh.joints
        found = np.zeros_like(posed)
        for joint in np.unique(places[shares > 0]).tolist():
            share = np.where(places == joint, shares, 0).sum(axis=1)
            own = np.flatnonzero(share > 0)
            found[:, own] += share[own, None].astype(np.float32) * _transformed(posed[:, own], bound[..., joint, :, :])
        return found


def _transformed(points: Float32Array, matrices: Float64Array) -> Float32Array:
    """Points `[frames, verts, 3]` by one matrix `[4, 4]`, or one for each frame `[frames, 4, 4]`."""
    turned = points @ matrices[..., :3, :3].swapaxes(-1, -2).astype(np.float32)
    return np.asarray(turned + matrices[..., None, :3, 3].astype(np.float32), np.float32)
