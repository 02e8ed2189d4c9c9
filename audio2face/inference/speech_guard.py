"""Whether somebody speaks: how far a mouth may move, from the encoder's probability of a speech sound at each step.

The mouth opens for speech that lasts, and stays free until some time after it: a click is no speech, and a stop, in
which there is silence, is. Between rest and motion it fades. Nothing depends on more of the future than the steps ahead
that are given, so a stream gets what a recording gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audio2face.example.visemes import ease
from audio2face.types import BoolArray, Float32Array, FloatArray

ENDS = 0.3  # probability: speech ends below it


class Pace(NamedTuple):
    """How fast a mouth follows, in steps.

    Attributes:
        pause: steps below `ENDS` before speech ends; the closure of a stop is shorter.
        opening: steps from rest to motion.
        closing: steps back.
    """

    pause: int = 8
    opening: int = 3
    closing: int = 8


class Onset(NamedTuple):
    """What begins speech.

    Attributes:
        probability: of a speech sound.
        steps: number of consecutive steps above it.
    """

    probability: float
    steps: int


USUAL_PACE, USUAL_ONSET = Pace(), Onset(0.5, 4)


class SpeechGuard:
    """Follows whether somebody speaks.

    Args:
        ahead: steps of the future that a step may depend on: so much earlier the mouth begins to move.
        pace: how fast the mouth follows.
        onsets: what begins speech, for each column of the probabilities; one of them is enough.
        again: what begins it, in the first column, within a time after speech.
        remembered: that time, in steps.
    """

    def __init__(
        self,
        ahead: int = 0,
        pace: Pace = USUAL_PACE,
        onsets: Sequence[Onset] = (USUAL_ONSET,),
        again: Onset = USUAL_ONSET,
        remembered: int = 0,
    ) -> None:
        self._ahead, self._pace, self._remembered = ahead, pace, remembered
        self._limits = np.array([*(onset.probability for onset in onsets), again.probability])
        self._steps = np.array([*(onset.steps for onset in onsets), again.steps])
        self._above = np.zeros(len(self._limits), int)  # steps above each limit
        self._speaking, self._below, self._share = False, 0, 0.0
        self._silent = remembered  # steps since speech
        self._waiting = np.zeros(0, bool)  # the last steps, which later ones may change

    def push(self, speech: FloatArray) -> Float32Array:
        """Returns how far the mouth may move at the steps that further probabilities complete.

        Args:
            speech: probabilities of a speech sound, `[steps]` or `[steps, columns]`.

        Returns:
            0 to 1, float32 `[steps]`.
        """
        rows = speech.reshape(len(speech), len(self._limits) - 1)
        decided = np.fromiter((self._follow(row) for row in rows), bool, len(rows))
        return self._released(np.concatenate([self._waiting, decided]), self._ahead)

    def finish(self) -> Float32Array:
        """Returns the last steps, as if silence followed."""
        return self._released(np.concatenate([self._waiting, np.zeros(self._ahead, bool)]), self._ahead)

    def _follow(self, speech: FloatArray) -> bool:
        """Whether somebody speaks, after one more step `[columns]`."""
        is_above = np.append(speech, speech[0]) > self._limits
        self._above = np.where(is_above, self._above + 1, 0)
        if self._speaking:
            self._below = self._below + 1 if speech.max() < ENDS else 0
            self._speaking, self._silent = self._below < self._pace.pause, 0
            return self._speaking
        begins = self._above >= self._steps
        self._silent += 1
        if begins[:-1].any() or (begins[-1] and self._silent <= self._remembered):
            self._speaking, self._below = True, 0
        return self._speaking

    def _released(self, decided: BoolArray, ahead: int) -> Float32Array:
        count = max(len(decided) - ahead, 0)
        self._waiting = decided[count:]
        shares = np.zeros(count)
        for step in range(count):
            is_free = decided[step : step + ahead + 1].any()
            towards = 1 / self._pace.opening if is_free else -1 / self._pace.closing
            self._share = min(max(self._share + towards, 0.0), 1.0)
            shares[step] = self._share
        return ease(shares).astype(np.float32)
