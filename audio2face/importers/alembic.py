"""The kind `alembic`: animated meshes as Alembic caches (.abc), read by the package alembic3d.

Follows Alembic's schemas PolyMesh and Xform. Polygons are clockwise there; a cache says nothing about units and axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError, UserError
from audio2face.extras import require
from audio2face.importers.clips import Clip, clip_frames, find_sources
from audio2face.importers.mesh_takes import MeshImporter
from audio2face.importers.moving import MovingMeshes
from audio2face.importers.naming import take_names
from audio2face.importers.timing import named_rate
from audio2face.rigs.scene import Piece, polygons, turned_over
from audio2face.types import Float32Array, Float64Array, Int32Array

_AGAIN = "Export the cache again, in the format Ogawa, with its meshes over the frames of the take."


class AlembicCaches(MeshImporter):
    """Alembic caches, each a take."""

    def open(self, sources: Sequence[Path]) -> list[MovingMeshes]:
        """The take of each cache."""
        require("Importing Alembic", "alembic")
        paths = find_sources(sources, (".abc",), "Alembic caches")
        names = take_names([(path.stem, path.parent) for path in paths])
        fps = None if self.options.fps is None else named_rate(self.options.fps)
        return [_open_take(path, name, fps) for name, path in zip(names, paths, strict=True)]


def _open_take(path: Path, name: str, fps: Fraction | None) -> MovingMeshes:
    from alembic3d import Abc

    try:
        archive = Abc.IArchive(str(path))
        meshes = list(_meshes_of(archive.getTop(), ()))
        keys = [times for mesh in meshes for times in mesh.key_times() if len(times) > 1]
        pieces = [mesh.piece() for mesh in meshes]
    except (RuntimeError, ValueError) as error:
        raise FileFormatError(f"is not a valid Alembic cache: {error}", path=path, hint=_AGAIN) from error
    if not meshes or not keys:
        what = "whose points or transforms have samples over time" if meshes else "at all"
        raise UserError(f"holds no mesh {what}", path=path, hint=_AGAIN)
    first = min(float(times[0]) for times in keys)
    clip = clip_frames(keys, fps, path, first)
    return MovingMeshes(
        name=name,
        source=path,
        kind="shapes",
        pieces=pieces,
        has_rest=False,
        pose=_Poses(path, archive, meshes, [len(piece.vertices) for piece in pieces], clip),
        num_frames=clip.num_frames,
        fps=clip.fps,
        start=clip.start,
        unit_cm=None,
        up=None,
    )


@dataclass(frozen=True, eq=False)
class _Mesh:
    """A mesh of a cache.

    Attributes:
        name: of it and of what it lies in.
        schema: AbcGeom.IPolyMeshSchema.
        transforms: AbcGeom.IXformSchema of what it lies in, the outermost first.
    """

    name: str
    schema: Any
    transforms: tuple[Any, ...]

    def key_times(self) -> Iterator[Float64Array]:
        """Times of the samples of points and transforms, in seconds."""
        for schema in (self.schema, *self.transforms):
            times, count = schema.getTimeSampling(), schema.getNumSamples()
            yield np.array([times.getSampleTime(number) for number in range(count)], np.float64)

    def piece(self) -> Piece:
        """The mesh in its first sample."""
        from alembic3d import Abc

        sample = self.schema.getValue(Abc.ISampleSelector(0))
        counts = np.array(sample.getFaceCounts(), np.int32)
        corners: Int32Array = np.array(sample.getFaceIndices(), np.int32)
        points = _points(sample.getPositions())
        if not len(points) or (corners.size and not 0 <= corners.min() <= corners.max() < len(points)):
            raise ValueError(f"mesh {self.name} has polygons of vertices that it lacks, or none")
        return Piece(self.name, self.at(_time_of(self.schema, 0)), turned_over(polygons(counts, corners)), {}, None)

    def at(self, time: float) -> Float32Array:
        """Its points in the cache's space at the sample that is nearest to a time, `[verts, 3]`."""
        from alembic3d import Abc

        selector = Abc.ISampleSelector(float(time))
        points = _points(self.schema.getPositionsProperty().getValue(selector)).astype(np.float64)
        for transform in reversed(self.transforms):
            matrix = np.array(transform.getValue(selector).getMatrix(), np.float64)
            points = points @ matrix[:3, :3] + matrix[3, :3]
            if not transform.getInheritsXforms():
                break
        return np.asarray(points, np.float32)


def _points(values: Any) -> Float32Array:
    return np.array(values, np.float32).reshape(-1, 3)


def _time_of(schema: Any, number: int) -> float:
    return float(schema.getTimeSampling().getSampleTime(number))


def _meshes_of(parent: Any, above: tuple[tuple[str, Any], ...]) -> Iterator[_Mesh]:
    """The meshes below an object, with the transforms that they lie in."""
    from alembic3d import AbcGeom

    for number in range(parent.getNumChildren()):
        child = parent.getChild(number)
        header, name = child.getHeader(), child.getName()
        if AbcGeom.IXform.matches(header):
            transform = AbcGeom.IXform(parent, name).getSchema()
            yield from _meshes_of(child, (*above, (name, transform)))
            continue
        if AbcGeom.IPolyMesh.matches(header):
            names = [*(each for each, _ in above), name]
            schema = AbcGeom.IPolyMesh(parent, name).getSchema()
            yield _Mesh(" ".join(names), schema, tuple(transform for _, transform in above))
        yield from _meshes_of(child, above)


@dataclass(frozen=True, eq=False)
class _Poses:
    """Positions of the meshes of a cache, see `moving.Pose`; it holds the archive, to which meshes only refer."""

    path: Path
    archive: Any
    meshes: Sequence[_Mesh]
    counts: Sequence[int]
    clip: Clip

    def __call__(self, piece: int, frames: slice) -> Float32Array:
        """One mesh in some frames, float32 `[frames, verts, 3]`."""
        times = self.clip.times(frames).tolist()
        try:
            found = [self.meshes[piece].at(time) for time in times]
        except RuntimeError as error:
            raise FileFormatError(f"is damaged: {error}", path=self.path, hint=_AGAIN) from error
        if any(len(points) != self.counts[piece] for points in found):
            raise FileFormatError(
                f"mesh {self.meshes[piece].name} has another number of vertices in some frame",
                path=self.path,
                hint="Its polygons must not change over time: remove what adds or removes vertices.",
            )
        return np.stack(found)
