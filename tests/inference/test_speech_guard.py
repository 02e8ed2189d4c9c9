"""The guard of speech: what opens a mouth, what does not, and that no step depends on what is out of its sight."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.inference.speech_guard import USUAL_ONSET, USUAL_PACE, SpeechGuard
from audio2face.types import Float32Array

SHORTEST = USUAL_ONSET.steps
PAUSE, OPENING, CLOSING = USUAL_PACE


def openness(speech: Float32Array, ahead: int = 0) -> Float32Array:
    guard = SpeechGuard(ahead)
    return np.concatenate([guard.push(speech), guard.finish()])


def steps(*runs: tuple[float, int]) -> Float32Array:
    return np.concatenate([np.full(count, value, np.float32) for value, count in runs])


def test_a_click_opens_nothing_and_a_word_does() -> None:
    assert openness(steps((0, 20), (1, SHORTEST - 1), (0, 20))).max() == 0
    opened = openness(steps((0, 20), (1, 20), (0, 40)))
    assert np.flatnonzero(opened)[0] == 20 + SHORTEST - 1
    assert opened[20 + SHORTEST + OPENING] == 1
    assert np.flatnonzero(opened)[-1] == 40 + PAUSE + CLOSING - 3  # it fades
    assert (np.diff(opened[40:]) <= 0).all()


def test_a_stop_is_part_of_speech() -> None:
    opened = openness(steps((1, 20), (0, PAUSE - 1), (1, 20)))
    assert opened[SHORTEST + OPENING :].min() == 1


def test_doubt_changes_nothing() -> None:
    """Between both thresholds a mouth at rest stays at rest, and one that moves keeps moving."""
    assert openness(steps((0.4, 50))).max() == 0
    assert openness(steps((1, 20), (0.4, 50)))[20:].min() == 1


@pytest.mark.parametrize("ahead", [0, 5])
def test_steps_know_nothing_beyond_the_steps_ahead(ahead: int) -> None:
    rng = np.random.default_rng(0)
    speech = np.repeat(rng.random(60), 5).astype(np.float32)
    whole = openness(speech, ahead)
    guard, parts, start = SpeechGuard(ahead), [], 0
    for length in (1, 0, 7, 100, 3, 189):
        parts.append(guard.push(speech[start : start + length]))
        start += length
        assert sum(map(len, parts)) == max(start - ahead, 0)
    np.testing.assert_array_equal(np.concatenate([*parts, guard.finish()]), whole)
    changed = speech.copy()
    changed[200:] = 1 - changed[200:]
    np.testing.assert_array_equal(openness(changed, ahead)[: 200 - ahead], whole[: 200 - ahead])
    assert len(whole) == len(speech)


def test_the_mouth_moves_before_speech_by_the_steps_ahead() -> None:
    speech = steps((0, 30), (1, 30))
    late, early = (np.flatnonzero(openness(speech, ahead))[0] for ahead in (0, 6))
    assert late - early == 6
