"""Gaze of the example: fixations, saccades, and the lids that follow the eyes and blink.

Angles are degrees: X (pitch) is positive downwards, Y (yaw) is positive to the actor's left, as rotations about +x and
+y turn a forward (+z) look.
"""

from __future__ import annotations

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.example.head import EYE_LOOK_DEGREES
from audio2face.example.visemes import Curves, ease, frame_centres
from audio2face.types import Float32Array

SACCADE_ROWS = 5000
BLINK_KEYS: tuple[float, ...] = (0.0, 0.3, 0.88, 1.0, 0.96, 0.72, 0.44, 0.22, 0.08, 0.0)
"""One blink at 30 fps, 0 open to 1 closed: closed within 100 ms, open again after another 200 ms."""
BLINK_FPS = 30.0
SACCADE_FPS = 30.0

_FIXATION_SECONDS = (0.35, 2.2)
_AVERSION_CHANCE = 0.35  # probability of looking aside rather than at the listener
_AVERSION_DEGREES = (3.0, 7.0)  # standard deviations of pitch and yaw
_LISTENER_DEGREES = (0.8, 1.2)
_TABLE_DEGREES = (0.6, 1.0)
_LIMIT_DEGREES = 12.0
_LIDS_SHARE = 0.8  # share of the eyes' rotation that the lids follow


def gaze_curve(num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """Generates the rotation of both eyes over a sentence, `[frames, 2]` degrees: mostly at the listener."""
    points, begins = [np.zeros(2)], [0.0]
    while begins[-1] < num_frames / fps:
        aside = rng.random() < _AVERSION_CHANCE
        spread = np.array(_AVERSION_DEGREES if aside else _LISTENER_DEGREES)
        points.append(np.clip(spread * rng.standard_normal(2), -_LIMIT_DEGREES, _LIMIT_DEGREES))
        begins.append(begins[-1] + rng.uniform(*_FIXATION_SECONDS) * (0.5 if aside else 1.0))
    return _interpolate_fixations(np.array(points), np.array(begins), num_frames, fps)


def saccade_table(rng: np.random.Generator) -> Float32Array:
    """Generates small saccades for any gaze: float32 `[5000, 2]` degrees at 30 fps."""
    seconds = SACCADE_ROWS / SACCADE_FPS
    count = int(seconds / 0.3)
    begins = np.concatenate([[0.0], np.cumsum(rng.uniform(0.2, 1.2, count))])
    points = np.array(_TABLE_DEGREES) * rng.standard_normal((count + 1, 2))
    return _interpolate_fixations(points, begins, SACCADE_ROWS, SACCADE_FPS).astype(np.float32)


def follow_with_lids(weights: Curves, gaze: Curves) -> None:
    """Adds the eyeLook shapes to `weights [frames, 52]`: the skin around the eyes follows `gaze [frames, 2]`."""
    pitch, yaw = gaze[:, 0], gaze[:, 1]
    turns = {
        "DownLeft": pitch,
        "DownRight": pitch,
        "UpLeft": -pitch,
        "UpRight": -pitch,
        "OutLeft": yaw,
        "InRight": yaw,
        "InLeft": -yaw,
        "OutRight": -yaw,
    }
    for name, degrees in turns.items():
        full = EYE_LOOK_DEGREES[name.removesuffix("Left").removesuffix("Right")]
        weights[:, ARKIT_INDEX[f"eyeLook{name}"]] += _LIDS_SHARE * np.maximum(degrees, 0.0) / full


def _interpolate_fixations(points: Curves, begins: Curves, num_frames: int, fps: float) -> Curves:
    """Interpolates fixations `points [n, 2]`, each from `begins [n]` seconds on, by saccades of natural duration.

    A saccade of A degrees takes 2.2 ms per degree and 21 ms (Carpenter 1988, Movements of the Eyes).
    """
    times = frame_centres(num_frames, fps)
    gaze = np.repeat(points[:1], num_frames, axis=0)
    for previous, point, begin in zip(points, points[1:], begins[1:], strict=False):
        length = 0.021 + 0.0022 * float(np.linalg.norm(point - previous))
        gaze += (point - previous) * ease((times - begin) / length)[:, None]
    return gaze


def add_blinks(weights: Curves, shut: Curves) -> Curves:
    """Adds blinks to weights: lids that are already lowered, widened or squinted still meet when `shut` is 1."""
    blinking = weights.copy()
    for side in ("Left", "Right"):
        for name in ("eyeWide", "eyeSquint", "eyeLookDown", "eyeLookUp", "eyeLookIn", "eyeLookOut"):
            blinking[:, ARKIT_INDEX[name + side]] *= 1 - shut
        lid = ARKIT_INDEX["eyeBlink" + side]
        blinking[:, lid] += (1 - blinking[:, lid]) * shut
    return blinking
