"""The encoder `a2f-phonetic` as the source of a rig's viseme channels: at rest where it hears no speech."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from audio2face.example.visemes import ease
from audio2face.inference.visemes import STEPS_PER_SECOND, VISEME_CHANNELS, VisemeStream
from audio2face.types import Float32Array, Float64Array

# An encoder that is unsure of a sound is nearer to the mean than the rules are: the root of what that takes off the
# spread of a channel, in the recordings of tests/data/espeak, is given back.
_GAINS: Mapping[str, float] = {
    "jaw": 1.1,
    "lower": 1.1,
    "upper": 1.3,
    "funnel": 1.45,
    "pucker": 1.7,
    "down": 1.3,
    "tip_up": 1.6,
    "up": 1.3,
    "back": 1.35,
}
_SPEECH = (0.3, 0.6)  # probabilities of a speech sound: below, the mouth is at rest; above, it moves in full
_SECONDS = 0.06  # of their smoothing: a stop is silent for a moment, a click is no speech
_BLOCK = 60  # seconds encoded at once, which bounds memory


def listen(samples: Float32Array, samplerate: int) -> tuple[Float32Array, tuple[str, ...], float]:
    """Computes viseme channels (`rigs.speech.VisemeSource`).

    Args:
        samples: mono, float32 `[samples]` with full scale 1.
        samplerate: their rate, in Hz.

    Returns:
        Channels `[steps, channels]` from 0 to 1, their names, and steps per second.

    Raises:
        UserError: the weights of the encoder cannot be read.
    """
    stream = VisemeStream(samplerate)
    channels, speech = [], []
    for start in range(0, len(samples), _BLOCK * samplerate):
        channels.append(stream.push(samples[start : start + _BLOCK * samplerate]))
        speech.append(stream.speech)
    channels.append(stream.finish())
    speech.append(stream.speech)
    gains = np.array([_GAINS.get(name, 1.0) for name in VISEME_CHANNELS], np.float32)
    heard = np.concatenate(channels) * gains * speaking(np.concatenate(speech))[:, None]
    return np.asarray(np.minimum(heard, 1), np.float32), VISEME_CHANNELS, STEPS_PER_SECOND


def speaking(speech: Float32Array) -> Float64Array:
    """0 where nobody speaks, 1 where somebody does, from the probabilities of a speech sound, `[steps]`."""
    smooth = ndimage.gaussian_filter1d(speech.astype(np.float64), _SECONDS * STEPS_PER_SECOND, mode="nearest")
    return ease((smooth - _SPEECH[0]) / (_SPEECH[1] - _SPEECH[0]))
