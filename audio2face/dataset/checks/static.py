"""Checks single poses, deltas and polygons: readable, finite, of the right size, and deltas in the right region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.vertex_lists import LipSize, VertexPairs
from audio2face.types import AnyArray, BoolArray, Float32Array, FloatArray, Int32Array, Int64Array

Value = TypeVar("Value")

LARGEST = 1e6  # cm or degrees: larger values are damage, and would overflow sums of squares
NOT_FINITE = f"NaN, infinite or beyond {LARGEST:g}"
_ALIKE = 0.95  # cosine of the angle between a pose and the neutral; deltas are uncorrelated with it
_ELSEWHERE = 3.0  # ratio of the other region's motion
_LEAST_MOTION = 0.05  # cm


@dataclass(frozen=True)
class Static:
    """An actor's data besides animation; None if not configured, unreadable or not finite."""

    skin_neutral: Float32Array | None
    skin_neutral_inference: Float32Array | None
    lip_open: Float32Array | None
    eye_close: Float32Array | None
    tongue_neutral: Float32Array | None
    tongue_neutral_inference: Float32Array | None
    skin_faces: Int32Array | None
    tongue_faces: Int32Array | None
    lip_dist: VertexPairs | None
    eye_dist: VertexPairs | None
    lip_size: LipSize | None
    tongue_rigid: Int64Array | None


def read_static(dataset: ActorDataset, findings: Findings) -> Static:
    """Reads every small geometry file of the actor; reports missing, broken and non-finite ones."""

    def get(parameter: str, read: Callable[[], Value | None]) -> Value | None:
        path = dataset.paths.get(parameter)
        value = None if path is None else findings.attempt(read, "file-unreadable", path)
        if path is not None and isinstance(value, np.ndarray) and not check_finite(value, path, findings):
            return None
        return value

    return Static(
        skin_neutral=get("SKIN_NEUTRAL_FPATH", lambda: dataset.skin_neutral),
        skin_neutral_inference=get("SKIN_NEUTRAL_INFERENCE_FPATH", lambda: dataset.skin_neutral_inference),
        lip_open=get("SKIN_LIP_OPEN_POSE_DELTA_FPATH", lambda: dataset.skin_lip_open_delta),
        eye_close=get("SKIN_EYE_CLOSE_POSE_DELTA_FPATH", lambda: dataset.skin_eye_close_delta),
        tongue_neutral=get("TONGUE_NEUTRAL_FPATH", lambda: dataset.tongue_neutral),
        tongue_neutral_inference=get("TONGUE_NEUTRAL_INFERENCE_FPATH", lambda: dataset.tongue_neutral_inference),
        skin_faces=get("SKIN_FACES_FPATH", lambda: dataset.skin_faces),
        tongue_faces=get("TONGUE_FACES_FPATH", lambda: dataset.tongue_faces),
        lip_dist=get("SKIN_LIP_DIST_VERTEX_LIST_FPATH", lambda: dataset.lip_dist),
        eye_dist=get("SKIN_EYE_DIST_VERTEX_LIST_FPATH", lambda: dataset.eye_dist),
        lip_size=get("SKIN_LIP_SIZE_VERTEX_LIST_FPATH", lambda: dataset.lip_size),
        tongue_rigid=get("TONGUE_RIGID_VERTEX_LIST_FPATH", lambda: dataset.tongue_rigid_vertices),
    )


def within_reason(array: AnyArray) -> BoolArray:
    """Returns which values are finite and plausible in centimetres or degrees."""
    reasonable: BoolArray = np.abs(array) <= LARGEST
    return reasonable


