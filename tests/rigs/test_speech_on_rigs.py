"""Speech on rigs by rules: lips that meet, rest in silence, expression over speech, and what the parameters do."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from characters import head_builder
from spoken import RATE, SAMPLERATE, phones_of, sound_of, source_of

from audio2face.animation.animation import Animation
from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.errors import UserError
from audio2face.example.visemes import BILABIALS
from audio2face.rigs import RIG_EMOTIONS, Rig, RigOptions, RigPipeline, open_rig
from audio2face.rigs.closures import Closure, closeness, find_closures
from audio2face.rigs.viseme_source import extract_visemes
from audio2face.synthesis.body_sounds import breath, humming, sniff
from audio2face.types import Float64Array

Maker = Callable[[np.random.Generator, Float64Array], Float64Array]
WORDS = " ɑmɑpæbɔfɛmubʊmɛpɑ "
MM = 10.0


@pytest.fixture(scope="module")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rig]:
    """Heads whose lips close in different ways."""
    folder = tmp_path_factory.mktemp("rigs")
    shapes = ["jawOpen", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight", "mouthLowerDownLeft"]
    return {
        "mouthClose opens the jaw": open_rig("example"),
        "mouthClose as in ARKit": open_rig(head_builder().glb(folder / "arkit.glb")),
        "without mouthClose": open_rig(head_builder(shapes).glb(folder / "few.glb")),
    }


def weights_of(rig: Rig, words: str = WORDS, fps: int = 30, contacts: bool = True, **options: Any) -> np.ndarray:
    phones = phones_of(words)
    pipeline = RigPipeline(rig, RigOptions(fps=Fraction(fps), **options), source_of(phones, contacts=contacts))
    samples = sound_of(phones)
    times = np.arange(int(phones[-1].end * fps)) / fps
    emotion = pipeline.emotion.curve.at([round(time * SAMPLERATE) for time in times])
    return pipeline.weights(samples, times, emotion)[0]


def opening(rig: Rig, weights: np.ndarray) -> np.ndarray:
    """The widest opening between the lips above that at rest, millimetres `[frames]`."""
    upper, lower = rig.lips
    posed = rig.skin(weights)[..., 1]
    at_rest = rig.neutral[upper, 1] - rig.neutral[lower, 1]
    return MM * (posed[:, upper] - posed[:, lower] - at_rest).max(axis=1)


@pytest.mark.parametrize("fps", [24, 30, 60])
@pytest.mark.parametrize("emotion", [None, "joy", "amazement=0.7,anger=0.3"])
@pytest.mark.parametrize("contacts", [True, False], ids=["closures are detected", "closures are guessed"])
def test_lips_meet_on_every_p_b_and_m(rigs: dict[str, Rig], fps: int, emotion: str | None, contacts: bool) -> None:
    for rig in rigs.values():
        opened = opening(rig, weights_of(rig, fps=fps, emotion=emotion, contacts=contacts))
        for phone in phones_of(WORDS):
            during = opened[int(phone.start * fps) : int(np.ceil(phone.end * fps)) + 1]
            if phone.symbol in BILABIALS:
                assert during.min() < 0.3, (phone, during)
            elif phone.symbol in "ɑæ":
                assert during.max() > 3.0, (phone, during)


def test_without_closures_lips_stay_open(rigs: dict[str, Rig]) -> None:
    """What the test above would say of channels alone."""
    rig = rigs["mouthClose opens the jaw"]
    opened = opening(rig, weights_of(rig, parameters={"closure_strength": 0.0}))
    shut = [opened[int(p.start * 30) : int(p.end * 30) + 1].min() for p in phones_of(WORDS) if p.symbol in BILABIALS]
    assert np.mean([value > 0.6 for value in shut]) > 0.5


def test_mouth_close_never_exceeds_what_the_jaw_opens(rigs: dict[str, Rig]) -> None:
    weights = weights_of(rigs["mouthClose as in ARKit"])
    jaw, closed = (weights[:, ARKIT_INDEX[name]] for name in ("jawOpen", "mouthClose"))
    assert closed.max() > 0.02
    assert (closed <= 1.5 * jaw + 1e-6).all()


def test_lips_do_not_pass_through_one_another(rigs: dict[str, Rig]) -> None:
    for rig in rigs.values():
        weights = weights_of(rig, emotion="joy")
        gaps = weights @ rig.lip_gaps()
        assert gaps.min() > -2.5


def test_the_lower_lip_reaches_the_teeth_on_f(rigs: dict[str, Rig]) -> None:
    weights = weights_of(rigs["mouthClose opens the jaw"])
    (at,) = (p for p in phones_of(WORDS) if p.symbol == "f")
    middle = round((at.start + at.end) / 2 * 30)
    assert weights[middle, ARKIT_INDEX["mouthRollLower"]] > 0.7
    assert weights[middle, ARKIT_INDEX["jawOpen"]] < 0.1


def test_the_mouth_rests_in_silence_whatever_the_channels_say(rigs: dict[str, Rig]) -> None:
    """Channels that an encoder invents in the noise of a room: nobody is louder than it here."""
    rig = rigs["mouthClose opens the jaw"]
    invented = source_of(phones_of(WORDS))
    times = np.arange(60) / 30
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLERATE).astype(np.float32)
    pipeline = RigPipeline(rig, RigOptions(blinks=False), invented)
    emotion = np.zeros((60, len(RIG_EMOTIONS)), np.float32)
    for level, moves in ((0.0, False), (0.0005, False), (0.1, True)):
        weights = pipeline.weights(np.float32(level) * noise, times, emotion)[0]
        assert (weights[:, ARKIT_INDEX["jawOpen"]].max() > 0.1) == moves, level
    pause = weights_of(rig, "ɑɑɑ  ɑɑɑ")
    assert pause[18:36, ARKIT_INDEX["jawOpen"]].max() < 0.02


def test_an_emotion_is_an_expression_over_speech(rigs: dict[str, Rig]) -> None:
    rig = rigs["mouthClose opens the jaw"]
    calm, merry, half = (weights_of(rig, emotion=name, blinks=False) for name in (None, "joy", "joy=0.5"))
    smile, jaw = ARKIT_INDEX["mouthSmileLeft"], ARKIT_INDEX["jawOpen"]
    assert merry[:, smile].mean() > half[:, smile].mean() > calm[:, smile].mean() + 0.1
    assert np.corrcoef(merry[:, jaw], calm[:, jaw])[0, 1] > 0.98
    rounded = [round((p.start + p.end) / 2 * 30) for p in phones_of(WORDS) if p.symbol == "u"]
    assert merry[rounded, smile].max() < 0.8 * merry[:, smile].max()


@pytest.mark.parametrize(
    ("parameter", "shape"),
    [
        ("lower_face_strength", "jawOpen"),
        ("jaw_strength", "jawOpen"),
        ("blink_strength", "eyeBlinkLeft"),
        ("upper_face_strength", "browOuterUpLeft"),
        ("saccade_strength", "eyeLookDownLeft"),
    ],
)
def test_a_strength_of_nought_stills_what_it_names(rigs: dict[str, Rig], parameter: str, shape: str) -> None:
    rig = rigs["mouthClose opens the jaw"]
    words = WORDS * 3
    usual, still = weights_of(rig, words), weights_of(rig, words, parameters={parameter: 0.0})
    assert usual[:, ARKIT_INDEX[shape]].max() > 0.08
    assert still[:, ARKIT_INDEX[shape]].max() < 0.05  # pressed lips open the jaw by a little


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"lip_open_offset": 1}}, "a rig has no parameter 'lip_open_offset'"),
        ({"parameters": {"jaw_strength": 9}}, "jaw_strength is 9, expected a number from 0 to 2"),
        ({"parameters": {"jaw_strength": float("nan")}}, "jaw_strength is nan"),
        ({"emotion": "joyy"}, "no emotion 'joyy'\n .*'joy'"),
        ({"fps": Fraction(0)}, "0 frames per second"),
    ],
)
def test_wrong_options(rigs: dict[str, Rig], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RigPipeline(rigs["mouthClose opens the jaw"], RigOptions(**options))


def test_a_closure_is_a_peak_and_lasts_while_it_is_near_it() -> None:
    curve = np.zeros(100)
    curve[20:27] = (0.5, 0.9, 1.0, 1.0, 1.0, 0.9, 0.5)
    curve[40:43] = 0.6
    curve[60:63] = 0.3  # not sure
    certain, doubtful = find_closures(curve, RATE)
    assert (certain.start, certain.end) == pytest.approx((22 / RATE + 0.015, 25 / RATE - 0.015))
    assert certain.depth == 1
    assert 0.2 < doubtful.depth < 0.6
    assert find_closures(np.zeros(0), RATE) == []


def test_every_closure_has_a_frame() -> None:
    times = np.arange(30) / 10  # ten frames a second: most closures fall between two
    closures = [Closure(0.33, 0.36), Closure(1.98, 2.04)]
    near = closeness(closures, times)
    assert near[[3, 20]].tolist() == [1, 1]
    assert near.sum() == pytest.approx(2, abs=0.7)


def animated(rig: Rig, folder: Path) -> Animation:
    phones = phones_of(WORDS)
    soundfile.write(folder / "speech.wav", sound_of(phones), SAMPLERATE)
    return RigPipeline(rig, RigOptions(emotion="joy"), source_of(phones)).animate(folder / "speech.wav", folder)


@pytest.mark.parametrize("name", ["mouthClose opens the jaw", "mouthClose as in ARKit"])
def test_the_animation_is_whole(rigs: dict[str, Rig], tmp_path: Path, name: str) -> None:
    rig = rigs[name]
    found = animated(rig, tmp_path)
    assert found.num_frames == 81  # 2.7 s
    assert found.skin_weights is not None
    weights = found.skin_weights
    rebuilt = weights.neutral + np.tensordot(weights.values, weights.deltas, axes=1)
    np.testing.assert_allclose(found.skin.frames, rebuilt, atol=1e-3)
    assert weights.values.min() >= 0
    assert weights.values.max() <= 1
    assert (found.tongue is not None) == (rig.tongue is not None)
    assert found.eyes.shape == (found.num_frames, 4)
    assert np.ptp(found.eyes) > 0.3
    assert found.facts["rig"] == rig.source


def test_seeds_choose_gaze_and_blinks_and_nothing_else(rigs: dict[str, Rig]) -> None:
    rig = rigs["mouthClose opens the jaw"]
    first, again, other = (weights_of(rig, WORDS * 2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other)[:, ARKIT_INDEX["eyeBlinkLeft"]].max() > 0.5
    assert np.abs(first - other)[:, ARKIT_INDEX["jawOpen"]].max() < 0.02


@pytest.mark.parametrize("maker", [breath, sniff, humming], ids=lambda maker: maker.__name__)
def test_the_mouth_rests_while_a_person_does_not_speak(maker: Maker) -> None:
    """The jaw that the encoder detects in eight sounds of other seeds than its training's, and in a sentence."""
    times = np.arange(4 * SAMPLERATE) / SAMPLERATE
    opened = []
    for seed in range(8):
        sound = maker(np.random.default_rng((7_000, seed)), times)
        channels, names, _ = extract_visemes((0.05 * sound / sound.std()).astype(np.float32), SAMPLERATE)
        opened.append(float(np.mean(channels[:, names.index("jaw")] > 0.02)))
    assert np.median(opened) == 0
    assert np.mean(opened) < 0.1
    spoken = soundfile.read(Path(__file__).parents[1] / "data/espeak/en_low.wav", dtype="float32")[0]
    channels, names, _ = extract_visemes(spoken, SAMPLERATE)
    assert np.mean(channels[:, names.index("jaw")] > 0.02) > 0.5
