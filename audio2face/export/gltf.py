"""glTF export: arrays as accessors of a binary container, and the scene of an animated face.

`Accessors` packs arrays into the buffer (glTF 2.0, section 3.6); `write_glb` builds the scene of meshes, morph targets,
jaw, eyes and animation, and writes the container (section 4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pygltflib as gltf  # type: ignore[import-untyped]

from audio2face import __version__
from audio2face.animation.animation import Animation, BlendWeights, Surface
from audio2face.animation.parts import RigidPart, eye_quaternions, jaw_quaternions, rigid_parts
from audio2face.animation.timecode import start_facts
from audio2face.export.morph_targets import MorphTargets, fit_morph_targets
from audio2face.geometry.frames import written_times
from audio2face.geometry.mesh import DEFAULT_COLOURS, Normals, linear, triangulate
from audio2face.io.atomic import atomic_write
from audio2face.types import AnyArray, Float32Array, Int32Array, Int64Array

_TYPES = {(): gltf.SCALAR, (2,): gltf.VEC2, (3,): gltf.VEC3, (4,): gltf.VEC4}
_COMPONENTS = {
    np.dtype("<f4"): gltf.FLOAT,
    np.dtype("<u4"): gltf.UNSIGNED_INT,
    np.dtype("<u2"): gltf.UNSIGNED_SHORT,
    np.dtype("u1"): gltf.UNSIGNED_BYTE,
}
_GLB_MAGIC, _GLB_VERSION = 0x46546C67, 2
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942


class Accessors:
    """Collects arrays for one binary chunk, each in its own buffer view, and returns their accessor indices."""

    def __init__(self, document: gltf.GLTF2) -> None:
        self._document = document
        self._pieces: list[bytes] = []
        self._zeros: dict[int, int] = {}
        self._size = 0

    def dense(
        self,
        array: npt.NDArray[np.generic],
        *,
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Adds an array `[count]` or `[count, 2 to 4]`.

        Args:
            array: float32, or unsigned integers of 8, 16 or 32 bits.
            target: its use on a graphics card, `gltf.ARRAY_BUFFER` or `gltf.ELEMENT_ARRAY_BUFFER`.
            bounds: whether to store minimum and maximum, as positions and times require.
            normalized: whether integers represent 0 to 1.
        """
        accessor = self._described(array, bounds)
        accessor.bufferView = self._view(array, target)
        accessor.byteOffset = 0
        accessor.normalized = normalized
        return self._added(accessor)

    def sparse(self, array: Float32Array, rows: Int64Array, rows_view: int, bounds: bool) -> int:
        """Adds `array` `[count, 3]`, of which only `rows` are stored and all others are zero.

        Args:
            array: all rows.
            rows: ascending indices of the rows to store.
            rows_view: buffer view of these indices, from `row_numbers`.
            bounds: whether to store minimum and maximum.
        """
        accessor = self._described(array, bounds)
        # This view is optional in the format; without it VTK's reader uses uninitialised memory instead of zeros.
        accessor.bufferView = self._zero_view(len(array))
        accessor.sparse = gltf.Sparse(
            count=len(rows),
            indices=gltf.AccessorSparseIndices(bufferView=rows_view, componentType=_row_component(len(array))),
            values=gltf.AccessorSparseValues(bufferView=self._view(array[rows], None)),
        )
        return self._added(accessor)

    def row_numbers(self, rows: Int64Array, count: int) -> int:
        """Stores row indices for `sparse` accessors of `count` rows; returns their buffer view."""
        return self._view(rows.astype("<u2" if _row_component(count) == gltf.UNSIGNED_SHORT else "<u4"), None)

    def container(self) -> Iterator[bytes]:
        """The bytes of the .glb file, in chunks; call it last."""
        self._document.buffers = [gltf.Buffer(byteLength=self._size)]
        text = self._document.gltf_to_json(separators=(",", ":"), indent=None).encode()
        text += b" " * (-len(text) % 4)
        yield struct.pack("<III", _GLB_MAGIC, _GLB_VERSION, 12 + 8 + len(text) + 8 + self._size)
        yield struct.pack("<II", len(text), _JSON_CHUNK) + text
        yield struct.pack("<II", self._size, _BINARY_CHUNK)
        yield from self._pieces

    def _described(self, array: npt.NDArray[np.generic], bounds: bool) -> gltf.Accessor:
        accessor = gltf.Accessor(
            componentType=_COMPONENTS[array.dtype], count=len(array), type=_TYPES[array.shape[1:]], max=None, min=None
        )
        if bounds:
            flat = array.reshape(len(array), -1)
            accessor.min, accessor.max = flat.min(axis=0).tolist(), flat.max(axis=0).tolist()
        return accessor

    def _zero_view(self, count: int) -> int:
        if count not in self._zeros:
            self._zeros[count] = self._view(np.zeros((count, 3), np.float32), gltf.ARRAY_BUFFER)
            self._document.bufferViews[-1].byteStride = 12  # required for a view shared by several accessors
        return self._zeros[count]

    def _view(self, array: npt.NDArray[np.generic], target: int | None) -> int:
        piece = np.ascontiguousarray(array).tobytes()
        view = gltf.BufferView(buffer=0, byteOffset=self._size, byteLength=len(piece), target=target)
        piece += b"\0" * (-len(piece) % 4)
        self._pieces.append(piece)
        self._size += len(piece)
        self._document.bufferViews.append(view)
        return len(self._document.bufferViews) - 1

    def _added(self, accessor: gltf.Accessor) -> int:
        self._document.accessors.append(accessor)
        return len(self._document.accessors) - 1


