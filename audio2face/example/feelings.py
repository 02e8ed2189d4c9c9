"""Expressions of the example's emotions, as weights of the ARKit shapes, and the stirrings of a living face."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.example.visemes import Curves

# The muscles are those of the emotions' prototypes in the Facial Action Coding System (Ekman and Friesen 1978),
# moderate as in speech. A name without a side applies to both sides.
EXPRESSIONS: dict[str, dict[str, float]] = {
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
    "fear": {"browInnerUp": 0.8, "browOuterUp": 0.35, "browDown": 0.35, "eyeWide": 0.7, "mouthStretch": 0.4},
    "disgust": {"noseSneer": 0.8, "mouthUpperUp": 0.3, "browDown": 0.4, "cheekSquint": 0.4, "mouthFrown": 0.3},
}
ACCENTS: dict[str, float] = {"browInnerUp": 0.2, "browOuterUp": 0.26}
"""Brows on an accented syllable."""
STIRRINGS: dict[str, float] = {
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


def smooth_noise(num_frames: int, frames: float, rng: np.random.Generator) -> Curves:
    """Generates a smooth random curve of about unit size with a time scale of `frames`, `[frames]`."""
    margin = int(4 * frames) + 1
    curve = ndimage.gaussian_filter1d(rng.standard_normal(num_frames + 2 * margin), frames, mode="wrap")
    # White noise of unit variance, filtered by a Gaussian of that width, keeps 1 / (2 sqrt(pi) width) of its variance.
    wander: Curves = curve[margin : margin + num_frames] * np.sqrt(2 * np.sqrt(np.pi) * frames)
    return wander


def add_shape(weights: Curves, name: str, curve: Curves) -> None:
    """Adds a curve to a shape of `weights [frames, 52]`, or to both sides of one named without a side."""
    sides = (name,) if name in ARKIT_INDEX else (f"{name}Left", f"{name}Right")
    for side in sides:
        weights[:, ARKIT_INDEX[side]] += curve
