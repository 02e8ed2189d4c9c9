"""Whether somebody speaks: how far a mouth may move, from the encoder's probability of a speech sound at each step.

The mouth opens for speech that lasts, and stays free until some time after it: a click is no speech, and a stop, in
which there is silence, is. Between rest and motion it fades. Nothing depends on more of the future than the steps ahead
that are given, so a stream gets what a recording gets.
"""

from __future__ import annotations

import numpy as np

from audio2face.example.visemes import ease
from audio2face.types import BoolArray, Float32Array

BEGINS, ENDS = 0.5, 0.3  # probabilities: speech begins above the first, and ends below the second
SHORTEST = 4  # steps above the first before speech begins
PAUSE = 8  # steps below the second before it ends; the closure of a stop is shorter
OPENING, CLOSING = 3, 8  # steps that the mouth takes from rest to motion and back


class SpeechGuard:
    """Follows whether somebody speaks.

    Args:
        ahead: steps of the future that a step may depend on: so much earlier the mouth begins to move.
    """

    def __init__(self, ahead: int = 0) -> None:
        self._ahead = ahead
        self._speaking, self._counted, self._share = False, 0, 0.0
        self._waiting = np.zeros(0, bool)  # the last steps, which later ones may change

    def push(self, speech: Float32Array) -> Float32Array:
        """Returns how far the mouth may move, 0 to 1, `[steps]`, at the steps that further probabilities complete."""
        decided = np.fromiter((self._follow(float(value)) for value in speech), bool, len(speech))
        return self._released(np.concatenate([self._waiting, decided]), self._ahead)

    def finish(self) -> Float32Array:
        """Returns the last steps, as if silence followed."""
        return self._released(np.concatenate([self._waiting, np.zeros(self._ahead, bool)]), self._ahead)

    def _follow(self, value: float) -> bool:
        """Whether somebody speaks, after one more step."""
        leaves = value < ENDS if self._speaking else value > BEGINS
        self._counted = self._counted + 1 if leaves else 0
        if self._counted == (PAUSE if self._speaking else SHORTEST):
            self._speaking, self._counted = not self._speaking, 0
        return self._speaking

    def _released(self, decided: BoolArray, ahead: int) -> Float32Array:
        count = max(len(decided) - ahead, 0)
        self._waiting = decided[count:]
        shares = np.zeros(count)
        for step in range(count):
            towards = 1 / OPENING if decided[step : step + ahead + 1].any() else -1 / CLOSING
            self._share = min(max(self._share + towards, 0.0), 1.0)
            shares[step] = self._share
        return ease(shares).astype(np.float32)
