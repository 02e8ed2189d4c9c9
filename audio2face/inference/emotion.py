"""How strong each emotion is at each moment of a recording: constant, or keys with straight lines between them.

Knows samples and vectors. Names, files and the command line are the business of `emotion_files`.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError

Float32Array = npt.NDArray[np.float32]


class EmotionCurve:
    """Keys in the order of time; a stream adds them as it goes, and closes the curve after the last.

    Before the first key the curve is as there; after the last one too, once it is closed. Until then nothing is known
    of what comes after, and an executor waits.

    Args:
        num_emotions: values of a key.
    """

    def __init__(self, num_emotions: int) -> None:
        self.num_emotions = num_emotions
        self._samples: list[int] = []
        self._vectors: list[npt.NDArray[np.float64]] = []
        self._closed = False

    @classmethod
    def constant(cls, vector: Sequence[float] | Float32Array) -> EmotionCurve:
        """A closed curve that stays as it is.

        Raises:
            UserError: a value is not within 0 to 1.
        """
        return cls.of([(0, vector)], len(vector))

    @classmethod
    def of(cls, keys: Iterable[tuple[int, Sequence[float] | Float32Array]], num_emotions: int) -> EmotionCurve:
        """A closed curve through keys of (sample, vector).

        Raises:
            UserError: as `add` and `close`.
        """
        curve = cls(num_emotions)
        for sample, vector in keys:
            curve.add(sample, vector)
        curve.close()
        return curve

    def add(self, sample: int, vector: Sequence[float] | Float32Array) -> None:
        """Adds a key.

        Args:
            sample: when, in samples from the start of the recording, after all keys before.
            vector: `[num_emotions]`, each from 0 to 1.

        Raises:
            UserError: the key does not come after the last one, or a value is out of range.
            ValueError: the curve is closed, or the vector has another length.
        """
        values = np.array(vector, np.float64)
        if self._closed or values.shape != (self.num_emotions,):
            raise ValueError(
                f"closed: {self._closed}; a vector of shape {values.shape} for {self.num_emotions} emotions"
            )
        if self._samples and sample <= self._samples[-1]:
            raise UserError(f"the emotion key at sample {sample} comes after that at sample {self._samples[-1]}")
        if not ((values >= 0) & (values <= 1)).all():
            raise UserError(f"the emotion key at sample {sample} has the values {values.tolist()}: expected 0 to 1")
        self._samples.append(sample)
        self._vectors.append(values)

    def close(self) -> None:
        """Tells that no key follows.

        Raises:
            UserError: there is no key at all.
        """
        if not self._samples:
            raise UserError("an emotion curve needs one key at least")
        self._closed = True

    @property
    def known_until(self) -> float:
        """The last sample at which the curve is known, infinity once it is closed."""
        if self._closed:
            return math.inf
        return self._samples[-1] if self._samples else -math.inf

    def at(self, samples: Sequence[int]) -> Float32Array:
        """The emotion at some moments, float32 `[len(samples), num_emotions]`.

        Raises:
            ValueError: a moment lies after `known_until`.
        """
        if samples and max(samples) > self.known_until:
            raise ValueError(f"asked for sample {max(samples)}, known until {self.known_until}")
        values = np.array([self._at(sample) for sample in samples], np.float32)
        return values.reshape(-1, self.num_emotions)

    def _at(self, sample: int) -> npt.NDArray[np.float64]:
        after = bisect.bisect_right(self._samples, sample)
        if after in (0, len(self._samples)):
            return self._vectors[min(after, len(self._samples) - 1)]
        before = self._samples[after - 1]
        share = (sample - before) / (self._samples[after] - before)
        return (1 - share) * self._vectors[after - 1] + share * self._vectors[after]
