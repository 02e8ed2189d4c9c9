"""Converts emotions to the vectors that networks take, with one rule for training, export and inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.errors import UserError
from audio2face.types import Float32Array

INERT_EMOTION = "inert"  # consumers of a model need at least one emotion; this one is untrained
NO_INDEX = -1


@dataclass(frozen=True)
class EmotionVectors:
    """The emotions with an input of their own, in order, and the emotion of the zero vector.

    Attributes:
        names: emotions with an input; never empty.
        zero: the emotion of the zero vector; None if every emotion has an input.
        is_inert: whether the vocabulary has only the zero emotion, so that `names` holds `INERT_EMOTION`.
    """

    names: tuple[str, ...]
    zero: str | None
    is_inert: bool = False

    @classmethod
    def from_vocabulary(cls, vocabulary: Sequence[str], zero: str | None) -> EmotionVectors:
        """Splits a vocabulary (SHOT_EMOTION_NAMES) into inputs and zero emotion (SHOT_EMOTION_NAME_FOR_ALL_ZEROS)."""
        names = tuple(name for name in vocabulary if name != zero)
        return cls(names or (INERT_EMOTION,), zero, is_inert=not names)

    def index(self, emotion: str) -> int:
        """Returns the index of an emotion's input, or `NO_INDEX` for the zero emotion.

        Raises:
            UserError: the emotion is not in the vocabulary.
        """
        if emotion == self.zero:
            return NO_INDEX
        if emotion not in self.names:
            known = [*([self.zero] if self.zero is not None else []), *self.names]
            raise UserError(
                f"the emotion {emotion!r} is unknown", hint=f"There are: {', '.join(known)} (SHOT_EMOTION_NAMES)."
            )
        return self.names.index(emotion)

    def vector(self, emotion: str) -> Float32Array:
        """Returns the vector of an emotion, float32 `[emotions]`: one-hot, or all zeros."""
        values = np.zeros(len(self.names), np.float32)
        index = self.index(emotion)
        if index != NO_INDEX:
            values[index] = 1.0
        return values
