"""A model that behaves passes every behaviour test; one that is broken in one way fails the test about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.evaluate import perturbations
from audio2face.evaluate.behaviour import BEHAVIOURS
from audio2face.evaluator.behaviour_tests import ANIMATED_SECONDS, SpeechClip, run_behaviour_tests
from audio2face.types import Float32Array, Float64Array

RATE, FPS, VOICE_HZ = 16_000, 30.0, 130.0
Toy = Callable[[Float32Array, int, str], tuple[Float64Array, float]]


def speech(seed: int, seconds: float = 4.0) -> Float32Array:
    """Syllables of a voice with formants, whose loudness and vowel change."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    loud = rng.uniform(0.2, 1, 100)[(4 * time).astype(int)] * np.sin(np.pi * (4 * time % 1)) ** 2
    voice = sum(
        np.sin(2 * np.pi * k * VOICE_HZ * time) * sum(1 / (1 + ((k * VOICE_HZ - f) / 90) ** 2) for f in (700, 1500))
        for k in range(1, 25)
    )
    return (0.1 * loud * voice).astype(np.float32)


CLIPS = [SpeechClip(name=f"clip {seed}", samples=speech(seed), samplerate=RATE, emotion="joy") for seed in range(3)]


def spectrum(samples: Float32Array) -> tuple[Float64Array, Float64Array]:
    """Power, and its frequencies in Hz."""
    size = 1 << 16
    return np.abs(np.fft.rfft(samples[:size], size)) ** 2, np.fft.rfftfreq(size, 1 / RATE)


def share(samples: Float32Array, low: float, high: float) -> float:
    """Part of the energy that lies between two frequencies."""
    power, hertz = spectrum(samples)
    return float(power[(hertz > low) & (hertz < high)].sum() / max(power.sum(), 1e-20))


def loudness(samples: Float32Array, low: float = 500, high: float = 1900) -> Float64Array:
    """Level of the vowels in each frame."""
    size = round(RATE / FPS)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    return np.asarray(np.sqrt(power[:, (hertz > low) & (hertz < high)].sum(axis=1)))


def is_speech(samples: Float32Array) -> bool:
    """Whether there are harmonics, and not only low ones as in a hum."""
    power, hertz = spectrum(samples)
    band = (power * hertz**1.5)[(hertz > 300) & (hertz < 3400)]
    return share(samples, 300, 3400) > 0.2 and float(band.max()) > 100 * float(np.median(band))


