"""Draws the picture of docs/from_blender.md: frames of a scene side by side, rendered by Blender, seen from the front.

    python tools/draw_blender.py SCENE.blend PICTURE.jpg SKIN FRAME [FRAME ...]

runs in an environment with Blender's Python package (`pip install bpy==4.5.15`); needs no display and no graphics card.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

_SIZE = 360  # pixels of each picture
_SAMPLES = 24
_PLAIN = (0.6, 0.55, 0.5, 1.0)
_LENS = 85.0  # millimetres
_DISTANCE = 2.3  # heights of the head
_ABOVE = 0.12  # heights of the head, which a bust has below its face
_QUALITY = 88


def main(argv: list[str]) -> int:
    scene_file, picture, skin, *frames = argv
    bpy.ops.wm.open_mainfile(filepath=str(Path(scene_file).absolute()))
    scene = bpy.context.scene
    _paint(scene)
    _look_at(scene, scene.objects[skin])
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", _SAMPLES, False
    scene.render.resolution_x = scene.render.resolution_y = _SIZE
    scene.view_settings.view_transform = "Standard"
    pictures = [_render(scene, int(frame)) for frame in frames]
    _save(scene, np.concatenate(pictures, axis=1), Path(picture).absolute())
    return 0


def _paint(scene: Any) -> None:
    """Gives each mesh a material of its vertices' colours, or of one colour."""
    for found in [found for found in scene.objects if found.type == "MESH"]:
        material = bpy.data.materials.new(found.name)
        material.use_nodes = True
        nodes = material.node_tree.nodes
        surface = nodes["Principled BSDF"].inputs
        surface["Roughness"].default_value = 0.55
        if found.data.color_attributes:
            colours = nodes.new("ShaderNodeVertexColor")
            colours.layer_name = found.data.color_attributes[0].name
            material.node_tree.links.new(colours.outputs["Color"], surface["Base Color"])
        else:
            surface["Base Color"].default_value = _PLAIN
        found.data.materials.clear()
        found.data.materials.append(material)
        found.data.shade_smooth()


def _look_at(scene: Any, skin: Any) -> None:
    """Puts a camera before a head that looks to -y, a light beside it, and a white world around."""
    corners = np.array([skin.matrix_world @ Vector(corner) for corner in skin.bound_box])
    middle, height = corners.mean(axis=0), float(np.ptp(corners[:, 2]))
    middle[2] += _ABOVE * height
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens, camera.data.clip_end = _LENS, 1000.0
    camera.location = middle + height * np.array([0.0, -_DISTANCE, 0.0])
    camera.rotation_euler = (np.pi / 2, 0.0, 0.0)
    light = bpy.data.objects.new("light", bpy.data.lights.new("light", "AREA"))
    light.data.size, light.data.energy = height, 60.0 * height**2
    light.location = middle + height * np.array([1.2, -1.8, 1.2])
    light.rotation_euler = Vector(light.location - Vector(middle)).to_track_quat("Z", "Y").to_euler()
    for found in (camera, light):
        scene.collection.objects.link(found)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.6
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)


def _render(scene: Any, frame: int) -> Any:
    """One frame, `[rows, columns, 4]` from 0 to 1."""
    scene.frame_set(frame)
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "frame.png")
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        pixels = np.empty(4 * _SIZE * _SIZE, np.float32)
        image.pixels.foreach_get(pixels)
    return pixels.reshape(_SIZE, _SIZE, 4)


def _save(scene: Any, pixels: Any, path: Path) -> None:
    image = bpy.data.images.new("picture", pixels.shape[1], pixels.shape[0])
    image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
    image.file_format, image.filepath_raw = "JPEG", str(path)
    image.save(quality=_QUALITY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
