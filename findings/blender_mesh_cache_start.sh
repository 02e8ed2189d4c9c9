#!/bin/bash
# In Blender's Mesh Cache modifier "Frame Start" is no frame of the scene once "Frame Scale" or the time mode differ.
#
# Versions:   bpy 4.5.15, numpy 1.26.4, Python 3.11
# Behaviour:  the scene's frame is multiplied by Frame Scale first, then Frame Start is subtracted. In the time mode "Time"
#             seconds are computed first, then Frame Start is subtracted from them.
# Seen:       with Frame Start 10 and Frame Scale 2 a cache begins at frame 5. In "Time" mode with Frame Start 10, in a
#             scene of 24 frames per second, it begins at frame 240.
# Why:        a cache of 30 frames per second in a scene of 24 needs Frame Scale 1.25 and, to begin at frame 300, the Frame
#             Start 375. With 300 it is 2.5 s late.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check bpy==4.5.15 numpy==1.26.4
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import os
import struct
import sys

import bpy
import numpy as np

path = "count.mdd"  # frame i is the point (i, 0, 0); 48 frames per second
frames = np.arange(40, dtype=">f4")
positions = np.zeros((40, 1, 3), ">f4")
positions[:, 0, 0] = frames
with open(path, "wb") as handle:
    handle.write(struct.pack(">ii", 40, 1) + (frames / 48).astype(">f4").tobytes() + positions.tobytes())
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = 24
mesh = bpy.data.meshes.new("point")
mesh.from_pydata([(0, 0, 0)], [], [])
thing = bpy.data.objects.new("point", mesh)
scene.collection.objects.link(thing)
modifier = thing.modifiers.new("cache", "MESH_CACHE")
modifier.cache_format, modifier.filepath = "MDD", os.path.abspath(path)


def shown(mode, start, scale, frame):
    """The frame of the cache that is shown in a frame of the scene."""
    modifier.time_mode, modifier.frame_start, modifier.frame_scale = mode, start, scale
    scene.frame_set(frame)
    return thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices[0].co.x


measured = []
for mode, start, scale, frame, expected in (
    ("FRAME", 10, 1, 10, 0),
    ("FRAME", 10, 2, 10, 0),
    ("FRAME", 10, 2, 5, 0),
    ("TIME", 10, 1, 12, 4),
    ("TIME", 0.5, 1, 24, 39),
):
    measured.append(shown(mode, start, scale, frame))
    print(f"{mode:5} start {start:4} scale {scale}: frame {frame:2} of the scene shows {measured[-1]:4.1f}, expected {expected}")
sys.exit(0 if np.allclose(measured, [0, 10, 0, 0, 24]) else 1)
PYTHON
