"""All surfaces of a face as one set of triangles, posed for any frame: skin, tongue, and the rigid parts.

Two meshes stand for a face. Light falls on the vertices that its surfaces have; what is drawn may be finer, and takes
positions and colours from these by one matrix. Knows geometry; light and camera are elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from audio2face.animation.animation import Animation, Surface
from audio2face.animation.parts import RigidPart, eye_matrices, rigid_parts
from audio2face.export.render.lighting import MATERIALS
from audio2face.geometry.mesh import DEFAULT_COLOURS, Matrix, Normals, linear, refine, triangulate
from audio2face.types import Float32Array, Int32Array

_COARSE_VERTS = 12_000  # a surface of fewer is refined, so that its outline is round
_DISC = 0.45  # size of a point, as a share of the distance to the next


@dataclass(frozen=True, eq=False)
class _Body:
    """One surface.

    Attributes:
        kind: key of `MATERIALS`.
        source: what it is made of.
        colours: sRGB of its vertices, `[verts, 3]`.
        triangles: between its vertices; none where polygons are not known.
        finer: makes the vertices that are drawn of its own.
        offsets: added then, to drawn vertices; a point becomes a small disc.
        drawn: triangles between the vertices that are drawn.
        outwards: normals of a surface without triangles, `[verts, 3]`.
    """

    kind: str
    source: Surface | RigidPart
    colours: Float32Array
    triangles: Int32Array
    finer: Matrix
    offsets: Float32Array
    drawn: Int32Array
    outwards: Float32Array | None = None

    @property
    def num_verts(self) -> int:
        """Its own vertices."""
        return len(self.colours)


class Scene:
    """A face in any of its frames; points take the place of polygons that are not known.

    Attributes:
        triangles: between the vertices that light falls on, `[triangles, 3]`.
        drawn_triangles: between the vertices that are drawn, `[drawn triangles, 3]`.
        body_of: number of the surface of each of these, `[drawn triangles]`.
        materials: names of the materials; `material_of` says which of them each vertex has, `[verts]`.
        albedo: colours of the vertices in linear light, `[verts, 3]`.
    """

    def __init__(self, animation: Animation) -> None:
        """Gathers the surfaces of a face."""
        self._animation = animation
        parts = animation.parts
        bodies = [
            _deforming(part, surface, parts.get(f"extra_{part}_colours"))
            for part, surface in animation.surfaces.items()
        ]
        if animation.skin.faces is not None:  # else eyes and teeth would stare through the points
            bodies += [_rigid(prop) for prop in rigid_parts(animation)]
        self._bodies = bodies
        self._finer = sparse.csr_matrix(
            sparse.block_diag([body.finer for body in bodies], format="csr"), dtype=np.float32
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

    def rest(self) -> Float32Array:
        """The skin at rest with all else as in the first frame, `[verts, 3]`."""
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
        """Positions that are drawn, of a pose `[verts, 3]`."""
        return np.asarray(self._finer @ points + self._offsets, np.float32)

    def drawn_colours(self, colours: Float32Array) -> Float32Array:
        """Colours that are drawn, of those of the vertices `[verts, 3]`."""
        return np.asarray(self._finer @ colours, np.float32)

    def _posed(self, skin: Float32Array, frame: int) -> Float32Array:
        return np.concatenate([self._points(body, skin, frame) for body in self._bodies])

    def _points(self, body: _Body, skin: Float32Array, frame: int) -> Float32Array:
        """Vertices of a surface in a frame."""
        if isinstance(body.source, RigidPart):
            return self._moved(body.source, frame)
        return skin if body.kind == "skin" else np.asarray(body.source.frames[frame], np.float32)

    def _moved(self, prop: RigidPart, frame: int) -> Float32Array:
        if prop.follows == "head":
            return prop.vertices
        if prop.follows == "jaw":
            jaw = np.asarray(self._animation.jaw[frame])
            return np.asarray(prop.vertices @ jaw[:3, :3].T + jaw[:3, 3], np.float32)
        right, left = eye_matrices(self._animation.eyes[frame : frame + 1])
        turn = (right if prop.follows == "right_eye" else left)[0]
        return np.asarray((prop.vertices - prop.pivot) @ turn.T + prop.pivot, np.float32)


def _joined(triangles: list[Int32Array], counts: list[int]) -> Int32Array:
    """The triangles of several meshes whose vertices stand one after the other."""
    starts = np.cumsum([0, *counts[:-1]])
    return np.concatenate([part + start for part, start in zip(triangles, starts, strict=True)], dtype=np.int32)


def _deforming(kind: str, surface: Surface, colours: npt.NDArray[Any] | None) -> _Body:
    count = surface.num_verts
    if colours is None:
        colours = np.tile(np.array(DEFAULT_COLOURS[kind], np.uint8), (count, 1))
    painted = np.asarray(colours, np.float32)[:, :3]
    if surface.faces is None:
        return _discs(kind, surface, painted)
    triangles = triangulate(surface.faces)
    if count > _COARSE_VERTS:
        return _unrefined(kind, surface, painted, triangles)
    finer, quads = refine(surface.faces, count)
    offsets = np.zeros((finer.shape[0], 3), np.float32)
    return _Body(kind, surface, painted, triangles, finer, offsets, triangulate(quads))


def _rigid(prop: RigidPart) -> _Body:
    """A rigid part; an eyeball is refined for good, since lamps are mirrored in it."""
    if prop.kind == "eye" and len(prop.vertices) < _COARSE_VERTS:
        finer, quads = refine(prop.faces, len(prop.vertices))
        vertices = np.asarray(finer @ prop.vertices, np.float32)
        colours = np.asarray(np.rint(finer @ prop.colours.astype(np.float32)), np.uint8)
        prop = replace(prop, vertices=vertices, faces=quads, colours=colours)
    return _unrefined(prop.kind, prop, prop.colours.astype(np.float32), triangulate(prop.faces))


def _unrefined(kind: str, source: Surface | RigidPart, colours: Float32Array, triangles: Int32Array) -> _Body:
    finer = sparse.csr_matrix(sparse.identity(len(colours), np.float32, format="csr"))
    return _Body(kind, source, colours, triangles, finer, np.zeros((len(colours), 3), np.float32), triangles)


def _discs(kind: str, surface: Surface, colours: Float32Array) -> _Body:
    """A small square that stands on its corner and faces away from the middle of the head, at each vertex."""
    count = surface.num_verts
    distances = np.asarray(cKDTree(surface.neutral).query(surface.neutral, k=min(2, count))[0])
    apart = distances.reshape(count, -1)[:, -1]
    outwards = surface.neutral - (surface.neutral.min(axis=0) + surface.neutral.max(axis=0)) / 2
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    right = np.cross(np.array([1e-3, 1, 0], np.float32), outwards)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-6)
    up = np.cross(outwards, right)
    offsets = _DISC * np.median(apart) * np.stack([-right, -up, right, up], axis=1).reshape(-1, 3)
    places = (np.arange(4 * count), np.repeat(np.arange(count), 4))
    finer = sparse.csr_matrix((np.ones(4 * count, np.float32), places), shape=(4 * count, count))
    squares = triangulate(np.arange(4 * count, dtype=np.int32).reshape(count, 4))
    nothing = np.zeros((0, 3), np.int32)
    return _Body(kind, surface, colours, nothing, finer, offsets.astype(np.float32), squares, outwards)
