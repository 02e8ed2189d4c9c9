"""Performs a sentence of the example: expression, accents on stressed vowels, blinks, and gaze over the speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.example.contact import make_contacts
from audio2face.example.feelings import ACCENTS, EXPRESSIONS, STIRRINGS, add_shape, smooth_noise
from audio2face.example.gaze import BLINK_FPS, BLINK_KEYS, add_blinks, follow_with_lids, gaze_curve
from audio2face.example.head import Head
from audio2face.example.sentences import Phone
from audio2face.example.speech import Utterance
from audio2face.example.visemes import Curves, articulate, frame_centres
from audio2face.types import Float32Array

_BLINK_PAUSE = (2.0, 6.0)  # seconds between blinks
_MODULATION_SECONDS = 0.5
_STIR_SECONDS = 0.35
_ACCENT_CHANCE, _ACCENT_SECONDS = 0.4, 0.11


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
    strength = 0.9 + 0.22 * smooth_noise(num_frames, _MODULATION_SECONDS * fps, rng)
    for name, size in EXPRESSIONS[emotion].items():
        add_shape(weights, name, size * np.maximum(strength, 0.4))
    accents = _accents(phones, num_frames, fps, rng)
    for name, size in ACCENTS.items():
        add_shape(weights, name, size * accents)
    for name, size in STIRRINGS.items():
        add_shape(weights, name, size * np.maximum(smooth_noise(num_frames, _STIR_SECONDS * fps, rng), 0.0))
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


def _accents(phones: Sequence[Phone], num_frames: int, fps: float, rng: np.random.Generator) -> Curves:
    """Generates bumps of height up to 1 on some of the stressed vowels, `[frames]`."""
    times = frame_centres(num_frames, fps)
    curve = np.zeros(num_frames)
    for phone in phones:
        if phone.stressed and rng.random() < _ACCENT_CHANCE:
            bump = np.exp(-0.5 * ((times - phone.centre) / _ACCENT_SECONDS) ** 2)
            curve = np.maximum(curve, rng.uniform(0.3, 1.0) * bump)
    return curve


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
