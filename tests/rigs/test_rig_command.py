"""From a recording to files: the command line with --rig, and the same from Python, without a model or torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from characters import head_builder

import audio2face
from audio2face.cli import animate, parsers
from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.dataset.phoneme_times import read_phoneme_times
from audio2face.errors import UserError
from audio2face.evaluate import score_closure
from audio2face.evaluate.lips import lip_distance

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/data/espeak"
SPEECH = FIXTURES / "en_low.wav"


@pytest.fixture(scope="module")
def character(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return head_builder().glb(tmp_path_factory.mktemp("character") / "hero.glb")


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "tr"])
def test_lips_meet_in_five_languages(character: Path, language: str) -> None:
    """Of the p, b and m of a sentence at most one stays open; with lips that stay where channels put them most do."""
    recording = FIXTURES / f"{language}_low.wav"
    for rig in ("example", character):
        found = audio2face.load_rig(rig).animate(recording)
        upper, lower = found.parts["lip_upper"], found.parts["lip_lower"]
        lips = np.stack([found.skin.frames[:, upper], found.skin.frames[:, lower]], axis=1)
        rest = float(lip_distance(np.stack([found.skin.neutral[upper], found.skin.neutral[lower]])[None])[0])
        phones = read_phoneme_times(recording.with_suffix(".txt"))
        score = score_closure(lip_distance(lips), rest, phones, found.fps)
        assert score.phones >= 9
        assert score.closed >= score.phones - 1
        assert 10 * (lip_distance(lips).max() - rest) > 4


def test_the_mouth_rests_where_nobody_speaks() -> None:
    face = audio2face.load_rig("example")
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    time = np.arange(32_000) / 16_000
    quiet = {"silence": 0 * noise, "room": 0.003 * noise, "loud": 0.1 * noise, "hum": 0.02 * np.sin(314 * time)}
    for name, samples in quiet.items():
        weights = face.animate(samples, 16_000).skin_weights
        assert weights is not None
        assert weights.values[:, ARKIT_INDEX["jawOpen"]].max() < 0.05, name


def test_the_command_writes_all_and_keeps_what_is_complete(character: Path, tmp_path: Path) -> None:
    words = ["--rig", str(character), "--audio", str(SPEECH), "--to", str(tmp_path), "--emotion", "joy=0.5"]
    formats = ["--format", "page", "arkit", "csv", "glb", "npy", "--set", "jaw_strength=1.2", "--fps", "24"]
    assert animate.main([*words, *formats]) == 0
    folder = tmp_path / "en_low_hero_joy"
    written = {path.name for path in folder.iterdir()}
    assert {
        f"en_low_hero_joy{end}" for end in (".html", "_arkit.csv", "_arkit.json", ".csv", ".glb", ".wav")
    } <= written
    facts = json.loads((folder / "animation.json").read_text())
    assert facts["rig"] == "hero.glb"
    assert facts["parameters"]["jaw_strength"] == 1.2
    assert (facts["fps"], facts["emotion"]) == (24, "joy=0.5")
    document = json.loads((folder / "en_low_hero_joy_arkit.json").read_text())
    assert document["exportFps"] == 24
    made = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert animate.main([*words, *formats]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == made
    assert animate.main([*words, *formats, "--seed", "1"]) == 0
    assert (folder / "animation.json").stat().st_mtime_ns > made[folder / "animation.json"]


def test_a_character_in_the_datasets_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, character: Path
) -> None:
    monkeypatch.setenv("A2F_DATASETS_ROOT", str(character.parent))
    (tmp_path / "example").mkdir()  # a folder of that name is no rig
    monkeypatch.chdir(tmp_path)
    for rig in ("hero.glb", "example"):
        words = ["--rig", rig, "--audio", str(SPEECH), "--to", "out", "--format", "csv"]
        assert animate.main(words) == 0
    assert {path.name for path in Path("out").iterdir() if path.is_dir()} == {
        "en_low_hero_neutral",
        "en_low_ada_neutral",
    }


def test_several_recordings_in_two_processes(tmp_path: Path) -> None:
    takes = tmp_path / "takes"
    takes.mkdir()
    for name in ("a", "b"):
        soundfile.write(takes / f"{name}.wav", soundfile.read(SPEECH)[0][:16_000], 16_000)
    (takes / "broken.wav").write_bytes(b"RIFF")
    words = ["--rig", "example:ben", "--audio", str(takes), "--to", str(tmp_path / "out"), "--jobs", "2"]
    assert animate.main([*words, "--format", "csv"]) == 1
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"a_ben_neutral", "b_ben_neutral"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["my-config", "latest"], "not allowed with CONFIG_NAME and TRAINING_RUN_NAME_FULL"),
        (["--model", "x"], "not allowed with --model"),
        (["--actor", "ada"], "not allowed with --actor"),
        (["--solver", "qp"], "not allowed with --solver"),
        (["--normalize"], "not allowed with --normalize"),
        (["--compare-with", "x"], "not allowed with --compare-with"),
        (["--raw-only"], "not allowed with options of network output"),
        (["--device", "cuda"], "not allowed with --device"),
        (["--set", "EMOTION_LABEL=joy"], "EMOTION_LABEL is a parameter of a configuration, and --rig has none"),
    ],
)
def test_options_of_models_are_refused(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsers.parse("inference", [*words, "--rig", "example", "--audio", "speech.wav"])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert problem in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--rig", "nobody.glb"], "there is no such character"),
        (["--rig", "example", "--set", "skin_strength=1"], "a rig has no parameter 'skin_strength'"),
        (["--rig", "example", "--emotion", "envy"], "no emotion 'envy'"),
        (["--rig", "example", "--fps", "often"], "--fps is 'often'"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(words: list[str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=problem):
        animate.main([*words, "--audio", str(SPEECH), "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_samples_and_recording_give_the_same() -> None:
    face = audio2face.load_rig("example")
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    first, second = face.animate(SPEECH), face.animate(samples, rate)
    assert first.skin_weights is not None
    assert second.skin_weights is not None
    np.testing.assert_array_equal(first.skin_weights.values, second.skin_weights.values)
    assert face.shapes[ARKIT_INDEX["jawOpen"]] == "jawOpen"
    assert "fear" in face.emotions
    with pytest.raises(TypeError, match="samplerate"):
        face.animate(samples)


def test_neither_torch_nor_a_voice_is_needed() -> None:
    code = (
        "import sys, audio2face\n"
        f"audio2face.load_rig('example').animate({str(SPEECH)!r})\n"
        "print(*{'torch', 'hibari', 'python_stretch', 'pygltflib', 'transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
