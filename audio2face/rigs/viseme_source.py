"""The encoder `a2f-phonetic-bidirectional` as the source of viseme channels, at rest where there is no speech."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audio2face.inference.speech_guard import SpeechGuard
from audio2face.inference.visemes import STEPS_PER_SECOND, VISEME_CHANNELS, recorded_visemes
from audio2face.types import Float32Array

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
_AHEAD = 6  # steps by which the mouth moves before speech, so that it opens in time


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
    guard = SpeechGuard(_AHEAD)
    openness = np.concatenate([guard.push(speech), guard.finish()])
    channels = np.clip((found.channels - floors) * gains, 0, 1) * openness[:, None]
    return np.asarray(channels, np.float32), VISEME_CHANNELS, STEPS_PER_SECOND
