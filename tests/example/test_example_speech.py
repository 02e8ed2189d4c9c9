"""The example actors' speech: exact phone times, every English phone, emotions and voices that can be measured."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from example_takes import spoken_by_ada

from audio2face.example.sentences import EMOTIONS, SENTENCES, SILENCE, UNSEEN_SENTENCES, Phone, Sentence, time_phones
from audio2face.example.speech import DELIVERIES, SAMPLE_RATE, VOICES, Speaker, Utterance
from audio2face.types import Float32Array

ENGLISH_PHONES = {
    *"pbtdkɡmnŋfvθðszʃʒʧʤlɹwjh",
    *"iɪɛæɑʌɔʊuəɜ",
    *("eɪ", "aɪ", "aʊ", "oʊ", "ɔɪ"),
}
PLAIN = Sentence("Bob saw a museum.", "bˈɑb sˈɔ ɐ mjuzˈiəm.", "neutral")


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture(scope="module")
def spoken() -> list[Utterance]:
    return spoken_by_ada()


def median_pitch(samples: Float32Array) -> float:
    """Median fundamental frequency in Hz of the loud voiced parts, by autocorrelation."""
    blocks = np.lib.stride_tricks.sliding_window_view(samples, 1440)[::480] * np.hanning(1440)
    blocks = blocks[np.square(blocks).mean(axis=1) > 0.1 * np.square(blocks).mean(axis=1).max()]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(blocks, 4096)) ** 2)
    correlation /= correlation[:, :1]
    shortest, longest = SAMPLE_RATE // 400, SAMPLE_RATE // 75
    lags = shortest + correlation[:, shortest:longest].argmax(axis=1)
    voiced = correlation[np.arange(len(lags)), lags] > 0.5
    return float(np.median(SAMPLE_RATE / lags[voiced]))


def level(samples: Float32Array) -> float:
    return float(10 * np.log10(np.square(samples).mean()))


def test_sentences_cover_the_emotions() -> None:
    counts = Counter(sentence.emotion for sentence in SENTENCES)
    assert set(counts) == set(EMOTIONS) == set(DELIVERIES)
    assert len(SENTENCES) >= 40
    assert min(counts.values()) >= 8
    assert not {sentence.text for sentence in SENTENCES} & {sentence.text for sentence in UNSEEN_SENTENCES}


def test_phones_cover_english(spoken: list[Utterance]) -> None:
    training = Counter(phone.symbol for utterance in spoken[: len(SENTENCES)] for phone in utterance.phones)
    assert set(training) >= ENGLISH_PHONES
    assert min(training[phone] for phone in "pbmfvw") >= 30
    unseen = {phone.symbol for utterance in spoken[len(SENTENCES) :] for phone in utterance.phones}
    assert unseen <= set(training)


def test_phones_fill_the_sound(spoken: list[Utterance]) -> None:
    for utterance in spoken:
        phones = utterance.phones
        assert sum(phone.end - phone.start for phone in phones) == pytest.approx(utterance.duration, abs=1e-9)
        assert phones[0].start == 0.0
        assert phones[-1].end == utterance.duration
        assert all(left.end == right.start for left, right in pairwise(phones))
        assert all(phone.end - phone.start > 0.01 for phone in phones)
        assert phones[0].symbol == phones[-1].symbol == SILENCE
        assert 0.25 < phones[0].end < 0.8
        assert 0.25 < phones[-1].end - phones[-1].start < 0.9


def test_every_letter_becomes_a_phone(spoken: list[Utterance]) -> None:
    for sentence, utterance in zip(SENTENCES, spoken, strict=False):
        letters = re.sub(r"[^\w]|[ˈˌ]", "", sentence.phonemes)
        assert len(letters) == sum(phone.symbol != SILENCE for phone in utterance.phones)


def test_hissing_is_where_the_phones_say(spoken: list[Utterance]) -> None:
    """The energy above 5 kHz fits the times of s, z and ʃ; it does not fit them when moved by 50 ms either way."""

    def contrast(shift: float) -> float:
        inside, outside = [], []
        for utterance in spoken:
            step = SAMPLE_RATE // 100
            blocks = utterance.samples[: len(utterance.samples) // step * step].reshape(-1, step)
            high = np.log(np.abs(np.fft.rfft(blocks * np.hanning(step)))[:, 50:].mean(axis=1))
            times = (np.arange(len(high)) + 0.5) / 100 - shift
            hissing = np.zeros(len(high), bool)
            for phone in utterance.phones:
                hissing |= (times > phone.start) & (times < phone.end) & (phone.symbol in "szʃ")
            inside.append(high[hissing])
            outside.append(high[~hissing])
        return float(np.concatenate(inside).mean() - np.concatenate(outside).mean())

    assert contrast(0.0) > 1.3 * max(contrast(-0.05), contrast(0.05))


def test_times_of_letters() -> None:
    """Stress marks lengthen the vowel behind, spaces both neighbours; finals end with their sound."""
    letters = [SILENCE, "b", "ˈ", "A", " ", "m", ".", SILENCE]
    units = np.array([8, 2, 2, 4, 2, 12, 4, 4], np.float32)
    power = np.ones(76, np.float32)
    power[44:] = 1e-9  # the sound ends 22 units in, 4 units into the m
    phones = time_phones(letters, units, power)
    assert [(phone.symbol, phone.stressed) for phone in phones] == [
        (SILENCE, False),
        ("b", False),
        ("eɪ", True),
        ("m", False),
        (SILENCE, False),
    ]
    boundaries = [phone.end for phone in phones]
    assert boundaries[:3] == pytest.approx([0.15, 0.2, 0.375])
    assert boundaries[3] == pytest.approx(0.55, abs=0.0126)
    assert boundaries[4] == pytest.approx(0.95)


def test_same_seed_same_sound(speaker: Speaker) -> None:
    for voice in VOICES.values():
        first, second = (Speaker().synthesise(PLAIN, voice, 5), speaker.synthesise(PLAIN, voice, 5))
        assert first.phones == second.phones
        np.testing.assert_array_equal(first.samples, second.samples)


def test_voices_share_times_and_differ_in_pitch(speaker: Speaker) -> None:
    ada, ben = (speaker.synthesise(SENTENCES[0], VOICES[actor], 1) for actor in ("ada", "ben"))
    assert ada.phones == ben.phones
    assert len(ada.samples) == len(ben.samples)
    ratio = median_pitch(ben.samples) / median_pitch(ada.samples)
    assert ratio == pytest.approx(VOICES["ben"].pitch, abs=0.08)


def test_emotions_differ_in_pitch_loudness_and_speed(speaker: Speaker) -> None:
    said = {
        emotion: speaker.synthesise(Sentence(PLAIN.text, SENTENCES[5].phonemes, emotion), VOICES["ada"], 1)
        for emotion in EMOTIONS
    }
    pitch = {emotion: median_pitch(utterance.samples) for emotion, utterance in said.items()}
    assert pitch["sadness"] < pitch["neutral"] < pitch["anger"] < pitch["amazement"]
    assert pitch["joy"] / pitch["neutral"] == pytest.approx(DELIVERIES["joy"].pitch, abs=0.1)
    loudness = {emotion: level(utterance.samples) for emotion, utterance in said.items()}
    assert loudness["sadness"] + 3 < loudness["neutral"] < loudness["anger"] - 2
    assert said["sadness"].duration > said["neutral"].duration > said["anger"].duration


def test_loudness_of_a_sentence(speaker: Speaker) -> None:
    soft, plain = (
        speaker.synthesise(Sentence(PLAIN.text, PLAIN.phonemes, "neutral", loudness=decibels), VOICES["ada"], 1)
        for decibels in (-6.0, 0.0)
    )
    assert level(plain.samples) - level(soft.samples) == pytest.approx(6.0, abs=0.2)


def test_phone_centre() -> None:
    assert Phone("p", 1.0, 2.0).centre == 1.5
