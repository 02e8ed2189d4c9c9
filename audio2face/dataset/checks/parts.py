"""Compares all other parts with the skin: jaw, tongue, poses, deltas and parts for rendering.

The listed rigid vertices of the tongue move only with the jaw.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from audio2face.animation.rigid import fit_rigid, spans_a_plane
from audio2face.dataset.actor import BLENDSHAPE_PATHS, ActorDataset
from audio2face.dataset.checks.agreement import CODES
from audio2face.dataset.checks.face_frame import FaceFrame
from audio2face.dataset.checks.jaw import around_mean, check_jaw, common_motion, common_vertices
from audio2face.dataset.checks.offsets import check_offsets
from audio2face.dataset.checks.placement import Motion, PartPlace, check_place
from audio2face.dataset.checks.pose_match import Kind, Reference, compare
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.checks.samples import Tracks
from audio2face.dataset.checks.static import Static, within_reason
from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.types import Float32Array, FloatArray

Value = TypeVar("Value")

# Diagonal of the box and usual distance of the centre from the mouth's, in sizes of the mouth.
_TONGUE = 2.7, 1.2
_TEETH = 2.5, 1.4
_EYES = 3.2, 1.2
_EYES_ABOVE, _EYES_BEHIND = 2.3, 0.3  # sizes of the mouth from the mouth to the middle between the eyes


@dataclass(frozen=True)
class Skin:
    """The skin as the reference for other parts.

    Attributes:
        rest: the pose of the skin that most shots agree on.
        tongue: the pose of the tongue that most shots agree on; None without one.
        face: mouth and axes; None if nothing moves like a face.
        upright: whether +y points up and +z to the front, in centimetres.
        tracks: positions of skin and tongue in some frames of every shot.
    """

    rest: Reference | None
    tongue: Reference | None
    face: FaceFrame | None
    upright: bool
    tracks: dict[str, Tracks]


def check_parts(dataset: ActorDataset, still: Static, skin: Skin, findings: Findings) -> None:
    """Compares all parts with the skin."""
    if skin.rest is not None:
        _check_neutrals(dataset, still, skin.rest, findings)
    face = skin.face
    if face is None or skin.rest is None:
        return
    neutral = _attempt(lambda: dataset.jaw_keypoints_neutral)
    archive = _attempt(lambda: dataset.jaw_animation)
    jaw = None if neutral is None or archive is None or not within_reason(neutral).all() else (neutral, archive)
    if jaw is not None and not check_jaw(*jaw, skin.tracks["skin"], face, findings):
        jaw = None
    if skin.tongue is not None and dataset.has_tongue:
        part = PartPlace("tongue", skin.tongue.points, *_TONGUE, _tongue_motion(skin.tracks, face))
        placed = check_place(part, face, dataset.paths["TONGUE_NEUTRAL_FPATH"], findings)
        if placed and still.tongue_rigid is not None:
            _check_tongue(dataset, skin.tongue, skin.tracks["tongue"], jaw, face, findings)
    _check_drawn(dataset, face, findings)
    if skin.upright:
        check_offsets(dataset, still, skin.rest, face, findings)


def _check_tongue(
    dataset: ActorDataset,
    rest: Reference,
    tracks: Tracks,
    jaw: tuple[Float32Array, Archive] | None,
    face: FaceFrame,
    findings: Findings,
) -> None:
    """Compares the listed rigid vertices of the tongue with each other and with the jaw."""
    path = dataset.paths["TONGUE_RIGID_VERTEX_LIST_FPATH"]
    if check_rigid_vertices(rest.points, tracks, face, path, findings) and jaw is not None:
        check_follows_jaw(rest.points, tracks, *jaw, face, path, findings)


def _centre(face: FaceFrame, kind: str) -> FaceFrame:
    """Returns the face with the position of its teeth or eyes instead of the mouth."""
    if kind != "eyes":
        return face
    axes = face.orientation
    move = np.zeros(3)
    move[axes.up], move[axes.front] = axes.up_sign * _EYES_ABOVE, -axes.front_sign * _EYES_BEHIND
    return replace(face, mouth=face.mouth + face.mouth_size * move)


def _check_neutrals(dataset: ActorDataset, still: Static, rest: Reference, findings: Findings) -> None:
    """Compares every further neutral pose with that of its part."""
    tongue = None if still.tongue_neutral is None else Reference.from_points(still.tongue_neutral, "the neutral pose")
    for parameter, reference, pose in (
        ("SKIN_NEUTRAL_INFERENCE_FPATH", rest, still.skin_neutral_inference),
        ("TONGUE_NEUTRAL_INFERENCE_FPATH", tongue, still.tongue_neutral_inference),
        (BLENDSHAPE_PATHS["skin"][0], rest, _blendshape_neutral(dataset, "skin")),
        (BLENDSHAPE_PATHS["tongue"][0], tongue, _blendshape_neutral(dataset, "tongue")),
    ):
        if reference is None or pose is None or pose.shape != reference.points.shape:
            continue
        mismatch = compare(reference, pose)
        if mismatch is None:
            continue
        subject = "its neutral " if parameter.startswith("BLENDSHAPE") else ""
        add = findings.warning if mismatch.kind is Kind.SHAPE else findings.error
        add(
            CODES[mismatch.kind],
            f"{subject}{mismatch.message}",
            f"{mismatch.remedy}{' Do the same to its offsets.' if subject else ''}",
            file=dataset.paths[parameter],
            vertex=mismatch.vertex,
        )


def _blendshape_neutral(dataset: ActorDataset, part: str) -> Float32Array | None:
    files = dataset.blendshapes(part)
    if files is None:
        return None
    pose = _attempt(lambda: Archive.open(files.data).read_floats("neutral", (None, 3)))
    return pose if pose is not None and within_reason(pose).all() else None


def _tongue_motion(tracks: dict[str, Tracks], face: FaceFrame) -> Motion | None:
    """Returns the motion of the tongue, or of its rigid vertices, correlated with the skin below the mouth."""
    chosen = common_vertices(tracks["skin"], face)
    steps, mouths = [], []
    for shot, (numbers, places) in tracks["tongue"].shots.items():
        skin = tracks["skin"].shots.get(shot)
        if chosen is not None and skin is not None and np.array_equal(numbers, skin[0]):
            mean = places.astype(np.float64).mean(axis=1)
            steps.append(mean - mean.mean(axis=0))
            mouths.append(around_mean(skin[1], chosen))
    motion = common_motion(np.concatenate(steps), np.concatenate(mouths)) if steps else None
    # A tongue moves independently, and less than the jaw: only its direction is conclusive.
    return None if motion is None else Motion(motion.direction, motion.skin_direction, 1.0)


def _check_drawn(dataset: ActorDataset, face: FaceFrame, findings: Findings) -> None:
    """Compares teeth and eyes for rendering with the skin; other parts must be within its box."""
    path = dataset.paths.get("EXTRA_PARTS_FPATH")
    archive = _attempt(lambda: dataset.extra_parts)
    if path is None or archive is None:
        return
    points: dict[str, list[FloatArray]] = {"teeth": [], "eyes": []}
    for name in archive.members:
        kind = _kind(name)
        vertices = _attempt(lambda name=name: archive.read_floats(name, (None, 3))) if kind else None  # type: ignore[misc]
        if kind is not None and vertices is not None and within_reason(vertices).all():
            points[kind].append(vertices)
    for kind, (size, reach) in (("teeth", _TEETH), ("eyes", _EYES)):
        if points[kind]:
            check_place(PartPlace(kind, np.concatenate(points[kind]), size, reach), _centre(face, kind), path, findings)


def _kind(name: str) -> str | None:
    """Returns the part to which an array of vertices belongs, by its name."""
    lower = name.lower()
    if not lower.endswith("_vertices") or any(word in lower for word in ("lash", "brow", "lid")):
        return None
    return "teeth" if "teeth" in lower or "tooth" in lower else "eyes" if "eye" in lower else None


def _attempt(read: Callable[[], Value]) -> Value | None:
    """Reads data that are checked, and reported if unreadable, elsewhere."""
    with suppress(UserError):
        return read()
    return None


_BENDS = 0.05  # sizes of the mouth
_BENDS_SHARE = 0.6  # of the motion
_FOLLOWS_SHARE = 0.8  # of the motion


def check_rigid_vertices(neutral: FloatArray, tracks: Tracks, face: FaceFrame, path: Path, findings: Findings) -> bool:
    """Reports listed vertices whose distances change as the tongue moves; returns whether they are rigid.

    Args:
        neutral: neutral pose of the tongue `[verts, 3]`.
        tracks: positions of the listed vertices in some frames.
        face: size of the mouth.
        path: file of the list.
        findings: receives the findings.
    """
    rest = neutral[tracks.verts].astype(np.float64)
    if not tracks.shots or not spans_a_plane(rest):
        return False
    frames = np.concatenate([places for _, places in tracks.shots.values()]).astype(np.float64)
    motion = _length(frames - rest)
    residual = _length(fit_rigid(frames, rest).apply(frames) - rest)
    if residual <= max(_BENDS * face.mouth_size, _BENDS_SHARE * motion):
        return True
    findings.error(
        "tongue-rigid",
        f"the {len(rest)} listed vertices do not move as one rigid body: {residual:.2g} remain of a motion of "
        f"{motion:.2g}",
        "List vertices at the root of the tongue that move with the jaw and not by themselves.",
        file=path,
    )
    return False


def check_follows_jaw(
    neutral: FloatArray,
    tracks: Tracks,
    jaw_neutral: Float32Array,
    jaw: Archive,
    face: FaceFrame,
    path: Path,
    findings: Findings,
) -> None:
    """Reports listed vertices that move unlike the key points of the jaw, with the arguments of the rigidity check."""
    rest = neutral[tracks.verts].astype(np.float64)
    moved, left = [], []
    for shot, (numbers, places) in tracks.shots.items():
        offsets = _offsets(jaw, shot, len(jaw_neutral))
        if offsets is None or numbers[-1] >= len(offsets):
            continue
        back = fit_rigid(offsets[numbers] + jaw_neutral, jaw_neutral)
        moved.append(places - rest)
        left.append(back.apply(places) - rest)
    if not moved:
        return
    motion, residual = _length(np.concatenate(moved)), _length(np.concatenate(left))
    if residual > max(_BENDS * face.mouth_size, _FOLLOWS_SHARE * motion):
        findings.warning(
            "tongue-rigid",
            f"the listed vertices do not move with the jaw: {residual:.2g} remain of a motion of {motion:.2g} once the "
            "jaw's is taken out",
            "List vertices at the root of the tongue, and check that tongue and jaw were exported from one scene.",
            file=path,
        )


def _offsets(jaw: Archive, shot: str, points: int) -> Float32Array | None:
    if shot not in jaw.members:
        return None
    try:
        offsets = jaw.read_floats(shot, (None, points, 3))
    except UserError:
        return None
    return offsets if within_reason(offsets).all() else None


def _length(vectors: FloatArray) -> float:
    """Returns the root mean square length of vectors `[..., 3]`."""
    return float(np.sqrt(np.square(vectors).sum(axis=-1).mean()))
