"""The encoder `a2f-phonetic-bidirectional` as the source of viseme channels, at rest where there is no speech."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from audio2face.audio.track import interval_loudness
from audio2face.example.visemes import ease
from audio2face.inference.visemes import STEPS_PER_SECOND, VISEME_CHANNELS, recorded_visemes
from audio2face.types import Float32Array, Float64Array

# An encoder that is unsure of a sound is nearer to the mean of all sounds than the rules are. Of each channel: what it
# has in sounds that should have none of it, which is taken off, and a gain. Both are from the vowels of
# tests/data/espeak; for the jaw the first is from p, b and m.
_CONTRAST: Mapping[str, tuple[float, float]] = {
    "jaw": (0.03, 1.6),
    "lower": (0.0, 1.35),
    "upper": (0.02, 1.5),
    "funnel": (0.04, 1.8),
    "pucker": (0.08, 2.3),
    "stretch": (0.02, 1.4),
    "down": (0.0, 1.3),
    "tip_up": (0.0, 1.6),
    "up": (0.0, 1.3),
    "back": (0.0, 1.35),
}
_SPEECH = (0.3, 0.6)  # probabilities of a speech sound: below, the mouth is at rest; above, it moves in full
_CERTAIN = (0.75, 0.9)  # the same where the level does not change, as that of noise and hum
_SECONDS = 0.08  # of their smoothing: a stop is silent for a moment, a click is no speech
_AROUND = 0.1  # seconds around speech in which the mouth still moves, so that it opens in time
_CHANGE_DB = (4.0, 8.0)  # by which the level of noise changes at most, and that of speech at least,
_CHANGE_SECONDS = 1.0  # within this time to either side


def extract_visemes(samples: Float32Array, samplerate: int) -> tuple[Float32Array, tuple[str, ...], float]:
    """Computes viseme channels (`rigs.speech.VisemeSource`).

    Args:
        samples: mono, float32 `[samples]` with full scale 1.
        samplerate: their rate, in Hz.

    Returns:
        Channels `[steps, channels]` from 0 to 1, their names, and steps per second.

    Raises:
        UserError: the weights of the encoder cannot be read.
    """
    found, speech = recorded_visemes(samples, samplerate)
    floors, gains = np.array([_CONTRAST.get(name, (0.0, 1.0)) for name in VISEME_CHANNELS], np.float32).T
    openness = speaking(speech, interval_loudness(samples, samplerate, STEPS_PER_SECOND, len(speech)))
    channels = np.clip((found.channels - floors) * gains, 0, 1) * openness[:, None]
    return np.asarray(channels, np.float32), VISEME_CHANNELS, STEPS_PER_SECOND


def speaking(speech: Float32Array, level: Float64Array) -> Float64Array:
    """How much of speech the mouth shows: 0 where nobody speaks, 1 where somebody does, `[steps]`.

    Args:
        speech: probabilities of a speech sound, `[steps]`.
        level: loudness in decibels, `[steps]`. That of noise is steady: there the encoder has to be certain.
    """
    smooth = _smoothed(speech.astype(np.float64), _SECONDS)
    reach = 2 * round(_CHANGE_SECONDS * STEPS_PER_SECOND) + 1
    steady = _smoothed(level, _SECONDS)
    change = ndimage.maximum_filter1d(steady, reach) - ndimage.minimum_filter1d(steady, reach)
    openness = np.maximum(_eased(smooth, _CERTAIN), _eased(smooth, _SPEECH) * _eased(change, _CHANGE_DB))
    near = ndimage.maximum_filter1d(openness, 2 * round(_AROUND * STEPS_PER_SECOND) + 1)
    return _smoothed(near, _SECONDS / 2)


def _smoothed(values: Float64Array, seconds: float) -> Float64Array:
    return np.asarray(ndimage.gaussian_filter1d(values, seconds * STEPS_PER_SECOND, mode="nearest"))


def _eased(values: Float64Array, edges: tuple[float, float]) -> Float64Array:
    """0 below the first edge, 1 above the second."""
    return ease((values - edges[0]) / (edges[1] - edges[0]))
