"""Generates expression, gaze and blinks of the example: fixations, saccades, lids, and accents on stressed vowels.

Angles are degrees: X (pitch) is positive downwards, Y (yaw) is positive to the actor's left, as rotations about +x and
+y turn a forward (+z) look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.example.contact import make_contacts
from audio2face.example.head import EYE_LOOK_DEGREES, Head
from audio2face.example.sentences import Phone
from audio2face.example.speech import Utterance
from audio2face.example.visemes import Curves, articulate, ease, frame_centres
from audio2face.types import Float32Array

SACCADE_ROWS = 5000
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


BLINK_KEYS: tuple[float, ...] = (0.0, 0.3, 0.88, 1.0, 0.96, 0.72, 0.44, 0.22, 0.08, 0.0)
"""One blink at 30 fps, 0 open to 1 closed: closed within 100 ms, open again after another 200 ms."""
BLINK_FPS = 30.0

_BLINK_PAUSE = (2.0, 6.0)  # seconds between blinks
_MODULATION_SECONDS = 0.5
_STIR_SECONDS = 0.35
_ACCENT_CHANCE, _ACCENT_SECONDS = 0.4, 0.11

# The muscles are those of the emotions' prototypes in the Facial Action Coding System (Ekman and Friesen 1978),
# moderate as in speech. A name without a side applies to both sides.
_EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {"mouthSmile": 0.03, "browInnerUp": 0.03},
    "joy": {"mouthSmile": 0.62, "cheekSquint": 0.6, "eyeSquint": 0.2, "browOuterUp": 0.15, "mouthDimple": 0.1},
    "anger": {
        "browDown": 1.0,
        "eyeSquint": 0.35,
        "noseSneer": 0.45,
        "mouthFrown": 0.4,
        "eyeWide": 0.2,
        "jawForward": 0.1,
    },
    "sadness": {"browInnerUp": 0.95, "browDown": 0.15, "mouthFrown": 0.65, "eyeSquint": 0.12, "eyeBlink": 0.14},
    "amazement": {"browInnerUp": 0.8, "browOuterUp": 0.85, "eyeWide": 0.75, "mouthFunnel": 0.05},
}
_EXPRESSION_BY_BROW = {"browInnerUp": 0.2, "browOuterUp": 0.26}
_STIRRINGS = {
    "browInnerUp": 0.04,
    "browOuterUp": 0.03,
    "browDown": 0.03,
    "eyeSquint": 0.04,
    "cheekSquint": 0.03,
    "noseSneer": 0.025,
    "mouthDimple": 0.02,
    "mouthLeft": 0.02,
    "mouthRight": 0.02,
    "jawLeft": 0.015,
    "jawRight": 0.015,
}


def expression_curves(
    emotion: str, phones: Sequence[Phone], num_frames: int, fps: float, rng: np.random.Generator
) -> Curves:
    """Generates weights of the expression over a sentence, `[frames, 52]`, each at least 0.

    Args:
        emotion: name of the emotion.
        phones: for the accents on stressed vowels.
        num_frames: number of frames.
        fps: frames per second.
        rng: source of variation between sentences.
    """
    weights = np.zeros((num_frames, len(ARKIT_NAMES)))
    strength = 0.9 + 0.22 * _smooth_noise(num_frames, _MODULATION_SECONDS * fps, rng)
    for name, size in _EXPRESSIONS[emotion].items():
        _add(weights, name, size * np.maximum(strength, 0.4))
    accents = _accents(phones, num_frames, fps, rng)
    for name, size in _EXPRESSION_BY_BROW.items():
        _add(weights, name, size * accents)
    for name, size in _STIRRINGS.items():
        _add(weights, name, size * np.maximum(_smooth_noise(num_frames, _STIR_SECONDS * fps, rng), 0.0))
    return weights


def blink_curve(num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """Generates the closure of the lids by blinks, `[frames]`, 0 to 1."""
    times = frame_centres(num_frames, fps)
    keys = np.arange(len(BLINK_KEYS)) / BLINK_FPS
    shut = np.zeros(num_frames)
    begin = rng.uniform(0.3, _BLINK_PAUSE[0])
    while begin < times[-1]:
        shut = np.maximum(shut, rng.uniform(0.92, 1.0) * np.interp(times - begin, keys, BLINK_KEYS))
        begin += rng.uniform(*_BLINK_PAUSE)
    return shut


def add_blinks(weights: Curves, shut: Curves) -> Curves:
    """Adds blinks to weights: lids that are already lowered, widened or squinted still meet when `shut` is 1."""
    blinking = weights.copy()
    for side in ("Left", "Right"):
        for name in ("eyeWide", "eyeSquint", "eyeLookDown", "eyeLookUp", "eyeLookIn", "eyeLookOut"):
            blinking[:, ARKIT_INDEX[name + side]] *= 1 - shut
        lid = ARKIT_INDEX["eyeBlink" + side]
        blinking[:, lid] += (1 - blinking[:, lid]) * shut
    return blinking


def _accents(phones: Sequence[Phone], num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """Generates bumps of height up to 1 on some of the stressed vowels, `[frames]`."""
    times = frame_centres(num_frames, fps)
    curve = np.zeros(num_frames)
    for phone in phones:
        if phone.stressed and rng.random() < _ACCENT_CHANCE:
            bump = np.exp(-0.5 * ((times - phone.centre) / _ACCENT_SECONDS) ** 2)
            curve = np.maximum(curve, rng.uniform(0.3, 1.0) * bump)
    return curve


def _smooth_noise(num_frames: int, frames: float, rng: np.random.Generator) -> Curves:
    """Generates a smooth random curve of about unit size with a time scale of `frames`, `[frames]`."""
    margin = int(4 * frames) + 1
    curve = ndimage.gaussian_filter1d(rng.standard_normal(num_frames + 2 * margin), frames, mode="wrap")
    # White noise of unit variance, filtered by a Gaussian of that width, keeps 1 / (2 sqrt(pi) width) of its variance.
    wander: Curves = curve[margin : margin + num_frames] * np.sqrt(2 * np.sqrt(np.pi) * frames)
    return wander


def _add(weights: Curves, name: str, curve: Curves) -> None:
    sides = (name,) if name in ARKIT_INDEX else (f"{name}Left", f"{name}Right")
    for side in sides:
        weights[:, ARKIT_INDEX[side]] += curve


FPS = 30.0

_EFFORT_PER_DECIBEL = 0.03
_EFFORT_LIMITS = (0.75, 1.2)
_ARTICULATION = {"ada": 1.0, "ben": 0.9}  # ben articulates less
_LEANING = {"ada": 0.05, "ben": -0.07}  # relative excess of the left side's movement over the right side's
_ROUNDED_AGAINST_SMILE = 0.7  # reduction of the expression's mouth shapes at full rounding
_MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith("mouth")]


@dataclass(frozen=True)
class Performance:
    """Motion sampled at frame centres `(i + 0.5) / FPS`.

    Attributes:
        weights: `[frames, 52]` float32 of the skin's shapes.
        tongue_weights: `[frames, 16]` float32 of the tongue's shapes.
        eye_rotations: `[frames, 2, 2]` float32 degrees: right and left eye, X (pitch) and Y (yaw).
    """

    weights: Float32Array
    tongue_weights: Float32Array
    eye_rotations: Float32Array


def add_performance(utterance: Utterance, emotion: str, head: Head, rng: np.random.Generator) -> Performance:
    """Animates a head for a sentence.

    Args:
        utterance: the spoken sentence with phone times.
        emotion: emotion of the actor.
        head: the actor's head.
        rng: source of expression, blinks and gaze.
    """
    num_frames = round(utterance.duration * FPS)
    effort = float(np.clip(1 + _EFFORT_PER_DECIBEL * utterance.loudness, *_EFFORT_LIMITS))
    effort *= _ARTICULATION[head.identity]
    speech, tongue = articulate(utterance.phones, num_frames, FPS, effort)
    feeling = expression_curves(emotion, utterance.phones, num_frames, FPS, rng)
    rounded = np.maximum(speech[:, ARKIT_INDEX["mouthPucker"]], speech[:, ARKIT_INDEX["mouthFunnel"]])
    feeling[:, _MOUTH] *= 1 - _ROUNDED_AGAINST_SMILE * np.minimum(rounded / 0.5, 1.0)[:, None]
    weights = _apply_asymmetry(speech + feeling, _LEANING[head.identity])
    gaze = gaze_curve(num_frames, FPS, rng)
    follow_with_lids(weights, gaze)
    weights = make_contacts(weights, utterance.phones, FPS, head)
    weights = add_blinks(weights, blink_curve(num_frames, FPS, rng))
    return Performance(
        np.clip(weights, 0.0, 1.0).astype(np.float32),
        tongue.astype(np.float32),
        np.repeat(gaze[:, None], 2, axis=1).astype(np.float32),
    )


def _apply_asymmetry(weights: Curves, left: float) -> Curves:
    """Moves one side slightly more than the other, as in natural faces."""
    factors = [1 + left * (name.endswith("Left") - name.endswith("Right")) / 2 for name in ARKIT_NAMES]
    leaning: Curves = weights * np.array(factors)
    return leaning
