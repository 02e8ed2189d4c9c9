"""Puts an animation onto objects of the current scene in Blender: shape keys, mesh caches, jaw, eyes, sound.

Frame i of the animation is at i / fps after the start, whatever the scene's rate: keys may lie between frames.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from a2f_dcc import SceneError
from a2f_dcc.blender_scene import BlenderScene
from a2f_dcc.placing import check_count, find_placement
from a2f_dcc.results import (
    EYES,
    Cache,
    Curves,
    Result,
    curves_of_shapes,
    eye_motion,
    find_result,
    jaw_motion,
    one_rate,
    open_cache,
    read_curves,
)
from a2f_dcc.scene import ImportOptions, Points, Report

_DEFORMS = {
    "ARMATURE",
    "CAST",
    "CURVE",
    "HOOK",
    "LAPLACIANDEFORM",
    "LATTICE",
    "MESH_CACHE",
    "MESH_DEFORM",
    "SHRINKWRAP",
}
_DEFORMS |= {"CORRECTIVE_SMOOTH", "SIMPLE_DEFORM", "SMOOTH", "LAPLACIANSMOOTH", "SURFACE_DEFORM", "WARP", "WAVE"}
_MODIFIER = "Speech"
_LINEAR = 1  # number of the interpolation in Blender
_BLOCK = 64


def run(options: ImportOptions, report: Report) -> None:
    """Puts an animation onto the current scene.

    Raises:
        SceneError: an object or a file is missing, or they do not fit; the scene may hold a part of it then.
    """
    scene = BlenderScene()
    result = Result(name="speech") if options.result is None else find_result(options.result)
    _check_names(scene, options)
    weights = options.weights or result.weights
    curves = None if weights is None else read_curves(weights)
    caches = {part: None if path is None else open_cache(path) for part, path in _cache_files(result).items()}
    known = {"animation.json": result.fps, "weights": None if curves is None else curves.fps}
    fps = options.fps or one_rate({**known, "cache": None if caches["skin"] is None else caches["skin"].fps})
    start = scene.range[0] if options.start is None else options.start
    target = _Target(scene, options, fps, start, report)
    for part, name in (("skin", options.skin), ("tongue", options.tongue)):
        if name is not None:
            _apply_mesh(target, part, name, curves, caches[part], result)
    table = None if result.table is None else read_curves(result.table)
    _apply_rigid(target, table, caches["skin"])
    sound = options.sound or result.sound
    if sound is not None:
        target.add_sound(sound)
    report.info(f"{result.name}: {fps:.6g} frames per second in a scene of {scene.fps:.6g}, from frame {start} on")


def _cache_files(result: Result) -> dict[str, Path | None]:
    return {"skin": result.skin, "tongue": result.tongue}


def _check_names(scene: BlenderScene, options: ImportOptions) -> None:
    wrong = [f"no mesh {name!r}" for name in (options.skin, options.tongue) if name and name not in scene.meshes()]
    known = [*scene.meshes(), *scene.bones()]
    wrong += [
        f"no mesh or bone {name!r}"
        for name in (options.jaw, options.right_eye, options.left_eye)
        if name and name not in known
    ]
    if wrong:
        raise SceneError(f"the scene has {'; '.join(wrong)}", f"Its meshes are: {', '.join(scene.meshes()) or 'none'}.")


class _Target:
    """The scene, and how the animation's frames lie on its time line."""

    def __init__(self, scene: BlenderScene, options: ImportOptions, fps: float, start: int, report: Report) -> None:
        self.scene, self.options, self.report = scene, options, report
        self.fps, self.start = fps, start
        self.centimetres = scene.centimetres if options.scale is None else options.scale
        self._placement: Points | None = None

    def frames(self, count: int) -> Points:
        """Frames of the scene at which those of the animation are shown, `[count]`."""
        times: Points = self.start + np.arange(count) / self.fps * self.scene.fps
        last = int(np.ceil(times[-1]))
        bpy.context.scene.frame_end = max(bpy.context.scene.frame_end, last)
        return times

    def place(self, name: str, cache: Cache) -> Points:
        """The map `[4, 4]` from the animation to the scene, found with the first mesh and the same for all.

        Raises:
            SceneError: the mesh has other vertices.
        """
        rest = _rest_points(self.scene, name, cache.frames.shape[1])
        check_count(rest, cache, name)
        if self._placement is None:
            self._placement = find_placement(rest, cache, self.scene.up, self.centimetres, name, self.report.info)
        return self._placement

    def add_sound(self, path: Path) -> None:
        """Adds the sound in a free channel of the sequencer, at the first frame."""
        if not path.is_file():
            raise SceneError(f"the sound {path} is missing")
        editor = bpy.context.scene.sequence_editor or bpy.context.scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # before Blender 4.4
        channel = 1 + max((strip.channel for strip in strips), default=0)
        strips.new_sound(path.stem, str(path.absolute()), channel, self.start)


