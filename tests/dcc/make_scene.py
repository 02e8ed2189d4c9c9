"""Builds a Blender scene of the example head, inside Blender's Python: `make_scene.py INPUT.npz OUTPUT.blend`.

The head is a mesh with shape keys on an armature that nods; its jaw is a bone that carries teeth and tongue; the eyes
are objects that turn. One unit is 10 cm, and the head's mesh has axes, scale and origin of its own.
"""

import json
import sys

import bpy
import numpy as np
from mathutils import Matrix, Vector

CM = 0.1  # units of the scene in a centimetre
given = np.load(sys.argv[1])
settings = json.loads(str(given["settings"]))
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps, scene.render.fps_base = settings["fps"]
scene.unit_settings.system = "METRIC"
scene.unit_settings.scale_length = 0.1
scene.frame_start, scene.frame_end = settings["range"]
place = Matrix(settings["place"])  # of the whole character, in the scene


def to_scene(points):
    """Centimetres, y up, z out of the face, to units of the scene, z up, -y out of the face."""
    x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    return CM * np.stack([x, -z, y], axis=-1)


def new_mesh(name, points, faces, colours):
    data = bpy.data.meshes.new(name)
    data.from_pydata(points.tolist(), [], [[corner for corner in row if corner >= 0] for row in faces.tolist()])
    painted = np.column_stack([colours / 255, np.ones(len(colours))])
    data.color_attributes.new("Colour", "BYTE_COLOR", "POINT").data.foreach_set("color_srgb", painted.ravel().tolist())
    found = bpy.data.objects.new(name, data)
    scene.collection.objects.link(found)
    return found


def curve(action, block, path, frames, values, index=0):
    made = action.fcurve_ensure_for_datablock(block, path, index=index)
    made.keyframe_points.add(len(frames))
    made.keyframe_points.foreach_set("co", np.column_stack([frames, values]).ravel().tolist())
    made.update()


def animate(block, path, frames, values):
    """Keys `values` `[frames, n]` of a property of n numbers, or `[frames]` of a number."""
    data = block.animation_data or block.animation_data_create()
    data.action = data.action or bpy.data.actions.new(block.name)
    for index, column in enumerate(np.atleast_2d(np.asarray(values).T)):
        curve(data.action, block, path, frames, column, index)


frames = given["frames"].tolist()

# --- the armature -------------------------------------------------------------------------------------------------
rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
scene.collection.objects.link(rig)
rig.matrix_world = place
bpy.context.view_layer.objects.active = rig
bpy.ops.object.mode_set(mode="EDIT")
skull = rig.data.edit_bones.new("skull")
skull.head, skull.tail = to_scene([0.0, -10.0, -3.0]), to_scene([0.0, 8.0, -3.0])
jaw = rig.data.edit_bones.new("jaw")
jaw.head, jaw.tail = to_scene(given["hinge"]), to_scene(given["hinge"] + [0.0, -3.0, 7.0])
jaw.parent = skull
bpy.ops.object.mode_set(mode="OBJECT")
for bone in rig.pose.bones:
    bone.rotation_mode = "QUATERNION"
nod = rig.pose.bones["skull"]
angles = given["nod"]
animate(
    rig,
    'pose.bones["skull"].rotation_quaternion',
    frames,
    np.stack([np.cos(angles / 2), np.sin(angles / 2), 0 * angles, 0 * angles], axis=1),
)
rest = rig.pose.bones["jaw"].bone.matrix_local
axes = Matrix([[1, 0, 0], [0, 0, -1], [0, 1, 0]]).to_4x4()
locations, turns = [], []
for matrix in given["jaw"]:
    motion = Matrix(matrix.tolist())
    motion.translation = Vector(motion.translation) * CM
    basis = rest.inverted() @ axes @ motion @ axes.inverted() @ rest
    locations.append(basis.translation)
    turns.append(basis.to_quaternion())
animate(rig, 'pose.bones["jaw"].location', frames, np.array(locations))
animate(rig, 'pose.bones["jaw"].rotation_quaternion', frames, np.array(turns))


