"""Checks that the listed rigid vertices of the tongue move only with the jaw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio2face.dataset.checks.face_frame import FaceFrame
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.checks.samples import Tracks
from audio2face.dataset.checks.static import within_reason
from audio2face.errors import UserError
from audio2face.geometry.rigid import fit_rigid, spans_a_plane
from audio2face.io.arrays import Archive
from audio2face.types import Float32Array, FloatArray

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