def _apply_mesh(
    target: _Target, part: str, name: str, curves: Curves | None, cache: Cache | None, result: Result
) -> None:
    motion = target.options.motion
    keys = {} if curves is None else curves_of_shapes(curves, target.scene.shapes(name))
    if motion == "weights" or (motion == "auto" and keys):
        if not keys:
            raise SceneError(
                f"{name!r} has no shape key of which there are weights",
                "Name its shape keys as ARKit does (jawOpen, eyeBlinkLeft ...), or take the cache: --motion cache.",
            )
        _key_shapes(target, name, keys)
    elif cache is not None:
        _add_cache(target, part, name, cache, result)
    elif part == "skin":
        raise SceneError(f"there is neither a cache nor weights for {name!r}", "Write them: --format mdd arkit csv")


# --- shape keys ------------------------------------------------------------------------------------------------------


def _key_shapes(target: _Target, name: str, keys: dict[str, Points]) -> None:
    shapes = bpy.context.scene.objects[name].data.shape_keys
    animation = shapes.animation_data or shapes.animation_data_create()
    for driver in list(animation.drivers):
        if any(driver.data_path == f'key_blocks["{shape}"].value' for shape in keys):
            target.report.warn(f"{name!r}: the shape key of {driver.data_path} was driven; the driver is removed")
            animation.drivers.remove(driver)
    animation.action = bpy.data.actions.new(f"speech {name}")
    for shape, values in keys.items():
        block = shapes.key_blocks[shape]
        block.slider_max = max(block.slider_max, min(10.0, float(values.max())))
        block.slider_min = min(block.slider_min, max(-10.0, float(values.min())))
        path = f'key_blocks["{bpy.utils.escape_identifier(shape)}"].value'
        _add_curve(animation.action, shapes, path, 0, target.frames(len(values)), values)
    target.report.info(f"{name!r}: keys on {len(keys)} of {len(shapes.key_blocks) - 1} shape keys")


def _add_curve(action: Any, block: Any, path: str, index: int, frames: Points, values: Points) -> None:
    if hasattr(action, "fcurve_ensure_for_datablock"):
        curve = action.fcurve_ensure_for_datablock(block, path, index=index)
    else:  # before Blender 4.4
        curve = action.fcurves.new(path, index=index)
    curve.keyframe_points.clear()
    curve.keyframe_points.add(len(frames))
    curve.keyframe_points.foreach_set("co", np.column_stack([frames, values]).ravel().tolist())
    curve.keyframe_points.foreach_set("interpolation", [_LINEAR] * len(frames))
    curve.update()


# --- mesh caches -----------------------------------------------------------------------------------------------------


def _add_cache(target: _Target, part: str, name: str, cache: Cache, result: Result) -> None:
    """Adds a Mesh Cache modifier on a cache that is written in the object's own axes, units and place."""
    found = bpy.context.scene.objects[name]
    for old in [modifier for modifier in found.modifiers if modifier.name == _MODIFIER]:
        found.modifiers.remove(old)
    placement = target.place(name, cache)
    local = np.linalg.inv(np.array(found.matrix_world, np.float64)) @ placement
    source = result.skin if part == "skin" else result.tongue
    assert source is not None
    path = source.with_name(f"{source.stem}_{found.name}_blender.pc2")
    _write_local(path, cache, local)
    modifier = found.modifiers.new(_MODIFIER, "MESH_CACHE")
    modifier.cache_format, modifier.filepath = "PC2", str(path.absolute())
    modifier.forward_axis, modifier.up_axis = "POS_Y", "POS_Z"
    modifier.time_mode, modifier.play_mode, modifier.interpolation = "FRAME", "SCENE", "LINEAR"
    modifier.frame_scale = target.fps / target.scene.fps
    modifier.frame_start = target.start * modifier.frame_scale  # subtracted after the scene's frame was scaled
    target.frames(len(cache.frames))
    if cache.frames.shape[1] == len(found.data.vertices):
        _move_behind_deformers(found, modifier)
    target.report.info(f"{name!r}: mesh cache {path.name}")


