"""The front door: load, animate, save, stream, in processes without torch."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audio2face
from audio2face.animation.animation import AnimationFrame
from audio2face.export.formats import FORMATS

ROOT = Path(__file__).parents[2]
PARTS = ("skin", "tongue", "jaw", "eyes", "emotion", "skin_weights", "tongue_weights")


def noise(seconds: float = 1.7, rate: int = 16000, channels: int | None = None) -> np.ndarray:
    count = round(seconds * rate)
    shape = count if channels is None else (count, channels)
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """1.7 seconds at 22,050 Hz."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, noise(rate=22050), 22050, subtype="FLOAT")
    return path


def assert_equal(found: AnimationFrame, expected: AnimationFrame) -> None:
    assert found.time == expected.time
    for part in PARTS:
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part), err_msg=part)


def streamed(stream: audio2face.AnimationStream, samples: np.ndarray, size: int) -> list[AnimationFrame]:
    frames: list[AnimationFrame] = []
    for start in range(0, len(samples), size):
        stream.push(samples[start : start + size])
        frames += stream.frames()
    stream.finish()
    return [*frames, *stream.frames()]


def test_three_lines(deployed: Path, speech: Path, tmp_path: Path) -> None:
    model = audio2face.load(deployed)
    animation = model.animate(speech, actor="ada", emotion="joy")
    written = animation.save(tmp_path / "out", formats=["page", "glb"])
    folder = tmp_path / "out" / "speech_ada_joy"
    assert written == [folder / f"speech_ada_joy.{suffix}" for suffix in ("html", "glb", "wav")]
    record = json.loads((folder / "animation.json").read_text())
    assert record["files"] == ["speech_ada_joy.glb", "speech_ada_joy.html", "speech_ada_joy.wav"]
    assert record["emotion"] == "joy"


def test_every_format_and_names(deployed: Path, speech: Path, tmp_path: Path) -> None:
    model = audio2face.load(str(deployed))
    animation = model.animate(str(speech), actor="ada", emotion={"joy": 0.25})
    animation.save(tmp_path / "all", formats=[key for key in FORMATS if key != "arkit"], name="take")
    assert {path.suffix for path in (tmp_path / "all/take").iterdir()} >= {".glb", ".mc", ".npy", ".csv", ".pc2"}
    assert [path.suffix for path in animation.save(tmp_path / "one", "csv")][:1] == [".csv"]
    other = model.animate(speech, actor="ada", emotion={})
    assert other.name == "speech_ada_neutral"
    written = animation.save(tmp_path / "usual", compare=other, labels=("quarter", "none"))
    assert "quarter" in written[0].read_text()
    with pytest.raises(audio2face.UserError, match="export format 'gltf' is unknown"):
        animation.save(tmp_path / "wrong", "gltf")
    with pytest.raises(audio2face.UserError, match="made of recording, actor and emotion"):
        animation.save(tmp_path, name="a/b")


def test_a_name_is_looked_up_in_the_workspace(deployed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (deployed.parent / "output_deploy").mkdir()
    deployed.rename(deployed.parent / "output_deploy" / "261123_101500_first-try")
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(deployed.parent))
    assert "ada" in audio2face.load("261123_101500_first-try").actors
    with pytest.raises(audio2face.UserError):
        audio2face.load("261123_101500_second-try")


def test_what_a_model_tells(deployed: Path) -> None:
    model = audio2face.load(deployed, device="cpu")
    assert model.emotions[0] == "joy"
    assert model.samplerate == 16000
    assert model.parameters("ada")["input_strength"] > 0
    assert "joy" in repr(model)


def test_frames_one_by_one_are_the_arrays(deployed: Path, speech: Path) -> None:
    animation = audio2face.load(deployed).animate(speech, actor="ada")
    frames = list(animation)
    assert len(frames) == animation.num_frames
    assert animation.tongue is not None
    assert animation.skin_weights is not None
    for index in (0, 40, len(frames) - 1):
        frame = frames[index]
        assert frame.time == index / animation.fps
        np.testing.assert_array_equal(frame.skin, animation.skin.frames[index])
        np.testing.assert_array_equal(frame.tongue, animation.tongue.frames[index])
        np.testing.assert_array_equal(frame.jaw, animation.jaw[index])
        np.testing.assert_array_equal(frame.skin_weights, animation.skin_weights.values[index])


@pytest.mark.parametrize(
    ("rate", "options"),
    [
        (16000, {}),
        (22050, {"emotion": "joy=0.5", "seed": 3}),
        (48000, {"fps": 29.97}),
        (44100, {"fps": Fraction(100), "blinks": False}),
    ],
)
@pytest.mark.parametrize("size", [160, 7001])
def test_a_stream_gives_the_frames_of_the_whole_recording(
    deployed: Path, rate: int, options: dict[str, Any], size: int
) -> None:
    """Bit for bit, in pieces of any length."""
    model, samples = audio2face.load(deployed), noise(rate=rate)
    whole = list(model.animate(samples, rate, actor="ada", **options))
    frames = streamed(model.stream(rate, actor="ada", **options), samples, size)
    assert len(frames) == len(whole)
    for found, expected in zip(frames, whole, strict=True):
        assert_equal(found, expected)
    other = streamed(model.stream(rate, actor="ada", **options), samples[::-1], size)
    assert np.abs(other[20].skin - whole[20].skin).max() > 1e-3  # other audio gives other frames


