"""Emotions over time from the logits of an emotion classifier: the post-processing of Audio2Emotion.

Formulas: contract of the Audio2Face-3D SDK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.special import softmax

from audio2face.animation.settings import check_range
from audio2face.errors import UserError
from audio2face.types import Float32Array, Float64Array, FloatArray

CLASSIFIED = ("angry", "disgust", "fear", "happy", "neutral", "sad")
"""Classes of the logits, in order."""
_MIN_TRANSITION = 1e-3  # seconds
_RANGES = {
    "emotion_contrast": (0.3, 3.0),
    "max_emotions": (0, len(CLASSIFIED)),
    "live_blend_coef": (0.0, 1.0),
    "preferred_emotion_strength": (0.0, 1.0),
    "transition_smoothing": (0.0, 60.0),
    "emotion_strength": (0.0, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class EmotionSettings:
    """Names are those of `post_processing_config`.

    Attributes:
        output_emotion_length: number of the face's emotions.
        emotion_correspondence: for each of `CLASSIFIED` the index of the face's emotion; -1: none.
        emotion_contrast: gain on the logits.
        max_emotions: number of strongest classified emotions that are kept.
        live_blend_coef: weight of the previous frame, 0 to 1.
        enable_preferred_emotion: whether `preferred_emotion` is mixed in.
        preferred_emotion_strength: its weight.
        transition_smoothing: time constant of a change, seconds.
        emotion_strength: gain on the result.
        preferred_emotion: `[output_emotion_length]`; empty: zeros.
        beginning_emotion: state before the first frame, `[output_emotion_length]`; empty: zeros.

    Raises:
        UserError: a value is out of its range, or a list has another length.
    """

    output_emotion_length: int
    emotion_correspondence: Sequence[int]
    emotion_contrast: float = 1.0
    max_emotions: int = len(CLASSIFIED)
    live_blend_coef: float = 0.7
    enable_preferred_emotion: bool = False
    preferred_emotion_strength: float = 0.5
    transition_smoothing: float = 0.5
    emotion_strength: float = 0.6
    preferred_emotion: Sequence[float] = ()
    beginning_emotion: Sequence[float] = ()

    def __post_init__(self) -> None:
        for name, limits in _RANGES.items():
            check_range(name, getattr(self, name), *limits)
        check_range("output_emotion_length", self.output_emotion_length, 1, 10_000)
        if len(self.emotion_correspondence) != len(CLASSIFIED):
            raise UserError(f"emotion_correspondence needs one value for each of {', '.join(CLASSIFIED)}")
        for name, number in zip(CLASSIFIED, self.emotion_correspondence, strict=True):
            check_range(f"emotion_correspondence of {name}", number, -1, self.output_emotion_length - 1)
        for name in ("preferred_emotion", "beginning_emotion"):
            values = getattr(self, name)
            if len(values) not in (0, self.output_emotion_length) or not np.isfinite(values).all():
                raise UserError(
                    f"{name} has {len(values)} values, expected {self.output_emotion_length} numbers or none"
                )


class EmotionPostProcess:
    """Converts logits to strengths of the face's emotions, frame by frame.

    Args:
        settings: the parameters.
        fps: frames per second.
    """

    def __init__(self, settings: EmotionSettings, fps: float | Fraction) -> None:
        self._settings = settings
        self._sources = np.flatnonzero(np.asarray(settings.emotion_correspondence) >= 0)
        self._slots = np.asarray(settings.emotion_correspondence)[self._sources]
        self._follow = min(float(1 / fps) / max(settings.transition_smoothing, _MIN_TRANSITION), 1.0)
        self._preferred = self._vector(settings.preferred_emotion)
        self.reset()

    def reset(self) -> None:
        """Clears the state."""
        self._working = self._vector(self._settings.beginning_emotion)
        self._live = self._working
        self._smooth: Float64Array | None = None

    def __call__(self, logits: FloatArray) -> Float32Array:
        """Processes the next frames.

        Args:
            logits: in the order of `CLASSIFIED`, `[frames, 6]`.

        Returns:
            Float32 `[frames, emotions of the face]`.
        """
        if logits.ndim != 2 or logits.shape[1] != len(CLASSIFIED):
            raise ValueError(f"logits have shape {list(logits.shape)}, expected [frames, {len(CLASSIFIED)}]")
        strengths = np.empty((len(logits), self._settings.output_emotion_length), np.float32)
        for row, classified in zip(strengths, self._classify(logits), strict=True):
            row[:] = self._next(classified)
        return strengths

    def _classify(self, logits: FloatArray) -> Float64Array:
        """Strengths of the classified emotions that the face has, `[frames, mapped]`; weak ones are zero."""
        shares = softmax(logits.astype(np.float64) * self._settings.emotion_contrast, axis=1)
        mapped = np.zeros_like(shares)
        mapped[:, self._sources] = shares[:, self._sources]
        weakest = np.argsort(mapped, axis=1, kind="stable")[:, : len(CLASSIFIED) - self._settings.max_emotions]
        np.put_along_axis(mapped, weakest, 0.0, axis=1)
        return mapped[:, self._sources]

    def _next(self, classified: Float64Array) -> Float64Array:
        settings = self._settings
        now = self._working.copy()  # unmapped emotions keep the value of the previous frame, strength included
        for slot, value in zip(self._slots, classified, strict=True):
            now[slot] = value
        now = self._live = (1 - settings.live_blend_coef) * now + settings.live_blend_coef * self._live
        if settings.enable_preferred_emotion:
            share = settings.preferred_emotion_strength
            now = (1 - share) * now + share * self._preferred
        if self._smooth is not None:
            now = self._follow * now + (1 - self._follow) * self._smooth
        self._smooth = now
        self._working = now * settings.emotion_strength
        return self._working

    def _vector(self, values: Sequence[float]) -> Float64Array:
        return np.array(values, np.float64) if len(values) else np.zeros(self._settings.output_emotion_length)
