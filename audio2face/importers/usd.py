"""The kind `usd`: animated characters as USD, by samples of points, UsdSkel blend shapes and joints, and transforms.

Follows the UsdSkel schemas: blend shapes deform the points of a mesh, joints place them in the space of the skeleton.
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
from audio2face.rigs.scene import Piece
from audio2face.types import Float32Array, Float64Array

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")


class UsdCharacters(MeshImporter):
    """Animated characters as USD stages, each a take."""

    def open(self, sources: Sequence[Path]) -> list[MovingMeshes]:
        """The take of each stage."""
        require("Importing USD", "usd")
        paths = find_sources(sources, SUFFIXES, "USD stages")
        names = take_names([(path.stem, path.parent) for path in paths])
        fps = None if self.options.fps is None else named_rate(self.options.fps)
        return [_open_take(path, name, fps) for name, path in zip(names, paths, strict=True)]


def _open_take(path: Path, name: str, fps: Fraction | None) -> MovingMeshes:
    from audio2face.rigs.usd_scene import open_stage, stage_errors, unit_and_axis

    stage = open_stage(path)
    with stage_errors(path):
        meshes = _open_meshes(stage)
        keys = [each for mesh in meshes for each in mesh.key_times() if len(each)]
        if not keys:
            raise UserError(
                "holds no animation: no points, weights of blend shapes, or joints have samples over time",
                path=path,
                hint="Export it with its animation, over the frames of the take.",
            )
        rate = float(stage.GetTimeCodesPerSecond())
        sound = _find_sound(stage, path)
        zero = sound.code if sound.code is not None else min(float(each[0]) for each in keys)
        clip = clip_frames([each / rate for each in keys], fps, path, zero / rate)
        unit, up = unit_and_axis(stage)
        return MovingMeshes(
            name=name,
            source=path,
            kind="blend shapes",
            pieces=[mesh.piece for mesh in meshes],
            has_rest=all(mesh.has_rest for mesh in meshes),
            pose=_Poses(path, stage, meshes, clip, rate),
            num_frames=clip.num_frames,
            fps=clip.fps,
            start=clip.start,
            unit_cm=unit,
            up=up,
            audio=sound.file,
            notes=sound.notes,
        )


@dataclass(frozen=True)
class _Sound:
    """The sound of a stage: its file where that exists, and the time code at which it begins; None where unknown."""

    file: Path | None = None
    code: float | None = None
    notes: tuple[str, ...] = ()


def _find_sound(stage: Any, path: Path) -> _Sound:
    """The sound that a stage names; else the recording begins with its first frame, where it tells that."""
    from pxr import UsdMedia  # type: ignore[import-untyped]

    for prim in stage.Traverse():
        if prim.IsA(UsdMedia.SpatialAudio):
            sound = UsdMedia.SpatialAudio(prim)
            asset, code = sound.GetFilePathAttr().Get(), sound.GetStartTimeAttr().Get()
            begin = float(code.GetValue()) if code is not None else 0.0
            named = "" if asset is None else asset.path
            file = path.parent / named
            if named and file.is_file():
                return _Sound(file, begin)
            return _Sound(None, begin, (f"its sound {named} is not there",) if named else ())
    return _Sound(code=float(stage.GetStartTimeCode()) if stage.HasAuthoredTimeCodeRange() else None)


@dataclass(frozen=True, eq=False)
class _Mesh:
    """One mesh of a stage.

    Attributes:
        mesh: UsdGeom.Mesh.
        piece: it at rest.
        has_rest: whether that is known: the points that move have a value without a time.
        bound: UsdSkel.SkinningQuery; None of a mesh without shapes and joints.
        skeleton: UsdSkel.SkeletonQuery of it; None without one.
        shapes: what its blend shapes need; None without them.
    """

    mesh: Any
    piece: Piece
    has_rest: bool
    bound: Any
    skeleton: Any
    shapes: _Shapes | None

    def key_times(self) -> Iterator[Float64Array]:
        """Time codes of the samples of what moves it."""
        yield np.asarray(self.mesh.GetPointsAttr().GetTimeSamples(), np.float64)
        if self.skeleton is not None and (motion := self.skeleton.GetAnimQuery()):
            if self.shapes is not None:
                yield np.asarray(motion.GetBlendShapeWeightTimeSamples(), np.float64)
            if self.bound.HasJointInfluences():
                yield np.asarray(motion.GetJointTransformTimeSamples(), np.float64)
        prim = self.mesh.GetPrim()
        while prim and not prim.IsPseudoRoot():
            yield _samples_of_transform(prim)
            prim = prim.GetParent()

    def at(self, code: float) -> Float64Array:
        """Its points in the stage at a time code, `[verts, 3]`."""
        from pxr import UsdGeom, Vt

        values = self.mesh.GetPointsAttr().Get(code)
        if values is None or len(values) != len(self.piece.vertices):
            raise ValueError(f"mesh {self.mesh.GetPath()} has another number of points at time code {code:g}")
        points = Vt.Vec3fArray(values)
        if self.shapes is not None:
            points = self.shapes.deform(self.skeleton, points, code)
        transforms, prim = UsdGeom.XformCache(code), self.mesh.GetPrim()
        if self.bound is not None and self.skeleton is not None and self.bound.HasJointInfluences():
            joints = self.skeleton.ComputeSkinningTransforms(code)
            mapper = self.bound.GetJointMapper()
            joints = joints if mapper is None else mapper.RemapTransforms(joints)
            if not self.bound.ComputeSkinnedPoints(joints, points, code):
                raise ValueError(f"mesh {self.mesh.GetPath()} cannot be moved by its joints")
            prim = self.skeleton.GetPrim()
        matrix = np.asarray(transforms.GetLocalToWorldTransform(prim), np.float64)
        return np.asarray(np.asarray(points, np.float64) @ matrix[:3, :3] + matrix[3, :3])


def _rests(prim: Any) -> bool:
    """Whether all transforms that move a prim also have a value without a time, which is where it rests."""
    from pxr import UsdGeom

    while prim and not prim.IsPseudoRoot():
        if prim.IsA(UsdGeom.Xformable):
            moving = [op.GetAttr() for op in UsdGeom.Xformable(prim).GetOrderedXformOps() if op.GetNumTimeSamples()]
            if not all(_has_default(attribute) for attribute in moving):
                return False
        prim = prim.GetParent()
    return True


def _has_default(attribute: Any) -> bool:
    from pxr import Usd

    return attribute.Get(Usd.TimeCode.Default()) is not None


def _samples_of_transform(prim: Any) -> Float64Array:
    from pxr import UsdGeom

    if not prim.IsA(UsdGeom.Xformable):
        return np.zeros(0)
    return np.asarray(UsdGeom.Xformable(prim).GetTimeSamples(), np.float64)


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Blend shapes of a mesh: UsdSkel.BlendShapeQuery with its tables, and the order of the animation's weights."""

    query: Any
    offsets: Any
    rows: Any
    mapper: Any

    def deform(self, skeleton: Any, points: Any, code: float) -> Any:
        """Points moved by the weights at a time code."""
        motion = skeleton.GetAnimQuery()
        weights = motion.ComputeBlendShapeWeights(code) if motion else None
        if weights is None:
            return points
        own = weights if self.mapper is None else self.mapper.Remap(weights)
        parts = self.query.ComputeSubShapeWeights(own)
        if not self.query.ComputeDeformedPoints(*parts, self.rows, self.offsets, points):
            raise ValueError("a blend shape has offsets for points that its mesh lacks")
        return points


