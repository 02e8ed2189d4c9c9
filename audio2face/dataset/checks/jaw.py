"""Checks that the key points of the jaw move as one rigid body, in their own order, whenever the mouth moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.animation.rigid import fit_rigid
from audio2face.dataset.checks.face_frame import FaceFrame
from audio2face.dataset.checks.placement import Motion, PartPlace, check_place
from audio2face.dataset.checks.report import Findings, first_few, nearest_factor, scale_remedy, unit_words
from audio2face.dataset.checks.samples import Tracks
from audio2face.dataset.checks.static import resembles_pose, within_reason
from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.types import BoolArray, Float32Array, Float64Array, FloatArray, Int64Array

_MOST_FRAMES = 200  # of a shot that are checked
_STILL = 0.02  # of the mouth's motion
_SPEAKS = 0.015  # sizes of the mouth: root mean square motion of a mouth that speaks
_BENDS = 0.05  # sizes of the mouth: residual of a rigid motion
_BENDS_SHARE, _BENDS_MUCH = 0.2, 0.3  # of the motion
_ALIGNED, _ASKEW = 0.45, 0.7  # cosine of the angle to the motion of the lower lip
_RATIOS, _ODD_RATIOS = (0.15, 6.0), (0.35, 3.5)  # of the jaw's motion to that of the lower lip
_UNLIKE = 2.2  # times the ratio of the other shots
_FEWEST_SHOTS = 3
_IN_ORDER = 0.3  # of the residual: what the right order leaves of it
_EXACT = 0.02  # of the motion
_MOST_POINTS = 200  # up to which the order is searched
_USUAL_SIZE, _REACH = 2.2, 1.2  # sizes of the mouth
_TOGETHER = 0.4  # share of the lower lip's motion that follows the jaw's, required to compare directions
_CORRELATED = 0.6
_FEWEST_FRAMES = 16
_FEWEST_VERTS = 6
_OF_ALL = 0.5


@dataclass
class _Troubles:
    """Merges findings of the same kind in several shots."""

    path: Path
    num_shots: int
    found: dict[tuple[str, str, bool], list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, code: str, shot: str, message: str, remedy: str, *, error: bool = True) -> None:
        """Adds a fault of one shot."""
        self.found.setdefault((code, remedy, error), []).append((shot, message))

    def report(self, findings: Findings) -> None:
        """Reports one finding if half of the shots or more are affected, else one per shot."""
        for (code, remedy, error), shots in self.found.items():
            add = findings.error if error else findings.warning
            if len(shots) > 1 and len(shots) >= _OF_ALL * self.num_shots:
                names = first_few(shot for shot, _ in shots)
                message = f"in {len(shots)} of {self.num_shots} shots ({names}): {shots[0][1]}"
                add(code, message, remedy, file=self.path)
                continue
            for shot, message in shots:
                add(code, message, remedy, file=self.path, shot=shot)


def check_jaw(neutral: Float32Array, archive: Archive, skin: Tracks, face: FaceFrame, findings: Findings) -> bool:
    """Compares the key points with the skin; returns whether they are free of faults.

    Args:
        neutral: the neutral points `[points, 3]`.
        archive: their deltas, per shot `[frames, points, 3]`.
        skin: positions of the skin in some frames of every shot.
        face: the mouth, in the skin's unit and axes.
        findings: receives the findings.
    """
    jaws = _read(neutral, archive, skin.shots)
    troubles = _Troubles(archive.path, len(jaws))
    chosen = common_vertices(skin, face)
    motion = None if chosen is None else _motion(jaws, skin, chosen)
    place = PartPlace("jaw", neutral, _USUAL_SIZE, _REACH, motion)
    placed = check_place(place, face, archive.path, findings)
    odd = _check_directions(jaws, skin, chosen, troubles) if placed and chosen is not None else set()
    for shot, offsets in jaws.items():
        numbers, places = skin.shots[shot]
        _check_rigid(neutral, offsets, face, shot, troubles)
        comparable = chosen is not None and placed and shot not in odd
        if chosen is not None and comparable and len(numbers) > 1 and numbers[-1] < len(offsets):
            _check_motion(offsets[numbers], around_mean(places, chosen), face, shot, troubles)
    troubles.report(findings)
    return placed and not troubles.found


def _read(neutral: Float32Array, archive: Archive, shots: Mapping[str, Any]) -> dict[str, Float32Array]:
    """Reads the finite deltas of every shot; faults are reported elsewhere."""
    found = {}
    for shot in shots:
        try:
            offsets = archive.read_floats(shot, (None, len(neutral), 3)) if shot in archive.members else None
        except UserError:
            continue
        if offsets is not None and within_reason(offsets).all() and not resembles_pose(offsets.mean(axis=0), neutral):
            found[shot] = offsets
    return found


def lower_lip(places: Float32Array, face: FaceFrame) -> BoolArray:
    """Selects the tracked vertices `[frames, verts, 3]` at the mouth or below it, which the jaw moves, `[verts]`.

    The upper lip is excluded, since it opens against the lower one.
    """
    away = places.mean(axis=0) - face.mouth
    distance = np.linalg.norm(away, axis=1)
    axes = face.orientation
    under: BoolArray = np.asarray(axes.up_sign * away[:, axes.up] < 0)
    if not under.any():
        return under
    reach = max(1.5 * face.mouth_size, float(np.sort(distance[under])[:_FEWEST_VERTS][-1]))
    below: BoolArray = under & (distance <= reach)
    return below


def common_vertices(skin: Tracks, face: FaceFrame) -> BoolArray | None:
    """Selects the tracked vertices of `lower_lip`, by the first shot; None if there are none."""
    for _, places in skin.shots.values():
        chosen = lower_lip(places, face)
        return chosen if chosen.any() else None
    return None


def around_mean(places: Float32Array, chosen: BoolArray) -> Float64Array:
    """Returns the motion of the selected vertices around their mean, `[frames, verts, 3]`."""
    some = places[:, chosen].astype(np.float64)
    return np.asarray(some - some.mean(axis=0))


def _motion(jaws: Mapping[str, Float32Array], skin: Tracks, chosen: BoolArray) -> Motion | None:
    """Returns the common motion of jaw and skin over all shots; None if either is static or they are unrelated."""
    steps, mouths = [], []
    for shot, offsets in jaws.items():
        numbers, places = skin.shots[shot]
        if len(numbers) > 1 and numbers[-1] < len(offsets):
            mean = offsets[numbers].astype(np.float64).mean(axis=1)
            steps.append(mean - mean.mean(axis=0))
            mouths.append(around_mean(places, chosen))
    return common_motion(np.concatenate(steps), np.concatenate(mouths)) if steps else None


def _check_directions(
    jaws: Mapping[str, Float32Array], skin: Tracks, chosen: BoolArray, troubles: _Troubles
) -> set[str]:
    """Reports deltas in another unit or in other axes, in all shots or in one; returns the shots concerned."""
    odd = set()
    motions = {shot: _motion({shot: offsets}, skin, chosen) for shot, offsets in jaws.items()}
    known = {shot: motion for shot, motion in motions.items() if motion is not None}
    usual = float(np.median([motion.ratio for motion in known.values()])) if known else 1.0
    for shot, motion in known.items():
        apart = max(motion.ratio / usual, usual / motion.ratio) if len(known) >= _FEWEST_SHOTS else 1.0
        unlike = apart > _UNLIKE
        if unlike or not _ODD_RATIOS[0] <= motion.ratio <= _ODD_RATIOS[1]:
            odd.add(shot)
            certain = unlike or not _RATIOS[0] <= motion.ratio <= _RATIOS[1]
            factor = nearest_factor((usual if unlike else 1.0) / motion.ratio, loosely=True)
            troubles.add(
                "units",
                shot,
                f"the jaw moves {motion.ratio:.2g} times as far as the lower lip: its offsets "
                f"{'are' if certain else 'may be'} {unit_words(factor)}",
                scale_remedy(factor),
                error=certain,
            )
            continue
        aligned = float(motion.direction @ motion.skin_direction)
        if aligned < _ASKEW:
            odd.add(shot)
            troubles.add(
                "axes",
                shot,
                f"the jaw moves along {_direction(motion.direction)} where the lower lip moves along "
                f"{_direction(motion.skin_direction)}: its offsets have other axes than the skin",
                "Export the offsets in the axes of the skin: +y up, +z out of the face.",
                error=aligned < _ALIGNED,
            )
    return odd


def _direction(vector: Float64Array) -> str:
    return f"({', '.join(f'{value:.1f}' for value in vector)})"


def common_motion(steps: Float64Array, mouth: Float64Array) -> Motion | None:
    """Returns the motion of a part `[frames, 3]` and the skin's motion `[frames, verts, 3]` correlated with it.

    None if either is static, or if they share too little motion to compare directions.
    """
    _, values, right = np.linalg.svd(steps, full_matrices=False)
    if not values[0] > 0 or len(steps) < _FEWEST_FRAMES:
        return None
    signal = steps @ right[0]
    slopes = np.einsum("f,fvc->vc", signal, mouth) / np.square(signal).sum()
    strength = np.linalg.norm(slopes, axis=1)
    energy = np.square(mouth).sum(axis=(0, 2))
    explained = np.square(strength) * np.square(signal).sum() / np.maximum(energy, 1e-30)
    # The sign of the signal is arbitrary; the relation of both motions is not.
    chosen = strength >= np.quantile(strength, 0.5)
    skin = slopes[chosen].sum(axis=0)
    length = float(np.linalg.norm(skin))
    if not length > 0 or float(np.median(explained[chosen])) < _TOGETHER:
        return None
    return Motion(right[0], skin / length, 1 / float(np.quantile(strength, 0.9)))


def _check_motion(offsets: Float32Array, mouth: Float64Array, face: FaceFrame, shot: str, troubles: _Troubles) -> None:
    """Reports a jaw that is static, or moves independently, while the mouth moves."""
    around = offsets - offsets.mean(axis=0)
    moves = float(np.sqrt(np.square(around).sum(axis=2).mean()))
    speaks = float(np.sqrt(np.square(mouth).sum(axis=2).mean()))
    if speaks < _SPEAKS * face.mouth_size:
        return
    if moves < _STILL * speaks:
        troubles.add(
            "jaw-still",
            shot,
            f"the jaw stands still (it moves by {moves:.2g}) while the mouth moves by {speaks:.2g} on average",
            "Export the motion of the key points: the network would learn a jaw that stands still.",
        )
    elif len(around) >= _FEWEST_FRAMES and moves > 0 and _correlation(around, mouth) < _CORRELATED:
        troubles.add(
            "jaw-motion",
            shot,
            "the jaw moves, though not when the mouth does",
            "Check that the array belongs to this shot and starts with its first frame.",
            error=False,
        )


def _correlation(around: Float64Array | Float32Array, mouth: Float64Array) -> float:
    """Returns the strongest correlation of the jaw's main motion with motion at the mouth (its third quartile)."""
    steps = np.asarray(around, np.float64).mean(axis=1)
    signal = steps @ np.linalg.svd(steps, full_matrices=False)[2][0]
    flat = mouth.reshape(len(mouth), -1)
    lengths = np.linalg.norm(flat, axis=0) * np.linalg.norm(signal)
    moving = lengths > 0.1 * lengths.max()
    values = np.abs(signal @ flat[:, moving]) / np.maximum(lengths[moving], 1e-30)
    return float(np.quantile(values, 0.75))


