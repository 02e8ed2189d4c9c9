"""Phonetic classes and labels: known sounds, and labels at the time of their sound."""

from __future__ import annotations

import numpy as np
import pytest
from speech import SHOTS, speech

from audio2face.audio.mel import MEL_HOP
from audio2face.dataset.phoneme_times import SILENCE, PhonemeTime
from audio2face.example.visemes import SHAPES_OF, known_phones
from audio2face.phonetic.classes import (
    FRONTNESSES,
    HEIGHTS,
    MANNERS,
    PLACES,
    ROUNDINGS,
    SILENT,
    SOUNDS,
    VISEME_CHANNELS,
    VOICINGS,
    sounds_of,
)
from audio2face.phonetic.front_end import OVERLAP, POWER_FLOOR, mel_power
from audio2face.phonetic.network import STEP_SAMPLES
from audio2face.synthesis.labels import example_phone, label_steps

CHANNEL = {name: index for index, name in enumerate(VISEME_CHANNELS)}


def described(symbol: str) -> list[str]:
    tables = (MANNERS, PLACES, VOICINGS, HEIGHTS, FRONTNESSES, ROUNDINGS)
    return [
        " ".join(names[index] for names, index in zip(tables, sound, strict=True) if names[index] != "none")
        for sound in sounds_of(symbol)
    ]


@pytest.mark.parametrize(
    ("symbol", "sounds"),
    [
        ("p", ["stop bilabial voiceless"]),
        ("ˈbʰː", ["stop bilabial voiced"]),
        ("th", ["stop alveolar voiceless"]),  # aspirated
        ("ç", ["fricative palatal voiceless"]),
        ("s.", ["fricative postalveolar voiceless"]),  # eSpeak NG's retroflex
        ("ts.h", ["affricate postalveolar voiceless"]),
        ("dʒ", ["affricate postalveolar voiced"]),
        ("ɑ̃", ["vowel voiced open back spread"]),
        ("y5", ["vowel voiced close front rounded"]),
        ("aʊ", ["vowel voiced open central spread", "vowel voiced close-mid back rounded"]),
        ("w", ["glide labiovelar voiced rounded"]),
        ("?", []),
    ],
)
def test_sounds_of_known_phones(symbol: str, sounds: list[str]) -> None:
    assert described(symbol) == sounds


def test_every_sound_has_a_viseme_and_every_channel_its_shapes() -> None:
    phones = {example_phone(sound) for sound in SOUNDS}
    assert phones <= known_phones()
    assert [sound for sound in SOUNDS if example_phone(sound) == SILENCE] == [SILENT]
    assert set(VISEME_CHANNELS) - set(SHAPES_OF) == {"closure", "labiodental"}


def test_labels_follow_the_phones() -> None:
    times = [
        (SILENCE, 0.0, 0.2),
        ("f", 0.2, 0.4),
        ("aɪ", 0.4, 0.6),
        ("?", 0.6, 0.7),
        ("m", 0.7, 0.9),
        (SILENCE, 0.9, 1.0),
    ]
    labels = label_steps([PhonemeTime(*one) for one in times], 50)
    manners = [MANNERS[row[0]] for row in labels.classes]
    assert manners == ["silence"] * 10 + ["fricative"] * 10 + ["vowel"] * 15 + ["nasal"] * 10 + ["silence"] * 5
    heights = [HEIGHTS[row[3]] for row in labels.classes[20:35]]
    assert heights == ["open"] * 5 + ["close-mid"] * 10  # the unknown sound belongs to the second vowel
    assert np.flatnonzero(labels.channels[:, CHANNEL["closure"]] == 1).tolist() == list(range(35, 45))
    assert labels.channels[:, CHANNEL["labiodental"]][10:20].min() == 1
    assert labels.channels[25, CHANNEL["jaw"]] > 3 * labels.channels[40, CHANNEL["jaw"]]
    with pytest.raises(ValueError, match="without phones"):
        label_steps([], 3)


def test_labels_lie_at_the_time_of_their_sound() -> None:
    """The phone of a step explains most of the spectrum's variance when neither is shifted against the other."""
    mels, phones = [], []
    for shot in SHOTS:
        samples, times = speech(shot)
        steps = len(samples) // STEP_SAMPLES
        heard = np.pad(samples, (OVERLAP, 0))
        mels.append(np.log(mel_power(heard)[: 2 * steps] + POWER_FLOOR))
        phones.append(label_steps(times, steps).classes[:, 6])
    # Frame 2 k + 1 is centred 2.5 ms before the middle of step k.
    explained = {shift: _explained(mels, phones, 1 + shift) for shift in range(-4, 5)}
    assert max(explained, key=lambda shift: explained[shift]) == 0
    assert explained[0] > max(explained[-2], explained[2]) + 0.05


def _explained(mels: list[np.ndarray], phones: list[np.ndarray], offset: int) -> float:
    rows = [(2 * np.arange(len(one)) + offset).clip(0, 2 * len(one) - 1) for one in phones]
    values = np.concatenate([mel[row] for mel, row in zip(mels, rows, strict=True)])
    groups = np.concatenate(phones)
    within = sum(((values[groups == g] - values[groups == g].mean(0)) ** 2).sum() for g in np.unique(groups))
    return float(1 - within / ((values - values.mean(0)) ** 2).sum())


def test_a_frame_is_ten_milliseconds() -> None:
    samples = np.zeros(OVERLAP + 50 * MEL_HOP, np.float32)
    samples[OVERLAP + 20 * MEL_HOP] = 1  # the first of frame 20's own samples
    loud = np.flatnonzero(mel_power(samples).sum(1) > 0)
    assert loud.tolist() == [20, 21]
