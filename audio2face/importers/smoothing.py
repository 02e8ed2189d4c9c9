"""Removes the noise of tracked weights and keeps the moments that make speech readable: lips that meet, and blinks.

A Savitzky-Golay filter (a parabola fitted around every frame) has no delay and keeps the height of peaks, but it raises
the bottom of a closure that lasts for two frames. Frames in which the lips meet, or the lids, therefore keep their
measured values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.types import AnyArray, BoolArray, Float32Array

SMOOTHING_SECONDS = 0.2  # width of the filter: 5 frames at 25 frames per second, speech is slower than 8 Hz
REST_PERCENTILE = 5.0
_CONTACT = 0.012  # of the distance of the eyes' corners, about a millimetre: lips this near to their nearest meet
_NEVER_CLOSED = 0.06  # lips that are never nearer than this do not meet
_LONG, _EDGE = 0.25, 0.1  # seconds: of contacts longer than this only their edges are kept as measured
_FADE = 0.05  # seconds from a kept frame to one that is smoothed
_BLINK = 0.25  # above the median
_SHUTTING = 0.03  # above the median: lids that are on their way hide the pupil already
_LONGEST_BLINK = 0.5  # seconds: eyes that are shut for longer may be asleep, or look down
_CALM_SECONDS, _CALM_SHARE = 0.4, 0.2
_SECOND_DIFFERENCE = 6**0.5  # of white noise of deviation 1

JAW = ARKIT_INDEX["jawOpen"]
MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith(("jaw", "mouth"))]
_LIDS = [index for name, index in ARKIT_INDEX.items() if name.startswith(("eyeBlink", "eyeSquint", "eyeWide"))]
_GAZES = [
    (ARKIT_INDEX[f"eyeLook{one}{side}"], ARKIT_INDEX[f"eyeLook{other}{side}"])
    for one, other in (("Out", "In"), ("Down", "Up"))
    for side in ("Left", "Right")
]
_BLINKS = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]


def remove_rest(weights: Float32Array, tracked: BoolArray) -> tuple[Float32Array, Float32Array]:
    """Removes what the weights of a person's resting face are.

    Trackers see shapes in a face at rest that are the person's own: brows that lie low, a mouth with raised corners.
    The eyes look at one point most of the time, beside which the camera stands.

    Args:
        weights: `[frames, 52]`.
        tracked: frames to learn from, bool `[frames]`.

    Returns:
        Weights relative to rest, scaled so that 1 stays 1, float32 `[frames, 52]`; and the rest, float32 `[52]`: the
        5th percentile of each shape, and the median direction of each eye.
    """
    rest = np.percentile(weights[tracked], REST_PERCENTILE, axis=0).astype(np.float32)
    relative = np.clip((weights - rest) / np.maximum(1 - rest, 0.1), 0, 1).astype(np.float32)
    for one, other in _GAZES:
        direction = weights[:, one] - weights[:, other]
        usual = np.median(direction[tracked])
        relative[:, one], relative[:, other] = np.maximum(direction - usual, 0), np.maximum(usual - direction, 0)
        rest[one], rest[other] = max(usual, 0), max(-usual, 0)
    return np.clip(relative, 0, 1), rest


def lip_contacts(lips: Float32Array) -> BoolArray:
    """The frames in which the lips meet, bool `[frames]`.

    Args:
        lips: opening, see `Face.lips`, `[frames]`; NaN where there was no face.
    """
    known = lips[np.isfinite(lips)]
    if not len(known):
        return np.zeros(len(lips), np.bool_)
    nearest = float(np.percentile(known, REST_PERCENTILE))
    if nearest > _NEVER_CLOSED:
        return np.zeros(len(lips), np.bool_)
    return np.asarray(np.nan_to_num(lips, nan=np.inf) <= nearest + _CONTACT)


def blinks(weights: Float32Array) -> BoolArray:
    """The frames in which a blink is deepest, bool `[frames]`, of weights `[frames, 52]`."""
    lids = weights[:, _BLINKS].mean(axis=1)
    peaks, _ = signal.find_peaks(lids, height=float(np.median(lids)) + _BLINK, prominence=_BLINK)
    found = np.zeros(len(lids), np.bool_)
    found[peaks] = True
    return found


def gaze_through_blinks(eyes: Float32Array, weights: Float32Array, fps: float) -> Float32Array:
    """The gaze, interpolated through blinks: of a hidden pupil the landmarker says that it looks 15 to 20 degrees down.

    Args:
        eyes: `[frames, 2, 2]`, degrees.
        weights: `[frames, 52]`.
        fps: frames per second.
    """
    lids = weights[:, _BLINKS].mean(axis=1)
    deepest, hidden = blinks(weights), np.zeros(len(lids), np.bool_)
    for start, end in runs_of(lids > np.median(lids) + _SHUTTING):
        if deepest[start:end].any() and end - start <= _LONGEST_BLINK * fps:
            hidden[start:end] = True
    if not hidden.any() or hidden.all():
        return eyes
    frames, seen = np.arange(len(eyes)), np.flatnonzero(~hidden)
    angles = eyes.reshape(len(eyes), -1)
    through = np.stack([np.interp(frames, seen, column) for column in angles[seen].T], axis=1)
    return np.asarray(through, np.float32).reshape(eyes.shape)


def smooth(
    weights: Float32Array, fps: float, contacts: BoolArray, seconds: float = SMOOTHING_SECONDS, keep: bool = True
) -> Float32Array:
    """Smooths weights without delay.

    Args:
        weights: `[frames, 52]`.
        fps: frames per second.
        contacts: frames in which the lips meet, bool `[frames]`.
        seconds: width of the filter; 0 returns the weights as they are.
        keep: whether closures and blinks keep their measured values.

    Returns:
        Float32 `[frames, 52]`, from 0 to 1.
    """
    window = 2 * int(seconds * fps / 2) + 1
    if window < 5 or len(weights) < window:
        return weights.copy()
    smoothed = signal.savgol_filter(weights, window, 2, axis=0, mode="nearest").astype(np.float32)
    if keep:
        for columns, moments in ((MOUTH, _edges(contacts, fps)), (_LIDS, blinks(weights))):
            share = faded(moments, fps)[:, None]
            smoothed[:, columns] += share * (weights[:, columns] - smoothed[:, columns])
    return np.asarray(np.clip(smoothed, 0, 1), np.float32)


def runs_of(mask: BoolArray) -> list[tuple[int, int]]:
    """Start and end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _edges(contacts: BoolArray, fps: float) -> BoolArray:
    """Contacts without the middle of long ones, where the face rests and only noise moves it."""
    kept, edge = contacts.copy(), max(1, round(_EDGE * fps))
    for start, end in runs_of(contacts):
        if end - start > _LONG * fps:
            kept[start + edge : end - edge] = False
    return kept