def _check_rigid(neutral: Float32Array, offsets: Float32Array, face: FaceFrame, shot: str, troubles: _Troubles) -> None:
    """Reports key points whose distances change, or whose order differs from the neutral pose."""
    frames = offsets[:: max(1, len(offsets) // _MOST_FRAMES)].astype(np.float64) + neutral
    residual, motion = _residual(frames, neutral), float(np.sqrt(np.square(frames - neutral).sum(axis=2).mean()))
    if residual <= _EXACT * motion:
        return
    order = _order(frames, neutral.astype(np.float64), residual)
    if order is not None:
        first = int(np.argmax(order != np.arange(len(order))))
        troubles.add(
            "jaw-order",
            shot,
            f"the key points have another order than in the neutral pose: point {order[first]} is where point {first} "
            "belongs",
            "Export deltas and neutral positions of the same points in the same order.",
        )
        return
    if residual <= _BENDS_SHARE * motion or residual <= min(_BENDS * face.mouth_size, 0.1 * _spread(neutral)):
        return
    troubles.add(
        "jaw-rigid",
        shot,
        f"the key points do not move as one rigid body: {residual:.2g} remain of a motion of {motion:.2g}",
        "Choose points on the lower teeth, none on the skin, and export deltas from the neutral positions.",
        error=residual > _BENDS_MUCH * motion,
    )


def _spread(neutral: Float32Array) -> float:
    return float(np.linalg.norm(np.ptp(neutral, axis=0)))


def _residual(frames: Float64Array, neutral: FloatArray) -> float:
    """Returns the root mean square residual of the best rigid motion."""
    return float(np.sqrt(np.square(fit_rigid(frames, neutral).apply(frames) - neutral).sum(axis=2).mean()))


def _order(frames: Float64Array, neutral: Float64Array, residual: float) -> Int64Array | None:
    """Returns for each neutral point the index of the frames' point at its position `[points]`; None if in order."""
    if len(neutral) > _MOST_POINTS:
        return None
    mean = frames.mean(axis=0)
    apart = np.linalg.norm((mean - mean.mean(axis=0))[None] - (neutral - neutral.mean(axis=0))[:, None], axis=2)
    from scipy.optimize import linear_sum_assignment  # loads in a tenth of a second, and is rarely needed

    order: Int64Array = linear_sum_assignment(np.square(apart))[1].astype(np.int64)
    changed = bool((order != np.arange(len(order))).any())
    return order if changed and _residual(frames[:, order], neutral) < _IN_ORDER * residual else None
