"""Labels per step of 20 ms: phonetic classes and viseme channels, from the times of phones.

A step's labels hold at its middle, (k + 0.5) / 50 s. Visemes follow the example's rules of coarticulation; a phone of
another language takes the viseme of the English phone that lips, jaw and tongue shape most like it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.dataset.arkit_names import ARKIT_INDEX, TONGUE_INDEX
from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.example.contact import contacts
from audio2face.example.sentences import SILENCE, Phone
from audio2face.example.visemes import BILABIALS, LABIODENTALS, SHAPES_OF, articulate
from audio2face.phonetic.classes import (
    FRONTNESSES,
    HEIGHTS,
    MANNERS,
    PLACES,
    ROUNDINGS,
    SILENT,
    SOUNDS,
    VISEME_CHANNELS,
    Sound,
    sounds_of,
)
from audio2face.types import Float32Array, Float64Array

STEPS_PER_SECOND = 50

_CURVES = VISEME_CHANNELS[: VISEME_CHANNELS.index("closure")]
_VOWELS = {  # height, frontness: spread, rounded
    ("close", "front"): ("i", "u"),
    ("close", "central"): ("ɪ", "u"),
    ("close", "back"): ("ɪ", "u"),
    ("close-mid", "front"): ("ɪ", "u"),
    ("close-mid", "central"): ("ə", "ʊ"),
    ("close-mid", "back"): ("ə", "ʊ"),
    ("mid", "central"): ("ə", "ɔ"),
    ("open-mid", "front"): ("ɛ", "ɔ"),
    ("open-mid", "central"): ("ʌ", "ɔ"),
    ("open-mid", "back"): ("ʌ", "ɔ"),
    ("open", "front"): ("æ", "ɔ"),
    ("open", "central"): ("ɑ", "ɔ"),
    ("open", "back"): ("ɑ", "ɔ"),
}
_BY_PLACE = {"labiodental": "f", "dental": "θ"}
_CONSONANTS = {
    "stop": {"bilabial": "p", "alveolar": "t", "postalveolar": "t", "palatal": "j", "velar": "k", "uvular": "k"},
    "affricate": {"alveolar": "s", "postalveolar": "ʧ"},
    "fricative": {"bilabial": "f", "alveolar": "s", "postalveolar": "ʃ", "palatal": "j", "velar": "k"},
    "nasal": {"bilabial": "m", "alveolar": "n", "postalveolar": "n", "palatal": "j", "velar": "ŋ"},
    "lateral": {"alveolar": "l", "postalveolar": "l", "palatal": "j", "velar": "l"},
    "rhotic": {"alveolar": "ɾ", "postalveolar": "ɹ", "uvular": "k"},
    "glide": {"palatal": "j", "velar": "h", "labiovelar": "w"},
}


@dataclass(frozen=True)
class StepLabels:
    """Labels of one recording.

    Attributes:
        classes: uint8 `[steps, 7]`: manner, place, voicing, height, frontness, rounding, and the index into `SOUNDS`.
        channels: float32 `[steps, channels]`, those of `VISEME_CHANNELS`.
    """

    classes: npt.NDArray[np.uint8]
    channels: Float32Array


@dataclass(frozen=True)
class _Span:
    sound: Sound
    start: float
    end: float


def label_steps(phones: Sequence[PhonemeTime], steps: int) -> StepLabels:
    """Labels the first steps of a recording.

    A phone of several sounds, such as a diphthong, is divided equally among them; a phone without a known letter
    belongs to the phone before.

    Args:
        phones: without gaps, from 0 to the end.
        steps: number of steps.

    Raises:
        ValueError: there is no phone.
    """
    spans = _spans(phones)
    if not spans:
        raise ValueError("a recording without phones has no labels")
    middles = (np.arange(steps) + 0.5) / STEPS_PER_SECOND
    at = np.searchsorted([span.end for span in spans], middles, side="right").clip(max=len(spans) - 1)
    rows = np.array([(*span.sound, SOUNDS.index(span.sound)) for span in spans], np.uint8)
    return StepLabels(rows[at], viseme_curves(spoken_phones(phones), steps))


def spoken_phones(phones: Sequence[PhonemeTime]) -> tuple[Phone, ...]:
    """Converts phones of any language to phones of the example's viseme rules, without gaps."""
    return tuple(Phone(example_phone(span.sound), span.start, span.end) for span in _spans(phones))


def viseme_curves(phones: Sequence[Phone], steps: int, rate: float = STEPS_PER_SECOND) -> Float32Array:
    """Computes the channels of visemes, float32 `[steps, channels]`, those of `VISEME_CHANNELS`.

    Args:
        phones: of the example, without gaps.
        steps: number of steps.
        rate: steps per second.
    """
    skin, tongue = articulate(phones, steps, rate)
    curves = []
    for name in _CURVES:
        shape = SHAPES_OF[name][0]
        curves.append(skin[:, ARKIT_INDEX[shape]] if shape in ARKIT_INDEX else tongue[:, TONGUE_INDEX[shape]])
    touching = [_closeness(phones, symbols, steps, rate) for symbols in (BILABIALS, LABIODENTALS)]
    return np.stack([*curves, *touching], axis=1).astype(np.float32)


def example_phone(sound: Sound) -> str:
    """Returns the phone of the example's viseme rules that looks most like a sound."""
    manner, place = MANNERS[sound.manner], PLACES[sound.place]
    if sound == SILENT:
        return SILENCE
    if manner == "vowel":
        rounded = sound.rounding == ROUNDINGS.index("rounded")
        return _VOWELS[HEIGHTS[sound.height], FRONTNESSES[sound.frontness]][rounded]
    if manner == "glide" and place == "palatal" and sound.rounding:
        return "u"
    return _BY_PLACE.get(place) or _CONSONANTS[manner].get(place) or ("k" if place == "uvular" else "h")


def _spans(phones: Sequence[PhonemeTime]) -> list[_Span]:
    spans: list[_Span] = []
    for phone in phones:
        sounds = (SILENT,) if phone.symbol == SILENCE else sounds_of(phone.symbol)
        if not sounds and spans:
            spans[-1] = _Span(spans[-1].sound, spans[-1].start, phone.end)
        edges = np.linspace(phone.start, phone.end, len(sounds) + 1)
        spans += [_Span(sound, float(a), float(b)) for sound, a, b in zip(sounds, edges, edges[1:], strict=False)]
    return spans


def _closeness(phones: Sequence[Phone], symbols: frozenset[str], steps: int, rate: float) -> Float64Array:
    found = contacts(phones, symbols, steps, rate)
    closeness: Float64Array = np.max([np.zeros(steps), *(contact.closeness for contact in found)], axis=0)
    return closeness