def check_finite(array: AnyArray, path: Path, findings: Findings) -> bool:
    """Returns whether all values of an array `[points, ...]` are plausible; reports the first point that is not."""
    wrong = ~within_reason(array).reshape(len(array), -1).all(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        findings.error(
            "not-finite",
            f"{int(wrong.sum())} of {len(array)} points are {NOT_FINITE}, the first is {first}",
            "Export the file once more.",
            file=path,
            vertex=first,
        )
    return not wrong.any()


def check_poses(
    dataset: ActorDataset, static: Static, skin_verts: int | None, tongue_verts: int | None, findings: Findings
) -> None:
    """Compares poses, offsets and polygons with the caches."""
    for parameter, neutral in (
        ("SKIN_NEUTRAL_FPATH", static.skin_neutral),
        ("SKIN_NEUTRAL_INFERENCE_FPATH", static.skin_neutral_inference),
    ):
        if neutral is not None and np.ptp(neutral[:, 1]) == 0:
            findings.error(
                "pose-flat",
                "all vertices have the same height (y): upper and lower face cannot be distinguished",
                "Export the pose with +y up, from the mesh that moves.",
                file=dataset.paths[parameter],
            )
    for parameter, pose, verts in (
        ("SKIN_NEUTRAL_INFERENCE_FPATH", static.skin_neutral_inference, skin_verts),
        ("SKIN_LIP_OPEN_POSE_DELTA_FPATH", static.lip_open, skin_verts),
        ("SKIN_EYE_CLOSE_POSE_DELTA_FPATH", static.eye_close, skin_verts),
        ("TONGUE_NEUTRAL_INFERENCE_FPATH", static.tongue_neutral_inference, tongue_verts),
    ):
        if pose is not None and verts not in (None, len(pose)):
            findings.error(
                "pose-shape",
                f"has {len(pose)} vertices, the caches have {verts}",
                "Export the pose from the mesh of the caches.",
                file=dataset.paths[parameter],
            )
    for parameter, faces, verts in (
        ("SKIN_FACES_FPATH", static.skin_faces, skin_verts),
        ("TONGUE_FACES_FPATH", static.tongue_faces, tongue_verts),
    ):
        if faces is not None and verts is not None and faces.max() >= verts:
            findings.error(
                "faces-range",
                f"names vertices up to {faces.max()}, the caches have {verts} vertices (0 to {verts - 1})",
                "Export the polygons from the mesh of the caches; numbers start at 0.",
                file=dataset.paths[parameter],
            )
    _check_deltas(dataset, static, findings)


def _check_deltas(dataset: ActorDataset, static: Static, findings: Findings) -> None:
    lips = None if static.lip_dist is None else static.lip_dist.all()
    eyes = None if static.eye_dist is None else static.eye_dist.all()
    for parameter, delta, own, other, names in (
        ("SKIN_LIP_OPEN_POSE_DELTA_FPATH", static.lip_open, lips, eyes, ("lips", "lids")),
        ("SKIN_EYE_CLOSE_POSE_DELTA_FPATH", static.eye_close, eyes, lips, ("lids", "lips")),
    ):
        if delta is None:
            continue
        path = dataset.paths[parameter]
        motion = np.linalg.norm(delta, axis=1)
        if resembles_pose(delta, static.skin_neutral):
            findings.error(
                "delta-absolute",
                "holds a pose instead of offsets from the neutral",
                "Subtract the neutral pose and save the difference.",
                file=path,
            )
        elif motion.max() < _LEAST_MOTION:
            findings.warning(
                "delta-still",
                f"moves no vertex by more than {motion.max():.3g} cm",
                "Export the offsets of the pose, in centimetres.",
                file=path,
            )
        elif own is not None and other is not None and max(own.max(), other.max()) < len(motion):
            here, there = float(motion[own].mean()), float(motion[other].mean())
            if there > _ELSEWHERE * here:
                findings.error(
                    "delta-region",
                    f"moves the {names[1]} by {there:.2f} cm on average, the {names[0]} only by {here:.2f} cm",
                    "Check that the two files, or the vertex lists of lips and lids, are not exchanged.",
                    file=path,
                )


def resembles_pose(delta: FloatArray, neutral: FloatArray | None) -> bool:
    """Returns whether alleged deltas `[points, 3]` nearly equal the neutral pose `[points, 3]` itself."""
    if neutral is None or delta.shape != neutral.shape:
        return False
    length, still = float(np.linalg.norm(delta)), float(np.linalg.norm(neutral))
    # Deltas may point the same way as positions far from the origin, but are much shorter.
    return length > still / 2 and float((delta * neutral).sum()) > _ALIKE * length * still
