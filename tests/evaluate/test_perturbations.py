"""Changes of a recording keep its timing, have the stated size, and are the same each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.evaluate import perturbations as change
from audio2face.evaluate import sounds
from audio2face.evaluate.activity import active_level, excerpt
from audio2face.evaluate.perturbations import stretch
from audio2face.types import Float32Array

RATE = 16_000
Change = Callable[[Float32Array], Float32Array]


def syllables(seconds: float = 2.0, pitch: float = 140.0, rate: int = RATE) -> Float32Array:
    """A voice of 4 syllables per second of random loudness, after 0.3 s of silence, formants at 600 and 1,700 Hz."""
    time = np.arange(round(seconds * rate)) / rate
    loud = np.random.default_rng(3).uniform(0.4, 1, 100)[(4 * time).astype(int)]
    envelope = loud * np.sin(np.pi * (4 * time % 1)) ** 2 * (time > 0.3)
    tones = [
        np.sin(2 * np.pi * k * pitch * time) * sum(1 / (1 + ((k * pitch - f) / 90) ** 2) for f in (600, 1700))
        for k in range(1, int(4000 / pitch))
    ]
    return (0.2 * envelope * np.sum(tones, axis=0)).astype(np.float32)


def lag_ms(changed: Float32Array, original: Float32Array) -> float:
    """Delay of the envelope, milliseconds; a known delay is found in `test_a_delay_would_be_seen`."""
    step = RATE // 1000
    curves = []
    for samples in (changed, original):
        power = np.convolve(np.square(samples, dtype=np.float64), np.hanning(20 * step), "same")[::step]
        curves.append(np.sqrt(np.maximum(power, 0)) - np.sqrt(np.maximum(power, 0)).mean())
    products = np.correlate(curves[0], curves[1], "full")
    return float(np.argmax(products) - (len(curves[1]) - 1))


CHANGES: dict[str, Change] = {
    "level": lambda x: change.change_level(x, -20),
    "white": lambda x: change.add_noise(x, RATE, 10, "white"),
    "pink": lambda x: change.add_noise(x, RATE, 10, "pink"),
    "babble": lambda x: change.add_noise(x, RATE, 20, "babble"),
    "telephone": lambda x: change.telephone(x, RATE),
    "mp3": lambda x: change.through_mp3(x, RATE),
    "higher": lambda x: change.other_voice(x, RATE, 3),
    "lower": lambda x: change.other_voice(x, RATE, -3),
    "room": lambda x: change.reverberate(x, RATE, 0.3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_timing_length_and_repetition(name: str) -> None:
    voice = syllables()
    changed = CHANGES[name](voice)
    assert changed.dtype == np.float32
    assert changed.shape == voice.shape
    assert np.array_equal(changed, CHANGES[name](voice))
    assert np.abs(changed - voice).max() > 0.01
    late = lag_ms(changed, voice)
    assert (0 <= late <= 40) if name == "room" else abs(late) <= 3  # an echo comes after its sound


def test_a_delay_would_be_seen() -> None:
    assert lag_ms(np.roll(syllables(), 160), syllables()) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 96_000])
def test_filters_are_without_delay_to_the_sample(rate: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
    for changed in (change.telephone(noise, rate), change.through_mp3(noise, rate)):
        assert len(changed) == rate
        products = np.fft.irfft(np.fft.rfft(changed, 2 * rate) * np.conj(np.fft.rfft(noise, 2 * rate)))
        assert np.argmax(products) == 0


def test_level_and_ratio_are_as_stated() -> None:
    voice = syllables()
    assert 20 * np.log10(active_level(change.change_level(voice, -20), RATE) / active_level(voice, RATE)) == (
        pytest.approx(-20, abs=1e-4)
    )
    for ratio in (20, 10, 0):
        noise = change.add_noise(voice, RATE, ratio).astype(np.float64) - voice
        rms = np.sqrt(np.mean(np.square(noise)))
        assert 20 * np.log10(active_level(voice, RATE) / rms) == pytest.approx(ratio, abs=0.01)
    with pytest.raises(UserError, match="nobody speaks"):
        change.add_noise(np.zeros(RATE, np.float32), RATE, 10)


def test_pauses_do_not_lower_the_active_level() -> None:
    tone = (0.1 * np.sin(np.arange(RATE))).astype(np.float32)
    assert active_level(np.concatenate([tone, np.zeros(3 * RATE, np.float32)]), RATE) == pytest.approx(
        0.1 / np.sqrt(2), rel=0.01
    )
    assert active_level(np.zeros(RATE, np.float32), RATE) == 0


def share_of_energy(samples: Float32Array, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(power[(hertz >= low) & (hertz <= high)].sum() / power.sum())


def test_a_telephone_has_its_band() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)
    assert share_of_energy(noise, 300, 3400) == pytest.approx(0.39, abs=0.02)
    assert share_of_energy(change.telephone(noise, RATE), 200, 3500) > 0.99


def test_another_voice_moves_pitch_and_formants_by_the_same_factor() -> None:
    def peak(samples: Float32Array, low: float, high: float) -> float:
        power = np.convolve(np.abs(np.fft.rfft(samples)) ** 2, np.hanning(400), "same")  # wider than a harmonic
        hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
        return float(hertz[np.argmax(np.where((hertz > low) & (hertz < high), power, 0))])

    voice = syllables(pitch=100)
    for semitones in (3, -3):
        changed, factor = change.other_voice(voice, RATE, semitones), 2 ** (semitones / 12)
        for formant in (600, 1700):
            expected = factor * peak(voice, 0.7 * formant, 1.3 * formant)
            assert peak(changed, 0.7 * formant * factor, 1.3 * formant * factor) == pytest.approx(expected, rel=0.05)
        assert share_of_energy(changed, 95 * factor, 105 * factor) == pytest.approx(
            share_of_energy(voice, 95, 105), rel=0.3
        )


@pytest.mark.parametrize("pitch", [180, 260])  # 3 and 4 ms early or late without the penalty of distance
def test_another_voice_stays_in_time_while_it_sounds(pitch: float) -> None:
    voice = syllables(pitch=pitch)
    for semitones in (3, -3):
        assert abs(lag_ms(change.other_voice(voice, RATE, semitones), voice)) <= 1


def test_a_stretch_keeps_pitch_and_moves_onsets() -> None:
    voice = syllables(pitch=100)
    slow = stretch(voice, RATE, 1.5)
    assert len(slow) == 3 * RATE
    heard = np.flatnonzero(np.abs(slow) > 0.02)[0] / RATE
    assert heard == pytest.approx(1.5 * np.flatnonzero(np.abs(voice) > 0.02)[0] / RATE, abs=0.02)
    hertz = np.fft.rfftfreq(len(slow), 1 / RATE)
    strongest = hertz[np.argmax(np.abs(np.fft.rfft(slow)) * (hertz < 1000))]
    assert strongest == pytest.approx(600, abs=5)


def test_an_echo_decays_by_60_db_in_its_time() -> None:
    click = np.zeros(2 * RATE, np.float32)
    click[0] = 1
    echo = change.reverberate(click, RATE, rt60=0.5)
    assert echo[0] == pytest.approx(1, abs=1e-5)
    assert np.sum(np.square(echo[1:])) == pytest.approx(1, rel=0.01)  # as much energy as the direct sound
    early, late = (np.mean(np.square(echo[at : at + 1600])) for at in (160, 160 + RATE // 4))
    assert 10 * np.log10(early / late) == pytest.approx(30, abs=1)  # a quarter of a second: half of 60 dB


def test_joined_recordings_begin_where_it_says() -> None:
    whole, starts = change.concatenate([np.ones(RATE, np.float32), np.full(800, 2, np.float32)], RATE, 0.5)
    assert starts == (0.0, 1.5)
    assert whole[int(starts[1] * RATE)] == 2
    assert whole[int(starts[1] * RATE) - 1] == 0
    assert len(whole) == RATE + 800 + 2 * 8000


@pytest.mark.parametrize("make", [sounds.room_noise, sounds.breath, sounds.hummed_hmm])
def test_sounds_without_speech(make: Callable[[float, int, float, int], Float32Array]) -> None:
    sound = make(3.0, RATE, 0.05, 1)
    assert sound.shape == (3 * RATE,)
    assert np.array_equal(sound, make(3.0, RATE, 0.05, 1))
    assert not np.array_equal(sound, make(3.0, RATE, 0.05, 2))
    blocks = np.sqrt(np.mean(np.square(sound[: 3 * RATE].reshape(-1, 800)), axis=1))
    assert 0.03 < blocks.max() < 0.08  # the level, at the loudest


def test_a_hum_is_low_and_a_breath_is_not() -> None:
    assert share_of_energy(sounds.hummed_hmm(3, RATE, 0.1, 0), 80, 500) > 0.95
    assert share_of_energy(sounds.breath(3, RATE, 0.1, 0), 400, 3000) > 0.7
    assert share_of_energy(sounds.room_noise(3, RATE, 0.1, 0), 20, 200) > 0.6


def test_an_excerpt_ends_in_a_pause() -> None:
    voice = syllables(6)
    voice[int(2.05 * RATE) : int(2.45 * RATE)] = 0
    part = excerpt(voice, RATE, 3.0)
    assert part is not None
    assert part.speech_start == pytest.approx(0.1, abs=0.021)
    began = 0.3 - part.speech_start
    assert began + part.speech_end == pytest.approx(2.05, abs=0.1)  # not 3.2, where the length ends
    assert len(part.samples) == part.speech_end * RATE
    assert excerpt(np.zeros(RATE, np.float32), RATE, 3.0) is None
