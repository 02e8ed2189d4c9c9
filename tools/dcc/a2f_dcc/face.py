"""The neutral face of a scene: axes, meshes, shapes, and the bones and meshes that are followed through the shots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.regions import match_names
from a2f_dcc.scene import ExportOptions, FaceScene, Mesh, Points, Report
from a2f_dcc.shots import SceneShot
from a2f_dcc.space import Space, Tracker, check_size, find_front, new_space, spread_points

REST = "rest"
_KEY_POINTS = 5
_SIDES = ("right_eye", "left_eye")
_AROUND_MOUTH = np.array([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.8, 0.8], [0.0, -0.8, 0.0], [0.0, 0.0, -2.0]])


@dataclass
class Face:
    """The neutral face, and what is followed through the shots."""

    space: Space
    skin: Mesh
    tongue: Mesh | None
    head: Tracker | None
    jaw: Tracker | None
    eyes: list[Tracker]
    key_points: Points | None
    deltas: dict[str, dict[str, Points]]  # offsets of shapes in the data set's space, by part and name
    parts: dict[str, tuple[str, Points, Mesh]]  # object, points and mesh by name of the part

    @property
    def neutral(self) -> Points:
        """The skin, `[verts, 3]` in centimetres."""
        return self.space.points(self.skin.points)


def neutral_face(scene: FaceScene, options: ExportOptions, shots: Sequence[SceneShot], report: Report) -> Face:
    """Reads the neutral pose, the shapes and the parts, and finds the axes."""
    with ExitStack() as stack:
        if options.neutral == REST:
            scene.show(shots[0].first)
            stack.enter_context(scene.rest())
            if not scene.has_rest(options.skin):
                report.warn(
                    f"{options.skin!r} has no rest pose, so frame {shots[0].first} is taken as the neutral face: "
                    "name another with --neutral FRAME where the face is not neutral in it"
                )
        else:
            scene.show(_frame_number(options.neutral))
        skin = scene.mesh(options.skin)
        space = _space_of(scene, options, skin, report)
        size = float(np.linalg.norm(space.matrix[0]))
        check_size(space.points(skin.points), options.skin, size, report.warn)
        tongue = None if options.tongue is None else scene.mesh(options.tongue)
        jaw_name = options.jaw or options.lower_teeth
        jaw = None if jaw_name is None else Tracker(scene, jaw_name, space)
        names = {"lower_teeth": options.lower_teeth, "upper_teeth": options.upper_teeth, **options.parts}
        names.update({side: name for side in _SIDES if (name := getattr(options, side)) in scene.meshes()})
        found = {part: (name, scene.mesh(name)) for part, name in names.items() if name}
        parts = {part: (name, space.points(mesh.points), mesh) for part, (name, mesh) in found.items()}
        face = Face(
            space=space,
            skin=skin,
            tongue=tongue,
            head=None if options.head is None else Tracker(scene, options.head, space),
            jaw=jaw,
            eyes=[Tracker(scene, name, space) for side in _SIDES if (name := getattr(options, side))],
            key_points=None,
            deltas={},
            parts=parts,
        )
        face.deltas = _shape_deltas(scene, options, space, face.head, stack)
    if jaw is not None:
        face.key_points = _key_points(jaw, face)
    return face


def _frame_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SceneError(f"{text!r} is no frame", "Give --neutral rest, or the number of a frame.") from None


def _space_of(scene: FaceScene, options: ExportOptions, skin: Mesh, report: Report) -> Space:
    centimetres = scene.centimetres if options.scale is None else options.scale
    front = options.front
    if front == "auto":
        front = _look_for_front(scene, options, skin) or ""
    if not front:
        front = "-y" if scene.up[2] else "+z"
        report.warn(f"where the face looks to is not clear; {front} is taken: name another axis with --front")
    report.info(f"one unit is {centimetres:g} cm, the face looks to {front}, {scene.fps:.6g} frames per second")
    return new_space(scene.up, front, centimetres)


def _look_for_front(scene: FaceScene, options: ExportOptions, skin: Mesh) -> str | None:
    """Looks from the middle of the head to what lies in front: lips, what jawOpen moves, tongue or teeth."""
    mouth = _mouth(scene, options, skin)
    if mouth is None:
        return None
    box = np.array([skin.points.min(axis=0), skin.points.max(axis=0)])
    size = float((box[1] - box[0]).max()) or 1.0
    return find_front(scene.up, box.mean(axis=0) / size, mouth / size)


def _mouth(scene: FaceScene, options: ExportOptions, skin: Mesh) -> Points | None:
    """Where the mouth is, `[3]` in the scene's world; None where nothing tells."""
    groups = scene.groups(options.skin)
    if len(groups.get("lip_upper", ())):
        return np.asarray(skin.points[groups["lip_upper"]].mean(axis=0))
    shapes = scene.shapes(options.skin)
    for place in match_names(shapes, ("jawOpen",)).values():
        with ExitStack() as stack:
            if options.neutral != REST:
                stack.callback(scene.show, _frame_number(options.neutral))
                stack.enter_context(scene.rest())
            moved = np.linalg.norm(scene.shape_deltas(options.skin, shapes[place]), axis=1)
        if moved.any():
            return np.asarray(np.average(skin.points, axis=0, weights=moved))
    inner = [scene.mesh(name).points for name in (options.tongue, options.lower_teeth, options.upper_teeth) if name]
    return np.concatenate(inner).mean(axis=0) if inner else None


def _shape_deltas(
    scene: FaceScene, options: ExportOptions, space: Space, head: Tracker | None, stack: ExitStack
) -> dict[str, dict[str, Points]]:
    """Offsets of all shapes at rest, turned as the head is in the neutral pose."""
    turn = np.eye(3)
    if options.neutral != REST:
        stack.enter_context(scene.rest())
        turn = turn if head is None else head.motion()[:3, :3].T  # from rest to the neutral pose
    found: dict[str, dict[str, Points]] = {}
    for part, mesh in (("skin", options.skin), ("tongue", options.tongue)):
        names = scene.shapes(mesh) if mesh is not None else []
        found[part] = {name: space.points(scene.shape_deltas(str(mesh), name)) @ turn.T for name in names}
    return found


def _key_points(jaw: Tracker, face: Face) -> Points:
    """Five points that the jaw carries: on the lower teeth, or around where the mouth is."""
    if jaw.points is not None:
        return jaw.points[spread_points(jaw.points, _KEY_POINTS)]
    if "lower_teeth" in face.parts:
        teeth = face.parts["lower_teeth"][1]
        return teeth[spread_points(teeth, _KEY_POINTS)]
    inner = [points for name, (_, points, _) in face.parts.items() if "teeth" in name]
    if face.tongue is not None:
        inner.append(face.space.points(face.tongue.points))
    opened = standard_delta(face.deltas["skin"], "jawOpen")
    if inner:
        middle = np.concatenate(inner).mean(axis=0)
    elif opened is not None:
        middle = np.average(face.neutral, axis=0, weights=np.linalg.norm(opened, axis=1) ** 2)
    else:
        raise SceneError(
            f"the bone {jaw.name!r} moves the jaw, and nothing shows where the mouth is",
            "Name the lower teeth with --lower-teeth, or the tongue.",
        )
    return np.asarray(middle + _AROUND_MOUTH)


def standard_delta(deltas: Mapping[str, Points], name: str) -> Points | None:
    """The offsets of one of ARKit's shapes, however it is spelled; None without it."""
    found = match_names(list(deltas), (name,))
    return list(deltas.values())[found[name]] if found else None
