"""Holds the mouth of a trained network at rest where nobody speaks: on a breath, a hum, noise, music.

The speech encoder `a2f-phonetic` tells speech from other sounds (`speech_guard`). It knows the level of a voice once
somebody has spoken; until then a loud breath is like a quiet voice. So it runs twice, and begins on either of two
grounds: speech that stands out from a usual level, or what sounds like speech beyond doubt at any level.

Frames are eased towards what the network itself does in silence, in the same emotion: a smile stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from audio2face.audio.mel import MEL_RATE
from audio2face.inference.sessions import NetworkTracks
from audio2face.inference.speech_guard import Onset, Pace, SpeechGuard
from audio2face.inference.visemes import VisemeStream
from audio2face.models.windows import WindowSchedule
from audio2face.phonetic.front_end import QUIETEST
from audio2face.phonetic.network import FIRST_SAMPLE, RECEPTIVE_SAMPLES, STEP_SAMPLES
from audio2face.types import Float32Array

_USUAL_LEVEL = 0.06  # mean power of mel bands; speech at -30 dB of full scale reaches it, recordings mostly exceed it
# At the usual level certain speech, or doubtful speech that lasts, as in noise; at that of the quietest, speech beyond
# doubt. Breath, hum and noise that are weaker than speech stay clear of all of them.
_ONSETS = (Onset(0.8, 5), Onset(0.5, 9), Onset(0.95, 9))
_LEVEL_OF_ONSET = (0, 0, 1)
_AGAIN = Onset(0.5, 1)  # within `_REMEMBERED` after speech, when the level of the voice is known
_REMEMBERED = 250  # steps, 5 s: the level that counts as known falls by 1.3 dB per second
_PACE = Pace(pause=16, opening=3, closing=12)  # slow to close: speakers breathe in with an open mouth
_HASTY = _PACE._replace(opening=1)
_MOST_AHEAD = 12  # steps: a mouth opens a quarter of a second before speech
_LEAST_AHEAD = 6  # steps: with fewer the first sound of an utterance is told from noise late, and the mouth hurries
_RESAMPLING = 0.02 * MEL_RATE  # samples that the filter for another rate holds back, at most
_ROUNDING = 2  # samples by which a frame's sample and the end of its window are rounded
_SETTLING = 3.0  # seconds of silence after which a network is at rest


class SpeechFollower:
    """How far a mouth may move at each frame of a network, from the network's own samples.

    Args:
        schedule: of the network. A frame depends on no sample after its window.
    """

    def __init__(self, schedule: WindowSchedule) -> None:
        self._to_mel = MEL_RATE / schedule.samplerate
        held_back = 0.0 if schedule.samplerate == MEL_RATE else _RESAMPLING
        # A frame lies between two steps; the second of them is known RECEPTIVE_SAMPLES after its own first sample.
        spare = schedule.least_lookahead * self._to_mel - held_back - _ROUNDING
        steps = math.floor((spare - FIRST_SAMPLE - RECEPTIVE_SAMPLES) / STEP_SAMPLES)
        self._ahead, self._lag = min(max(steps, 0), _MOST_AHEAD), max(-steps, 0)
        self._samplerate = schedule.samplerate
        self.restart()

    def restart(self) -> None:
        """Forgets everything: the next sample is the first one."""
        self._streams = [VisemeStream(self._samplerate, level) for level in (_USUAL_LEVEL, QUIETEST)]
        self._guard = SpeechGuard(
            self._ahead, _PACE if self._ahead >= _LEAST_AHEAD else _HASTY, _ONSETS, _AGAIN, _REMEMBERED
        )
        self._openness = np.zeros(0, np.float32)
        self._first = 0  # step of the first kept openness

    def push(self, samples: Float32Array) -> None:
        """Takes the next samples, float32 `[samples]` with full scale 1."""
        for stream in self._streams:
            stream.push(samples)
        self._follow()

    def finish(self) -> None:
        """Ends the sound: silence follows."""
        for stream in self._streams:
            stream.finish()
        self._follow()
        self._openness = np.concatenate([self._openness, self._guard.finish()])

    def at(self, timestamps: Sequence[int]) -> Float32Array:
        """How far the mouth may move at frames, 0 to 1, float32 `[frames]`.

        Args:
            timestamps: the sample that each frame describes, in order; windows of open sound end before its last
                sample.
        """
        if not len(self._openness):
            return np.zeros(len(timestamps), np.float32)  # less than a step of sound
        places = (np.array(timestamps) * self._to_mel - FIRST_SAMPLE) / STEP_SAMPLES - self._lag - self._first
        found = np.interp(places, np.arange(len(self._openness)), self._openness)
        spent = min(max(math.floor(places[-1]), 0), len(self._openness) - 1)
        self._openness, self._first = self._openness[spent:], self._first + spent
        return found.astype(np.float32)

    def _follow(self) -> None:
        speech = np.stack([self._streams[level].speech for level in _LEVEL_OF_ONSET], axis=1)
        self._openness = np.concatenate([self._openness, self._guard.push(speech)])


_Silent = Callable[[Float32Array], Float32Array]


class MouthGuard:
    """Eases the frames of one track towards rest where nobody speaks.

    Args:
        schedule: of the network.
        strength: 0 to 1: how far the mouth is held.
        rest: what the network gives in silence, `[values]`, for an emotion `[emotions]`.
    """

    def __init__(self, schedule: WindowSchedule, strength: float, rest: _Silent) -> None:
        self._strength, self._rest = np.float32(strength), rest
        self._follower = SpeechFollower(schedule)
        self.restart, self.push, self.finish = self._follower.restart, self._follower.push, self._follower.finish

    def prepare(self, emotion: Float32Array) -> None:
        """Computes the rest of an emotion `[emotions]`."""
        self._rest(emotion)

    def __call__(self, values: Float32Array, timestamps: Sequence[int], emotion: Float32Array) -> Float32Array:
        """Frames of network output with the mouth at rest where nobody speaks.

        Args:
            values: network output, `[frames, values]`.
            timestamps: the sample that each frame describes.
            emotion: of each frame, `[frames, emotions]`.

        Returns:
            `[frames, values]`; frames in which somebody speaks are the same, bit for bit.
        """
        held = self._strength * (1 - self._follower.at(timestamps))
        eased = np.flatnonzero(held)
        if not len(eased):
            return values
        guarded = values.copy()
        for frame in eased.tolist():
            guarded[frame] += held[frame] * (self._rest(emotion[frame]) - values[frame])
        return guarded


class SilentFaces:
    """What a network gives in silence, by emotion; kept as long as its graph.

    A mixture of emotions is at rest where the mixture of their faces is; each of them is computed once.

    Args:
        graph: the network, whose faces are shared by all that animate with it.
        settings: what else the faces depend on.
        compute: the face `[values]` in silence for an emotion `[emotions]`.
    """

    _kept: ClassVar[WeakKeyDictionary[object, dict[tuple[object, ...], Float32Array]]] = WeakKeyDictionary()

    def __init__(self, graph: object, settings: tuple[object, ...], compute: _Silent) -> None:
        self._faces = self._kept.setdefault(graph, {})
        self._settings, self._compute = settings, compute

    def __call__(self, emotion: Float32Array) -> Float32Array:
        """The face of an emotion `[emotions]`."""
        neutral = self._face(np.zeros_like(emotion))
        rest = neutral.copy()
        for index in np.flatnonzero(emotion).tolist():
            unit = np.zeros_like(emotion)
            unit[index] = 1
            rest += emotion[index] * (self._face(unit) - neutral)
        return rest

    def _face(self, emotion: Float32Array) -> Float32Array:
        key = (*self._settings, emotion.tobytes())
        if key not in self._faces:
            self._faces[key] = self._compute(emotion)
        return self._faces[key]


def settled_face(tracks: NetworkTracks, schedule: WindowSchedule, emotion: Float32Array) -> Float32Array:
    """Runs a network on silence until it is at rest.

    Args:
        tracks: the network, with one new track.
        schedule: of the network.
        emotion: `[emotions]`.

    Returns:
        The mean frame of the last window, float32 `[values]`.
    """
    silence = np.zeros((1, schedule.window), np.float32)
    felt = np.broadcast_to(emotion, (1, schedule.hop, len(emotion)))
    last = np.zeros(0, np.float32)
    for _ in range(max(2, math.ceil(_SETTLING * schedule.fps / schedule.hop))):
        before, last = last, tracks.run(silence, felt, np.ones(1, np.bool_))
        if np.array_equal(before, last):
            break
    return np.asarray(last[0].mean(axis=0), np.float32)
