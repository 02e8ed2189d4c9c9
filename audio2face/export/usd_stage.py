"""What both USD files have in common: a stage in centimetres with +y up, meshes with colours, and the sound.

Knows prims and attributes; which of them move, and how, is decided in `usd`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdMedia, Vt  # type: ignore[import-untyped]

from audio2face import __version__
from audio2face.export.animation import Animation, Float32Array
from audio2face.export.colours import linear

_POINT_CM = 0.08  # diameter of a vertex where polygons are not known


def new_stage(path: Path, animation: Animation, root: type[Any]) -> Usd.Stage:
    """An empty stage, saved to `path`, whose default prim is the face.

    Args:
        path: the file, `.usdc`.
        animation: gives rate, length and name.
        root: schema of the default prim, `UsdGeom.Xform` say.
    """
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetTimeCodesPerSecond(animation.fps)
    stage.SetFramesPerSecond(animation.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(animation.num_frames - 1)
    stage.GetRootLayer().documentation = f"Written by audio2face {__version__}. Time code i is frame i."
    face = root.Define(stage, f"/{identifier(animation.actor)}").GetPrim()
    Usd.ModelAPI(face).SetKind(Kind.Tokens.component)
    stage.SetDefaultPrim(face)
    return stage


def identifier(name: str) -> str:
    """A name that USD allows a prim."""
    return str(Tf.MakeValidIdentifier(name))


def vectors(points: npt.NDArray[Any]) -> Vt.Vec3fArray:
    """An array `[count, 3]` as USD takes it."""
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points, np.float32))


def matrix(turn: npt.NDArray[Any], shift: npt.NDArray[Any]) -> Gf.Matrix4d:
    """The transform `x -> turn x + shift`; USD's matrices act on rows."""
    whole = np.eye(4)
    whole[:3, :3], whole[3, :3] = turn.T, shift
    return Gf.Matrix4d(whole.tolist())


def add_surface(
    stage: Usd.Stage,
    path: Sdf.Path,
    points: Float32Array,
    faces: npt.NDArray[np.int32] | None,
    colours: npt.NDArray[Any] | None,
) -> UsdGeom.PointBased:
    """Adds a mesh, or points where there are no polygons, at rest.

    Args:
        stage: where to.
        path: of the new prim.
        points: `[verts, 3]`, centimetres.
        faces: `[faces, 3 or 4]`, -1 for a corner that is not there; None for points.
        colours: sRGB, uint8 `[verts, 3]`; None to leave them to the program.
    """
    if faces is None:
        surface = UsdGeom.Points.Define(stage, path)
        surface.CreateWidthsAttr([_POINT_CM])
        surface.SetWidthsInterpolation(UsdGeom.Tokens.constant)
    else:
        surface = UsdGeom.Mesh.Define(stage, path)
        present = np.asarray(faces) >= 0
        surface.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(present.sum(axis=1).astype(np.int32)))
        surface.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces[present], np.int32)))
        surface.CreateDoubleSidedAttr(True)
    surface.CreatePointsAttr(vectors(points))
    surface.CreateExtentAttr(vectors(np.stack([points.min(axis=0), points.max(axis=0)])))
    if colours is not None:
        surface.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(vectors(linear(colours)))
    return surface


def add_sound(stage: Usd.Stage, animation: Animation, file: str) -> None:
    """Adds the sound `file`, which lies beside the stage, where the animation has one."""
    if animation.audio is None:
        return
    sound = UsdMedia.SpatialAudio.Define(stage, stage.GetDefaultPrim().GetPath().AppendChild("sound"))
    sound.CreateFilePathAttr(Sdf.AssetPath(f"./{file}"))
    sound.CreateAuralModeAttr(UsdMedia.Tokens.nonSpatial)
    sound.CreatePlaybackModeAttr(UsdMedia.Tokens.onceFromStart)