def _row_component(count: int) -> int:
    return int(gltf.UNSIGNED_SHORT if count <= 1 << 16 else gltf.UNSIGNED_INT)


_METRES = np.float32(0.01)  # of a centimetre
_STILL_M = 1e-6  # smaller offsets of a vertex are omitted from a target
_SAME_NORMAL = 2e-3  # smaller differences of unit normals are omitted
_SPARSE_COST = 26 / 24  # bytes per vertex of a sparse pair of position and normal, relative to a dense pair

_ROUGHNESS = {"skin": 0.55, "tongue": 0.35, "teeth": 0.25, "eye": 0.08, "marker": 0.6}


def write_glb(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes `<name>.glb`.

    The skin's morph targets are its blend shapes if weights were solved, otherwise principal components of its frames,
    which the tongue always uses (`fit_morph_targets` logs the error). A face without polygons is a point cloud. The
    nodes `jaw`, `right_eye` and `left_eye` are keyed and move the lower teeth and eyeballs. glTF has no audio.

    Raises:
        UserError: the file cannot be written.
    """
    scene = _Scene(animation)
    for part, surface in animation.surfaces.items():
        # The tongue's weights are solved without the jaw's motion: with them it would be off by centimetres.
        scene.add_surface(part, surface, animation.skin_weights if part == "skin" else None)
    scene.add_rigid_parts()
    path = folder / f"{name}.glb"
    with atomic_write(path) as handle:
        for piece in scene.accessors.container():
            handle.write(piece)
    return [path]


class _Scene:
    """The glTF document under construction."""

    def __init__(self, animation: Animation) -> None:
        self._animation = animation
        self._motion = gltf.Animation(name="speech")
        self._root = gltf.Node(name=animation.actor)
        self._materials: dict[tuple[str, bool], int] = {}
        self._facts: dict[str, Any] = {"actor": animation.actor, "fps": animation.fps}
        self._facts |= start_facts(animation.start, animation.fps)
        self._document = gltf.GLTF2(
            asset=gltf.Asset(generator=f"audio2face {__version__}", version="2.0", extras=self._facts),
            scene=0,
            scenes=[gltf.Scene(nodes=[0])],
            nodes=[self._root],
            animations=[self._motion],
        )
        self.accessors = Accessors(self._document)
        times = written_times(np.arange(animation.num_frames), animation.fps).astype(np.float32)
        self._times = self.accessors.dense(times, bounds=True)

    def add_surface(self, kind: str, surface: Surface, solved: BlendWeights | None) -> None:
        """Adds the skin or the tongue with its morph targets and their weights over time."""
        morphs = fit_morph_targets(surface, solved, kind)
        self._facts[f"{kind}_error_mm"] = {"rms": round(morphs.rms_mm, 4), "worst": round(morphs.worst_mm, 3)}
        colours = self._animation.parts.get(f"extra_{kind}_colours")
        primitive = self._primitive(kind, morphs.neutral * _METRES, surface.faces, colours)
        primitive.targets = self._targets(morphs, surface.faces)
        mesh = gltf.Mesh(name=kind, primitives=[primitive], weights=None)
        node = self._add_node(gltf.Node(name=kind, mesh=self._add_mesh(mesh)))
        if morphs.names:
            mesh.weights = [0.0] * len(morphs.names)
            mesh.extras = {"targetNames": list(morphs.names)}
            self._key(node, "weights", np.asarray(morphs.weights, np.float32).reshape(-1))

    def add_rigid_parts(self) -> None:
        """Adds the keyed nodes of jaw and eyes, and every rigid part as a child of the node that moves it."""
        animation = self._animation
        rigid = rigid_parts(animation)
        pivots = {str(part.follows): part.pivot * _METRES for part in rigid if part.follows not in ("head", "jaw")}
        nodes = {"head": 0}
        for follows in ("jaw", "right_eye", "left_eye"):
            position = pivots[follows].tolist() if follows in pivots else None
            nodes[follows] = self._add_node(gltf.Node(name=follows, translation=position))
        self._key(nodes["jaw"], "translation", np.asarray(animation.jaw[:, :3, 3] * _METRES, np.float32))
        self._key(nodes["jaw"], "rotation", jaw_quaternions(animation.jaw))
        right, left = eye_quaternions(animation.eyes)
        self._key(nodes["right_eye"], "rotation", right)
        self._key(nodes["left_eye"], "rotation", left)
        for part in rigid:
            self._add_part(part, nodes[part.follows], pivots.get(part.follows))

    def _add_part(self, part: RigidPart, parent: int, pivot: Float32Array | None) -> None:
        points = part.vertices * _METRES
        if pivot is not None:
            points -= pivot
        primitive = self._primitive(part.kind, points, part.faces, part.colours)
        mesh = gltf.Mesh(name=part.name, primitives=[primitive], weights=None)
        # The eyes' nodes already have these names.
        name = f"{part.name}_mesh" if part.name == part.follows else part.name
        self._add_node(gltf.Node(name=name, mesh=self._add_mesh(mesh)), parent)

    def _primitive(
        self,
        kind: str,
        points: Float32Array,
        faces: Int32Array | None,
        colours: AnyArray | None,
    ) -> gltf.Primitive:
        array = gltf.ARRAY_BUFFER
        attributes = gltf.Attributes(POSITION=self.accessors.dense(points, target=array, bounds=True))
        if colours is not None:
            attributes.COLOR_0 = self.accessors.dense(_opaque(colours), target=array, normalized=True)
        primitive = gltf.Primitive(
            attributes=attributes, material=self._material(kind, colours is not None), targets=None
        )
        if faces is None:
            primitive.mode = gltf.POINTS
            return primitive
        triangles = triangulate(faces)
        attributes.NORMAL = self.accessors.dense(Normals(triangles, len(points)).compute(points), target=array)
        corners = triangles.reshape(-1).astype("<u2" if len(points) < 1 << 16 else "<u4")
        primitive.indices = self.accessors.dense(corners, target=gltf.ELEMENT_ARRAY_BUFFER)
        return primitive

    def _targets(self, morphs: MorphTargets, faces: Int32Array | None) -> list[gltf.Attributes] | None:
        """Morph targets: offsets of positions and, if there are polygons, of normals."""
        normals = None if faces is None else Normals(triangulate(faces), len(morphs.neutral))
        neutral = None if normals is None else normals.compute(morphs.neutral)
        found = []
        for delta in morphs.deltas:
            parts = [np.ascontiguousarray(delta * _METRES, np.float32)]
            if normals is not None and neutral is not None:
                parts.append(normals.compute(morphs.neutral + delta) - neutral)
            numbers = self._target_arrays(parts)
            found.append(gltf.Attributes(POSITION=numbers[0], NORMAL=numbers[1] if len(numbers) > 1 else None))
        return found or None

    def _target_arrays(self, parts: Sequence[Float32Array]) -> list[int]:
        """Accessors of one target's arrays, sparse if that is smaller."""
        moved = np.abs(parts[0]).max(axis=1) > _STILL_M
        if len(parts) > 1:
            moved |= np.abs(parts[1]).max(axis=1) > _SAME_NORMAL
        moved[0] |= not moved.any()  # at least one vertex must be stored
        rows = np.flatnonzero(moved)
        if len(rows) * _SPARSE_COST > len(moved):
            array = gltf.ARRAY_BUFFER
            return [self.accessors.dense(part, target=array, bounds=part is parts[0]) for part in parts]
        numbers = self.accessors.row_numbers(rows, len(moved))
        kept = [np.where(moved[:, None], part, np.float32(0)) for part in parts]
        return [self.accessors.sparse(part, rows, numbers, bounds=part is kept[0]) for part in kept]

    def _material(self, kind: str, coloured: bool) -> int:
        if (kind, coloured) not in self._materials:
            colour = linear(np.array(DEFAULT_COLOURS.get(kind, DEFAULT_COLOURS["part"]))).tolist()
            self._materials[kind, coloured] = len(self._document.materials)
            surface = gltf.PbrMetallicRoughness(
                baseColorFactor=[1.0, 1.0, 1.0, 1.0] if coloured else [*colour, 1.0],
                metallicFactor=0.0,
                roughnessFactor=_ROUGHNESS[kind],
            )
            material = gltf.Material(name=kind, pbrMetallicRoughness=surface, doubleSided=True, alphaCutoff=None)
            self._document.materials.append(material)
        return self._materials[kind, coloured]

    def _add_mesh(self, mesh: gltf.Mesh) -> int:
        self._document.meshes.append(mesh)
        return len(self._document.meshes) - 1

    def _add_node(self, node: gltf.Node, parent: int = 0) -> int:
        self._document.nodes.append(node)
        number = len(self._document.nodes) - 1
        self._document.nodes[parent].children.append(number)
        return number

    def _key(self, node: int, path: str, values: Float32Array) -> None:
        """Keys a property of a node at every frame, linear in between."""
        sampler = gltf.AnimationSampler(input=self._times, output=self.accessors.dense(values))
        self._motion.samplers.append(sampler)
        target = gltf.AnimationChannelTarget(node=node, path=path)
        self._motion.channels.append(gltf.AnimationChannel(sampler=len(self._motion.samplers) - 1, target=target))


def _opaque(colours: AnyArray) -> npt.NDArray[np.uint16]:
    """Converts sRGB colours, uint8 `[verts, 3]`, to opaque linear ones, `[verts, 4]`."""
    return np.asarray(np.rint(65535 * np.pad(linear(colours), ((0, 0), (0, 1)), constant_values=1)), np.uint16)
