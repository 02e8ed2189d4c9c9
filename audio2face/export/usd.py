"""USD export: a stage with the positions of every frame, and a UsdSkel character with blend shapes.

`write_usd` writes both files. `_write_frames` samples the vertex positions; `_write_character` makes a skeleton for jaw
and eyes and blend shapes for skin and tongue.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pxr import (  # type: ignore[import-untyped]
    Gf,
    Kind,
    Sdf,
    Tf,
    Usd,
    UsdGeom,
    UsdMedia,
    UsdSkel,
    Vt,
)

from audio2face import __version__
from audio2face.animation.animation import Animation, Surface
from audio2face.animation.parts import RigidPart, eye_quaternions, jaw_quaternions, rigid_parts
from audio2face.export.morph_targets import MorphTargets, fit_morph_targets
from audio2face.geometry.mesh import linear
from audio2face.io.atomic import atomic_files
from audio2face.types import AnyArray, Float32Array, Int32Array

_POINT_CM = 0.08  # diameter of a vertex of a mesh without polygons


def new_stage(path: Path, animation: Animation, root: type[Any]) -> Usd.Stage:
    """An empty stage, saved to `path`, whose default prim is the face.

    Args:
        path: the file, `.usdc`.
        animation: provides rate, length and name.
        root: schema of the default prim, such as `UsdGeom.Xform`.
    """
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetTimeCodesPerSecond(animation.fps)
    stage.SetFramesPerSecond(animation.fps)
    first = animation.first_frame
    stage.SetStartTimeCode(first)
    stage.SetEndTimeCode(first + animation.num_frames - 1)
    layer = stage.GetRootLayer()
    layer.documentation = f"Written by audio2face {__version__}. Time code i is frame i."
    label = animation.timecode(0)
    if label is not None:
        layer.customLayerData = {"startTimecode": label}
    face = root.Define(stage, f"/{identifier(animation.actor)}").GetPrim()
    Usd.ModelAPI(face).SetKind(Kind.Tokens.component)
    stage.SetDefaultPrim(face)
    return stage


def identifier(name: str) -> str:
    """A valid name of a prim."""
    return str(Tf.MakeValidIdentifier(name))


def vectors(points: AnyArray) -> Vt.Vec3fArray:
    """Converts an array `[count, 3]` to USD's type."""
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points, np.float32))


def matrix(rotation: AnyArray, shift: AnyArray) -> Gf.Matrix4d:
    """The transform `x -> rotation x + shift`; USD's matrices act on row vectors."""
    whole = np.eye(4)
    whole[:3, :3], whole[3, :3] = rotation.T, shift
    return Gf.Matrix4d(whole.tolist())


def add_surface(
    stage: Usd.Stage,
    path: Sdf.Path,
    points: Float32Array,
    faces: Int32Array | None,
    colours: AnyArray | None,
) -> UsdGeom.PointBased:
    """Adds a neutral mesh, or points if there are no polygons.

    Args:
        stage: the stage.
        path: of the new prim.
        points: `[verts, 3]`, centimetres.
        faces: `[faces, 3 or 4]`, -1 for the missing fourth corner of a triangle; None for points.
        colours: sRGB, uint8 `[verts, 3]`; None for the program's defaults.
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
    """Adds a reference to the audio `file` beside the stage, if the animation has audio."""
    if animation.audio is None:
        return
    sound = UsdMedia.SpatialAudio.Define(stage, stage.GetDefaultPrim().GetPath().AppendChild("sound"))
    sound.CreateFilePathAttr(Sdf.AssetPath(f"./{file}"))
    sound.CreateAuralModeAttr(UsdMedia.Tokens.nonSpatial)
    sound.CreatePlaybackModeAttr(UsdMedia.Tokens.onceFromStart)
    if animation.start is not None:
        sound.CreateStartTimeAttr(Sdf.TimeCode(animation.first_frame))


_SAVED_BYTES = 64 << 20  # of frames in memory before they are saved to the file
_STILL_CM = 1e-4  # smaller offsets of a vertex are omitted from a shape
_JOINTS = ("head", "head/jaw", "head/right_eye", "head/left_eye")


def write_usd(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes `<name>.usdc` and, for a face with polygons, `<name>_blendshapes.usdc`.

    The first has the exact positions of every frame as time samples, and jaw and eyes as moving transforms. The second
    is a UsdSkel character, smaller and suited to game engines: shapes with animated weights (the skin's blend shapes
    if weights were solved, otherwise principal components of `fit_morph_targets`) and joints for jaw and eyes.

    Raises:
        UserError: a file cannot be written.
    """
    names = [f"{name}.usdc"]
    with atomic_files(folder) as made:
        _write_frames(animation, made / names[0], f"{name}.wav")
        if animation.skin.faces is not None:
            names.append(f"{name}_blendshapes.usdc")
            _write_character(animation, made / names[1], f"{name}.wav")
    return [folder / file for file in names]


