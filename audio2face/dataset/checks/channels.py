"""Checks jaw and eyes: the small arrays that accompany the skin, per shot or for the deployed model."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.caches import ShotCaches, check_frame_count
from audio2face.dataset.checks.eyes import check_gaze, check_saccades
from audio2face.dataset.checks.report import Findings
from audio2face.dataset.checks.static import check_finite, resembles_pose
from audio2face.io.arrays import Archive
from audio2face.types import Float32Array, FloatArray

_LINE = 0.01  # spread of points across their main direction, relative to that along it
_FEWEST_POINTS = 3
_EYES_AND_ANGLES = (2, 2)
_MOST_KEYS = 10_000  # of a blink
_LARGEST_ANGLE = 60.0  # degrees: the limit of eye rotation; larger values are positions or damage


def check_channels(dataset: ActorDataset, caches: Iterable[ShotCaches], findings: Findings) -> None:
    """Checks jaw key points, the motion of jaw and eyes in every shot, blink keys and saccades."""
    shots = tuple(caches)
    neutral = _jaw_neutral(dataset, findings)
    points = None if neutral is None else len(neutral)
    jaw = _archive(dataset, "JAW_ANIM_DATA_FPATH", lambda: dataset.jaw_animation, findings)
    if jaw is not None and points is None:
        _check_point_counts(jaw, shots, findings)
    if jaw is not None:
        _check_archive(jaw, shots, "jaw", (points, 3), findings, lambda array: _check_jaw(array, neutral))
        if "JAW_KEYPOINTS_NEUTRAL_FPATH" not in dataset.paths:
            findings.warning(
                "jaw-neutral",
                "JAW_ANIM_DATA_FPATH is given without JAW_KEYPOINTS_NEUTRAL_FPATH: the deployed jaw could not turn",
                "Export the key points of the neutral pose.",
                file=jaw.path,
            )
    eyes = _archive(dataset, "EYE_ANIM_DATA_FPATH", lambda: dataset.eye_animation, findings)
    if eyes is not None:
        _check_archive(eyes, shots, "eyes", _EYES_AND_ANGLES, findings, _check_eyes)
        check_gaze(eyes, (shot.name for shot in shots), findings)
    _check_blink(dataset, findings)
    saccades = dataset.paths.get("EYE_SACCADE_ROTATIONS_FPATH")
    if saccades is not None:
        rotations = findings.attempt(lambda: dataset.eye_saccade_rotations, "file-unreadable", saccades)
        if rotations is not None and check_finite(rotations, saccades, findings):
            check_saccades(rotations, saccades, findings)


def spread(points: FloatArray) -> float:
    """Returns the deviation of points `[points, 3]` from a line: second over first singular value; 0 for one point."""
    singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(singular[1] / singular[0]) if singular[0] > 0 else 0.0


def _jaw_neutral(dataset: ActorDataset, findings: Findings) -> Float32Array | None:
    path = dataset.paths.get("JAW_KEYPOINTS_NEUTRAL_FPATH")
    if path is None:
        return None
    points = findings.attempt(lambda: dataset.jaw_keypoints_neutral, "file-unreadable", path)
    if points is None or not check_finite(points, path, findings):
        return None
    if len(points) < _FEWEST_POINTS or spread(points.astype(np.float64)) < _LINE:
        findings.error(
            "jaw-collinear",
            f"the {len(points)} key points lie on one line: they do not determine how the jaw turns",
            "Choose at least three points of the lower teeth that form a triangle, better five spread in space.",
            file=path,
        )
    return points


def _archive(
    dataset: ActorDataset, parameter: str, read: Callable[[], Archive | None], findings: Findings
) -> Archive | None:
    path = dataset.paths.get(parameter)
    return None if path is None else findings.attempt(read, "file-unreadable", path)


def _check_archive(
    archive: Archive,
    shots: tuple[ShotCaches, ...],
    part: str,
    shape: tuple[int | None, ...],
    findings: Findings,
    check: Callable[[Float32Array], tuple[str, str] | None],
) -> None:
    """Checks the array of every shot.

    Args:
        archive: arrays `[frames, *shape]` by shot.
        shots: the shots that must be in it.
        part: name of the part, for messages.
        shape: lengths of the axes after the frames; None accepts any.
        findings: receives the findings.
        check: returns fault and fix of one shot's values, given its finite frames.
    """
    for shot in shots:
        if shot.name not in archive.members:
            findings.error(
                f"{part}-missing",
                f"has no array for this shot: the {part} would be trained to stand still in it",
                f"Export the {part} of this shot and merge it in{_similar(shot.name, archive, shots)}.",
                file=archive.path,
                shot=shot.name,
            )
            continue
        array = findings.attempt(
            functools.partial(archive.read_floats, shot.name, (None, *shape)),
            "file-unreadable",
            archive.path,
            shot.name,
        )
        if array is None:
            continue
        if shot.skin is not None:
            check_frame_count(len(array), shot.skin.num_frames, part, archive.path, shot.name, findings)
        _check_values(array, archive.path, shot.name, part, findings, check)


def _check_point_counts(jaw: Archive, shots: tuple[ShotCaches, ...], findings: Findings) -> None:
    """Reports shots whose jaw has other points than the first; only needed if no neutral pose defines their number."""
    counts = {shot.name: jaw.members[shot.name].shape[1:2] for shot in shots if shot.name in jaw.members}
    first = next(iter(counts.values()), None)
    for name, count in counts.items():
        if count != first:
            findings.error(
                "jaw-points",
                f"has {list(count)} key points of the jaw, other shots have {list(first or ())}",
                "Export the same points in every shot.",
                file=jaw.path,
                shot=name,
            )


def _check_values(
    array: Float32Array,
    file: Path,
    shot: str,
    part: str,
    findings: Findings,
    check: Callable[[Float32Array], tuple[str, str] | None],
) -> None:
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        frame = int(np.argmin(finite))
        findings.error(
            "not-finite",
            f"the {part} is NaN or infinite in {int((~finite).sum())} of {len(array)} frames, first in frame {frame}",
            "Export this shot once more.",
            file=file,
            shot=shot,
            frame=frame,
        )
    wrong = check(array[finite]) if finite.any() else None
    if wrong is not None:
        message, remedy = wrong
        findings.error(f"{part}-values", message, remedy, file=file, shot=shot)


def _check_jaw(deltas: Float32Array, neutral: Float32Array | None) -> tuple[str, str] | None:
    if resembles_pose(deltas.mean(axis=0), neutral):
        return "holds positions instead of offsets from the neutral key points", "Subtract the neutral key points."
    return None


def _check_eyes(rotations: Float32Array) -> tuple[str, str] | None:
    largest = float(np.abs(rotations).max())
    if largest > _LARGEST_ANGLE:
        return f"eyes turn by {largest:.0f} degrees", "Store pitch and yaw of each eye in degrees, 0 looking ahead."
    return None


def _similar(shot: str, archive: Archive, shots: tuple[ShotCaches, ...]) -> str:
    """Suggests the name under which the archive holds the shot: a similar one that is not a shot."""
    spare = archive.members.keys() - {other.name for other in shots}
    near = difflib.get_close_matches(shot, sorted(spare), n=1, cutoff=0.85)
    return f", perhaps the array that is called {near[0]!a} there" if near else ""


def _check_blink(dataset: ActorDataset, findings: Findings) -> None:
    path = dataset.paths.get("EYE_BLINK_KEYS_FPATH")
    keys = None if path is None else findings.attempt(lambda: dataset.eye_blink_keys, "file-unreadable", path)
    if path is None or keys is None or not check_finite(keys, path, findings):
        return
    if keys.min() < 0 or keys.max() > 1 or len(keys) > _MOST_KEYS:
        findings.error(
            "blink-range",
            f"{len(keys)} blink keys go from {keys.min():.2f} to {keys.max():.2f}, expected up to {_MOST_KEYS} from 0 "
            "(open) to 1 (shut)",
            "Give one blink at 30 frames per second, scaled to that range.",
            file=path,
        )
