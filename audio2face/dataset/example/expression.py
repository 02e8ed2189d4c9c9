"""The face around the speech: an emotion's expression, raised brows on stressed words, small stirrings, blinks.

Knows emotions and when vowels are stressed; knows nothing of visemes, gaze or vertices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from audio2face.dataset.example.curves import Curves, frame_centres
from audio2face.dataset.example.phones import Phone
from audio2face.dataset.example.shapes import ARKIT_INDEX, ARKIT_NAMES

BLINK_KEYS: tuple[float, ...] = (0.0, 0.3, 0.88, 1.0, 0.96, 0.72, 0.44, 0.22, 0.08, 0.0)
"""One blink at 30 fps, 0 open to 1 shut: shut within 100 ms, open again after 200 ms more."""
BLINK_FPS = 30.0

_BLINK_PAUSE = (2.0, 6.0)  # seconds between blinks
_MODULATION_SECONDS = 0.5
_STIR_SECONDS = 0.35
_ACCENT_CHANCE, _ACCENT_SECONDS = 0.4, 0.11

# The muscles are those of the emotions' prototypes in the Facial Action Coding System (Ekman and Friesen 1978),
# moderate as in speech. A name without a side stands for both sides.
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


def express(emotion: str, phones: Sequence[Phone], num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """Weights of the expression over a sentence, `[frames, 52]`, each at least 0.

    Args:
        emotion: its name.
        phones: for the accents on stressed vowels.
        num_frames: how many frames.
        fps: frames per second.
        rng: draws what varies from sentence to sentence.
    """
    weights = np.zeros((num_frames, len(ARKIT_NAMES)))
    strength = 0.9 + 0.22 * _wander(num_frames, _MODULATION_SECONDS * fps, rng)
    for name, size in _EXPRESSIONS[emotion].items():
        _add(weights, name, size * np.maximum(strength, 0.4))
    accents = _accents(phones, num_frames, fps, rng)
    for name, size in _EXPRESSION_BY_BROW.items():
        _add(weights, name, size * accents)
    for name, size in _STIRRINGS.items():
        _add(weights, name, size * np.maximum(_wander(num_frames, _STIR_SECONDS * fps, rng), 0.0))
    return weights


def blink_curve(num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """How far the lids are shut by blinks, `[frames]`, 0 to 1."""
    times = frame_centres(num_frames, fps)
    keys = np.arange(len(BLINK_KEYS)) / BLINK_FPS
    shut = np.zeros(num_frames)
    begin = rng.uniform(0.3, _BLINK_PAUSE[0])
    while begin < times[-1]:
        shut = np.maximum(shut, rng.uniform(0.92, 1.0) * np.interp(times - begin, keys, BLINK_KEYS))
        begin += rng.uniform(*_BLINK_PAUSE)
    return shut


def add_blinks(weights: Curves, shut: Curves) -> Curves:
    """The weights with blinks: lids that are already lowered, widened or squinted still meet when shut is 1."""
    blinking = weights.copy()
    for side in ("Left", "Right"):
        for name in ("eyeWide", "eyeSquint", "eyeLookDown", "eyeLookUp", "eyeLookIn", "eyeLookOut"):
            blinking[:, ARKIT_INDEX[name + side]] *= 1 - shut
        lid = ARKIT_INDEX["eyeBlink" + side]
        blinking[:, lid] += (1 - blinking[:, lid]) * shut
    return blinking


def _accents(phones: Sequence[Phone], num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """Bumps of height up to 1 on some of the stressed vowels, `[frames]`."""
    times = frame_centres(num_frames, fps)
    curve = np.zeros(num_frames)
    for phone in phones:
        if phone.stressed and rng.random() < _ACCENT_CHANCE:
            bump = np.exp(-0.5 * ((times - phone.centre) / _ACCENT_SECONDS) ** 2)
            curve = np.maximum(curve, rng.uniform(0.3, 1.0) * bump)
    return curve


def _wander(num_frames: int, frames: float, rng: np.random.Generator) -> Curves:
    """A smooth random curve of about unit size that changes within so many frames, `[frames]`."""
    margin = int(4 * frames) + 1
    curve = ndimage.gaussian_filter1d(rng.standard_normal(num_frames + 2 * margin), frames, mode="wrap")
    # White noise of unit variance under a Gaussian of that width keeps 1 / (2 sqrt(pi) width) of its variance.
    wander: Curves = curve[margin : margin + num_frames] * np.sqrt(2 * np.sqrt(np.pi) * frames)
    return wander


def _add(weights: Curves, name: str, curve: Curves) -> None:
    sides = (name,) if name in ARKIT_INDEX else (f"{name}Left", f"{name}Right")
    for side in sides:
        weights[:, ARKIT_INDEX[side]] += curve