def _write_frames(animation: Animation, path: Path, sound: str) -> None:
    stage = new_stage(path, animation, UsdGeom.Xform)
    face = stage.GetDefaultPrim().GetPath()
    add_sound(stage, animation, sound)
    _add_moving_parts(stage, animation)
    for part, surface in animation.surfaces.items():
        colours = animation.parts.get(f"extra_{part}_colours")
        mesh = add_surface(stage, face.AppendChild(part), surface.neutral, surface.faces, colours)
        _sample(stage, mesh, surface, animation.first_frame)
    stage.GetRootLayer().Save()


def _sample(stage: Usd.Stage, mesh: UsdGeom.PointBased, surface: Surface, frame: int) -> None:
    """Writes the positions of every frame, from `frame` on, to a mesh, with bounded memory."""
    waiting = 0
    for block in surface.blocks():
        for points in block:
            mesh.GetPointsAttr().Set(vectors(points), frame)
            mesh.GetExtentAttr().Set(vectors(np.stack([points.min(axis=0), points.max(axis=0)])), frame)
            frame += 1
        waiting += block.nbytes
        if waiting > _SAVED_BYTES:
            stage.GetRootLayer().Save()
            waiting = 0


def _add_moving_parts(stage: Usd.Stage, animation: Animation) -> None:
    """Adds transforms of jaw and eyes with a sample per frame, and the rigid parts as children of what moves them."""
    face = stage.GetDefaultPrim().GetPath()
    parts = rigid_parts(animation)
    jaw = UsdGeom.Xform.Define(stage, face.AppendChild("jaw"))
    transform = jaw.AddTransformOp()
    transform.Set(Gf.Matrix4d(1.0))  # without a time: at rest
    for frame, moved in enumerate(animation.jaw, animation.first_frame):
        transform.Set(matrix(moved[:3, :3], moved[:3, 3]), frame)
    for side, follows in enumerate(("right_eye", "left_eye")):
        pivots = [part.pivot for part in parts if part.follows == follows] or [np.zeros(3, np.float32)]
        eye = UsdGeom.Xform.Define(stage, face.AppendChild(follows))
        eye.AddTranslateOp(opSuffix="pivot").Set(Gf.Vec3d(*pivots[0].tolist()))
        turn = eye.AddRotateXYZOp()
        turn.Set(Gf.Vec3f(0, 0, 0))
        eye.AddTranslateOp(opSuffix="pivot", isInverseOp=True)
        angles = animation.eyes[:, 2 * side : 2 * side + 2].tolist()
        for frame, (pitch, yaw) in enumerate(angles, animation.first_frame):
            turn.Set(Gf.Vec3f(pitch, yaw, 0), frame)
    for part in parts:
        parent = face if part.follows == "head" else face.AppendChild(part.follows)
        add_surface(stage, parent.AppendChild(_prim_name(part)), part.vertices, part.faces, part.colours)


def _prim_name(part: RigidPart) -> str:
    return f"{identifier(part.name)}_mesh" if part.name == part.follows else identifier(part.name)


def _write_character(animation: Animation, path: Path, sound: str) -> None:
    stage = new_stage(path, animation, UsdSkel.Root)
    face = stage.GetDefaultPrim().GetPath()
    add_sound(stage, animation, sound)
    rigid = rigid_parts(animation)
    pivots = {str(part.follows): part.pivot for part in rigid}
    skeleton = _add_skeleton(stage, pivots)
    morphs = {
        name: fit_morph_targets(surface, animation.skin_weights if name == "skin" else None, name)
        for name, surface in animation.surfaces.items()
        if surface.faces is not None
    }
    _add_animation(stage, skeleton, animation, pivots, morphs)
    for name, shapes in morphs.items():
        colours = animation.parts.get(f"extra_{name}_colours")
        faces = animation.surfaces[name].faces
        mesh = add_surface(stage, face.AppendChild(name), shapes.neutral, faces, colours)
        _bind(mesh, skeleton, 0)
        _add_shapes(stage, mesh, shapes)
    joints = {joint.rpartition("/")[2]: number for number, joint in enumerate(_JOINTS)}
    for part in rigid:
        mesh = add_surface(stage, face.AppendChild(_prim_name(part)), part.vertices, part.faces, part.colours)
        _bind(mesh, skeleton, joints[part.follows])
    stage.GetRootLayer().Save()