def faded(moments: BoolArray, fps: float) -> Float32Array:
    """1 in moments, falling to 0 beside them."""
    share = moments.astype(np.float32)
    for step in range(1, int(_FADE * fps) + 1):
        near = np.float32(1 - step / (_FADE * fps))
        share[step:] = np.maximum(share[step:], near * moments[:-step])
        share[:-step] = np.maximum(share[:-step], near * moments[step:])
    return share


def jitter(weights: Float32Array, fps: float) -> float:
    """Deviation of the weights of the mouth from one frame to the next while the face rests; NaN of very short takes.

    White noise of deviation s gives s: it is the root mean square of second differences, divided by that of such noise,
    in the calmest fifth of the take, which is found in the smoothed weights.
    """
    length = max(4, round(_CALM_SECONDS * fps))
    mouth = weights[:, MOUTH].astype(np.float64)
    if len(mouth) < 2 * length:
        return float("nan")
    calm = signal.savgol_filter(mouth, length // 2 * 2 + 1, 2, axis=0, mode="nearest")
    starts = np.arange(0, len(mouth) - length + 1, max(1, length // 2))
    motion = np.array([np.ptp(calm[start : start + length], axis=0).sum() for start in starts])
    chosen = starts[np.argsort(motion)[: max(1, round(_CALM_SHARE * len(starts)))]]
    seconds = np.concatenate([np.diff(mouth[start : start + length], 2, axis=0) for start in chosen])
    return float(np.sqrt(np.square(seconds).mean()) / _SECOND_DIFFERENCE)


@dataclass(frozen=True, kw_only=True)
class SmoothingFigures:
    """What smoothing did to a take; shares and openings are NaN where there is nothing to measure.

    Attributes:
        jitter: of the mouth at rest, before and after.
        closures: how often the lips met.
        opening: of the lips in closures, mean in millimetres: as measured, with the filter alone, and with closures
            kept.
        peaks: number of openings of the jaw.
        peak_retention: their mean height after smoothing, as a share of the height before.
        blinks: number of blinks.
        blink_retention: as `peak_retention`.
    """

    jitter: tuple[float, float]
    closures: int
    opening: tuple[float, float, float]
    peaks: int
    peak_retention: float
    blinks: int
    blink_retention: float


def compare(
    before: Float32Array, after: Float32Array, alone: Float32Array, fps: float, contacts: BoolArray, gaps: Float32Array
) -> SmoothingFigures:
    """Measures smoothing.

    Args:
        before: weights `[frames, 52]`.
        after: the smoothed ones.
        alone: what the filter makes of the weights without keeping anything.
        fps: frames per second.
        contacts: frames in which the lips meet.
        gaps: what each shape at weight 1 adds to the opening between the lips of a face, `[52]`, millimetres.
    """
    moments = _edges(contacts, fps)

    def opening(weights: Float32Array) -> float:
        return float((weights[moments] @ gaps).mean()) if moments.any() else float("nan")

    jaw = before[:, JAW].astype(np.float64)
    peaks, _ = signal.find_peaks(jaw, prominence=max(0.05, 0.2 * float(np.ptp(jaw))))
    lids = np.flatnonzero(blinks(before))
    return SmoothingFigures(
        jitter=(jitter(before, fps), jitter(after, fps)),
        closures=len(runs_of(contacts)),
        opening=(opening(before), opening(alone), opening(after)),
        peaks=len(peaks),
        peak_retention=_kept(before[:, JAW], after[:, JAW], peaks),
        blinks=len(lids),
        blink_retention=_kept(before[:, _BLINKS].mean(axis=1), after[:, _BLINKS].mean(axis=1), lids),
    )


def _kept(before: Float32Array, after: Float32Array, rows: AnyArray) -> float:
    if not len(rows):
        return float("nan")
    near = np.clip(rows[:, None] + [-1, 0, 1], 0, len(after) - 1)
    return float(np.mean(after[near].max(axis=1)) / max(float(np.mean(before[rows])), 1e-6))