def test_two_streams_of_a_model_are_independent(deployed: Path) -> None:
    model, samples = audio2face.load(deployed), noise()
    alone = streamed(model.stream(actor="ada"), samples, 1000)
    first, second = model.stream(actor="ada"), model.stream(actor="ada", emotion="joy=0.1")
    frames: list[AnimationFrame] = []
    for start in range(0, len(samples), 1000):
        second.push(samples[::-1][start : start + 1000])
        list(second.frames())
        first.push(samples[start : start + 1000])
        frames += first.frames()
    first.finish()
    for found, expected in zip([*frames, *first.frames()], alone, strict=True):
        assert_equal(found, expected)


def test_a_stream_starts_again_after_a_reset(deployed: Path) -> None:
    samples, stream = noise(rate=22050), audio2face.load(deployed).stream(22050, actor="ada")
    expected = streamed(stream, samples, 1000)
    stream.reset()
    stream.push(samples[::-1])
    assert list(stream.frames())
    stream.reset()
    found = streamed(stream, samples, 1000)
    for frame, other in zip(found, expected, strict=True):
        assert_equal(frame, other)


def test_frames_are_due_after_the_lookahead(deployed: Path) -> None:
    model, samples = audio2face.load(deployed), noise()
    stream = model.stream(actor="ada")
    for start in range(0, len(samples), 160):
        stream.push(samples[start : start + 160])
        arrived = (start + 160) / 16000
        assert all(arrived - 0.01 <= frame.time + stream.lookahead for frame in stream.frames())
    waits = {"regression": 0.26, "diffusion": 0.75, "streaming": 0.066625}
    assert stream.lookahead == pytest.approx(waits[deployed.name])
    assert stream.fps == (60 if deployed.name == "diffusion" else 30)
    assert stream.weight_names["skin"] == ("jawOpen", "mouthLeft", "mouthRight")


def test_who_stops_in_between_goes_on_there(deployed: Path) -> None:
    stream = audio2face.load(deployed).stream(actor="ada", solver=None)
    stream.push(noise())
    first = [next(stream.frames()).time for _ in range(3)]
    assert first == [frame / float(stream.fps) for frame in range(3)]
    stream.finish()
    rest = list(stream.frames())
    assert rest[0].time == 3 / float(stream.fps)
    assert rest[0].skin_weights is None
    assert len(rest) + 3 == np.ceil(1.7 * stream.fps)
    assert list(stream.frames()) == []


def test_what_a_stream_refuses(deployed: Path) -> None:
    model = audio2face.load(deployed)
    stream = model.stream(actor="ada")
    with pytest.raises(audio2face.UserError, match="expected one channel"):
        stream.push(noise(channels=2))
    with pytest.raises(audio2face.UserError, match="sample 1 of the audio is nan"):
        stream.push([0.0, float("nan")])
    with pytest.raises(audio2face.UserError, match="too low for speech"):
        model.stream(4000, actor="ada")
    stream.push([])
    stream.finish()
    assert list(stream.frames()) == []
    with pytest.raises(ValueError, match="call reset"):
        stream.push(noise())


def test_samples_are_a_recording(deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    model, samples = audio2face.load(deployed), np.round(noise(0.5, 48000, 2) * 32768) / 32768
    soundfile.write(tmp_path / "speech.wav", samples, 48000, subtype="PCM_16")
    expected = model.animate(tmp_path / "speech.wav", actor="ada")
    for given in (samples, (samples * 32768).astype(np.int16)):
        animation = model.animate(given, 48000, actor="ada")
        np.testing.assert_array_equal(animation.skin.frames, expected.skin.frames)
        written = animation.save(tmp_path / "out", "page")
        assert written[0].name == f"{expected.name}.html"
        assert list((tmp_path / "temporary").iterdir())
        del animation
        gc.collect()
        assert not list((tmp_path / "temporary").iterdir())
    with pytest.raises(TypeError, match="samplerate"):
        model.animate(samples, actor="ada")
    with pytest.raises(TypeError, match="samplerate"):
        model.animate(tmp_path / "speech.wav", 48000, actor="ada")
    with pytest.raises(audio2face.UserError, match="expected \\[samples\\]"):
        model.animate(samples[None], 48000, actor="ada")
    with pytest.raises(audio2face.UserError, match="type complex64"):
        model.animate(samples * 1j, 48000, actor="ada")


def test_what_is_refused(deployed: Path, speech: Path) -> None:
    model = audio2face.load(deployed)
    with pytest.raises(audio2face.UserError, match="no emotion 'jou'"):
        model.animate(speech, actor="ada", emotion="jou")
    with pytest.raises(audio2face.UserError, match="out of range"):
        model.animate(speech, actor="ada", fps=float("nan"))
    with pytest.raises(audio2face.UserError, match="no animation parameter"):
        model.stream(actor="ada", parameters={"smile": 1.0})
    with pytest.raises(AttributeError, match="no attribute 'lood'"):
        audio2face.lood  # noqa: B018


def test_importing_loads_nothing(deployed: Path, speech: Path) -> None:
    """The package by itself loads no module but its own; a recording is animated without torch or matplotlib."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import audio2face\n"
        "new = {name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names}\n"
        "print(new - {'audio2face'} or 'nothing')\n"
        "assert set(audio2face.__all__) <= set(dir(audio2face))\n"
        f"model = audio2face.load({str(deployed)!r})\n"
        f"model.animate({str(speech)!r}, actor='ada').save({str(speech.parent / 'out')!r}, ['page', 'csv'])\n"
        "model.stream(actor='ada')\n"
        "print([name for name in ('torch', 'transformers', 'matplotlib', 'lightning') if name in sys.modules])\n"
        "for name in audio2face.__all__: getattr(audio2face, name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["nothing", "[]"], done.stdout


def test_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import audio2face; help(audio2face); help(audio2face.Model)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for taught in ('model.animate("speech.wav", emotion="joy")', "stream.push(samples)", "lower_face_strength"):
        assert taught in done.stdout
