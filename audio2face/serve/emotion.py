"""The emotion of one stream: keys arrive with the sound, in any order, and the face follows them smoothly."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence

import numpy as np

from audio2face.errors import UserError
from audio2face.inference.emotion import EmotionCurve, EmotionNames
from audio2face.serve.parameters import EmotionTuning, strengths
from audio2face.types import Float32Array, Float64Array

_MOST_KEYS = 100_000


class RequestedEmotion(EmotionCurve):
    """Emotion of a stream over time: linear between keys, then smoothed as the SDK does (`a = w a + (1 - w) previous`).

    A key before what is already animated counts from now on; one beyond the longest stream counts at its end.

    Args:
        names: of the model's emotions.
        default: the model's own emotion.
        tuning: how emotions are applied.
        longest: the latest time of a key, seconds.

    Attributes:
        unknown: names that the client gave and the model lacks.
    """

    def __init__(self, names: EmotionNames, tuning: EmotionTuning, longest: float) -> None:
        super().__init__(len(names.names))
        self.unknown: set[str] = set()
        self._names, self._tuning, self._latest = names, tuning, round(longest * names.samplerate)
        self._default = np.array(names.default, np.float64)
        self._keys: list[tuple[int, Float64Array]] = []
        self._beginning = self._default
        if tuning.beginning and (known := self._vector(tuning.beginning)) is not None:
            self._beginning = known
        self._last: int | None = None  # sample that was asked for last
        self._smoothed = self._scaled(self._beginning)

    @property
    def defined_until(self) -> float:
        """Always: keys may come at any time, and the last one holds."""
        return math.inf

    def request(self, seconds: float, emotion: Mapping[str, float]) -> None:
        """Adds a key.

        Args:
            seconds: its time.
            emotion: strengths by the client's names; names that the model lacks are ignored.

        Raises:
            UserError: the time is no number, a strength is out of range, or there are too many keys.
        """
        if not math.isfinite(seconds):
            raise UserError(f"the time of an emotion is {seconds}, expected seconds")
        if len(self._keys) >= _MOST_KEYS:
            raise UserError(f"there are more than {_MOST_KEYS:,} emotions")
        vector = self._vector(strengths(emotion))
        if vector is None:
            return
        first = 0 if self._last is None else self._last
        sample = min(max(round(min(seconds, 1e6) * self._names.samplerate), first), self._latest)
        place = bisect.bisect_left(self._keys, sample, key=lambda key: key[0])
        if place < len(self._keys) and self._keys[place][0] == sample:
            self._keys[place] = (sample, vector)
        else:
            self._keys.insert(place, (sample, vector))

    def requested(self, seconds: float) -> Float64Array:
        """What the client asks for at a time, `[emotions]`."""
        return self._between(round(seconds * self._names.samplerate))

    def at(self, samples: Sequence[int]) -> Float32Array:
        """The emotion at samples in order, float32 `[len(samples), emotions]`."""
        values = np.array([self._follow(sample) for sample in samples], np.float32)
        return values.reshape(-1, self.num_emotions)

    def _follow(self, sample: int) -> Float64Array:
        goal = self._scaled(self._between(max(sample, 0)))
        if self._last is None:
            self._smoothed = goal
        elif goal is not self._smoothed:  # as long as the model's own emotion holds, they are one
            passed = max(sample - self._last, 0) / self._names.samplerate
            share = min(passed / max(self._tuning.transition, 1e-3), 1.0)
            self._smoothed = share * goal + (1 - share) * self._smoothed
        self._last = max(sample, self._last or 0)
        return self._smoothed

    def _between(self, sample: int) -> Float64Array:
        """Linear between the keys; the beginning emotion before the first, which it leaves at once."""
        after = bisect.bisect_right(self._keys, sample, key=lambda key: key[0])
        if after == 0:
            return self._beginning
        if after == len(self._keys):
            return self._keys[-1][1]
        (start, before), (stop, behind) = self._keys[after - 1], self._keys[after]
        share = (sample - start) / (stop - start)
        return (1 - share) * before + share * behind

    def _scaled(self, vector: Float64Array) -> Float64Array:
        if vector is self._default:  # nobody asked: the model's own
            return vector
        return vector * (self._tuning.strength * self._tuning.preferred)

    def _vector(self, emotion: Mapping[str, float]) -> Float64Array | None:
        """The model's vector; None where the model has none of the names."""
        known: dict[str, float] = {}
        for name, value in emotion.items():
            try:
                known[self._names.canonical_name(name)] = value
            except UserError:
                self.unknown.add(name[:80])
        if emotion and not known:
            return None
        return np.array(self._names.vector(known), np.float64)
