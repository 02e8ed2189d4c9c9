"""Exports an open scene as a raw data set: what is the same for all programs.

`export` looks at all names before it writes, goes through each shot once, frame by frame, and holds one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.about import about_text
from a2f_dcc.dataset import (
    EYE_ARCHIVE,
    JAW_ARCHIVE,
    RECORD,
    CacheWriter,
    check_addition,
    new_dataset,
    write_archive,
    write_array,
    write_json,
)
from a2f_dcc.face import Face, neutral_face
from a2f_dcc.scene import ExportOptions, FaceScene, Mesh, Points, Report
from a2f_dcc.shots import SceneShot, clean_name, find_shots
from a2f_dcc.space import apply, eye_angles
from a2f_dcc.statics import write_geometry

_STILL = 1e-3  # centimetres: a mesh that moves less has no animation
_HEAD_MOVES = 0.5  # centimetres: the check refuses more
_BENDS = 0.05  # centimetres: residual of teeth and eyes that should be rigid
_SHOWN = 12  # names in a message


@dataclass
class _Motion:
    """What was collected of the shots."""

    jaw: dict[str, Points] = field(default_factory=dict)
    eyes: dict[str, Points] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


def export(scene: FaceScene, options: ExportOptions, report: Report) -> list[SceneShot]:
    """Writes the data set of a scene; the scene is left in the frame that it was in by the caller.

    Args:
        scene: the open scene.
        options: what to export.
        report: receives progress and warnings.

    Returns:
        The shots written.

    Raises:
        SceneError: an object is missing, the topology changes, there is no sound, or a file cannot be written; nothing
            of the data set is left then.
    """
    _check_names(scene, options)
    shots = find_shots(options.shots, scene.markers(), scene.range, options.actor)
    with new_dataset(options.out, options.add) as folder:
        face = neutral_face(scene, options, shots, report)
        if options.add and (options.out / RECORD).is_file():
            check_addition(options.out, scene.fps, face.neutral)
        writer = _ShotWriter(scene, options, face, folder, report)
        for shot in shots:
            writer.write_sound(shot)
        _check_sound(options, shots, writer.motion, report)
        for number, shot in enumerate(shots, 1):
            report.info(
                f"{number} of {len(shots)}: {shot.name}, frames {shot.first} to {shot.last}, "
                f"{shot.num_frames / scene.fps:.1f} s"
            )
            writer.write_frames(shot)
        write_geometry(scene, options, face, folder, report)
        _write_motion(folder, face, writer.motion, report)
        write_json(folder / RECORD, {"program": scene.program, "fps": scene.fps, "front": face.space.front})
        about = about_text(scene, options, shots, face.space.front, report)
        (folder / "about.md").write_text(about, encoding="utf-8")
    report.info(f"written: {options.out}")
    return shots


def _check_names(scene: FaceScene, options: ExportOptions) -> None:
    meshes, bones = scene.meshes(), scene.bones()
    wrong = [f"{use} {name!r}" for use, name in options.meshes().items() if name not in meshes]
    wrong += [f"{use} {name!r}" for use, name in options.tracked().items() if name not in meshes + bones]
    if wrong:
        listed = ", ".join(meshes[:_SHOWN]) + (" ..." if len(meshes) > _SHOWN else "")
        raise SceneError(
            f"the scene has no {'; no '.join(wrong)}",
            f"Its meshes are: {listed or 'none'}. Name a bone with its rig: Armature:jaw.",
        )
    if clean_name(options.actor) != options.actor:
        raise SceneError(f"{options.actor!r} is no name of an actor", f"Write {clean_name(options.actor) or 'mary'!r}.")
    if (options.right_eye is None) != (options.left_eye is None):
        raise SceneError("one eye is named and the other is not", "Name both eyes, or none.")


class _ShotWriter:
    """Writes caches and sound of shots, and collects what all shots share."""

    def __init__(self, scene: FaceScene, options: ExportOptions, face: Face, folder: Path, report: Report) -> None:
        self._scene, self._options, self._face, self._folder, self._report = scene, options, face, folder, report
        self._meshes = {"skin": (options.skin, face.skin)}
        if face.tongue is not None:
            self._meshes["tongue"] = (str(options.tongue), face.tongue)
        self.motion = _Motion()

    def write_frames(self, shot: SceneShot) -> None:
        """Writes the caches of a shot.

        Raises:
            SceneError: a frame has another topology or vertices without a position.
        """
        jaw, eyes, first = [], [], None
        moved, shifted = 0.0, 0.0
        with ExitStack() as stack:
            writers = {}
            for part, (_, neutral) in self._meshes.items():
                path = self._folder / "cache" / part / shot.name / f"{shot.name}.mdd"
                writers[part] = CacheWriter(path, shot.num_frames, len(neutral.points), self._scene.fps)
                stack.callback(writers[part].close)
            for frame in range(shot.first, shot.last + 1):
                self._scene.show(frame)
                head = self._face.head
                still: Points = np.eye(4) if head is None else np.asarray(np.linalg.inv(head.motion()))
                posed = {part: self._posed(part, still, shot, frame) for part in self._meshes}
                for part, points in posed.items():
                    writers[part].add(points)
                first = posed["skin"] if first is None else first
                moved = max(moved, float(np.abs(posed["skin"] - first).max()))
                away = np.linalg.norm(posed["skin"] - self._face.neutral, axis=1)
                shifted = max(shifted, float(np.median(away)))
                if self._face.jaw is not None and self._face.key_points is not None:
                    points = self._face.key_points
                    jaw.append(apply(still @ self._face.jaw.motion(), points) - points)
                eyes.append([eye_angles((still @ eye.motion())[:3, :3]) for eye in self._face.eyes])
        self.motion.jaw[shot.name] = np.array(jaw, np.float32)
        self.motion.eyes[shot.name] = np.array(eyes, np.float32)
        _judge_motion(self._options, shot, moved, shifted, self._report)

    def _posed(self, part: str, still: Points, shot: SceneShot, frame: int) -> Points:
        """A mesh in the current frame, `[verts, 3]` with the head stabilised."""
        name, neutral = self._meshes[part]
        now = self._scene.mesh(name)
        _check_topology(self._scene, name, now, neutral, shot, frame)
        points = apply(still, self._face.space.points(now.points))
        if not np.isfinite(points).all():
            raise SceneError(f"{name!r} has vertices without a position in frame {frame} of {shot.name!r}")
        return points

    def write_sound(self, shot: SceneShot) -> None:
        """Frame i of a data set is at (i + 0.5) / fps, so the sound of a shot begins half a frame before the shot."""
        if self._options.sound == "none":
            return
        path = self._folder / "audio" / f"{shot.name}.wav"
        path.parent.mkdir(exist_ok=True)
        if not self._scene.write_sound(shot.first - 0.5, shot.num_frames, path):
            self.motion.silent.append(shot.name)


def _check_topology(scene: FaceScene, name: str, now: Mesh, neutral: Mesh, shot: SceneShot, frame: int) -> None:
    if now.same_topology(neutral):
        return
    changers = scene.changers(name)
    what = f"{len(now.points)} vertices and {len(now.counts)} polygons"
    if now.points.shape == neutral.points.shape and len(now.counts) == len(neutral.counts):
        what = "other polygons"
    raise SceneError(
        f"{name!r} has {what} in frame {frame} of shot {shot.name!r}; its neutral pose has "
        f"{len(neutral.points)} vertices and {len(neutral.counts)} polygons",
        "All frames need the same mesh. "
        + (f"These may change it, disable or apply them: {', '.join(changers)}." if changers else ""),
    )


def _judge_motion(options: ExportOptions, shot: SceneShot, moved: float, shifted: float, report: Report) -> None:
    if moved < _STILL:
        report.warn(f"{options.skin!r} does not move in shot {shot.name!r}: is its animation in other frames?")
    if shifted > _HEAD_MOVES:
        remedy = "name the bone of the skull with --head" if options.head is None else "is the right bone named?"
        report.warn(
            f"the whole face moves by up to {shifted:.1f} cm in shot {shot.name!r}, it has to be stabilised: {remedy}"
        )


def _check_sound(options: ExportOptions, shots: Sequence[SceneShot], motion: _Motion, report: Report) -> None:
    names = ", ".join(motion.silent[:_SHOWN])
    if motion.silent and len(motion.silent) == len(shots):
        raise SceneError(
            f"no sound lies in the frames of the shots ({names})",
            "Put the recordings into the scene where they belong, name a WAV file with --sound, or export without "
            "(--sound none) and copy them to audio/ yourself.",
        )
    if motion.silent:
        report.warn(f"no sound lies in the frames of {names}: they are left out of training until audio/ has them")
    if options.sound == "none":
        report.warn("exported without sound: copy the recordings to audio/<shot>.wav")


def _write_motion(folder: Path, face: Face, motion: _Motion, report: Report) -> None:
    if face.jaw is not None and face.key_points is not None:
        write_array(folder / "xform/jaw_keypoints_neutral.npy", face.key_points.astype(np.float32))
        write_archive(folder / JAW_ARCHIVE, motion.jaw)
        if all(float(np.abs(offsets).max()) < _STILL for offsets in motion.jaw.values()):
            report.warn(f"{face.jaw.name!r} does not move: name the bone or the lower teeth that open with --jaw")
    if face.eyes:
        write_archive(folder / EYE_ARCHIVE, motion.eyes)
    for tracker in filter(None, [face.head, face.jaw, *face.eyes]):
        if tracker.residual > _BENDS:
            report.warn(
                f"{tracker.name!r} should move as a rigid body and bends by {10 * tracker.residual:.1f} mm: "
                "name a bone, or a mesh without deformation"
            )
