"""Phonemes of random texts in the alphabet of Kokoro, for nine languages.

It is the International Phonetic Alphabet with single letters for affricates and for the diphthongs of English. English
words come from the lexicons of hibari-tts, which have it; Mandarin from pinyin and Japanese from kana by the tables
here; all other languages from eSpeak NG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from audio2face.errors import UserError
from audio2face.synthesis.speakers import english_words
from tools.espeak import Synthesiser
from tools.speech_texts import text_in

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "a": "en-us",
        "b": "en",
        "e": "es",
        "f": "fr",
        "h": "hi",
        "i": "it",
        "j": "ja",
        "p": "pt-br",
        "z": "cmn-latn-pinyin",
    }
)
"""The language, as eSpeak NG calls it, of voices whose names begin with a letter."""

_ENGLISH = {"en-us": "us", "en": "gb"}
_PAUSE_SHARE = 0.1  # of English words, before a comma
_AFFRICATES = {"t^ʃ": "ʧ", "d^ʒ": "ʤ", "t^s": "ʦ", "d^z": "ʣ", "t^ɕ": "ʨ", "d^ʑ": "ʥ", "tʃ": "ʧ", "dʒ": "ʤ"}
_OTHER_LETTERS = {"g": "ɡ", "^": "", "-": "", "r̝": "r"}

_INITIALS = {
    "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l",
    "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s", "y": "",
    "w": "",
}  # fmt: skip
_FINALS = {
    "a": "a", "ai": "ai", "an": "an", "ang": "aŋ", "ao": "au", "e": "ɤ", "ei": "ei", "en": "ən", "eng": "əŋ",
    "i": "i", "ia": "ja", "ian": "jɛn", "iang": "jaŋ", "iao": "jau", "ie": "je", "in": "in", "ing": "iŋ",
    "iong": "jʊŋ", "iu": "jou", "o": "wo", "ong": "ʊŋ", "ou": "ou", "u": "u", "ua": "wa", "uan": "wan", "uang": "waŋ",
    "ue": "ɥe", "ui": "wei", "un": "wən", "uo": "wo",
}  # fmt: skip
_FRONT = {"u": "y", "uan": "ɥɛn", "un": "yn"}  # behind j, q, x and y
_BEHIND_Y = {"a": "ja", "an": "jɛn", "ang": "jaŋ", "ao": "jau", "e": "je", "ong": "jʊŋ", "ou": "jou"}
_BEHIND_W = {"a": "wa", "ai": "wai", "an": "wan", "ang": "waŋ", "ei": "wei", "en": "wən"}
_BUZZED = ("zh", "ch", "sh", "r", "z", "c", "s")  # before an i that is no front vowel
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘"}
_SYLLABLE = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])([a-z]+)([1-4])")

_KANA_ROWS = {
    "": "あいうえお", "k": "かきくけこ", "s": "さしすせそ", "t": "たちつてと", "n": "なにぬねの", "h": "はひふへほ",
    "m": "まみむめも", "ɾ": "らりるれろ", "ɡ": "がぎぐげご", "z": "ざじずぜぞ", "d": "だぢづでど", "b": "ばびぶべぼ",
    "p": "ぱぴぷぺぽ",
}  # fmt: skip
_KANA: Mapping[str, str] = MappingProxyType(
    {kana: row + vowel for row, letters in _KANA_ROWS.items() for kana, vowel in zip(letters, "aiɯeo", strict=True)}
    | {"し": "ɕi", "ち": "ʨi", "つ": "ʦɨ", "す": "sɨ", "ず": "zɨ", "じ": "ʥi", "ひ": "çi", "に": "ɲi", "ふ": "ɸɯ"}
    | {"や": "ja", "ゆ": "jɯ", "よ": "jo", "わ": "βa", "ん": "ɴ", "ー": "ː"}
)


def phonemes_in(language: str, rng: np.random.Generator, espeak: Synthesiser) -> str:
    """Returns the phonemes of 5 to 11 random words.

    Args:
        language: one of `LANGUAGES`.
        rng: source of the words.
        espeak: for the languages that have no table here.

    Raises:
        UserError: eSpeak NG switched to another language within the text.
    """
    if language in _ENGLISH:
        words = tuple(english_words(_ENGLISH[language]).values())
        chosen = [words[int(index)] for index in rng.integers(len(words), size=int(rng.integers(5, 12)))]
        return " ".join(word + ("," if rng.random() < _PAUSE_SHARE else "") for word in chosen) + "."
    text = text_in(language, rng)
    if language == "cmn-latn-pinyin":
        return _SYLLABLE.sub(lambda found: mandarin_syllable(*found.groups()), text) + "."
    if language == "ja":
        return "".join(_KANA.get(letter, letter) for letter in text) + "."
    return ", ".join(_spelled(espeak.phonemes(language, part)) for part in text.split(",")) + "."


def mandarin_syllable(initial: str, final: str, tone: str) -> str:
    """Returns the phonemes of a syllable of pinyin: its initial, its final, and its tone from "1" to "4"."""
    if final == "i" and initial in _BUZZED:
        sound = "ɨ"
    elif initial == "y":
        sound = _BEHIND_Y.get(final) or _FRONT.get(final) or _FINALS[final]
    elif initial == "w":
        sound = _BEHIND_W.get(final, _FINALS[final])
    else:
        sound = (_FRONT if initial in ("j", "q", "x") else {}).get(final, _FINALS[final])
    return _INITIALS[initial] + sound + _TONES[tone]


def _spelled(phonemes: str) -> str:
    """Phonemes of eSpeak NG in the alphabet of Kokoro."""
    if "(" in phonemes:
        raise UserError(f"the voice switches its language: {phonemes}", hint="Choose words that its language has.")
    for old, new in (_AFFRICATES | _OTHER_LETTERS).items():
        phonemes = phonemes.replace(old, new)
    return phonemes.strip()
