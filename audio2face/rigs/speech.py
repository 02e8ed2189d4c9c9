"""Speech on a rig: viseme channels over time become weights of ARKit's shapes and of the tongue.

A channel drives the shapes that the example's coarticulation rules name (`example.visemes.SHAPES_OF`), with its own
value: jaw 0.34 is `jawOpen` 0.34. Then the lips meet on p, b and m (`closures`), and the whole is gated by loudness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from audio2face.audio.track import interval_loudness
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX, TONGUE_NAMES
from audio2face.example.visemes import SHAPES_OF, ease
from audio2face.rigs.closures import Closure, find_closures
from audio2face.types import Float32Array, Float64Array

VisemeSource = Callable[[Float32Array, int], tuple[Float32Array, Sequence[str], float]]
"""Samples `[samples]` and their rate to channels `[steps, channels]`, their names, and steps per second."""

CLOSURE, LABIODENTAL = "closure", "labiodental"
"""Channels that say how much a sound is like p, b, m and like f, v, from 0 to 1."""
_PRESS_OF_P, _ROLL_OF_F = 0.22, 0.95  # targets of the rules, which tell it where those channels are missing
_PRESS_FROM, _PRESS_RANGE = 0.1, 0.6  # of the target: neighbours of p, b and m press the lips a little too
_BITE = (0.25, 0.6)  # of `labiodental`: where the lower lip leaves for the teeth, and where it is there

_GATE_DB = (-42.0, -30.0)  # relative to the speech of the recording: the mouth is at rest, and moves in full
_QUIETEST_DB = -60.0  # of full scale: what is always silence
_LOUD_PERCENT = 95.0
_GATE_SECONDS = 0.06  # of smoothing: sounds such as p and f are quiet for a moment
_HOLD_SECONDS = 0.12  # around loud sound that counts as speech


@dataclass(frozen=True, eq=False)
class SpeechCurves:
    """The viseme channels of a recording.

    Attributes:
        values: of each channel, `[steps]`; step k is at the time (k + 0.5) / rate.
        rate: steps per second.
        closures: where lips are shut.
        loudness: decibels of full scale, `[steps]`.
    """

    values: Mapping[str, Float64Array]
    rate: float
    closures: Sequence[Closure]
    loudness: Float64Array

    def at(self, name: str, times: Float64Array) -> Float64Array:
        """A channel at some times in seconds, interpolated linearly; 0 for one that is not there."""
        if name not in self.values:
            return np.zeros(len(times))
        return self._read(self.values[name], times)

    def loudness_at(self, times: Float64Array) -> Float64Array:
        """Loudness at some times, decibels of full scale."""
        return self._read(self.loudness, times)

    def biting_at(self, times: Float64Array) -> Float64Array:
        """How far the lower lip is at the upper teeth, 0 to 1."""
        return ease((self.at(LABIODENTAL, times) - _BITE[0]) / (_BITE[1] - _BITE[0]))

    def _read(self, values: Float64Array, times: Float64Array) -> Float64Array:
        if not len(values):
            return np.zeros(len(times))
        return np.interp(times * self.rate - 0.5, np.arange(len(values)), values)


def extract_curves(samples: Float32Array, samplerate: int, source: VisemeSource, smoothing: float) -> SpeechCurves:
    """Computes the viseme channels of a recording, at rest where it is quiet.

    Args:
        samples: mono, float32 `[samples]`.
        samplerate: their rate, in Hz.
        source: computes the channels.
        smoothing: standard deviation of smoothing over time, in seconds.
    """
    channels, names, rate = source(samples, samplerate)
    level = interval_loudness(samples, samplerate, rate, len(channels))
    gate = _gate(level, rate)
    smooth = np.asarray(channels, np.float64)
    if smoothing > 0 and len(smooth):
        smooth = ndimage.gaussian_filter1d(smooth, smoothing * rate, axis=0, mode="nearest")
    values = {name: smooth[:, index] * gate for index, name in enumerate(names)}
    if CLOSURE in values:
        values[CLOSURE] = channels[:, list(names).index(CLOSURE)] * gate  # smoothing would hide the shortest
    if CLOSURE not in values and "press" in values:
        values[CLOSURE] = np.clip((values["press"] / _PRESS_OF_P - _PRESS_FROM) / _PRESS_RANGE, 0, 1)
    if LABIODENTAL not in values and "roll_lower" in values:
        values[LABIODENTAL] = np.clip(values["roll_lower"] / _ROLL_OF_F, 0, 1)
    closures = find_closures(values.get(CLOSURE, np.zeros(0)), rate)
    return SpeechCurves(values, rate, closures, level)


def speech_weights(
    speech: SpeechCurves, times: Float64Array, *, strength: float, jaw: float, tongue: float
) -> tuple[Float64Array, Float64Array]:
    """The weights of shapes in plain speech, without contacts.

    Args:
        speech: the channels.
        times: of the frames, in seconds.
        strength: gain on all of the skin's shapes.
        jaw: gain on the jaw, on top of it.
        tongue: gain on the tongue.

    Returns:
        Weights `[frames, 52]` and of the tongue `[frames, 16]`, 0 or above.
    """
    skin = np.zeros((len(times), len(ARKIT_NAMES)))
    inside = np.zeros((len(times), len(TONGUE_NAMES)))
    for channel, shapes in SHAPES_OF.items():
        curve = np.maximum(speech.at(channel, times), 0)
        gain = strength * (jaw if channel.startswith("jaw") else 1.0)
        for shape in shapes:
            if shape in ARKIT_INDEX:
                skin[:, ARKIT_INDEX[shape]] += gain * curve
            else:
                inside[:, TONGUE_INDEX[shape]] += tongue * curve
    skin[:, ARKIT_INDEX["tongueOut"]] *= tongue
    return skin, np.clip(inside, 0, 1)


def _gate(level: Float64Array, rate: float) -> Float64Array:
    """0 in silence, 1 in speech and around it, `[steps]`."""
    if not len(level):
        return np.ones(0)
    loud = float(np.percentile(level, _LOUD_PERCENT))
    low, high = (max(loud + edge, _QUIETEST_DB) for edge in _GATE_DB)
    if loud <= _QUIETEST_DB:
        return np.zeros(len(level))
    around = ndimage.maximum_filter1d(level, 2 * round(_HOLD_SECONDS * rate) + 1, mode="nearest")
    openness = ease((around - low) / max(high - low, 1.0))
    return np.asarray(ndimage.gaussian_filter1d(openness, _GATE_SECONDS * rate / 2, mode="nearest"))