def _open_meshes(stage: Any) -> list[_Mesh]:
    from pxr import Usd, UsdGeom, UsdSkel

    from audio2face.rigs.usd_scene import blend_shapes_of, mesh_piece, shown_meshes

    cache = UsdSkel.Cache()
    for prim in stage.Traverse():
        if prim.IsA(UsdSkel.Root):
            cache.Populate(UsdSkel.Root(prim), Usd.TraverseInstanceProxies())
    at_rest, at_start = UsdGeom.XformCache(), UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
    found = []
    for mesh in shown_meshes(stage):
        attribute = mesh.GetPointsAttr()
        still = attribute.Get(Usd.TimeCode.Default())
        has_rest = still is not None or not attribute.GetNumTimeSamples()
        names = {name for name, _ in blend_shapes_of(mesh)}
        transforms = at_rest if _rests(mesh.GetPrim()) else at_start
        piece = mesh_piece(mesh, names, transforms, {}, Usd.TimeCode.Default() if still is not None else None)
        if not len(piece.vertices):
            continue
        prim = mesh.GetPrim()
        bound = cache.GetSkinningQuery(prim)
        skeleton = UsdSkel.BindingAPI(prim).GetInheritedSkeleton()
        query = cache.GetSkelQuery(skeleton) if bound and skeleton else None
        shapes = _shapes_of(prim, bound) if query and bound.HasBlendShapes() else None
        found.append(_Mesh(mesh, piece, has_rest, bound or None, query or None, shapes))
    return found


def _shapes_of(prim: Any, bound: Any) -> _Shapes:
    from pxr import UsdSkel

    query = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(prim))
    return _Shapes(
        query,
        query.ComputeSubShapePointOffsets(),
        query.ComputeBlendShapePointIndices(),
        bound.GetBlendShapeMapper(),
    )


@dataclass(frozen=True, eq=False)
class _Poses:
    """Positions of the meshes of a stage, see `moving.Pose`; it holds the stage, to which meshes only refer."""

    path: Path
    stage: Any
    meshes: Sequence[_Mesh]
    clip: Clip
    rate: float

    def __call__(self, piece: int, frames: slice) -> Float32Array:
        """One mesh in some frames, float32 `[frames, verts, 3]`."""
        from audio2face.rigs.usd_scene import stage_errors

        with stage_errors(self.path):
            codes = self.clip.times(frames) * self.rate
            found = np.stack([self.meshes[piece].at(code) for code in codes.tolist()]).astype(np.float32)
        if not np.isfinite(found).all():
            raise FileFormatError(
                f"mesh {self.meshes[piece].piece.name} holds NaN or infinity", path=self.path, hint="Export it again."
            )
        return found
