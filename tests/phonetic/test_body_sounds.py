"""Sounds of a person who does not speak: a voice hums on a pitch, air has none, and each run makes the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audio2face.audio.mel import MEL_RATE
from audio2face.synthesis.body_sounds import breath, humming, smack, sniff
from audio2face.types import Float64Array

Maker = Callable[[np.random.Generator, Float64Array], Float64Array]
TIMES = np.arange(5 * MEL_RATE) / MEL_RATE


def periodicity(sound: Float64Array) -> float:
    """The largest correlation of the loudest 40 ms with themselves, moved by a period of 70 to 500 Hz."""
    count = MEL_RATE // 25
    loudest = int(np.argmax(np.convolve(np.square(sound), np.ones(count), "same")))
    start = min(max(loudest - count, 0), len(sound) - 3 * count)
    part = sound[start : start + 2 * count]
    return max(
        float(np.corrcoef(part[:count], part[lag : lag + count])[0, 1])
        for lag in range(MEL_RATE // 500, MEL_RATE // 70)
    )


@pytest.mark.parametrize(("maker", "voiced"), [(breath, False), (sniff, False), (humming, True)])
def test_only_humming_has_a_voice(maker: Maker, voiced: bool) -> None:
    found = [periodicity(maker(np.random.default_rng(seed), TIMES)) for seed in range(10)]
    assert (np.median(found) > 0.9) == voiced, found


@pytest.mark.parametrize("maker", [breath, sniff, smack, humming])
def test_sounds_are_different_and_the_same_in_every_run(maker: Maker) -> None:
    one, again, other = (maker(np.random.default_rng(seed), TIMES) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    for sound in (one, other):
        assert sound.shape == TIMES.shape
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() > 0.05