def ideal(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
    """Opens with the loudness of vowels, relative to the loudest and above a steady background."""
    vowels = loudness(samples)
    power = np.maximum(np.square(vowels) - np.square(np.percentile(vowels, 5)), 0)
    opening = 10 * np.sqrt(power / max(np.percentile(power, 99), 1e-12))
    return opening * is_speech(samples), FPS


def failing(toy: Toy, stream: Toy | None = None, quick: bool = True) -> set[str]:
    """Names of the tests that a toy fails, all others being passed; of the quick set in a third of the time."""
    results = run_behaviour_tests(toy, CLIPS, stream=stream or toy, quick=quick)
    assert {result.name for result in results if result.value is None} == ({"drift"} if quick else set())
    return {result.name for result in results if result.passed is False}


def test_the_ideal_passes_within_the_budget() -> None:
    heard, seen = 0.0, []

    def counted(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        nonlocal heard
        heard += len(samples) / samplerate
        return ideal(samples, samplerate, emotion)

    results = run_behaviour_tests(counted, CLIPS, stream=counted, progress=lambda name, seconds: seen.append(name))
    assert all(result.passed for result in results)
    assert seen == list(BEHAVIOURS)
    assert 0.9 * ANIMATED_SECONDS < heard <= ANIMATED_SECONDS
    heard = 0.0
    quick = run_behaviour_tests(counted, CLIPS, stream=counted, quick=True)
    assert heard <= ANIMATED_SECONDS / 3
    assert {result.name: result.note for result in quick if not result.passed} == {
        "drift": "left out of a quick report"
    }


Fault = Callable[[Float64Array, Float32Array], Float64Array]  # changes the opening, knowing the audio


def closes_late(opening: Float64Array, samples: Float32Array) -> Float64Array:
    spoken = np.flatnonzero(loudness(samples))
    if len(spoken):
        after = np.arange(len(opening)) - spoken[-1]
        opening = np.where(after > 0, np.maximum(3 - after / 10, 0), opening)
    return opening


def opens_on(sound: Callable[[Float32Array], bool]) -> Fault:
    return lambda opening, samples: opening + 2 * (not is_speech(samples) and sound(samples))


def is_steady(samples: Float32Array) -> bool:
    return bool(loudness(samples).min() > 0.1 * loudness(samples).max())


def twitches(opening: Float64Array, samples: Float32Array) -> Float64Array:
    opening[40] += 2 * (not samples.any())
    return opening


def shut_if(heard: Callable[[Float32Array], bool]) -> Fault:
    return lambda opening, samples: opening * (not heard(samples))


def is_another_voice(samples: Float32Array) -> bool:
    power, hertz = spectrum(samples)
    strongest = float(hertz[np.argmax(power * (hertz > 300))])
    return abs(strongest / VOICE_HZ - round(strongest / VOICE_HZ)) > 0.03


def is_echoing(samples: Float32Array) -> bool:
    return bool(share(samples, 5000, 8000) < 1e-6 and np.percentile(loudness(samples), 8) > 1)


def starts_shut(opening: Float64Array, samples: Float32Array) -> Float64Array:
    opening[: round(0.5 * FPS)] = 0
    return opening


def drifts(opening: Float64Array, samples: Float32Array) -> Float64Array:
    return opening + np.arange(len(opening)) / FPS / 60


FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "closes late": (closes_late, {"closed_after_speech"}),
    "silence": (opens_on(lambda samples: not samples.any()), {"shut_on_silence"}),
    "room noise": (opens_on(is_steady), {"shut_on_room_noise"}),
    "breath": (opens_on(lambda x: x.any() and not is_steady(x) and share(x, 500, 3000) > 0.5), {"shut_on_breath"}),
    "hum": (opens_on(lambda x: x.any() and not is_steady(x) and share(x, 500, 3000) < 0.5), {"shut_on_hum"}),
    "twitches": (twitches, {"bursts"}),
    "level": (shut_if(lambda x: np.abs(x).max() < 0.1), {"same_at_low_level"}),
    "voice": (shut_if(is_another_voice), {"same_for_other_voice"}),
    "noise": (shut_if(lambda x: share(x, 5000, 8000) > 0.003), {"same_in_noise_10db", "same_in_noise_0db"}),
    "echo": (shut_if(is_echoing), {"same_in_reverberation"}),
    "telephone": (shut_if(lambda x: 0 < share(x, 80, 170) < 1e-5), {"same_over_telephone"}),
    "drift": (drifts, {"drift"}),
    "start": (starts_shut, {"start_as_middle"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fails_its_test_alone(name: str) -> None:
    fault, expected = FAULTS[name]

    def broken(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        opening, fps = ideal(samples, samplerate, emotion)
        return fault(opening, samples), fps

    assert failing(broken, quick="drift" not in expected) == expected


def test_an_mp3_without_a_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturbations, "through_mp3", lambda samples, rate: np.zeros_like(samples))
    assert failing(ideal) == {"same_as_mp3"}


def test_a_stream_that_differs() -> None:
    def streamed(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        opening, fps = ideal(samples, samplerate, emotion)
        return opening + 0.2, fps

    assert failing(ideal, streamed) == {"stream_as_file"}


def notes(toy: Toy, clips: list[SpeechClip]) -> dict[str, str]:
    results = run_behaviour_tests(toy, clips, quick=True)
    assert all((result.value is None) == bool(result.note) for result in results)
    return {result.name: result.note for result in results if result.note and result.name != "drift"}


def test_what_cannot_be_measured_says_why() -> None:
    def still(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        return np.zeros(round(FPS * len(samples) / samplerate)), FPS

    def refuses_joy(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        if emotion == "joy":
            raise UserError("there is no emotion 'joy'")
        return still(samples, samplerate, emotion)

    assert notes(ideal, CLIPS) == {"stream_as_file": "this network does not stream"}
    assert notes(lambda samples, *_: (np.full(90, np.nan), FPS), CLIPS)["bursts"].endswith("not finite")
    assert "opens by less than 1 mm" in notes(still, CLIPS)["same_at_low_level"]  # it would pass with nothing to see
    assert notes(refuses_joy, CLIPS)["same_as_mp3"] == "there is no emotion 'joy'"
    silent = [SpeechClip(name="", samples=np.zeros(RATE, np.float32), samplerate=RATE, emotion="joy")]
    a_word = [SpeechClip(name="", samples=speech(1, 0.5), samplerate=RATE, emotion="joy")]
    for nothing in (silent, a_word, []):
        measured = notes(ideal, nothing)
        assert measured["same_as_mp3"] == "nobody speaks for a second in the test recordings"
        assert "shut_on_breath" not in measured


def test_recordings_of_other_rates_and_emotions() -> None:
    asked = []

    def animate(samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        asked.append((samplerate, emotion))
        return ideal(samples, samplerate, emotion)

    high = SpeechClip(name="high", samples=np.repeat(speech(5), 3), samplerate=3 * RATE, emotion="anger")
    run_behaviour_tests(animate, [*CLIPS[:1], high], rest_emotion="calm")
    assert {rate for rate, _ in asked} == {RATE}
    assert {emotion for _, emotion in asked} == {"joy", "anger", "calm"}


def test_the_documentation_has_every_test_with_its_threshold() -> None:
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    thresholds = {row[0]: row[2] for row in rows if len(row) == 4}
    for test in BEHAVIOURS.values():
        assert thresholds[test.label] == f"{test.threshold:g} {test.unit}"
