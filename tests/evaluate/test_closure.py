"""Lips that meet on p, b and m, or do not."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.evaluate import ClosureScore, score_closure

FPS, REST = 30.0, 0.2
OPEN, SHUT = 1.0, 0.29  # centimetres: 8 and 0.9 mm above rest


def distance(*shut: int, frames: int = 30) -> np.ndarray:
    values = np.full(frames, OPEN)
    values[list(shut)] = SHUT
    return values


@pytest.mark.parametrize(
    ("shut", "closed"),
    [((10,), 1), ((9,), 1), ((12,), 1), ((8,), 0), ((13,), 0), ((), 0)],
)
def test_within_the_phone_and_a_frame_on_either_side(shut: tuple[int, ...], closed: int) -> None:
    phone = PhonemeTime("p", 10 / FPS, 12 / FPS)  # frames 10 and 11
    assert score_closure(distance(*shut), REST, [phone], FPS) == ClosureScore(1, closed)


def test_only_bilabials_within_the_animation_count() -> None:
    phones = [PhonemeTime(symbol, at, at + 0.05) for symbol, at in (("b", 0.0), ("a", 0.2), ("m", 0.5), ("p", 3.0))]
    score = score_closure(distance(0), REST, phones, FPS)
    assert score == ClosureScore(2, 1)
    assert (score + score).share == 0.5
    assert np.isnan(score_closure(distance(), REST, [], FPS).share)
