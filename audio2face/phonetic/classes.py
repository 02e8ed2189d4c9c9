"""Phonetic classes: how and where a sound is made, for every phone of the International Phonetic Alphabet.

A phone is a `Sound`: one class of each of six attributes. Sounds of all languages share these classes, so that an
encoder that tells them apart serves languages that it was not trained on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

MANNERS = (
    "silence", "stop", "affricate", "fricative", "nasal", "lateral", "rhotic", "glide", "vowel",
)  # fmt: skip
PLACES = (
    "none", "bilabial", "labiodental", "dental", "alveolar", "postalveolar", "palatal", "velar", "uvular", "glottal",
    "labiovelar",
)  # fmt: skip
VOICINGS = ("silence", "voiced", "voiceless")
HEIGHTS = ("none", "close", "close-mid", "mid", "open-mid", "open")
FRONTNESSES = ("none", "front", "central", "back")
ROUNDINGS = ("none", "spread", "rounded")

VISEME_CHANNELS = (
    "jaw", "jaw_forward", "lower", "upper", "funnel", "pucker", "smile", "stretch", "press", "roll_lower", "roll_upper",
    "shrug_lower", "tongue_out", "tip_up", "curl", "long", "narrow", "up", "down", "back", "wide",
    "closure", "labiodental",
)  # fmt: skip
"""The channels of visemes that the encoder computes: weights of the example's coarticulation rules
(`audio2face.example.visemes.SHAPES_OF` names the shapes of each), then how close the lips are to a closure (p, b, m)
and the lower lip to the teeth (f, v), from 0 to 1."""


class Sound(NamedTuple):
    """One sound as indices into the tables of this module."""

    manner: int
    place: int
    voicing: int
    height: int = 0
    frontness: int = 0
    rounding: int = 0


SILENT = Sound(0, 0, 0)


def _consonants() -> dict[str, Sound]:
    rows = {  # manner, place: voiceless, voiced
        ("stop", "bilabial"): ("p", "bɓ"),
        ("stop", "alveolar"): ("t", "dɗ"),
        ("stop", "postalveolar"): ("ʈ", "ɖ"),
        ("stop", "palatal"): ("c", "ɟʄ"),
        ("stop", "velar"): ("k", "ɡgɠ"),
        ("stop", "uvular"): ("q", "ɢ"),
        ("stop", "glottal"): ("ʔ", ""),
        ("affricate", "alveolar"): ("ʦ", "ʣ"),
        ("affricate", "postalveolar"): ("ʧ", "ʤ"),
        ("fricative", "bilabial"): ("ɸ", "β"),
        ("fricative", "labiodental"): ("f", "vʋ"),
        ("fricative", "dental"): ("θ", "ð"),
        ("fricative", "alveolar"): ("sɬ", "zɮ"),
        ("fricative", "postalveolar"): ("ʃʂɕ", "ʒʐʑ"),
        ("fricative", "palatal"): ("ç", "ʝ"),
        ("fricative", "velar"): ("x", "ɣ"),
        ("fricative", "uvular"): ("χħ", "ʁʕ"),
        ("fricative", "glottal"): ("h", "ɦ"),
        ("nasal", "bilabial"): ("", "m"),
        ("nasal", "labiodental"): ("", "ɱ"),
        ("nasal", "alveolar"): ("", "n"),
        ("nasal", "postalveolar"): ("", "ɳ"),
        ("nasal", "palatal"): ("", "ɲ"),
        ("nasal", "velar"): ("", "ŋɴ"),
        ("lateral", "alveolar"): ("", "lɫ"),
        ("lateral", "postalveolar"): ("", "ɭ"),
        ("lateral", "palatal"): ("", "ʎ"),
        ("lateral", "velar"): ("", "ʟ"),
        ("rhotic", "alveolar"): ("", "rɾɺ"),
        ("rhotic", "postalveolar"): ("", "ɹɻɽ"),
        ("rhotic", "uvular"): ("", "ʀ"),
        ("glide", "palatal"): ("", "j"),
        ("glide", "velar"): ("", "ɰ"),
    }
    found = {}
    for (manner, place), (voiceless, voiced) in rows.items():
        for letters, voicing in ((voiceless, "voiceless"), (voiced, "voiced")):
            sound = Sound(MANNERS.index(manner), PLACES.index(place), VOICINGS.index(voicing))
            found.update(dict.fromkeys(letters, sound))
    glide, rounded = MANNERS.index("glide"), ROUNDINGS.index("rounded")
    found["ɥ"] = Sound(glide, PLACES.index("palatal"), 1, rounding=rounded)
    found["w"] = found["ʍ"] = Sound(glide, PLACES.index("labiovelar"), 1, rounding=rounded)
    return found


def _vowels() -> dict[str, Sound]:
    rows = {  # height, frontness: spread, rounded
        ("close", "front"): ("i", "y"),
        ("close", "central"): ("ɨ", "ʉ"),
        ("close", "back"): ("ɯ", "u"),
        ("close-mid", "front"): ("ɪe", "ʏø"),
        ("close-mid", "central"): ("", "ɵ"),
        ("close-mid", "back"): ("ɤ", "ʊo"),
        ("mid", "central"): ("əɘɚɝɜᵻ", ""),
        ("open-mid", "front"): ("ɛ", "œ"),
        ("open-mid", "central"): ("", "ɞ"),
        ("open-mid", "back"): ("ʌ", "ɔ"),
        ("open", "front"): ("æ", "ɶ"),
        ("open", "central"): ("aɐ", ""),
        ("open", "back"): ("ɑ", "ɒ"),
    }
    vowel = MANNERS.index("vowel")
    return {
        letter: Sound(vowel, 0, 1, HEIGHTS.index(height), FRONTNESSES.index(frontness), rounding)
        for (height, frontness), sets in rows.items()
        for rounding, letters in enumerate(sets, start=1)
        for letter in letters
    }


_LETTERS: Mapping[str, Sound] = MappingProxyType(_consonants() | _vowels())
SOUNDS: tuple[Sound, ...] = (SILENT, *sorted(set(_LETTERS.values())))
ATTRIBUTES: Mapping[str, int] = MappingProxyType(
    {
        "manner": len(MANNERS),
        "place": len(PLACES),
        "voicing": len(VOICINGS),
        "height": len(HEIGHTS),
        "frontness": len(FRONTNESSES),
        "rounding": len(ROUNDINGS),
        "phone": len(SOUNDS),
    }
)
"""The classifications of each step, with their numbers of classes; `phone` is an index into `SOUNDS`."""
POSTERIORS = sum(ATTRIBUTES.values())

_PAIRS = {"tʃ": "ʧ", "tɕ": "ʧ", "tʂ": "ʧ", "dʒ": "ʤ", "dʑ": "ʤ", "dʐ": "ʤ", "ts": "ʦ", "dz": "ʣ"}
_SPELLINGS = {"ts.": "tʂ", "s.": "ʂ", "z.": "ʐ"}  # of eSpeak NG: retroflex
_OBSTRUENTS = frozenset((MANNERS.index("stop"), MANNERS.index("affricate")))
_MARKS = frozenset(("Mn", "Lm", "Nd", "Po", "Sk", "Pd"))  # Unicode categories: diacritics, length, tones, stress


def sounds_of(symbol: str) -> tuple[Sound, ...]:
    """Returns the sounds of a phone in IPA, in order: two of a diphthong, none of a symbol without a known letter.

    Stress, length, tones and other marks are ignored; an h behind a stop is its aspiration.
    """
    for spelling, letters in _SPELLINGS.items():
        symbol = symbol.replace(spelling, letters)
    # ç is a letter of its own; all other letters lose their marks.
    composed = unicodedata.normalize("NFC", symbol)
    parts = "".join(letter if letter in _LETTERS else unicodedata.normalize("NFD", letter) for letter in composed)
    letters = "".join(letter for letter in parts if unicodedata.category(letter) not in _MARKS)
    for pair, letter in _PAIRS.items():
        letters = letters.replace(pair, letter)
    sounds: list[Sound] = []
    for letter in letters:
        aspiration = letter == "h" and bool(sounds) and sounds[-1].manner in _OBSTRUENTS
        if letter in _LETTERS and not aspiration:
            sounds.append(_LETTERS[letter])
    return tuple(sounds)
