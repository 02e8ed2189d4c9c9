"""The stage as a user calls it: what is written, what is refused, and nothing half-done."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio2face.audio import sample_blocks
from audio2face.cli import animate as animate_command
from audio2face.cli import parsers
from audio2face.errors import UserError
from audio2face.export.formats import FORMATS
from audio2face.geometry import open_cache
from audio2face.home import HOME_VARIABLE

ROOT = Path(__file__).parents[2]


def sound(path: Path, seconds: float = 0.4, rate: int = 16000, channels: int = 1, level: float = 0.5) -> Path:
    samples = np.random.default_rng(0).uniform(-level, level, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def animate(deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the stage on a recording, and returns the folder of results. The home folder has no models."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path / "home" / "workspace"))  # which the launcher of tests sets

    def run(audio: Path, *options: str, status: int = 0) -> Path:
        target = tmp_path / "results"
        command = ["--model", str(deployed), "--to", str(target), "--audio", str(audio)]
        if "--actor" not in options:
            command += ["--actor", "ada"]
        assert animate_command.main([*command, *options]) == status
        return target

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_launcher_knows_every_form() -> None:
    assert set(parsers.FORMATS) == {"page", "video", *FORMATS}


def test_what_is_written(animate: Any, deployed: Path, tmp_path: Path) -> None:
    results = animate(sound(tmp_path / "a.b.wav"), "--emotion", "joy=0.5")
    assert names(results) == {"a.b_ada_joy", "log.log"}
    take = "a.b_ada_joy"
    ends = (".html", ".xml", ".mc", "_tongue.xml", "_tongue.mc", "_arkit.csv", "_arkit.json", ".wav")
    assert names(results / take) == {"animation.json", "inputs.json", *(take + end for end in ends)}
    facts = json.loads((results / take / "animation.json").read_text())
    assert facts["emotion"] == "joy=0.5"
    assert facts["model"] == deployed.name
    assert set(facts["files"]) == names(results / take) - {"animation.json", "inputs.json"}
    assert len(open_cache(results / take / f"{take}.xml")) == facts["frames"]
    # Another form of it: what belongs to the earlier take goes, what others put there stays.
    (results / take / "mine.blend").write_bytes(b"work")
    animate(sound(tmp_path / "a.b.wav"), "--emotion", "joy=0.5", "--format", "npy", "--fps", "24")
    ends = ("_skin.npy", "_tongue.npy", "_jaw.npy", "_eyes.npy", ".wav")
    assert names(results / take) == {"animation.json", "inputs.json", "mine.blend", *(take + end for end in ends)}
    assert np.load(results / take / f"{take}_skin.npy").shape == (10, 12, 3)


def test_the_next_command_can_be_typed(animate: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = animate(sound(tmp_path / "a b.wav", 0.01), "--emotion", "joy")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "python run_inference.py" in line]
    _, script, *words = shlex.split(line[line.index("python ") :], comments=True)
    assert script == "run_inference.py"
    assert animate_command.main(words) == 0
    assert {"a b_ada_joy.glb", "a b_ada_joy.usdc", "a b_ada_joy.mp4"} <= names(results / "a b_ada_joy")


@pytest.mark.parametrize("form", sorted(parsers.FORMATS))
def test_each_form_of_a_moment(animate: Any, tmp_path: Path, form: str) -> None:
    """10 ms of sound are one frame."""
    results = animate(sound(tmp_path / "a.wav", 0.01), "--format", form, "--emotion", "joy")
    assert len(names(results / "a_ada_joy")) >= 2
    assert json.loads((results / "a_ada_joy/animation.json").read_text())["frames"] == 1


@pytest.mark.parametrize(
    ("seconds", "rate", "channels", "level"),
    [(0.01, 16000, 1, 0.5), (0.5, 16000, 1, 0.0), (0.5, 8000, 1, 0.5), (0.5, 48000, 6, 0.5), (0.5, 11025, 2, 0.5)],
    ids=["10 ms", "silence", "8 kHz", "5.1", "11 kHz stereo"],
)
def test_odd_recordings_are_animated(
    animate: Any, tmp_path: Path, seconds: float, rate: int, channels: int, level: float
) -> None:
    audio = sound(tmp_path / "a.wav", seconds, rate, channels, level)
    results = animate(audio, "--format", "page", "npy", "--emotion", "neutral", "--normalize")
    skin = np.load(results / "a_ada_neutral/a_ada_neutral_skin.npy")
    assert np.isfinite(skin).all()
    fps = json.loads((results / "a_ada_neutral/animation.json").read_text())["fps"]
    assert len(skin) == np.ceil(round(seconds * rate) / rate * fps)
    beside = np.concatenate(list(sample_blocks(results / "a_ada_neutral/a_ada_neutral.wav")))
    assert beside.shape == (round(seconds * rate), channels)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--emotion", "joi"], "no emotion 'joi'.*\n.*'joy'"),
        (["--emotion", "joy=3"], "'joy' is 3, expected"),
        (["--emotion", "none.csv"], "no such file of emotions"),
        (["--set", "skin_strength=7"], "skin_strength is 7, expected a number from 0 to 2"),
        (["--set", "smile=1"], "no animation parameter 'smile'"),
        (["--actor", "eve"], "no actor 'eve'"),
        (["--fps", "fast"], "--fps is 'fast'"),
        (["--fps", "0"], "out of range"),
        (["--fps", "1/0"], "--fps is"),
        (["--device", "mps"], "not on 'mps'"),
        (["--solver", "none", "--format", "arkit"], "no blend-shape weights"),
        (["--compare-with", "nowhere"], "no such folder"),
        (["--compare-with", "truth"], "CONFIG_NAME"),
    ],
)
def test_options_that_are_refused(animate: Any, tmp_path: Path, options: list[str], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        animate(sound(tmp_path / "a.wav"), *options)
    assert not (tmp_path / "results").exists()


def damage(kind: str, path: Path) -> str:
    """Spoils a recording; returns the expected problem."""
    if kind == "missing":
        path.unlink()
        return "no such audio file"
    if kind == "empty":
        soundfile.write(path, np.zeros(0), 16000)
        return "holds no samples"
    if kind == "text":
        path.write_text("not a sound")
        return "cannot be read as audio"
    if kind == "NaN":
        samples = np.zeros(20000, np.float32)
        samples[17000] = np.nan
        soundfile.write(path, samples, 16000, "FLOAT")
        return "sample 17000 of channel 0 is nan"
    if kind == "low rate":
        soundfile.write(path, np.zeros(4000), 4000)
        return "4,000 Hz is too low"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return "cut|promises|hold"


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "NaN", "low rate", "truncated"])
def test_recordings_that_are_refused(animate: Any, tmp_path: Path, kind: str) -> None:
    audio = sound(tmp_path / "a.wav")
    problem = damage(kind, audio)
    with pytest.raises(UserError, match=problem):
        animate(audio)
    results = tmp_path / "results"
    assert not results.exists() or names(results) == {"log.log"}


def test_what_a_format_lacks_is_said_and_the_others_are_there(animate: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def broken(*_: object, **__: object) -> list[Path]:
        raise UserError("the disk is full")

    monkeypatch.setattr("audio2face.outputs.write_page", broken)
    with pytest.raises(UserError, match="the disk is full"):
        animate(sound(tmp_path / "a.wav"), "--emotion", "joy")
    there = names(tmp_path / "results/a_ada_joy")
    assert "a_ada_joy.html" not in there
    assert {"a_ada_joy.mc", "a_ada_joy_arkit.csv", "animation.json"} < there


@pytest.mark.parametrize(
    "file", ["model.json", "network_info.json", "network.onnx", "model_config", "model_data", "bs_skin_ada", "display"]
)
@pytest.mark.parametrize("how", ["missing", "cut", "altered"])
def test_folders_that_are_not_whole(animate: Any, deployed: Path, tmp_path: Path, file: str, how: str) -> None:
    if file == "display":
        np.savez(deployed / "display_ada.npz", skin_faces=np.array([[0, 1, 99]], np.int32), fps=np.float32(30))
    (path, *_) = sorted(deployed.glob(f"{file}*"))
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        content = bytearray(path.read_bytes())
        content[: len(content) // 2] = b"\xff" * (len(content) // 2)
        path.write_bytes(content)
    if file == "display" and how == "missing":  # only drawing needs it
        assert "a_ada_joy" in names(animate(sound(tmp_path / "a.wav"), "--emotion", "joy"))
        return
    with pytest.raises(UserError):
        animate(sound(tmp_path / "a.wav"), "--emotion", "joy")
    assert not (tmp_path / "results").exists()


def test_a_second_model_beside_it(animate: Any, deployed: Path, tmp_path: Path) -> None:
    results = animate(
        sound(tmp_path / "a.wav"), "--compare-with", str(deployed), "--format", "page", "--emotion", "joy"
    )
    assert f"{deployed.name}" in (results / "a_ada_joy/a_ada_joy.html").read_text()


def test_two_recordings_of_one_name(animate: Any, tmp_path: Path) -> None:
    one, two = sound(tmp_path / "a.wav"), sound(tmp_path / "a.flac")
    with pytest.raises(UserError, match="two recordings would be written as 'a_ada_joy'"):
        animate(one, "--audio", str(two), "--emotion", "joy")


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--model", "m", "run"],
        ["--model", "m", "config", "run"],
        ["--model", "m", "--raw-only"],
        ["c", "r", "--set", "a"],
    ],
)
def test_the_command_line(given: list[str]) -> None:
    with pytest.raises(SystemExit):
        parsers.parse("inference", given)


def test_no_torch_is_loaded(deployed: Path, tmp_path: Path) -> None:
    """A machine without it animates in all forms."""
    audio = sound(tmp_path / "a.wav")
    code = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('torch', 'transformers'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from audio2face.cli import animate as animate_command\n"
        f"animate_command.main({['--model', str(deployed), '--actor', 'ada', '--to', str(tmp_path / 'r')]!r}"
        f" + {['--audio', str(audio), '--format', *parsers.FORMATS]!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_hour_of_sound_takes_no_more_memory_than_a_minute(deployed: Path, tmp_path: Path) -> None:
    used = []
    for minutes in (1, 60):
        audio = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(audio, "w", 24000, 1, "PCM_16") as file:
            for second in range(minutes * 60):
                file.write(np.random.default_rng(second).uniform(-0.3, 0.3, 24000))
        code = (
            "import resource\nfrom audio2face.cli import animate as animate_command\n"
            f"animate_command.main({['--model', str(deployed), '--actor', 'ada', '--to', str(tmp_path / 'r')]!r}"
            f" + {['--audio', str(audio), '--format', 'maya', 'csv', 'arkit']!r})\n"
            "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        used.append(int(done.stdout.rpartition("PEAK")[2]) / 1024)
        audio.unlink()
    print(f"MB at the peak: a minute {used[0]:.0f}, an hour {used[1]:.0f}")
    assert used[1] < used[0] + 150  # frames of a small face, mapped from the disk, count too
