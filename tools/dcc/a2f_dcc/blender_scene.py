"""The current scene of Blender, as `scene.FaceScene` describes it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.scene import Integers, Mesh, Points
from a2f_dcc.sound import cut_wav

_METRE = 100.0
_CHANGING = {"DECIMATE", "SUBSURF", "MULTIRES", "REMESH", "BOOLEAN", "MASK", "NODES", "BUILD", "TRIANGULATE", "WELD"}
_CHANGING |= {"BEVEL", "EDGE_SPLIT", "MIRROR", "ARRAY", "SCREW", "SKIN", "SOLIDIFY", "WIREFRAME", "VOLUME_TO_MESH"}
_IN_GROUP = 0.6  # weight from which a vertex belongs to a group; a subdivision gives neighbours a half
_CACHED = "MESH_CACHE"
_LEAST_RATE = 16_000  # samples per second


class BlenderScene:
    """The current scene (`a2f_dcc.scene.FaceScene`).

    Args:
        sound: "scene", or a WAV file.
        sound_start: frame at which that file begins; the scene's first by default.
    """

    def __init__(self, sound: str = "scene", sound_start: float | None = None) -> None:
        self._scene = bpy.context.scene
        settings = self._scene.unit_settings
        self.program = f"Blender {bpy.app.version_string}"
        self.file = Path(bpy.data.filepath).name
        self.fps = self._scene.render.fps / self._scene.render.fps_base
        self.range = (int(self._scene.frame_start), int(self._scene.frame_end))
        if self._scene.use_preview_range:
            self.range = (int(self._scene.frame_preview_start), int(self._scene.frame_preview_end))
        self.centimetres = _METRE * (1.0 if settings.system == "NONE" else float(settings.scale_length))
        self.up: Points = np.array([0.0, 0.0, 1.0])
        self._sound = sound
        self._sound_start = float(self.range[0]) if sound_start is None else sound_start

    # --- objects ---------------------------------------------------------------------------------------------------

    def meshes(self) -> list[str]:
        return sorted(found.name for found in self._scene.objects if found.type == "MESH")

    def bones(self) -> list[str]:
        rigs = [found for found in self._scene.objects if found.type == "ARMATURE"]
        others = [found.name for found in self._scene.objects if found.type != "MESH"]
        return others + [f"{rig.name}:{bone.name}" for rig in rigs for bone in rig.pose.bones]

    def _evaluated(self, name: str) -> Any:
        """An object after all modifiers.

        Raises:
            SceneError: it is a mesh that is hidden: Blender would give it without its motion.
        """
        found = self._scene.objects[name]
        if found.type == "MESH" and not found.visible_get():
            raise SceneError(
                f"{name!r} is hidden, and Blender does not animate what is hidden",
                "Show it in the viewport: its eye and screen in the outliner, and those of its collection.",
            )
        return found.evaluated_get(bpy.context.evaluated_depsgraph_get())

    def mesh(self, name: str) -> Mesh:
        found = self._evaluated(name)
        data = found.to_mesh()
        points = np.empty(3 * len(data.vertices), np.float32)
        data.vertices.foreach_get("co", points)
        corners = np.empty(len(data.loops), np.int32)
        data.loops.foreach_get("vertex_index", corners)
        counts = np.empty(len(data.polygons), np.int32)
        data.polygons.foreach_get("loop_total", counts)
        found.to_mesh_clear()
        world = np.array(found.matrix_world, np.float64)
        placed = points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]
        return Mesh(placed, corners.astype(np.int64), counts.astype(np.int64))

    def transform(self, name: str) -> Points:
        rig, _, bone = name.rpartition(":")
        if rig and rig in self._scene.objects:
            found = self._evaluated(rig)
            return np.array(found.matrix_world @ found.pose.bones[bone].matrix, np.float64)
        return np.array(self._evaluated(name).matrix_world, np.float64)

    def colour(self, name: str) -> tuple[int, int, int] | None:
        materials = [slot.material for slot in self._scene.objects[name].material_slots if slot.material]
        if not materials:
            return None
        linear = np.clip(np.array(materials[0].diffuse_color[:3]), 0, 1)
        # IEC 61966-2-1
        srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        red, green, blue = np.round(255 * srgb).astype(int).tolist()
        return red, green, blue

    def changers(self, name: str) -> list[str]:
        modifiers = self._scene.objects[name].modifiers
        return [f"{found.name} ({found.type.lower()})" for found in modifiers if found.type in _CHANGING]

    def groups(self, name: str) -> dict[str, Integers]:
        names = [group.name for group in self._scene.objects[name].vertex_groups]
        found = self._evaluated(name)
        members: dict[str, list[int]] = {group: [] for group in names}
        for vertex in found.to_mesh().vertices:
            for entry in vertex.groups:
                if entry.weight >= _IN_GROUP and entry.group < len(names):
                    members[names[entry.group]].append(vertex.index)
        found.to_mesh_clear()
        return {group: np.array(vertices, np.int64) for group, vertices in members.items()}

    # --- time ------------------------------------------------------------------------------------------------------

    def markers(self) -> list[tuple[int, str]]:
        return [(int(marker.frame), str(marker.name)) for marker in self._scene.timeline_markers]

    def show(self, frame: int) -> None:
        self._scene.frame_set(frame)

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Armatures take their rest position, meshes show their first shape key alone, mesh caches are switched off."""
        rigs = {found: found.data.pose_position for found in self._scene.objects if found.type == "ARMATURE"}
        shaped = [found for found in self._scene.objects if found.type == "MESH" and found.data.shape_keys]
        before = {found: (found.show_only_shape_key, found.active_shape_key_index) for found in shaped}
        cached = [found for thing in self._scene.objects for found in thing.modifiers if found.type == _CACHED]
        shown = [found for found in cached if found.show_viewport]
        try:
            for found in shown:
                found.show_viewport = False
            for rig in rigs:
                rig.data.pose_position = "REST"
            for found in shaped:
                found.show_only_shape_key, found.active_shape_key_index = True, 0
            bpy.context.view_layer.update()
            yield
        finally:
            for found in shown:
                found.show_viewport = True
            for rig, position in rigs.items():
                rig.data.pose_position = position
            for found, (alone, index) in before.items():
                found.active_shape_key_index, found.show_only_shape_key = index, alone
            bpy.context.view_layer.update()

    def has_rest(self, name: str) -> bool:
        found = self._scene.objects[name]
        moved = any(modifier.type in ("ARMATURE", _CACHED) for modifier in found.modifiers)
        return bool(found.data.shape_keys) or moved or found.parent_type == "BONE"

    # --- shapes ----------------------------------------------------------------------------------------------------

    def shapes(self, name: str) -> list[str]:
        keys = self._scene.objects[name].data.shape_keys
        if keys is None or not keys.use_relative:
            return []
        return [block.name for block in list(keys.key_blocks)[1:] if not block.mute]

    def shape_deltas(self, name: str, shape: str) -> Points:
        """Differences of the evaluated mesh, so that modifiers behind the shapes count; a mask weighs them."""
        found = self._scene.objects[name]
        blocks = found.data.shape_keys.key_blocks
        block = blocks[shape]
        shown = self._shown_alone(found, blocks.find(shape))
        deltas = shown - self._shown_alone(found, blocks.find(block.relative_key.name))
        self._shown_alone(found, 0)
        if block.vertex_group in found.vertex_groups:
            deltas = deltas * self._weights(name, found.vertex_groups[block.vertex_group].index, len(deltas))
        return deltas

    def _shown_alone(self, found: Any, index: int) -> Points:
        found.active_shape_key_index = index
        bpy.context.view_layer.update()
        return self.mesh(found.name).points

    def _weights(self, name: str, group: int, num_verts: int) -> Points:
        weights = np.zeros((num_verts, 1))
        found = self._evaluated(name)
        for vertex in found.to_mesh().vertices:
            weights[vertex.index] = sum(entry.weight for entry in vertex.groups if entry.group == group)
        found.to_mesh_clear()
        return weights

    # --- sound -----------------------------------------------------------------------------------------------------

    def write_sound(self, start: float, frames: int, path: Path) -> bool:
        if self._sound != "scene":
            cut_wav(Path(self._sound), path, (start - self._sound_start) / self.fps, frames / self.fps)
            return True
        strips = [strip for strip in self._sound_strips() if self._overlaps(strip, start, start + frames)]
        if not strips:
            return False
        for strip in strips:
            if not strip.sound.packed_file and not Path(bpy.path.abspath(strip.sound.filepath)).is_file():
                raise SceneError(
                    f"the sound of the strip {strip.name!r} is missing: {strip.sound.filepath}",
                    "Find it again in Blender: File, External Data, Find Missing Files.",
                )
        with tempfile.TemporaryDirectory() as folder:
            mixed, first = self._mix(start, frames, strips, Path(folder) / "mix.wav")
            cut_wav(mixed, path, (start - first) / self.fps, frames / self.fps)
        return True

    def _sound_strips(self) -> list[Any]:
        editor = self._scene.sequence_editor
        if editor is None:
            return []
        strips = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all  # before Blender 4.4
        return [strip for strip in strips if strip.type == "SOUND" and not strip.mute and strip.sound is not None]

    @staticmethod
    def _overlaps(strip: Any, start: float, end: float) -> bool:
        return bool(strip.frame_final_start < end and strip.frame_final_end > start)

    def _mix(self, start: float, frames: int, strips: list[Any], path: Path) -> tuple[Path, int]:
        """Mixes what plays as 16-bit WAV; returns the file and the frame at which it begins."""
        scene = self._scene
        before = scene.frame_start, scene.frame_end
        rate = max(_LEAST_RATE, *(int(strip.sound.samplerate) for strip in strips))
        one = all(strip.sound.channels == "MONO" for strip in strips)
        try:
            scene.frame_start = max(0, int(np.floor(start)))  # Blender has no sound before frame 0
            scene.frame_end = max(scene.frame_start, int(np.ceil(start + frames)) + 1)
            bpy.ops.sound.mixdown(
                filepath=str(path),
                container="WAV",
                codec="PCM",
                format="S16",
                channels="MONO" if one else "STEREO",
                mixrate=rate,
            )
            return path, int(scene.frame_start)
        except RuntimeError as error:
            raise SceneError(f"Blender could not mix the sound: {error}", "Name a WAV file with --sound.") from error
        finally:
            scene.frame_start, scene.frame_end = before


def open_scene(argv: list[str]) -> None:
    """Opens the scene named before `--`, where Blender runs as a Python package and has opened none itself."""
    opened = [word for word in argv[: argv.index("--")] if word.endswith(".blend")]
    if not bpy.app.binary_path and opened:
        bpy.ops.wm.open_mainfile(filepath=str(Path(opened[0]).absolute()))
