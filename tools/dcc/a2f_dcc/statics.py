"""Writes what belongs to no shot: neutral poses, polygons, vertex lists, blend shapes, teeth and eyes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from a2f_dcc.dataset import (
    SKIN_NEUTRAL,
    polygons,
    write_archive,
    write_array,
    write_blendshapes,
    write_json,
    write_obj,
)
from a2f_dcc.face import Face, standard_delta
from a2f_dcc.regions import BLINKS, LIP_OPEN, find_lists, root_of
from a2f_dcc.scene import ExportOptions, FaceScene, Integers, Points, Report

BLINK_KEYS = (0.0, 0.3, 0.88, 1.0, 0.96, 0.72, 0.44, 0.22, 0.08, 0.0)
"""A blink at 30 frames per second, 0 open to 1 shut."""

_FEWEST_RIGID = 4
_STILL = 1e-3  # centimetres: a shape that moves less is none
_RESERVED = ("poseNames", "neutral", "frontalMask", "rig_version")


def write_geometry(scene: FaceScene, options: ExportOptions, face: Face, folder: Path, report: Report) -> None:
    faces = polygons(face.skin)
    neutral, deltas = face.neutral, face.deltas["skin"]
    write_array(folder / SKIN_NEUTRAL, neutral.astype(np.float32))
    write_array(folder / "geom/skin/faces.npy", faces.astype(np.int32))
    write_obj(folder / "neutral.obj", neutral, faces)
    lists, made = find_lists(scene.groups(options.skin), neutral, lambda name: standard_delta(deltas, name))
    for name, value in lists.items():
        write_json(folder / f"geom/skin/{name}_vertex_list.json", value)
    for text in made:
        report.note(text)
    if "lip_dist" not in lists:
        report.warn("no vertices of the lips: make the groups lip_upper and lip_lower of the inner edges of the lips")
    _write_poses(deltas, folder, report)
    _write_parts(scene, face, folder)
    _write_tongue(scene, options, face, folder, report)
    _write_shapes(options, face, folder, report)


def _write_poses(deltas: Mapping[str, Points], folder: Path, report: Report) -> None:
    """Lips that part and eyes that shut, of which the mesh has the shapes; and a blink, so that the model can."""
    poses = {
        "lip_open": (LIP_OPEN, "lips that part: shares of mouthLowerDown and mouthUpperUp"),
        "eye_close": (dict.fromkeys(BLINKS, 1.0), "eyes that shut: the sum of both eyeBlink shapes"),
    }
    for pose, (shares, text) in poses.items():
        found = {name: offset for name in shares if (offset := standard_delta(deltas, name)) is not None}
        if len(found) < len(shares):
            continue
        total = np.sum([share * found[name] for name, share in shares.items()], axis=0)
        write_array(folder / f"geom/skin/{pose}_pose_delta.npy", total.astype(np.float32))
        report.note(text)
        if pose == "eye_close":
            write_array(folder / "xform/eye_blink_keys.npy", np.array(BLINK_KEYS, np.float32))
            report.note("the time course of a blink: a usual one, not the actor's")


def _write_parts(scene: FaceScene, face: Face, folder: Path) -> None:
    arrays: dict[str, object] = {}
    for part, (name, points, mesh) in face.parts.items():
        arrays[f"{part}_vertices"] = points.astype(np.float32)
        arrays[f"{part}_faces"] = polygons(mesh).astype(np.int32)
        colour = scene.colour(name)
        if colour is not None:
            arrays[f"{part}_colours"] = np.tile(np.array(colour, np.uint8), (len(points), 1))
    if face.eyes:
        centres = [eye.origin if eye.points is None else _middle(eye.points) for eye in face.eyes]
        arrays["eye_centres"] = np.array(centres, np.float32)
    if arrays:
        write_archive(folder / "geom/extra_parts.npz", arrays)


def _middle(points: Points) -> Points:
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)


def _write_tongue(scene: FaceScene, options: ExportOptions, face: Face, folder: Path, report: Report) -> None:
    if face.tongue is None:
        return
    points = face.space.points(face.tongue.points)
    write_array(folder / "geom/tongue/neutral_pose.npy", points.astype(np.float32))
    write_array(folder / "geom/tongue/faces.npy", polygons(face.tongue).astype(np.int32))
    group: Integers | None = scene.groups(str(options.tongue)).get("tongue_root")
    if group is not None and len(group) >= _FEWEST_RIGID:
        rigid = group.tolist()
    else:
        rigid, how = root_of(points, list(face.deltas["tongue"].values()))
        report.note(f"vertices of the tongue's root: {how}; the vertex group tongue_root names others")
    write_json(folder / "geom/tongue/rigid_vertex_list.json", rigid)


def _write_shapes(options: ExportOptions, face: Face, folder: Path, report: Report) -> None:
    neutrals = {"skin": face.neutral}
    if face.tongue is not None:
        neutrals["tongue"] = face.space.points(face.tongue.points)
    for part, neutral in neutrals.items():
        chosen: dict[str, Points] = {}
        for name, delta in face.deltas[part].items():
            is_asked = any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in options.shapes)
            if is_asked and float(np.abs(delta).max()) > _STILL:
                plain = re.sub(r"[^ -.0-\[\]-~]", "_", name).strip() or "shape"
                chosen[plain if plain not in (*chosen, *_RESERVED) else f"{plain}_{len(chosen)}"] = delta
        if chosen:
            write_blendshapes(folder / "bs_data", part, neutral, chosen)
            report.info(f"blend shapes of the {part}: {len(chosen)}")