def skinned(found, bone):
    group = found.vertex_groups.new(name=bone)
    group.add(list(range(len(found.data.vertices))), 1.0, "REPLACE")
    modifier = found.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig


def shaped(found, names, deltas, weights, to_mesh):
    found.shape_key_add(name="Basis")
    base = np.empty(3 * len(found.data.vertices))
    found.data.vertices.foreach_get("co", base)
    keys = found.data.shape_keys
    for name, delta in zip(names, deltas, strict=True):
        block = found.shape_key_add(name=name)
        block.slider_min, block.slider_max = -10, 10
        block.data.foreach_set("co", base + to_mesh(delta).ravel())
    animation = keys.animation_data_create()
    animation.action = bpy.data.actions.new(found.name)
    for index, name in enumerate(names):
        curve(animation.action, keys, f'key_blocks["{name}"].value', frames, weights[:, index])


# --- meshes -------------------------------------------------------------------------------------------------------
own = Matrix.Translation((0.3, -0.2, 0.1)) @ Matrix.Rotation(0.4, 4, "Z") @ Matrix.Scale(2.0, 4)
inverse = np.array((own).inverted())


def to_head(points):
    return to_scene(points) @ inverse[:3, :3].T + inverse[:3, 3]


head = new_mesh("Head", to_head(given["skin"]), given["skin_faces"], given["skin_colours"])
head.matrix_world = place @ own
shaped(
    head, given["names"].tolist(), given["deltas"], given["weights"], lambda delta: to_scene(delta) @ inverse[:3, :3].T
)
skinned(head, "skull")
for name, vertices in settings.get("groups", {}).items():
    head.vertex_groups.new(name=name).add(vertices, 1.0, "REPLACE")
tongue = new_mesh("Tongue", to_scene(given["tongue"]), given["tongue_faces"], given["tongue_colours"])
tongue.matrix_world = place
shaped(tongue, given["tongue_names"].tolist(), given["tongue_deltas"], given["tongue_weights"], to_scene)
skinned(tongue, "jaw")
for name, bone in (("LowerTeeth", "jaw"), ("UpperTeeth", "skull")):
    teeth = new_mesh(name, to_scene(given[name]), given[f"{name}_faces"], given[f"{name}_colours"])
    teeth.matrix_world = place
    skinned(teeth, bone)
for side, name in enumerate(("EyeRight", "EyeLeft")):
    centre = to_scene(given["eye_centres"][side])
    eye = new_mesh(name, to_scene(given[name]) - centre, given[f"{name}_faces"], given[f"{name}_colours"])
    eye.parent, eye.parent_type, eye.parent_bone = rig, "BONE", "skull"
    tail = rig.matrix_world @ nod.bone.matrix_local @ Matrix.Translation((0, nod.length, 0))
    eye.matrix_parent_inverse = tail.inverted() @ place
    eye.location = centre
    pitch, yaw = np.radians(given["eyes"][:, side]).T
    animate(eye, "rotation_euler", frames, np.stack([pitch, 0 * pitch, yaw], axis=1))

# --- time line ----------------------------------------------------------------------------------------------------
for frame, name in settings["markers"]:
    scene.timeline_markers.new(name, frame=frame)
editor = scene.sequence_editor_create()
for number, (path, start, skipped) in enumerate(settings["sounds"]):
    strip = editor.strips.new_sound(f"sound {number}", path, number + 1, start)
    strip.frame_offset_start = skipped
for kind, values in settings.get("modifiers", {}).items():
    modifier = head.modifiers.new(kind.title(), kind)
    for name, value in values.items():
        if isinstance(value, list):  # changes in the last frames
            setattr(modifier, name, value[0])
            modifier.keyframe_insert(name, frame=frames[-3])
            setattr(modifier, name, value[1])
            modifier.keyframe_insert(name, frame=frames[-2])
        else:
            setattr(modifier, name, value)
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[2])
