"""Checks that deltas from the neutral pose move the right region in the right direction, by a plausible distance.

For the poses of lips and lids and for sets of blend shapes, on a face in centimetres with +y up and +z to the front.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.face_frame import FaceFrame
from audio2face.dataset.checks.pose_match import Reference
from audio2face.dataset.checks.report import FACTORS, Findings, nearest_factor, scale_remedy, unit_words
from audio2face.dataset.checks.static import Static, resembles_pose, within_reason
from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.types import Float32Array, Float64Array

_MOVES = 0.3  # of the largest delta: the threshold for moving vertices
_FEWEST_MOVING = 6
_ROUGH = 0.5  # of a vertex's own delta: no neighbour moves alike
# cm: minimum, usual and maximum of the largest delta
_LARGEST = {"lips": (0.03, 0.6, 8.0), "lids": (0.06, 1.0, 4.0), "set": (0.1, 3.0, 15.0)}
_LIKELY_FACTORS = (100.0, 0.1, 0.01)
_DIRECTED = 0.5
_UPWARDS = 0.25  # the upper lid goes down by more than the lower one goes up
_LEAST_OPEN = 0.3  # cm: lids that are open in the neutral pose
_SHUTS = (0.55, 1.6)  # of the opening in the neutral pose
_DOWN = -0.3  # share of a jaw's opening along y: it opens by -0.85
_ELSEWHERE = 2.2  # sizes of the mouth
_EYES_ABOVE = 2.3  # sizes of the mouth from the mouth to the eyes
_FEWEST_SIDED = 4
_ONE_SIDED = 0.3  # sizes of the mouth


def check_offsets(dataset: ActorDataset, still: Static, rest: Reference, face: FaceFrame, findings: Findings) -> None:
    """Checks the poses of lips and lids, and the blend shapes of the skin."""
    eye_close = still.eye_close
    if eye_close is not None and still.eye_dist is not None:
        eye_close = eye_close if _check_closing(dataset, eye_close, still.eye_dist, rest, findings) else None
    for parameter, delta, what in (
        ("SKIN_LIP_OPEN_POSE_DELTA_FPATH", still.lip_open, "lips"),
        ("SKIN_EYE_CLOSE_POSE_DELTA_FPATH", eye_close, "lids"),
    ):
        if delta is not None and len(delta) == len(rest.points):
            _check_pose(delta, what, rest, face, dataset.paths[parameter], findings)
    files = dataset.blendshapes("skin")
    if files is not None:
        poses = _read_poses(files.data, rest)
        if poses:
            _check_set(poses, rest, face, files.data, findings)


def _check_closing(
    dataset: ActorDataset, delta: Float32Array, lids: VertexPairs, rest: Reference, findings: Findings
) -> bool:
    """Compares the closing delta of the listed lids with their neutral opening; returns whether they match."""
    if len(delta) != len(rest.points) or lids.all().max() >= len(delta):
        return True
    open_by = float((rest.points[lids.upper, 1] - rest.points[lids.lower, 1]).mean())
    shut_by = float((delta[lids.lower, 1] - delta[lids.upper, 1]).mean())
    if open_by < _LEAST_OPEN or shut_by <= 0 or _SHUTS[0] <= shut_by / open_by <= _SHUTS[1]:
        return True
    factor = nearest_factor(open_by / shut_by)
    message = f"shuts the listed lids by {shut_by:.3g}, they stand open by {open_by:.3g} at rest"
    path = dataset.paths["SKIN_EYE_CLOSE_POSE_DELTA_FPATH"]
    if factor in FACTORS:
        findings.error("units", f"{message}: its offsets are {unit_words(factor)}", scale_remedy(factor), file=path)
    else:
        findings.warning("delta-lids", message, "Export the pose with both eyes just shut, minus neutral.", file=path)
    return False


def _check_pose(
    delta: Float32Array, what: str, rest: Reference, face: FaceFrame, path: Path, findings: Findings
) -> None:
    if resembles_pose(delta, rest.points) or not delta.any():
        return
    offsets = delta.astype(np.float64)
    if _check_size({what: offsets}, what, path, findings):
        return
    if _is_rough(offsets, rest):
        _report_order(what, path, findings)
        return
    squares = np.square(offsets)
    weights = squares.sum(axis=1) / squares.sum()
    share = squares.sum(axis=0) / squares.sum()
    if share[1] < 0.3 and share.max() > _DIRECTED:
        findings.error(
            "axes",
            f"moves the {what} along {'xyz'[int(share.argmax())]} ({share.max():.0%} of it), {what} move along y",
            "Export the offsets in the axes of the skin: +y up, +z out of the face.",
            file=path,
        )
        return
    if what == "lids":
        backwards = (weights @ offsets[:, 1]) > _UPWARDS * (weights @ np.abs(offsets[:, 1]))
        expected = _eyes(face)
    else:
        height = rest.points[:, 1] - weights @ rest.points[:, 1]
        backwards = (weights @ (height * offsets[:, 1])) < -_DIRECTED * (weights @ np.abs(height * offsets[:, 1]))
        expected = face.mouth
    if backwards:
        findings.error(
            "delta-sign",
            f"moves the {what} the wrong way: they {'go up' if what == 'lids' else 'go through each other'}",
            "Save the pose minus the neutral, not the neutral minus the pose; +y must point up.",
            file=path,
        )
    distance = float(np.linalg.norm((weights @ rest.points - expected)[1:]))
    if distance > _ELSEWHERE * face.mouth_size:
        findings.error(
            "delta-region",
            f"moves vertices whose centre lies {distance:.1f} cm from where the face has its {what}",
            "Export the offsets from the mesh of the caches, in its vertex order; check that files are not exchanged.",
            file=path,
        )


def _read_poses(path: Path, rest: Reference) -> dict[str, Float64Array]:
    """Reads the deltas of all usable poses of a set; faults of the others are reported elsewhere."""
    poses: dict[str, Float64Array] = {}
    still = rest.points.astype(np.float32)
    try:
        archive = Archive.open(path)
        for name, member in archive.members.items():
            if name != "neutral" and member.shape == rest.points.shape and member.dtype.kind == "f":
                pose = archive.read_floats(name, (None, 3))
                if within_reason(pose).all() and pose.any() and not resembles_pose(pose, still):
                    poses[name] = pose.astype(np.float64)
    except UserError:
        return {}
    return poses


def _check_set(
    poses: Mapping[str, Float64Array], rest: Reference, face: FaceFrame, path: Path, findings: Findings
) -> None:
    if _check_size(poses, "set", path, findings):
        return
    rough = [name for name, offsets in poses.items() if _is_rough(offsets, rest)]
    if len(rough) > len(poses) / 2:
        _report_order(f"skin in {len(rough)} of {len(poses)} poses, such as {rough[0]!r}", path, findings)
        return
    if _check_regions(poses, rest, face, path, findings):
        return
    for name, offsets in poses.items():
        if _plain(name) == "jawopen":
            _check_jaw_open(name, offsets, path, findings)
    _check_sides(poses, rest, face, path, findings)


def _plain(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


def _check_regions(
    poses: Mapping[str, Float64Array], rest: Reference, face: FaceFrame, path: Path, findings: Findings
) -> bool:
    """Reports poses of mouth and lids, by name, that move another region; returns whether most do."""
    places = {"jawopen": face.mouth, "mouth": face.mouth, "eyeblink": _eyes(face)}
    wrong, known = [], 0
    for name, offsets in poses.items():
        expected = next((place for start, place in places.items() if _plain(name).startswith(start)), None)
        if expected is None:
            continue
        known += 1
        weights = np.square(offsets).sum(axis=1)
        centre = weights @ rest.points / weights.sum()
        if float(np.linalg.norm((centre - expected)[1:])) > _ELSEWHERE * face.mouth_size:
            wrong.append((name, float(np.linalg.norm(centre - expected))))
    if 2 * len(wrong) <= known:
        return False
    findings.error(
        "vertex-order",
        f"{len(wrong)} of {known} poses of mouth and lids move another place, such as {wrong[0][0]!r} one "
        f"{wrong[0][1]:.1f} cm away: their offsets have another vertex order than the skin, or other axes",
        "Export the set from the mesh of the caches, in its vertex order and axes.",
        file=path,
    )
    return True


def _eyes(face: FaceFrame) -> Float64Array:
    """Returns the midpoint between the eyes of an upright face."""
    return np.asarray(face.mouth + _EYES_ABOVE * face.mouth_size * np.array([0, 1, 0]))


def _check_jaw_open(name: str, offsets: Float64Array, path: Path, findings: Findings) -> None:
    weights = np.square(offsets).sum(axis=1)
    main = weights @ offsets / weights.sum()
    length = float(np.linalg.norm(main))
    if length < _DIRECTED * float(np.sqrt(np.square(weights).sum() / weights.sum())) or main[1] < _DOWN * length:
        return
    axis = int(np.argmax(np.abs(main)))
    findings.error(
        "axes",
        f"pose {name!r} moves the jaw along {'-' if main[axis] < 0 else '+'}{'xyz'[axis]}, a jaw opens along -y",
        "Export the offsets in the axes of the skin: +y up, +z out of the face.",
        file=path,
    )


def _check_sides(
    poses: Mapping[str, Float64Array], rest: Reference, face: FaceFrame, path: Path, findings: Findings
) -> None:
    """Reports poses of the left that move the right half: the set, or all data, are mirrored left to right."""
    wrong: list[str] = []
    right: list[str] = []
    for name, offsets in poses.items():
        side = _side(name)
        weights = np.square(offsets).sum(axis=1)
        place = float(weights @ (rest.points[:, 0] - face.mouth[0]) / weights.sum())
        if side and abs(place) > _ONE_SIDED * face.mouth_size:
            (right if place * side > 0 else wrong).append(name)
    if len(wrong) <= 2 * len(right):
        return
    add: Callable[..., None] = findings.error if not right and len(wrong) >= _FEWEST_SIDED else findings.warning
    add(
        "axes",
        f"{len(wrong)} of {len(wrong) + len(right)} poses of one side move the other, such as {wrong[0]!r}: the "
        "character's left must be at +x, so names are exchanged, or the set or all data are mirrored left to right",
        "Exchange left and right in the names, or replace (x, y, z) by (-x, y, z) wherever data are mirrored.",
        file=path,
    )


def _side(name: str) -> int:
    """Returns 1 for a pose of the left, -1 of the right, 0 of neither."""
    if re.search(r"(Left|left|LEFT|_L|_l)$", name):
        return 1
    return -1 if re.search(r"(Right|right|RIGHT|_R|_r)$", name) else 0


def _check_size(poses: Mapping[str, Float64Array], what: str, path: Path, findings: Findings) -> bool:
    """Reports deltas in another unit; returns whether it did."""
    least, usual, most = _LARGEST[what]
    largest = max(float(np.linalg.norm(offsets, axis=1).max()) for offsets in poses.values())
    if least <= largest <= most:
        return False
    if largest == 0:
        return False
    factor = min(_LIKELY_FACTORS, key=lambda known: abs(np.log(largest * known / usual)))
    if not least <= largest * factor <= most:
        return False
    name = "the set" if what == "set" else f"the {what}"
    findings.error(
        "units",
        f"moves {name} by {largest:.3g} at most, {least:g} to {most:g} centimetres are usual: "
        f"its offsets are {unit_words(factor)}",
        scale_remedy(factor),
        file=path,
    )
    return True


def _is_rough(offsets: Float64Array, rest: Reference) -> bool:
    """Returns whether most of the moving vertices have no neighbour that moves alike."""
    lengths = np.linalg.norm(offsets, axis=1)
    moving = np.flatnonzero(lengths > _MOVES * lengths.max())
    if len(moving) < _FEWEST_MOVING:
        return False
    apart = np.linalg.norm(offsets[rest.neighbours[moving]] - offsets[moving, None], axis=2).min(axis=1)
    return bool((apart > _ROUGH * lengths[moving]).mean() > 0.5)


def _report_order(what: str, path: Path, findings: Findings) -> None:
    findings.error(
        "vertex-order",
        f"moves the {what} in scattered vertices: neighbours on the skin do not move alike, so its vertex order is "
        "another one",
        "Export it from the mesh of the caches, with the option that keeps the order of the vertices.",
        file=path,
    )
