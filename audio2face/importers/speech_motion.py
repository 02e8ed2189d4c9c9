"""Shapes of a face without named shapes, from how it moves when it speaks: the opening jaw, and each eye's blink."""

from __future__ import annotations

import numpy as np

from audio2face.importers.still_parts import StillParts, find_still_parts
from audio2face.types import BoolArray, Float32Array, Float64Array

_MOST = 4000  # vertices from which the motion is found
_LOW, _HIGH = 0.01, 0.99  # of the frames: between them lies the range of a motion
_STILL = 0.1  # of the largest motion: less is the rest of the head
_EYES_ABOVE = 0.28  # of the width of what the jaw moves: eyes lie further above the middle of it
_BELOW, _BESIDE, _BEHIND = 0.2, 0.35, 0.4  # of that width from the middle of the motion: where a chin lies
_WITH_CHIN = 0.5  # of the motion of most of it: what moves less is the neck
_FEWEST_CHIN = 8
_LEAST_BLINK_CM = 0.25
_EYE_CM = 2.4  # around the middle of a lid
_OTHER_SIDE_CM = 0.8  # from the middle of the face: no eye


def opening_scores(aligned: Float32Array, rest: Float32Array) -> Float64Array:
    """How far the jaw is open in frames of speech, `[frames]`, from 0 for the least to 1 for the most.

    Opening is the largest motion of a speaking face (the first principal component), in the direction in which the chin
    goes away from the upper face.

    Args:
        aligned: frames without the head's motion, `[frames, verts, 3]`.
        rest: `[verts, 3]`.
    """
    chosen = np.unique(np.linspace(0, len(rest) - 1, min(len(rest), _MOST)).round().astype(np.int64))
    moved = aligned[:, chosen].astype(np.float64).reshape(len(aligned), -1)
    moved -= moved.mean(axis=0)
    scores = np.linalg.eigh(moved @ moved.T)[1][:, -1]
    along = (scores @ moved).reshape(-1, 3)
    reach = np.linalg.norm(along, axis=1)
    away = np.einsum("vc,vc->", along, rest[chosen] - _middle_of_still(rest[chosen], reach))
    signed = scores if away > 0 else -scores
    low, high = np.quantile(signed, [_LOW, _HIGH])
    return np.asarray((signed - low) / max(high - low, 1e-12))


def _middle_of_still(rest: Float32Array, reach: Float64Array) -> Float32Array:
    """The middle of what does not move near what does: the upper face, `[3]`."""
    moved = reach > _STILL * reach.max(initial=0)
    centre = np.asarray(reach @ rest / max(float(reach.sum()), 1e-12))
    size = np.linalg.norm(np.ptp(rest[moved], axis=0)) if moved.any() else 0.0
    still = ~moved & (np.linalg.norm(rest - centre, axis=1) < size)
    return np.asarray(rest[still].mean(axis=0) if still.any() else rest.mean(axis=0), np.float32)


def find_chin(placed: Float32Array, neutral: Float32Array) -> StillParts | None:
    """The part of the chin that moves most rigidly with the jaw; None of a face without one.

    Args:
        placed: frames in place without the head's motion, `[frames, verts, 3]`.
        neutral: `[verts, 3]`.
    """
    around = placed - placed.mean(axis=0)
    reach = np.sqrt(np.einsum("fvc,fvc->v", around, around) / len(placed))
    middle = np.asarray((reach**2) @ neutral / max(float((reach**2).sum()), 1e-12))
    width = float(np.ptp(neutral[reach > _STILL * reach.max(initial=0), 0])) if reach.any() else 0.0
    across, up, ahead = (neutral - middle).T
    below = (up < -_BELOW * width) & (np.abs(across) < _BESIDE * width) & (ahead > -_BEHIND * width)
    if not below.any():
        return None
    chosen = below & (reach > _WITH_CHIN * np.quantile(reach[below], 0.9))
    return find_still_parts(placed, neutral, chosen) if np.count_nonzero(chosen) >= _FEWEST_CHIN else None


def chin_scores(placed: Float32Array, chin: StillParts) -> Float64Array:
    """How low the chin is in frames in place, `[frames]`, from 0 for the least to 1 for the most."""
    heights = placed[:, chin.vertices, 1].mean(axis=1, dtype=np.float64)
    low, high = np.quantile(-heights, [_LOW, _HIGH])
    return np.asarray((-heights - low) / max(high - low, 1e-12))


def opening_offsets(aligned: Float32Array, scores: Float64Array) -> Float32Array:
    """Offsets of the opening jaw from closed to open, `[verts, 3]`, by regression on how far it is open."""
    centred = scores - scores.mean()
    slope = np.tensordot((centred / max(float(centred @ centred), 1e-12)).astype(np.float32), aligned, axes=1)
    return np.asarray(slope, np.float32)


def blink_offsets(placed: Float32Array, neutral: Float32Array, opening: Float32Array, side: str) -> Float32Array | None:
    """Offsets that shut one eye, `[verts, 3]`, from the frame in which a lid is lowest; None without a blink.

    Args:
        placed: frames in place without the head's motion, centimetres, `[frames, verts, 3]`.
        neutral: `[verts, 3]`.
        opening: offsets of the opening jaw, `[verts, 3]`.
        side: "Left" or "Right", of the actor.
    """
    above = _around_eyes(neutral, opening) & (neutral[:, 0] * (1 if side == "Left" else -1) > _OTHER_SIDE_CM)
    places = np.flatnonzero(above)
    if not len(places):
        return None
    heights = placed[:, places, 1]
    fall = np.median(heights, axis=0) - heights.min(axis=0)
    lid = int(fall.argmax())
    if fall[lid] < _LEAST_BLINK_CM:
        return None
    shut = placed[int(heights[:, lid].argmin())] - np.median(placed, axis=0)
    near = np.linalg.norm(neutral - neutral[places[lid]], axis=1) < _EYE_CM
    return np.asarray(np.where(near[:, None], shut, 0), np.float32)


def _around_eyes(neutral: Float32Array, opening: Float32Array) -> BoolArray:
    """The vertices of the upper half of a face, `[verts]`."""
    reach = np.linalg.norm(opening, axis=1)
    weight = reach**2
    mouth = float(weight @ neutral[:, 1]) / max(float(weight.sum()), 1e-12)
    width = float(np.ptp(neutral[reach > _STILL * reach.max(), 0]))
    return np.asarray(neutral[:, 1] > mouth + _EYES_ABOVE * width)
