"""The post-process of Audio2Emotion, for given logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audio2face.animation import EmotionPostProcess, EmotionSettings
from audio2face.errors import UserError

SETTINGS = EmotionSettings(
    output_emotion_length=10,
    emotion_correspondence=(1, 3, 4, 6, -1, 9),
    emotion_contrast=1.2,
    max_emotions=3,
    live_blend_coef=0.7,
    enable_preferred_emotion=True,
    preferred_emotion_strength=0.25,
    transition_smoothing=0.5,
    emotion_strength=0.6,
    preferred_emotion=(0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
    beginning_emotion=(0.4, 0, 0, 0, 0, 0, 0, 0, 0, 0.2),
)
LOGITS = np.array([[2, 0.1, -1, 0.5, 3, 0.2], [1, 1.5, -0.5, 2, 0, -1], [0.3, 0.2, 0.1, 0, -0.1, 2.5]])


def test_golden() -> None:
    expected = [
        [0.180000, 0.028539, 0, 0, 0, 0, 0.154717, 0, 0, 0.066291],
        [0.178020, 0.029312, 0, 0.002448, 0, 0, 0.159083, 0, 0, 0.064965],
        [0.174768, 0.029730, 0, 0.004441, 0, 0, 0.161754, 0, 0, 0.069805],
    ]
    process = EmotionPostProcess(SETTINGS, 30)
    for _ in range(2):
        np.testing.assert_allclose(process(LOGITS), expected, atol=1e-6)
        process.reset()
    singly = np.concatenate([process(LOGITS[index : index + 1]) for index in range(3)])
    process.reset()
    np.testing.assert_array_equal(singly, process(LOGITS))


def test_without_history_the_emotions_are_those_classified() -> None:
    plain = EmotionSettings(
        output_emotion_length=3,
        emotion_correspondence=(2, -1, -1, 0, -1, -1),
        live_blend_coef=0.0,
        transition_smoothing=0.0,
        emotion_strength=1.0,
    )
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = np.stack([shares[:, 3], np.zeros(3), shares[:, 0]], axis=1)
    np.testing.assert_allclose(EmotionPostProcess(plain, 30)(LOGITS), expected, rtol=1e-6)
    silent = EmotionPostProcess(replace(plain, max_emotions=0), 30)(LOGITS)
    assert not silent.any()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"emotion_strength": 1.5}, "emotion_strength is 1.5, expected a number from 0 to 1"),
        ({"emotion_correspondence": (1, 3, 4, 6, -1)}, "one value for each of angry"),
        ({"emotion_correspondence": (1, 3, 4, 6, -1, 10)}, "emotion_correspondence of sad is 10"),
        ({"preferred_emotion": (1.0,)}, "preferred_emotion has 1 values, expected 10"),
        ({"beginning_emotion": (np.nan,) * 10}, "beginning_emotion"),
    ],
)
def test_what_is_refused(changed: dict[str, object], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        replace(SETTINGS, **changed)  # type: ignore[arg-type]


def test_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \[frames, 6\]"):
        EmotionPostProcess(SETTINGS, 30)(LOGITS[:, :5])
