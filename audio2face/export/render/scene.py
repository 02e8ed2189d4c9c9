"""All surfaces of a face as one triangle mesh, posed for any frame: skin, tongue, and the rigid parts.

Lighting is computed on the vertices of the surfaces. The drawn mesh may be refined; a sparse matrix interpolates its
positions and colours from these vertices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from audio2face.animation.animation import Animation, Surface
from audio2face.animation.parts import RigidPart, eye_matrices, rigid_parts
from audio2face.export.render.lighting import MATERIALS
from audio2face.geometry.mesh import DEFAULT_COLOURS, Normals, linear, refine, triangulate
from audio2face.types import AnyArray, Float32Array, Int32Array

_COARSE_VERTS = 12_000  # surfaces with fewer vertices are refined, for smooth outlines
_DISC = 0.45  # size of a point, as a fraction of the distance to the next


@dataclass(frozen=True, eq=False)
class _Body:
    """One surface.

    Attributes:
        kind: key of `MATERIALS`.
        source: the surface or rigid part.
        colours: sRGB of its vertices, `[verts, 3]`.
        triangles: of its vertices; empty without polygons.
        refinement: matrix from its vertices to the drawn vertices.
        offsets: added to drawn vertices; they turn a point into a small disc.
        drawn: triangles of the drawn vertices.
        outwards: normals of a surface without triangles, `[verts, 3]`.
    """

    kind: str
    source: Surface | RigidPart
    colours: Float32Array
    triangles: Int32Array
    refinement: sparse.csr_matrix[np.float32]
    offsets: Float32Array
    drawn: Int32Array
    outwards: Float32Array | None = None

    @property
    def num_verts(self) -> int:
        """Number of its own vertices."""
        return len(self.colours)


class Scene:
    """A face in any of its frames; surfaces without polygons are drawn as points.

    Attributes:
        triangles: of the lit vertices, `[triangles, 3]`.
        drawn_triangles: of the drawn vertices, `[drawn triangles, 3]`.
        body_of: index of the surface of each drawn triangle, `[drawn triangles]`.
        materials: names of the materials.
        material_of: index of the material of each vertex, `[verts]`.
        albedo: colours of the vertices in linear light, `[verts, 3]`.
    """

    def __init__(self, animation: Animation) -> None:
        """Collects the surfaces of a face."""
        self._animation = animation
        parts = animation.parts
        bodies = [
            _deforming(part, surface, parts.get(f"extra_{part}_colours"))
            for part, surface in animation.surfaces.items()
        ]
        if animation.skin.faces is not None:  # otherwise eyes and teeth would be visible between the points
            bodies += [_rigid(part) for part in rigid_parts(animation)]
        self._bodies = bodies
        self._refinement = sparse.csr_matrix(
            sparse.block_diag([body.refinement for body in bodies], format="csr"), dtype=np.float32
        )
        self._offsets = np.concatenate([body.offsets for body in bodies])
        counts = [body.num_verts for body in bodies]
        self.triangles = _joined([body.triangles for body in bodies], counts)
        self.drawn_triangles = _joined([body.drawn for body in bodies], [len(body.offsets) for body in bodies])
        self.body_of = np.repeat(np.arange(len(bodies), dtype=np.int32), [len(body.drawn) for body in bodies])
        self.materials = list(MATERIALS)
        kinds = [self.materials.index(body.kind) for body in bodies]
        self.material_of = np.repeat(np.array(kinds, np.int32), counts)
        self.albedo = linear(np.concatenate([body.colours for body in bodies]))
        self._normals = Normals(self.triangles, sum(counts))

    def pose(self, frame: int) -> Float32Array:
        """Positions of all vertices in a frame, `[verts, 3]`, centimetres."""
        skin = np.asarray(self._animation.skin.frames[frame], np.float32)
        return self._posed(skin, frame)

    def neutral_pose(self) -> Float32Array:
        """The neutral skin with all other surfaces as in the first frame, `[verts, 3]`."""
        return self._posed(self._animation.skin.neutral, 0)

    def normals(self, points: Float32Array) -> Float32Array:
        """Unit normals of a pose `[verts, 3]`."""
        found = self._normals.compute(points)
        first = 0
        for body in self._bodies:
            if body.outwards is not None:
                found[first : first + body.num_verts] = body.outwards
            first += body.num_verts
        return found

    def drawn_points(self, points: Float32Array) -> Float32Array:
        """Drawn positions of a pose `[verts, 3]`."""
        return np.asarray(self._refinement @ points + self._offsets, np.float32)

    def drawn_colours(self, colours: Float32Array) -> Float32Array:
        """Drawn colours from colours of the vertices `[verts, 3]`."""
        return np.asarray(self._refinement @ colours, np.float32)

    def _posed(self, skin: Float32Array, frame: int) -> Float32Array:
        return np.concatenate([self._points(body, skin, frame) for body in self._bodies])

    def _points(self, body: _Body, skin: Float32Array, frame: int) -> Float32Array:
        """Vertices of a surface in a frame."""
        if isinstance(body.source, RigidPart):
            return self._rigid_points(body.source, frame)
        return skin if body.kind == "skin" else np.asarray(body.source.frames[frame], np.float32)

    def _rigid_points(self, part: RigidPart, frame: int) -> Float32Array:
        if part.follows == "head":
            return part.vertices
        if part.follows == "jaw":
            jaw = np.asarray(self._animation.jaw[frame])
            return np.asarray(part.vertices @ jaw[:3, :3].T + jaw[:3, 3], np.float32)
        right, left = eye_matrices(self._animation.eyes[frame : frame + 1])
        rotation = (right if part.follows == "right_eye" else left)[0]
        return np.asarray((part.vertices - part.pivot) @ rotation.T + part.pivot, np.float32)


def _joined(triangles: list[Int32Array], counts: list[int]) -> Int32Array:
    """The triangles of several meshes with concatenated vertices."""
    starts = np.cumsum([0, *counts[:-1]])
    return np.concatenate([part + start for part, start in zip(triangles, starts, strict=True)], dtype=np.int32)


def _deforming(kind: str, surface: Surface, colours: AnyArray | None) -> _Body:
    count = surface.num_verts
    if colours is None:
        colours = np.tile(np.array(DEFAULT_COLOURS[kind], np.uint8), (count, 1))
    painted = np.asarray(colours, np.float32)[:, :3]
    if surface.faces is None:
        return _discs(kind, surface, painted)
    triangles = triangulate(surface.faces)
    if count > _COARSE_VERTS:
        return _unrefined(kind, surface, painted, triangles)
    refinement, quads = refine(surface.faces, count)
    offsets = np.zeros((refinement.shape[0], 3), np.float32)
    return _Body(kind, surface, painted, triangles, refinement, offsets, triangulate(quads))


def _rigid(part: RigidPart) -> _Body:
    """A rigid part; an eyeball is refined once, for smooth reflections."""
    if part.kind == "eye" and len(part.vertices) < _COARSE_VERTS:
        refinement, quads = refine(part.faces, len(part.vertices))
        vertices = np.asarray(refinement @ part.vertices, np.float32)
        colours = np.asarray(np.rint(refinement @ part.colours.astype(np.float32)), np.uint8)
        part = replace(part, vertices=vertices, faces=quads, colours=colours)
    return _unrefined(part.kind, part, part.colours.astype(np.float32), triangulate(part.faces))


def _unrefined(kind: str, source: Surface | RigidPart, colours: Float32Array, triangles: Int32Array) -> _Body:
    refinement = sparse.csr_matrix(sparse.identity(len(colours), np.float32, format="csr"))
    return _Body(kind, source, colours, triangles, refinement, np.zeros((len(colours), 3), np.float32), triangles)


def _discs(kind: str, surface: Surface, colours: Float32Array) -> _Body:
    """A small square at each vertex, rotated by 45 degrees and facing away from the centre of the head."""
    count = surface.num_verts
    distances = np.asarray(cKDTree(surface.neutral).query(surface.neutral, k=min(2, count))[0])
    spacing = distances.reshape(count, -1)[:, -1]
    outwards = surface.neutral - (surface.neutral.min(axis=0) + surface.neutral.max(axis=0)) / 2
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    right = np.cross(np.array([1e-3, 1, 0], np.float32), outwards)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-6)
    up = np.cross(outwards, right)
    offsets = _DISC * np.median(spacing) * np.stack([-right, -up, right, up], axis=1).reshape(-1, 3)
    indices = (np.arange(4 * count), np.repeat(np.arange(count), 4))
    refinement = sparse.csr_matrix((np.ones(4 * count, np.float32), indices), shape=(4 * count, count))
    squares = triangulate(np.arange(4 * count, dtype=np.int32).reshape(count, 4))
    nothing = np.zeros((0, 3), np.int32)
    return _Body(kind, surface, colours, nothing, refinement, offsets.astype(np.float32), squares, outwards)
