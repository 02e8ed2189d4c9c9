"""An actor's motion for one spoken sentence: speech, expression, blinks and gaze put together.

Knows who the actors are and in what order the layers act. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.dataset.example.coarticulation import articulate
from audio2face.dataset.example.contact import make_contacts
from audio2face.dataset.example.curves import Curves, Floats
from audio2face.dataset.example.expression import add_blinks, blink_curve, express
from audio2face.dataset.example.gaze import follow_with_lids, gaze_curve
from audio2face.dataset.example.head import Head
from audio2face.dataset.example.shapes import ARKIT_INDEX, ARKIT_NAMES
from audio2face.dataset.example.speech import Utterance

FPS = 30.0

_EFFORT_PER_DECIBEL = 0.03
_EFFORT_LIMITS = (0.75, 1.2)
_ARTICULATION = {"ada": 1.0, "ben": 0.9}  # ben mumbles a little
_LEANING = {"ada": 0.05, "ben": -0.07}  # the left side's share of a movement above the right side's
_ROUNDED_AGAINST_SMILE = 0.7  # share of the expression's mouth that full rounding takes away
_MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith("mouth")]


@dataclass(frozen=True)
class Performance:
    """Motion sampled at frame centres `(i + 0.5) / FPS`.

    Attributes:
        weights: `[frames, 52]` float32 of the skin's shapes.
        tongue_weights: `[frames, 16]` float32 of the tongue's shapes.
        eye_rotations: `[frames, 2, 2]` float32 degrees: right and left eye, X (pitch) and Y (yaw).
    """

    weights: Floats
    tongue_weights: Floats
    eye_rotations: Floats


def perform(utterance: Utterance, emotion: str, head: Head, rng: np.random.Generator) -> Performance:
    """Moves a head to a sentence.

    Args:
        utterance: what is said and when.
        emotion: how the actor feels.
        head: the actor's head.
        rng: draws the expression's variation, the blinks and the gaze.
    """
    num_frames = round(utterance.duration * FPS)
    effort = float(np.clip(1 + _EFFORT_PER_DECIBEL * utterance.loudness, *_EFFORT_LIMITS))
    effort *= _ARTICULATION[head.identity]
    speech, tongue = articulate(utterance.phones, num_frames, FPS, effort)
    feeling = express(emotion, utterance.phones, num_frames, FPS, rng)
    rounded = np.maximum(speech[:, ARKIT_INDEX["mouthPucker"]], speech[:, ARKIT_INDEX["mouthFunnel"]])
    feeling[:, _MOUTH] *= 1 - _ROUNDED_AGAINST_SMILE * np.minimum(rounded / 0.5, 1.0)[:, None]
    weights = _lean(speech + feeling, _LEANING[head.identity])
    gaze = gaze_curve(num_frames, FPS, rng)
    follow_with_lids(weights, gaze)
    weights = make_contacts(weights, utterance.phones, FPS, head)
    weights = add_blinks(weights, blink_curve(num_frames, FPS, rng))
    return Performance(
        np.clip(weights, 0.0, 1.0).astype(np.float32),
        tongue.astype(np.float32),
        np.repeat(gaze[:, None], 2, axis=1).astype(np.float32),
    )


def _lean(weights: Curves, left: float) -> Curves:
    """Moves one side a little more than the other, as faces do."""
    factors = [1 + left * (name.endswith("Left") - name.endswith("Right")) / 2 for name in ARKIT_NAMES]
    leaning: Curves = weights * np.array(factors)
    return leaning
