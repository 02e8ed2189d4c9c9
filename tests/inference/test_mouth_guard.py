"""The guard of a network's mouth: at rest on breath, hum and noise, free in speech, the same in a stream and a file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from small_models import DIFFUSION, REGRESSION, STREAMING

import audio2face
from audio2face.audio import read_track
from audio2face.evaluate import sounds
from audio2face.inference import EmotionCurve, Executor, NetworkOutput, TrackSettings
from audio2face.inference.executor import group_frames
from audio2face.inference.mouth_guard import SilentFaces, SpeechFollower
from audio2face.model_folder import DeployedModel, NetworkInfo
from audio2face.types import Float32Array

RATE, LEVEL = 16_000, 0.08  # of speech
SPEECH = Path(__file__).parents[1] / "data/espeak"
FPS = 30
NO_SPEECH = {
    "room noise": sounds.room_noise(3.0, RATE, LEVEL * 10 ** (-35 / 20), seed=1),
    "breath": sounds.breath(3.0, RATE, LEVEL * 0.1, seed=2),
    "hum": sounds.hummed_hmm(3.0, RATE, LEVEL * 10**-0.5, seed=3),
    "silence": sounds.silence(3.0, RATE),
}


def speech(name: str, decibels: float = 0.0) -> Float32Array:
    """A sentence of which nothing is cut, at the usual level and a change."""
    samples = read_track(SPEECH / f"{name}.wav", RATE).data
    return np.asarray(samples / samples.std() * LEVEL * 10 ** (decibels / 20), np.float32)


def openness(samples: Float32Array, info: NetworkInfo = REGRESSION) -> Float32Array:
    follower = SpeechFollower(info.windows(None if info.native_fps else Fraction(FPS)))
    follower.push(samples)
    follower.finish()
    return follower.at(list(range(0, len(samples), RATE // FPS)))


@pytest.mark.parametrize("info", [DIFFUSION, REGRESSION, STREAMING], ids=lambda info: info.type)
@pytest.mark.parametrize("name", NO_SPEECH)
def test_sounds_that_are_no_speech_open_nothing(name: str, info: NetworkInfo) -> None:
    assert openness(NO_SPEECH[name], info).max() == 0


@pytest.mark.parametrize("decibels", [0.0, -20.0])
@pytest.mark.parametrize("name", ["de_high", "en_low", "hi_high"])
def test_speech_is_free_at_any_level(name: str, decibels: float) -> None:
    samples = speech(name, decibels)
    power = np.square(samples[: len(samples) // 533 * 533]).reshape(-1, 533).mean(axis=1)
    loud = np.flatnonzero(power > 0.05 * power.max())
    assert openness(samples)[loud].min() == 1


def test_a_breath_after_speech_opens_nothing_and_speech_after_it_does() -> None:
    pause, breath, word = sounds.silence(1.0, RATE), NO_SPEECH["breath"], speech("en_low")
    begins = len(word) + len(pause)
    found = openness(np.concatenate([word, pause, breath, word]))
    assert found[begins * FPS // RATE : (begins + 2 * RATE) * FPS // RATE].max() == 0
    assert found[(begins + len(breath)) * FPS // RATE + FPS // 2 :][: 2 * FPS].min() == 1


def outputs(folder: Path, samples: Float32Array, guard: float, pieces: int = 1, joy: float = 0.0) -> NetworkOutput:
    model = DeployedModel.open(folder)
    emotion = np.zeros(len(model.info.emotions), np.float32)
    emotion[0] = joy
    settings = TrackSettings(emotion=EmotionCurve.constant(emotion), actor="ada", guard=guard)
    executor, found = Executor.open(model, [settings]), []
    for piece in np.array_split(samples, pieces):
        executor.push(0, piece)
        found += list(executor.run())
    executor.close(0)
    (whole,) = group_frames(iter([*found, *executor.run()]), 10**6)
    return whole


def test_a_network_rests_where_nobody_speaks(deployed: Path) -> None:
    breath = outputs(deployed, NO_SPEECH["breath"], 1.0)
    assert breath.guarded is not None
    assert np.ptp(breath.values, axis=0).max() > 0.03
    assert np.ptp(breath.guarded, axis=0).max() < 1e-6
    half = outputs(deployed, NO_SPEECH["breath"], 0.5)
    np.testing.assert_allclose(half.guarded, (breath.values + breath.guarded) / 2, atol=1e-6)
    off = outputs(deployed, NO_SPEECH["breath"], 0.0)
    assert off.guarded is None
    np.testing.assert_array_equal(off.values, breath.values)


def test_rest_is_what_the_network_does_in_silence_in_the_same_emotion(regression: Path) -> None:
    silent = {joy: outputs(regression, NO_SPEECH["silence"], 0.0, joy=joy).values[-1] for joy in (0.0, 1.0)}
    assert np.abs(silent[1.0] - silent[0.0]).max() > 0.1
    for joy, face in silent.items():
        np.testing.assert_allclose(outputs(regression, NO_SPEECH["hum"], 1.0, joy=joy).guarded[40], face, atol=1e-5)
    mixed = outputs(regression, NO_SPEECH["hum"], 1.0, joy=0.5).guarded[40]
    np.testing.assert_allclose(mixed, (silent[0.0] + silent[1.0]) / 2, atol=1e-5)


def test_speech_passes_bit_for_bit(deployed: Path) -> None:
    info = DeployedModel.open(deployed).info
    samples = speech("de_high")[: 2 * RATE]
    found, free = outputs(deployed, samples, 1.0), openness(samples, info)
    fps = FPS if info.native_fps is None else int(info.native_fps)
    spoken = np.flatnonzero(np.interp(np.arange(len(found.values)) / fps, np.arange(len(free)) / FPS, free) == 1)
    assert len(spoken) > 0.6 * len(found.values)
    np.testing.assert_array_equal(found.guarded[spoken], found.values[spoken])


def test_pieces_of_any_length_give_the_same_bits(deployed: Path) -> None:
    samples = np.concatenate([NO_SPEECH["breath"][:RATE], speech("en_low")[:RATE], NO_SPEECH["hum"][:RATE]])
    whole = outputs(deployed, samples, 1.0)
    assert not np.array_equal(whole.guarded, whole.values)
    for pieces in (7, 150):
        np.testing.assert_array_equal(outputs(deployed, samples, 1.0, pieces).guarded, whole.guarded)


def skins(folder: Path, strength: float, samples: Float32Array, pieces: int = 1) -> tuple[Float32Array, Float32Array]:
    model = audio2face.load(folder, device="cpu")
    stream = model.stream(RATE, actor="ada", blinks=False, parameters={"speech_guard_strength": strength})
    found = []
    for piece in np.array_split(samples, pieces):
        stream.push(piece)
        found += list(stream.frames())
    stream.finish()
    found += list(stream.frames())
    return np.stack([frame.skin for frame in found]), np.stack([frame.jaw for frame in found])


def test_a_stream_of_frames_has_a_still_mouth_on_a_breath_and_is_that_of_the_whole(deployed: Path) -> None:
    free, held = (skins(deployed, strength, NO_SPEECH["breath"]) for strength in (0.0, 1.0))
    assert np.ptp(free[0], axis=0).max() > 0.1
    moved = np.ptp(held[0][10:], axis=0).max(axis=1)  # of each vertex, after the filters have settled
    height = held[0][0, :, 1]
    assert moved[height.argmin()] < 1e-4 < moved.max()  # the upper face goes on
    assert np.ptp(held[1], axis=0).max() < 1e-4 < np.ptp(free[1], axis=0).max()
    for whole, part in zip(held, skins(deployed, 1.0, NO_SPEECH["breath"], 60), strict=True):
        np.testing.assert_array_equal(part, whole)


def test_the_face_of_an_emotion_is_computed_once_for_a_graph() -> None:
    computed: list[bytes] = []

    class Graph:
        pass

    def compute(emotion: Float32Array) -> Float32Array:
        computed.append(emotion.tobytes())
        return 1 + np.array([emotion[0], 3 * emotion[1]], np.float32)

    graph = Graph()
    for _ in range(2):
        faces = SilentFaces(graph, ("ada",), compute)
        np.testing.assert_allclose(faces(np.array([0.5, 1.0], np.float32)), [1.5, 4.0])
    assert len(computed) == 3
