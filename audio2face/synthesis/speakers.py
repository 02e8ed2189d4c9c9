"""Speakers of synthetic speech: utterances with the times of their phones, and sounds that are no speech.

The example's voice (hibari) speaks random English words, with any pitch, formants, emotion and speed. It needs the
extra `example`, which is imported when a speaker is made.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from audio2face.audio import resample_soxr
from audio2face.audio.mel import MEL_RATE
from audio2face.dataset.phoneme_times import SILENCE, PhonemeTime
from audio2face.example.sentences import EMOTIONS, Sentence
from audio2face.synthesis.other_sounds import other_sound
from audio2face.types import Float32Array

if TYPE_CHECKING:  # needs the extra
    from audio2face.example.speech import Voice

_BRITISH = {"Q": "əʊ"}  # a letter of hibari's that the example does not speak
_COMMA_SHARE = 0.1  # of words before a pause


@dataclass(frozen=True)
class Spoken:
    """One utterance: samples at 16 kHz, phones without gaps, and who speaks."""

    samples: Float32Array
    phones: tuple[PhonemeTime, ...]
    voice: str


Speak = Callable[[np.random.Generator], Spoken]


class NaturalSpeaker:
    """The example's voice, which is loaded once.

    Raises:
        UserError: the extra `example` is not installed.
    """

    def __init__(self) -> None:
        from audio2face.example.speech import Speaker

        self._speaker = Speaker()
        self._lexicons = [tuple(english_words(accent).values()) for accent in ("us", "gb")]

    def text(self, rng: np.random.Generator) -> str:
        """Returns 5 to 10 random words of one accent, in hibari's alphabet."""
        phonemes = self._lexicons[int(rng.integers(len(self._lexicons)))]
        words = [phonemes[int(index)] for index in rng.integers(len(phonemes), size=int(rng.integers(5, 11)))]
        return " ".join(word + ("," if rng.random() < _COMMA_SHARE else "") for word in words) + "."

    def say(self, text: str, emotion: str, speed: float, voice: Voice, seed: int) -> Spoken:
        """Speaks a text.

        Args:
            text: in hibari's alphabet.
            emotion: one of the example's `EMOTIONS`.
            speed: relative to the emotion's own.
            voice: factors on pitch and formants.
            seed: of the noise in the voice and of the silence around the text.
        """
        from audio2face.example.speech import SAMPLE_RATE

        said = self._speaker.synthesise(Sentence("", text, emotion, speed=speed), voice, seed)
        phones = tuple(
            PhonemeTime(_BRITISH.get(phone.symbol, phone.symbol), phone.start, phone.end) for phone in said.phones
        )
        return Spoken(resample_soxr(said.samples, SAMPLE_RATE, MEL_RATE), phones, "hibari")


def random_emotion(rng: np.random.Generator) -> str:
    """Returns one of the example's emotions."""
    return EMOTIONS[int(rng.integers(len(EMOTIONS)))]


def random_speed(rng: np.random.Generator) -> float:
    """Returns a rate of speech relative to the emotion's own."""
    return float(rng.uniform(0.8, 1.35))


def random_voice(rng: np.random.Generator) -> Voice:
    """Returns a voice between a low man's and a child's."""
    from audio2face.example.speech import Voice

    return Voice(float(np.exp(rng.uniform(-0.6, 0.35))), float(np.exp(rng.uniform(-0.22, 0.18))))


def random_seed(rng: np.random.Generator) -> int:
    """Returns a seed for `NaturalSpeaker.say`."""
    return int(rng.integers(2**30))


def natural_speaker() -> Speak:
    """Utterances of the example's voice with other pitches and formants, of random English words.

    Raises:
        UserError: the extra `example` is not installed.
    """
    speaker = NaturalSpeaker()

    def speak(rng: np.random.Generator) -> Spoken:
        text, emotion, speed = speaker.text(rng), random_emotion(rng), random_speed(rng)
        return speaker.say(text, emotion, speed, random_voice(rng), random_seed(rng))

    return speak


def other_speaker() -> Speak:
    """Sounds that are no speech, labelled as silence."""

    def speak(rng: np.random.Generator) -> Spoken:
        kind, samples = other_sound(rng)
        return Spoken(samples, (PhonemeTime(SILENCE, 0.0, len(samples) / MEL_RATE),), kind)

    return speak


@cache
def english_words(accent: str = "us") -> Mapping[str, str]:
    """Words in lower case, and their phonemes in hibari's alphabet; needs the extra `example`.

    Args:
        accent: "us" or "gb".
    """
    packed = files("hibari").joinpath(f"assets/lexicon_{accent}_gold.json.gz").read_bytes()
    lexicon = json.loads(gzip.decompress(packed))
    return {
        word: phonemes
        for word, phonemes in sorted(lexicon.items())
        if isinstance(phonemes, str) and word.isalpha() and word.islower() and 2 < len(word) < 10
    }
