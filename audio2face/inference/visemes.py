"""Viseme channels of speech, from an encoder of speech alone: no recorded face, no trained run, no PyTorch.

    channels, names, steps_per_second = viseme_channels(samples, samplerate)

Step k describes the time (k + 0.5) / 50 s. The channels are weights of shapes as the example's coarticulation rules
give them in plain neutral speech, `audio2face.example.visemes.SHAPES_OF` names the shapes of each. `closure` tells of
lips that are shut (p, b, m), and `labiodental` of a lower lip at the teeth (f, v): 1 in a certain contact, 0 apart, and
from `CLOSED` on a contact is more likely than none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from audio2face.audio import StreamResampler
from audio2face.audio.mel import MEL_RATE
from audio2face.phonetic.classes import ATTRIBUTES, MANNERS, POSTERIORS, VISEME_CHANNELS
from audio2face.phonetic.front_end import QUIETEST, FrontEnd
from audio2face.phonetic.network import (
    AHEAD_FRAMES,
    LOOKAHEAD_SECONDS,
    RECEPTIVE_SAMPLES,
    STEP_SAMPLES,
    Encoded,
    bidirectional_network,
    causal_network,
)
from audio2face.types import Float32Array, Int64Array

__all__ = [
    "CLOSED",
    "LOOKAHEAD_SECONDS",
    "STEPS_PER_SECOND",
    "VISEME_CHANNELS",
    "VisemeStream",
    "Visemes",
    "recorded_sounds",
    "recorded_visemes",
    "viseme_channels",
]

STEPS_PER_SECOND = MEL_RATE / STEP_SAMPLES
CLOSED = 0.5
"""The least `closure` at which lips are shut: of the p, b and m of synthetic speech 9 of 10 reach it in some step, and
9 of 10 other sounds stay below it in most."""

_CONTACTS = [VISEME_CHANNELS.index(name) for name in ("closure", "labiodental")]
_CERTAINTY = 2.0  # the network's value is an expectation, which stays small for what is rare

_SILENCE = MANNERS.index("silence")
_BLOCK = 60 * MEL_RATE  # samples encoded at once, which bounds memory


class Visemes(NamedTuple):
    """Viseme channels of a recording.

    Attributes:
        channels: float32 `[steps, channels]` in [0, 1].
        names: of the channels: `VISEME_CHANNELS`.
        steps_per_second: 50.
    """

    channels: Float32Array
    names: tuple[str, ...]
    steps_per_second: float


class VisemeStream:
    """Viseme channels of speech that arrives in chunks; the results together are those of `viseme_channels`.

    A step is returned as soon as 40 ms after its time are there (`LOOKAHEAD_SECONDS`), at 16 kHz; the resampler of
    other rates needs 1 ms more from 48 kHz, and 20 ms from 44.1 kHz.

    Attributes:
        speech: of the last steps that were returned, the probability of a speech sound, float32 `[steps]`.

    Args:
        samplerate: of the samples, in Hz.
        level: level of the voice that counts as known at the start (`FrontEnd`); the default is that of the quietest
            speech.

    Raises:
        UserError: the weights cannot be read, or the rate has no common measure with 16 kHz.
    """

    def __init__(self, samplerate: int = MEL_RATE, level: float = QUIETEST) -> None:
        self._network = causal_network()
        self._resampler = StreamResampler(samplerate, MEL_RATE, "hann")
        self._front_end = FrontEnd(level)
        self._state = self._network.start()
        self._samples, self._steps = 0, 0
        self.speech = np.zeros(0, np.float32)

    def push(self, samples: Float32Array) -> Float32Array:
        """Returns the steps `[steps, channels]` that samples, float32 `[samples]` with full scale 1, complete."""
        return self._encode(self._resampler.push(np.asarray(samples, np.float32)))

    def finish(self) -> Float32Array:
        """Returns the last steps `[steps, channels]`, as if silence followed; the stream takes no more samples."""
        ending = self._encode(self._resampler.finish())
        speech = self.speech
        missing = self._samples // STEP_SAMPLES - self._steps
        rest = self._encode(np.zeros(RECEPTIVE_SAMPLES, np.float32))[:missing]
        self.speech = np.concatenate([speech, self.speech[:missing]])
        return np.concatenate([ending, rest])

    def _encode(self, samples: Float32Array) -> Float32Array:
        self._samples += len(samples)
        encoded = self._network.advance(self._state, self._front_end.push(samples))
        self._steps += len(encoded.channels)
        channels, self.speech = _read(encoded)
        return channels


def _read(encoded: Encoded) -> tuple[Float32Array, Float32Array]:
    """Channels `[steps, channels]` in [0, 1], and the probabilities of a speech sound `[steps]`."""
    manner = encoded.scores[:, : ATTRIBUTES["manner"]]
    shares = np.exp(manner - manner.max(axis=1, keepdims=True, initial=-np.inf))
    channels = encoded.channels
    channels[:, _CONTACTS] *= _CERTAINTY
    return np.clip(channels, 0.0, 1.0), 1 - shares[:, _SILENCE] / shares.sum(axis=1)


def recorded_visemes(samples: Float32Array, samplerate: int) -> tuple[Visemes, Float32Array]:
    """Computes the viseme channels of a whole recording, by the bidirectional encoder.

    It is better than `viseme_channels` at contacts of the lips, with a look-ahead of 0.66 s.

    Args:
        samples: mono, float32 `[samples]` with full scale 1.
        samplerate: their rate, in Hz.

    Returns:
        The channels, one step for each whole 20 ms; and the probability of a speech sound at each, float32 `[steps]`.

    Raises:
        UserError: the weights cannot be read, or the rate has no common measure with 16 kHz.
    """
    channels, speech = _read(_encoded_recording(samples, samplerate))
    return Visemes(channels, VISEME_CHANNELS, STEPS_PER_SECOND), speech


def recorded_sounds(samples: Float32Array, samplerate: int) -> Int64Array:
    """The most likely sound at each step of a whole recording, by the bidirectional encoder.

    Args:
        samples: mono, float32 `[samples]` with full scale 1.
        samplerate: their rate, in Hz.

    Returns:
        Indices into `phonetic.classes.SOUNDS`, `[steps]`; 0 is silence.

    Raises:
        UserError: the weights cannot be read, or the rate has no common measure with 16 kHz.
    """
    scores = _encoded_recording(samples, samplerate).scores
    return np.asarray(scores[:, POSTERIORS - ATTRIBUTES["phone"] : POSTERIORS].argmax(axis=1), np.int64)


def _encoded_recording(samples: Float32Array, samplerate: int) -> Encoded:
    """Output of the bidirectional network, one step for each whole 20 ms."""
    resampler = StreamResampler(samplerate, MEL_RATE, "hann")
    audio = np.concatenate([resampler.push(np.asarray(samples, np.float32)), resampler.finish()])
    steps = len(audio) // STEP_SAMPLES
    frames = FrontEnd().push(np.concatenate([audio, np.zeros(RECEPTIVE_SAMPLES + STEP_SAMPLES, np.float32)]))
    encoded = bidirectional_network().encode(frames[: 2 * steps + AHEAD_FRAMES])
    return Encoded(encoded.scores[:steps], encoded.channels[:steps])


def viseme_channels(samples: Float32Array, samplerate: int) -> Visemes:
    """Computes the viseme channels of a recording.

    Args:
        samples: mono, float32 `[samples]` with full scale 1.
        samplerate: their rate, in Hz.

    Returns:
        One step for each whole 20 ms.

    Raises:
        UserError: the weights cannot be read, or the rate has no common measure with 16 kHz.
    """
    stream = VisemeStream(samplerate)
    block = _BLOCK * samplerate // MEL_RATE
    parts = [stream.push(samples[start : start + block]) for start in range(0, len(samples), block)]
    return Visemes(np.concatenate([*parts, stream.finish()]), VISEME_CHANNELS, STEPS_PER_SECOND)
