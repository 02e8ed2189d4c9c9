"""Expression over speech, for faces that are animated by rules: emotions, accents of the brows, gaze, blinks.

Emotions are those of the example's actors and fear and disgust, as weights of ARKit's shapes (`example.feelings`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from audio2face.animation import NATURAL_BLINK, BlinkTrack
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.example.feelings import ACCENTS, EXPRESSIONS, STIRRINGS, add_shape, smooth_noise
from audio2face.example.gaze import add_blinks, follow_with_lids, gaze_curve
from audio2face.types import Float32Array, Float64Array

NEUTRAL = "neutral"
RIG_EMOTIONS: tuple[str, ...] = tuple(name for name in EXPRESSIONS if name != NEUTRAL)

_MODULATION_SECONDS, _STIR_SECONDS = 0.6, 0.35
_MODULATION = 0.12
_ACCENT_SECONDS, _PHRASE_SECONDS = 0.1, 0.8
_ACCENT_DB = 6.0  # by which an accent is louder than the speech around it
_FLOOR_DB = 40.0  # below the loudest: silence has no accents
_ROUNDED_AGAINST_SMILE, _FULLY_ROUNDED = 0.7, 0.5
_UPPER = [index for name, index in ARKIT_INDEX.items() if name.startswith(("brow", "eye"))]
_MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith("mouth")]
_ROUNDING = [ARKIT_INDEX[name] for name in ("mouthPucker", "mouthFunnel")]


def expression_weights(
    emotion: Float32Array, emotions: Sequence[str], loudness: Float64Array, fps: float, strength: float, seed: int
) -> Float64Array:
    """The weights of expression, `[frames, 52]`.

    Args:
        emotion: strength of each emotion, `[frames, emotions]`, 0 to 1; what is missing to 1 is neutral.
        emotions: their names.
        loudness: decibels of full scale, `[frames]`, for the accents of the brows.
        fps: frames per second.
        strength: gain on brows and lids that accompany speech; emotions keep theirs.
        seed: chooses the stirrings.
    """
    rng = np.random.default_rng(seed)
    count = len(loudness)
    weights = np.zeros((count, len(ARKIT_NAMES)))
    modulation = np.maximum(1 + _MODULATION * smooth_noise(count, _MODULATION_SECONDS * fps, rng), 0.5)
    shares = {name: emotion[:, index].astype(np.float64) for index, name in enumerate(emotions)}
    shares[NEUTRAL] = np.clip(1 - sum(shares.values(), np.zeros(count)), 0, 1)
    for name, share in shares.items():
        for shape, size in EXPRESSIONS[name].items():
            add_shape(weights, shape, size * share * modulation)
    living = np.zeros_like(weights)
    accents = _accents(loudness, fps)
    for shape, size in ACCENTS.items():
        add_shape(living, shape, size * accents)
    for shape, size in STIRRINGS.items():
        add_shape(living, shape, size * np.maximum(smooth_noise(count, _STIR_SECONDS * fps, rng), 0))
    living[:, _UPPER] *= strength
    return weights + living


def combined(speech: Float64Array, expression: Float64Array) -> Float64Array:
    """Speech and expression together, `[frames, 52]`: rounded lips do not smile."""
    rounded = np.minimum(speech[:, _ROUNDING].max(axis=1) / _FULLY_ROUNDED, 1)
    over = expression.copy()
    over[:, _MOUTH] *= 1 - _ROUNDED_AGAINST_SMILE * rounded[:, None]
    return speech + over


def gaze_angles(num_frames: int, fps: float, strength: float, seed: int) -> Float64Array:
    """Rotation of both eyes, `[frames, 2]` degrees (pitch, yaw): fixations, mostly at the viewer."""
    return strength * gaze_curve(num_frames, fps, np.random.default_rng([seed, 1]))


def with_eyes(weights: Float64Array, gaze: Float64Array, fps: float, blinks: float, seed: int) -> Float64Array:
    """Weights `[frames, 52]` whose lids follow the gaze `[frames, 2]` and blink, with this strength."""
    followed = weights.copy()
    follow_with_lids(followed, gaze)
    if blinks > 0:
        shut = BlinkTrack(NATURAL_BLINK, fps, seed=seed)(len(weights)).astype(np.float64)
        followed = add_blinks(followed, np.minimum(blinks * shut, 1))
    return np.asarray(np.clip(followed, 0, 1))


def _accents(loudness: Float64Array, fps: float) -> Float64Array:
    """Bumps from 0 to 1 where a syllable is louder than the phrase around it, `[frames]`."""
    if not len(loudness):
        return np.zeros(0)
    level = np.maximum(loudness, loudness.max() - _FLOOR_DB)
    syllable = ndimage.gaussian_filter1d(level, _ACCENT_SECONDS * fps, mode="nearest")
    phrase = ndimage.gaussian_filter1d(level, _PHRASE_SECONDS * fps, mode="nearest")
    speaking = np.clip((phrase - level.max() + _FLOOR_DB) / _FLOOR_DB, 0, 1)
    return np.asarray(np.clip((syllable - phrase) / _ACCENT_DB, 0, 1) * speaking)