def _add_skeleton(stage: Usd.Stage, pivots: Mapping[str, Float32Array]) -> UsdSkel.Skeleton:
    skeleton = UsdSkel.Skeleton.Define(stage, stage.GetDefaultPrim().GetPath().AppendChild("rig"))
    skeleton.CreateJointsAttr(_JOINTS)
    # All joints are children of a head at the origin, so local and parent space are the same.
    rest_pose = Vt.Matrix4dArray([matrix(np.eye(3), shift) for shift in _rest_positions(pivots)])
    skeleton.CreateBindTransformsAttr(rest_pose)
    skeleton.CreateRestTransformsAttr(rest_pose)
    return skeleton


def _rest_positions(pivots: Mapping[str, Float32Array]) -> Float32Array:
    """Rest positions of the joints, `[4, 3]`: the eyes at their centres, head and jaw at the origin."""
    origin = np.zeros(3, np.float32)
    return np.stack([origin, origin, pivots.get("right_eye", origin), pivots.get("left_eye", origin)])


def _add_animation(
    stage: Usd.Stage,
    skeleton: UsdSkel.Skeleton,
    animation: Animation,
    pivots: Mapping[str, Float32Array],
    morphs: Mapping[str, MorphTargets],
) -> None:
    """Adds the motion of joints and the weights of shapes, one sample per frame."""
    motion = UsdSkel.Animation.Define(stage, skeleton.GetPath().AppendChild("speech"))
    motion.CreateJointsAttr(_JOINTS)
    motion.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * len(_JOINTS)))
    motion.CreateBlendShapesAttr([shape for shapes in morphs.values() for shape in shapes.names])
    positions = np.repeat(_rest_positions(pivots)[None], animation.num_frames, axis=0)
    positions[:, 1] = animation.jaw[:, :3, 3]
    rotations = np.zeros((animation.num_frames, len(_JOINTS), 4), np.float32)
    rotations[:, 0, 3] = 1
    rotations[:, 1] = jaw_quaternions(animation.jaw)
    rotations[:, 2], rotations[:, 3] = eye_quaternions(animation.eyes)
    weights = np.concatenate([shapes.weights for shapes in morphs.values()], axis=1)
    for frame in range(animation.num_frames):
        time = animation.first_frame + frame
        motion.GetTranslationsAttr().Set(vectors(positions[frame]), time)
        quaternions = [Gf.Quatf(w, x, y, z) for x, y, z, w in rotations[frame].tolist()]
        motion.GetRotationsAttr().Set(Vt.QuatfArray(quaternions), time)
        motion.GetBlendShapeWeightsAttr().Set(Vt.FloatArray.FromNumpy(np.asarray(weights[frame], np.float32)), time)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([motion.GetPath()])


def _bind(mesh: UsdGeom.PointBased, skeleton: UsdSkel.Skeleton, joint: int) -> None:
    """Binds a mesh rigidly to one joint."""
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(constant=True).Set([joint])
    binding.CreateJointWeightsPrimvar(constant=True).Set([1.0])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))


def _add_shapes(stage: Usd.Stage, mesh: UsdGeom.PointBased, morphs: MorphTargets) -> None:
    """Adds the blend shapes of a mesh, each with the vertices that it moves."""
    targets: list[Sdf.Path] = []
    for shape, delta in zip(morphs.names, morphs.deltas, strict=True):
        target = UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(identifier(shape)))
        moved = np.abs(delta).max(axis=1) > _STILL_CM
        moved[0] |= not moved.any()  # Blender warns of a shape without vertices
        rows = np.flatnonzero(moved).astype(np.int32)
        target.CreateOffsetsAttr(vectors(delta[rows]))
        target.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(rows))
        targets.append(target.GetPath())
    binding = UsdSkel.BindingAPI(mesh.GetPrim())
    binding.CreateBlendShapesAttr(list(morphs.names))
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
