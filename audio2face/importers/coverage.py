"""Which sounds of speech takes contain, as the encoder a2f-phonetic detects them, and which to record next.

The encoder tells single sounds apart less well than places of articulation, and some sounds (θ, ŋ, æ, ...) it takes for
their neighbours. Sounds are therefore counted in groups that look alike on a face.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from audio2face.inference.visemes import recorded_sounds
from audio2face.phonetic.classes import SOUNDS, sounds_of
from audio2face.types import Float32Array

FEWEST = 20
"""Times that a group of sounds should occur, so that a network can learn its shape."""
_SHORTEST = 2  # steps of 20 ms: less is a slip of the encoder
# Of each group: the letters that the encoder detects for its sounds, and words that are full of them.
_GROUPS: Mapping[str, tuple[str, str]] = {
    "p b m": ("pbmɸβ", "pepper, baby, summer"),
    "f v": ("fvɱ", "coffee, never"),
    "θ ð t d n s z": ("θðtdnszʦʣ", "think, better, dinner, lesson"),
    "l": ("l", "yellow, lily"),
    "ʃ ʒ ʧ ʤ": ("ʃʒʧʤç", "shell, measure, church, judge"),
    "ɹ": ("ɹr", "red, sorry"),
    "k ɡ ŋ h": ("kɡŋhx", "cake, giggle, singing, happy"),
    "j i ɪ": ("jiɪ", "yes, see, busy"),
    "w u": ("wu", "away, blue, moon"),
    "ʊ ɔ": ("ʊɔɒ", "book, law, born"),
    "ɛ ə": ("ɛə", "bed, many, about"),
    "æ ɑ ʌ": ("æɑʌa", "cat, father, cup"),
}
ENGLISH = tuple(_GROUPS)
"""The groups, by the sounds of English in them."""
_GROUP_OF: Mapping[int, str] = {
    SOUNDS.index(sounds_of(letter)[0]): group for group, (letters, _) in _GROUPS.items() for letter in letters
}


def count_sounds(samples: Float32Array, samplerate: int) -> Counter[str]:
    """How often each group of sounds occurs in a recording.

    Args:
        samples: mono, float32 `[samples]`.
        samplerate: their rate, in Hz.
    """
    detected = recorded_sounds(samples, samplerate)
    edges = np.flatnonzero(np.diff(detected, prepend=-1, append=-1))
    lengths = np.diff(edges)
    runs = detected[edges[:-1]][lengths >= _SHORTEST]
    return Counter(_GROUP_OF[index] for index in runs.tolist() if index in _GROUP_OF)


def rare_sounds(counts: Mapping[str, int]) -> list[str]:
    """Groups that occur too rarely, the rarest first."""
    return sorted((group for group in ENGLISH if counts.get(group, 0) < FEWEST), key=lambda each: counts.get(each, 0))


def words_with(group: str) -> str:
    """Words that have sounds of a group."""
    return _GROUPS[group][1]
