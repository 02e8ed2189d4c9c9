"""Reads the meshes of a USD stage with their UsdSkel blend shapes, at rest.

Positions are those of the first time sample, placed by their transforms, or by the bind pose of their skeleton.
In-between shapes, which bend the way of a shape, are left out: a rig moves along straight lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Tf, Usd, UsdGeom, UsdSkel  # type: ignore[import-untyped]

from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import listed
from audio2face.errors import FileFormatError, missing_file
from audio2face.geometry.mesh import encoded
from audio2face.io.atomic import file_sha256
from audio2face.rigs.scene import Axis, Piece, Scene, damage, polygons, turned_over
from audio2face.types import Float32Array, Float64Array, Int32Array, UInt8Array

_FORMAT, _AGAIN = "USD stage", "Export the character again, as one file (.usdc or .usdz)."
_SAID = re.compile(r": '(.*)'$")  # what an error of USD says, after its place in USD's code
_UNSEEN = (UsdGeom.Tokens.guide, UsdGeom.Tokens.proxy)


def read_usd(path: Path) -> Scene:
    """Opens a stage.

    Raises:
        UserError: there is no such file.
        FileFormatError: it is damaged.
    """
    stage = open_stage(path)
    with stage_errors(path):
        meshes = shown_meshes(stage)
        shapes = {str(mesh.GetPath()): dict(blend_shapes_of(mesh)) for mesh in meshes}
    names = tuple(dict.fromkeys(name for found in shapes.values() for name in found))
    unit, up = unit_and_axis(stage)
    return Scene(
        path=path,
        kind="blend shapes",
        shapes=names,
        load=lambda wanted: _load(stage, path, meshes, wanted),
        unit_cm=unit,
        up=up,
        digest=file_sha256(path),
    )


def open_stage(path: Path) -> Usd.Stage:
    """Opens a stage.

    Raises:
        UserError: there is no such file.
        FileFormatError: it is damaged.
    """
    if not path.is_file():
        raise missing_file("there is no such character", path, "Give the path of a .usd, .usda, .usdc or .usdz file.")
    with stage_errors(path):
        return Usd.Stage.Open(str(path))


@contextmanager
def stage_errors(path: Path) -> Iterator[None]:
    """Turns what a damaged stage causes into one error.

    Raises:
        FileFormatError: with what is wrong.
    """
    try:
        with damage(path, _FORMAT, _AGAIN):
            yield
    except Tf.ErrorException as error:  # what is compressed is read when it is needed
        lines = str(error).strip().splitlines()
        reason = next((said[1] for line in lines if (said := _SAID.search(line))), lines[-1].strip())
        raise FileFormatError(f"is not a valid {_FORMAT}: {reason}", path=path, hint=_AGAIN) from error


def shown_meshes(stage: Usd.Stage) -> list[UsdGeom.Mesh]:
    """The meshes that are drawn; of instances each copy."""
    return [UsdGeom.Mesh(prim) for prim in _shown(stage)]


def unit_and_axis(stage: Usd.Stage) -> tuple[float | None, Axis]:
    """Centimetres of a unit of length, None where the stage does not say, and the axis upwards."""
    unit = 100 * float(UsdGeom.GetStageMetersPerUnit(stage)) if _states_unit(stage) else None
    return unit, "z" if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else "y"


def _states_unit(stage: Usd.Stage) -> bool:
    return bool(UsdGeom.StageHasAuthoredMetersPerUnit(stage))


def _shown(stage: Usd.Stage) -> Iterator[Usd.Prim]:
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        if not prim.IsA(UsdGeom.Mesh):
            continue
        image = UsdGeom.Imageable(prim)
        hidden = image.ComputeVisibility(Usd.TimeCode.EarliestTime()) == UsdGeom.Tokens.invisible
        if not hidden and image.ComputePurpose() not in _UNSEEN:
            yield prim


def blend_shapes_of(mesh: UsdGeom.Mesh) -> Iterator[tuple[str, UsdSkel.BlendShape]]:
    """The shapes of a mesh, by the names that weights are given to."""
    binding = UsdSkel.BindingAPI(mesh.GetPrim())
    names = binding.GetBlendShapesAttr().Get() or []
    targets = binding.GetBlendShapeTargetsRel().GetTargets()
    if len(names) != len(targets):
        raise ValueError(f"mesh {mesh.GetPath()} names {len(names)} blend shapes, and has {len(targets)} targets")
    for name, target in zip(names, targets, strict=True):
        shape = UsdSkel.BlendShape(mesh.GetPrim().GetStage().GetPrimAtPath(target))
        if not shape:
            raise ValueError(f"there is no blend shape {target}, which mesh {mesh.GetPath()} has as {name}")
        yield str(name), shape


def _load(stage: Usd.Stage, path: Path, meshes: Collection[UsdGeom.Mesh], wanted: Collection[str]) -> list[Piece]:
    transforms = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
    bent: dict[str, None] = {}
    with stage_errors(path):
        pieces = [mesh_piece(mesh, wanted, transforms, bent) for mesh in meshes]
    if bent:
        LOGGER.warning(
            "%s: in-between shapes are left out, so these move along straight lines: %s", path.name, listed([*bent])
        )
    return [piece for piece in pieces if len(piece.vertices)]


def mesh_piece(
    mesh: UsdGeom.Mesh,
    wanted: Collection[str],
    transforms: UsdGeom.XformCache,
    bent: dict[str, None],
    time: Usd.TimeCode | None = None,
) -> Piece:
    """One mesh in the space of the stage.

    Args:
        mesh: the mesh.
        wanted: names of shapes.
        transforms: of the prims.
        bent: names of shapes with in-betweens are added to it.
        time: of its points; None: of their first sample.
    """
    name = str(mesh.GetPath())
    points = _rows(mesh.GetPointsAttr().Get(Usd.TimeCode.EarliestTime() if time is None else time))
    matrix = _placement(mesh, transforms)
    faces = _faces(mesh, len(points), name)
    targets = {}
    for shape, blend in blend_shapes_of(mesh):
        if shape in wanted:
            targets[shape] = np.asarray(_offsets(blend, len(points)) @ matrix[:3, :3], np.float32)
            if blend.GetInbetweens():
                bent[shape] = None
    placed = np.asarray(points @ matrix[:3, :3] + matrix[3, :3], np.float32)
    if not all(np.isfinite(array).all() for array in (placed, *targets.values())):
        raise ValueError(f"mesh {name} holds NaN or infinity")
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = turned_over(faces)
    return Piece(_words(mesh), placed, faces, targets, _colours(mesh, len(points)))


def _words(mesh: UsdGeom.Mesh) -> str:
    """The names of a mesh and of what it lies in, without that of the whole."""
    return " ".join(str(mesh.GetPath()).split("/")[2:]) or mesh.GetPrim().GetName()


def _rows(values: Any) -> Float64Array:
    return np.zeros((0, 3)) if values is None else np.asarray(values, np.float64).reshape(-1, 3)


def _placement(mesh: UsdGeom.Mesh, transforms: UsdGeom.XformCache) -> Float64Array:
    """The matrix that places a mesh in the stage, for row vectors `[4, 4]`: of its prim, or of the bind pose."""
    binding = UsdSkel.BindingAPI(mesh.GetPrim())
    skeleton = binding.GetInheritedSkeleton()
    if not skeleton or not binding.GetJointIndicesPrimvar().HasAuthoredValue():
        return np.asarray(transforms.GetLocalToWorldTransform(mesh.GetPrim()), np.float64)
    bind = binding.GetGeomBindTransformAttr().Get()
    own = np.eye(4) if bind is None else np.asarray(bind, np.float64)
    return np.asarray(own @ np.asarray(transforms.GetLocalToWorldTransform(skeleton.GetPrim()), np.float64))


def _faces(mesh: UsdGeom.Mesh, count: int, name: str) -> Int32Array:
    time = Usd.TimeCode.EarliestTime()
    sizes = np.asarray(mesh.GetFaceVertexCountsAttr().Get(time) or [], np.int32)
    corners = np.asarray(mesh.GetFaceVertexIndicesAttr().Get(time) or [], np.int32)
    if corners.size and not 0 <= corners.min() <= corners.max() < count:
        raise ValueError(f"a polygon of mesh {name} names vertex {corners.max()} of {count}")
    faces = polygons(sizes, corners)
    left_handed = mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded
    return turned_over(faces) if left_handed else faces


def _offsets(shape: UsdSkel.BlendShape, count: int) -> Float64Array:
    """Offsets of all vertices, `[verts, 3]`."""
    offsets = _rows(shape.GetOffsetsAttr().Get())
    rows = shape.GetPointIndicesAttr().Get()
    places = np.arange(count) if not rows else np.asarray(rows, np.int64)
    if len(offsets) != len(places) or (len(places) and not 0 <= places.min() <= places.max() < count):
        raise ValueError(
            f"blend shape {shape.GetPath()} has {len(offsets)} offsets for {len(places)} of {count} points"
        )
    whole = np.zeros((count, 3))
    whole[places] = offsets
    return whole


def _colours(mesh: UsdGeom.Mesh, count: int) -> UInt8Array | None:
    """The display colour, where there is one for the mesh or for each vertex."""
    colour = mesh.GetDisplayColorPrimvar()
    if not colour or not colour.HasAuthoredValue():
        return None
    shades: Float32Array = np.asarray(colour.ComputeFlattened(), np.float32).reshape(-1, 3)
    if len(shades) == count:
        return encoded(shades)
    return np.repeat(encoded(shades), count, axis=0) if len(shades) == 1 else None