def _rest_points(scene: BlenderScene, name: str, num_verts: int) -> Points:
    """The mesh at rest, `[verts, 3]` in the world: as it is seen, or without what modifiers add, whichever fits."""
    found = bpy.context.scene.objects[name]
    with scene.rest():
        seen = scene.mesh(name).points
    if len(seen) == num_verts or len(found.data.vertices) != num_verts:
        return seen
    own = np.empty(3 * num_verts, np.float32)
    found.data.vertices.foreach_get("co", own)
    world = np.array(found.matrix_world, np.float64)
    return np.asarray(own.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])


def _write_local(path: Path, cache: Cache, local: Points) -> None:
    frames, verts = cache.frames.shape[:2]
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, verts, 0.0, 1.0, frames))
            for first in range(0, frames, _BLOCK):
                block = np.asarray(cache.frames[first : first + _BLOCK], np.float64)
                handle.write((block @ local[:3, :3].T + local[:3, 3]).astype("<f4").tobytes())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SceneError(f"{path} cannot be written: {error.strerror or error}") from error


def _move_behind_deformers(found: Any, modifier: Any) -> None:
    """Vertices of the mesh itself are overwritten before modifiers add some, such as a subdivision."""
    adding = [place for place, other in enumerate(found.modifiers) if other.type not in _DEFORMS]
    here = list(found.modifiers).index(modifier)
    if adding and adding[0] < here:
        found.modifiers.move(here, adding[0])


# --- jaw and eyes ----------------------------------------------------------------------------------------------------


def _apply_rigid(target: _Target, table: Curves | None, cache: Cache | None) -> None:
    options = target.options
    wanted = {"jaw": options.jaw, **{eye: getattr(options, eye) for eye in EYES}}
    named = {part: name for part, name in wanted.items() if name}
    if not named:
        return
    if table is None:
        raise SceneError("jaw and eyes are in no file of the animation", "Write the table: --format mdd arkit csv")
    if cache is None:
        raise SceneError("where jaw and eyes belong is known from a cache of the skin", "Write it: --format mdd csv")
    placement = target.place(options.skin, cache)
    count = len(table.values)
    for part, name in named.items():
        with target.scene.rest():
            world, pivot = target.scene.transform(name), _pivot(target.scene, name)
        if part == "jaw":
            moves = np.stack([placement @ motion @ np.linalg.inv(placement) for motion in jaw_motion(table)])
        else:
            moves = np.tile(np.eye(4), (count, 1, 1))
            turn = placement[:3, :3] / np.linalg.norm(placement[0, :3])
            moves[:, :3, :3] = turn @ eye_motion(table, part) @ turn.T
            moves[:, :3, 3] = pivot - moves[:, :3, :3] @ pivot
        with target.scene.rest():  # parents then carry the motion along
            _key_transform(target, name, moves @ world)


def _pivot(scene: BlenderScene, name: str) -> Points:
    """The middle of a mesh, or the origin of a bone, `[3]` in the world."""
    if name in scene.meshes():
        points = scene.mesh(name).points
        return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)
    return scene.transform(name)[:3, 3]


def _key_transform(target: _Target, name: str, worlds: Points) -> None:
    """Keys location and rotation so that a bone or an object has these world matrices `[frames, 4, 4]`."""
    rig, _, bone = name.rpartition(":")
    owner = bpy.context.scene.objects[rig or name]
    posed = owner.pose.bones[bone] if rig else owner
    prefix = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].' if rig else ""
    posed.rotation_mode = "QUATERNION"
    before = np.array(owner.matrix_world.inverted()) if rig else np.eye(4)
    locations: list[tuple[float, ...]] = []
    turns: list[Any] = []
    for world in worlds:
        if rig:
            posed.matrix = Matrix((before @ world).tolist())
        else:
            posed.matrix_world = Matrix(world.tolist())
        locations.append(tuple(posed.location))
        turn = posed.rotation_quaternion.copy()
        if turns and turn.dot(turns[-1]) < 0:
            turn.negate()
        turns.append(turn)
    animation = owner.animation_data or owner.animation_data_create()
    animation.action = animation.action or bpy.data.actions.new(f"speech {owner.name}")
    frames = target.frames(len(worlds))
    for path, rows in (("location", locations), ("rotation_quaternion", turns)):
        for index, column in enumerate(np.array([tuple(row) for row in rows]).T):
            _add_curve(animation.action, owner, prefix + path, index, frames, column)
    target.report.info(f"{name!r}: {len(worlds)} keys")
