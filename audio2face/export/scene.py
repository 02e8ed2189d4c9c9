"""All surfaces of a face as one set of triangles, posed for any frame: skin, tongue, and the rigid parts.

Knows geometry; light and camera are elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from audio2face.export.animation import Animation, Float32Array, Surface
from audio2face.export.colours import linear
from audio2face.export.props import Prop, props_of
from audio2face.export.rotations import eye_matrices
from audio2face.export.studio import MATERIALS
from audio2face.export.subdivide import Matrix, refine
from audio2face.export.triangles import Normals, triangulate

Int32Array = npt.NDArray[np.int32]

_COARSE_VERTS = 12_000  # a surface of fewer is refined, so that its outline is round
_DISC = 0.45  # size of a point, as a share of the distance to the next
_REFINED_KINDS = ("skin", "tongue", "eye")
_COLOURS = {
    "skin": (214, 164, 140),
    "tongue": (188, 98, 98),
    "teeth": (233, 226, 210),
    "eye": (238, 234, 230),
    "marker": (225, 225, 225),
}


@dataclass(frozen=True, eq=False)
class _Body:
    """One surface.

    Attributes:
        kind: key of `MATERIALS`.
        source: what it is made of.
        matrix: makes the vertices that are drawn of those of the source; None for as they are.
        offsets: added then; a point becomes a small disc.
        triangles: of the vertices that are drawn.
        colours: sRGB of the vertices that are drawn, `[verts, 3]`.
    """

    kind: str
    source: Surface | Prop
    matrix: Matrix | None
    triangles: Int32Array
    colours: Float32Array
    offsets: Float32Array | float = 0.0

    def drawn(self, points: Float32Array) -> Float32Array:
        """The vertices that are drawn, of those of the source."""
        return points if self.matrix is None else np.asarray(self.matrix @ points + self.offsets, np.float32)


class Scene:
    """A face in any of its frames; points take the place of polygons that are not known.

    Attributes:
        triangles: `[triangles, 3]` of all surfaces.
        body_of: number of the surface of each triangle, `[triangles]`.
        materials: names of the materials; `material_of` says which of them each vertex has, `[verts]`.
        albedo: colours of the vertices in linear light, `[verts, 3]`.
    """

    def __init__(self, animation: Animation) -> None:
        """Gathers the surfaces of a face."""
        self._animation = animation
        parts = animation.parts
        self._bodies = [
            _body(part, surface, surface.faces, parts.get(f"extra_{part}_colours"))
            for part, surface in animation.surfaces.items()
        ]
        if animation.skin.faces is not None:  # else eyes and teeth would stare through the points
            self._bodies += [_body(prop.kind, prop, prop.faces, prop.colours) for prop in props_of(animation)]
        counts = [len(body.colours) for body in self._bodies]
        starts = np.cumsum([0, *counts[:-1]])
        self.triangles = np.concatenate(
            [body.triangles + start for body, start in zip(self._bodies, starts, strict=True)], dtype=np.int32
        )
        self.body_of = np.repeat(np.arange(len(counts), dtype=np.int32), [len(body.triangles) for body in self._bodies])
        self.materials = list(MATERIALS)
        kinds = [self.materials.index(body.kind) for body in self._bodies]
        self.material_of = np.repeat(np.array(kinds, np.int32), counts)
        self.albedo = linear(np.concatenate([body.colours for body in self._bodies]))
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
        return self._normals.of(points)

    def _posed(self, skin: Float32Array, frame: int) -> Float32Array:
        return np.concatenate([body.drawn(self._points(body, skin, frame)) for body in self._bodies])

    def _points(self, body: _Body, skin: Float32Array, frame: int) -> Float32Array:
        """Vertices of a surface's source in a frame."""
        if isinstance(body.source, Prop):
            return self._moved(body.source, frame)
        return skin if body.kind == "skin" else np.asarray(body.source.frames[frame], np.float32)

    def _moved(self, prop: Prop, frame: int) -> Float32Array:
        if prop.follows == "head":
            return prop.vertices
        if prop.follows == "jaw":
            jaw = np.asarray(self._animation.jaw[frame])
            return np.asarray(prop.vertices @ jaw[:3, :3].T + jaw[:3, 3], np.float32)
        right, left = eye_matrices(self._animation.eyes[frame : frame + 1])
        turn = (right if prop.follows == "right_eye" else left)[0]
        return np.asarray((prop.vertices - prop.pivot) @ turn.T + prop.pivot, np.float32)


def _body(kind: str, source: Surface | Prop, faces: Int32Array | None, colours: npt.NDArray[Any] | None) -> _Body:
    count = len(source.neutral if isinstance(source, Surface) else source.vertices)
    if colours is None:
        colours = np.tile(np.array(_COLOURS[kind], np.uint8), (count, 1))
    painted = np.asarray(colours, np.float32)[:, :3]
    if faces is None:
        assert isinstance(source, Surface)
        return _discs(kind, source, painted)
    if kind not in _REFINED_KINDS or count > _COARSE_VERTS:
        return _Body(kind, source, None, triangulate(faces), painted)
    matrix, quads = refine(faces, count)
    return _Body(kind, source, matrix, triangulate(quads), np.asarray(matrix @ painted, np.float32))


def _discs(kind: str, source: Surface, colours: Float32Array) -> _Body:
    """A small square that stands on its corner and faces away from the middle of the head, at each vertex."""
    count = source.num_verts
    distances = np.asarray(cKDTree(source.neutral).query(source.neutral, k=min(2, count))[0])
    apart = distances.reshape(count, -1)[:, -1]
    outwards = source.neutral - (source.neutral.min(axis=0) + source.neutral.max(axis=0)) / 2
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    right = np.cross(np.array([1e-3, 1, 0], np.float32), outwards)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-6)
    up = np.cross(outwards, right)
    offsets = _DISC * np.median(apart) * np.stack([-right, -up, right, up], axis=1).reshape(-1, 3)
    places = (np.arange(4 * count), np.repeat(np.arange(count), 4))
    matrix = sparse.csr_matrix((np.ones(4 * count, np.float32), places), shape=(4 * count, count))
    squares = triangulate(np.arange(4 * count, dtype=np.int32).reshape(count, 4))
    return _Body(kind, source, matrix, squares, np.repeat(colours, 4, axis=0), offsets.astype(np.float32))
