"""Which sounds of speech takes contain, as the encoder a2f-phonetic detects them, and which to record next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from audio2face.inference.visemes import recorded_sounds
from audio2face.phonetic.classes import SOUNDS, sounds_of
from audio2face.types import Float32Array

FEWEST = 5
"""Times that a sound should occur, so that a network can learn its shape."""
_SHORTEST = 2  # steps of 20 ms: less is a slip of the encoder
# Sounds of English with words that are full of them.
_WORDS: Mapping[str, str] = {
    "p": "pepper, apple", "b": "baby, rubber", "m": "mama, summer", "f": "coffee, fifty", "v": "never, vivid",
    "θ": "think, bath", "ð": "this, mother", "t": "total, better", "d": "daddy, ready", "s": "sister, lesson",
    "z": "zebra, busy", "n": "nine, dinner", "l": "yellow, lily", "ʃ": "shell, fashion", "ʒ": "measure, vision",
    "ʧ": "church, teacher", "ʤ": "judge, magic", "ɹ": "red, sorry", "j": "yes, onion", "w": "we, away",
    "k": "cake, pocket", "ɡ": "giggle, sugar", "ŋ": "singing, long", "h": "happy, behind",
    "i": "see, machine", "ɪ": "sit, busy", "ɛ": "bed, many", "æ": "cat, happy", "ɑ": "father, car", "ɔ": "law, born",
    "ʊ": "book, could", "u": "blue, moon", "ʌ": "cup, money", "ə": "about, sofa",
}  # fmt: skip


def _sounds_of_english() -> dict[int, str]:
    """Letters that stand for each sound of English, by index into `SOUNDS`."""
    found: dict[int, str] = {}
    for letter in _WORDS:
        index = SOUNDS.index(sounds_of(letter)[0])
        found[index] = f"{found[index]} {letter}" if index in found else letter
    return found


ENGLISH: Mapping[int, str] = _sounds_of_english()


def count_sounds(samples: Float32Array, samplerate: int) -> Counter[str]:
    """How often each sound of English occurs in a recording, by its letters.

    Args:
        samples: mono, float32 `[samples]`.
        samplerate: their rate, in Hz.
    """
    detected = recorded_sounds(samples, samplerate)
    edges = np.flatnonzero(np.diff(detected, prepend=-1, append=-1))
    lengths = np.diff(edges)
    runs = detected[edges[:-1]][lengths >= _SHORTEST]
    return Counter(ENGLISH[index] for index in runs.tolist() if index in ENGLISH)


def rare_sounds(counts: Mapping[str, int]) -> list[str]:
    """Sounds of English that occur too rarely, the rarest first."""
    rare = [letters for letters in ENGLISH.values() if counts.get(letters, 0) < FEWEST]
    return sorted(rare, key=lambda letters: counts.get(letters, 0))


def words_with(letters: str) -> str:
    """Words that have a sound."""
    return ", ".join(_WORDS[letter] for letter in letters.split())
